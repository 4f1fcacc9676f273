"""Clients of the pages."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def staff(db: None) -> Client:
    """A logged-in member of staff without any permission."""
    client = Client()
    client.force_login(User.objects.create(username="keeper", is_staff=True))
    return client


@pytest.fixture
def guest(db: None) -> Client:
    """A logged-in user who is no staff."""
    client = Client()
    client.force_login(User.objects.create(username="guest"))
    return client
