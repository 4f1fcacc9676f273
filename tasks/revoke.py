"""Asking workers to drop or end an attempt: best effort, since nobody may be listening."""

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

#: Messages carry their token as a Celery stamp of this name. Revoking by the run's id would
#: also hit the attempts that follow when an operator has the run tried again.
TOKEN_STAMP = "turtle_token"  # noqa: S105 - a name, not a secret


def stop_on_workers(app: Celery, token: int) -> None:
    """Tell all workers not to start the attempt with this token, and to end it where it runs.

    Whether they hear it or not, a cancelled run cannot commit any more.
    """
    try:
        app.control.revoke_by_stamped_headers(
            {TOKEN_STAMP: [str(token)]}, terminate=True, signal="SIGTERM"
        )
    except (OperationalError, RedisError, OSError):
        return
