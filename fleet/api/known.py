"""Whether a name in a filter exists: a mistyped one would quietly give an empty list."""

from collections.abc import Collection

from fleet.api.selection import RunFilters
from fleet.models import Attempt, Site, TaskRun, Worker
from fleet.policy import routing
from tasks import app
from tasks.call import task_contracts
from tasks.settings import settings


def refuse_unknown_names(filters: RunFilters) -> None:
    """Raise UnknownNameError for a task, queue, site or worker that is nowhere to be found.

    The registry is looked into first; a name that only old runs have is known as well.
    """
    if filters.task:
        _check("task", filters.task, task_contracts(app), task=filters.task)
    if filters.queue:
        queues = routing.all_queues(settings().sites)
        _check("queue", filters.queue, queues, queue_name=filters.queue)
    if filters.site:
        sites = {*settings().sites, *Site.objects.values_list("name", flat=True)}
        _check("site", filters.site, sites, attempted=True, site=filters.site)
    if filters.worker:
        workers = Worker.objects.values_list("id", flat=True)
        _check("worker", filters.worker, list(workers), attempted=True, worker_id=filters.worker)


def _check(
    kind: str, name: str, registry: Collection[str], *, attempted: bool = False, **condition: str
) -> None:
    if name in registry or TaskRun.objects.filter(**condition).exists():
        return
    if not (attempted and Attempt.objects.filter(**condition).exists()):
        routing.known(kind, name, registry)
