"""The Celery application of the fleet: `celery -A tasks worker` on a LAN box."""

from tasks.app import app

enqueue_many = app.enqueue_many

__all__ = ["app", "enqueue_many"]
