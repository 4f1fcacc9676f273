"""ASGI entry point: `uvicorn turtle_site.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "turtle_site.settings")
application = get_asgi_application()
