"""The Celery application with Django loaded: for beat and Flower beside the ledger."""

import os

import django

from tasks import app

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "turtle_site.settings")
django.setup()

__all__ = ["app"]
