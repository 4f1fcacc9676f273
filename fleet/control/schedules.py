"""Beat's scheduler: every due schedule makes a run that names it."""

from typing import Any

from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import DatabaseScheduler

from fleet.ledger.acceptor import called_by

#: Celery's own schedule. It empties a result backend, and the fleet has none.
CLEANUP = "celery.backend_cleanup"


class FleetScheduler(DatabaseScheduler):  # type: ignore[misc]
    """The schedules in the database, without Celery's own."""

    def setup_schedule(self) -> None:
        """Remove what an earlier version installed, then read the rest."""
        PeriodicTask.objects.filter(name=CLEANUP, task=CLEANUP).delete()
        if PeriodicTasks.last_change() is None:
            # The scheduler does not notice the first change of all: it has none to compare with.
            PeriodicTasks.update_changed()
        super().setup_schedule()

    def install_default_entries(self, data: Any) -> None:
        """Install none."""

    def apply_async(self, entry: Any, *args: Any, **options: Any) -> Any:
        """Send a due task; the run is asked for by "schedule <its name>"."""
        with called_by(f"schedule {entry.name}"):
            return super().apply_async(entry, *args, **options)
