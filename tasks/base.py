"""The base class of every task, and the decorator that declares one."""

from collections.abc import Callable
from typing import Any, NoReturn

from celery import Task

from fleet.policy import routing
from fleet.policy.contracts import ResultPlace, TaskContract
from fleet.policy.effects import EffectClass
from fleet.policy.errors import RefusedError


class FleetTask(Task):  # type: ignore[misc]
    """A Celery task that only runs signed, claimed attempts.

    `contract` is None for Celery's own built-in tasks, which the fleet never runs.
    """

    abstract = True
    contract: TaskContract | None = None
    acks_late = True
    reject_on_worker_lost = True
    ignore_result = True
    typing = False  # the acceptor checks the arguments, and says more
    Request = "tasks.worker:FleetRequest"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from tasks.execute import execute

        return execute(self, args, kwargs)

    def retry(self, *args: Any, exc: BaseException | None = None, **options: Any) -> Any:
        """Ask for another attempt, `countdown` seconds from now; the home decides."""
        from tasks.execute import RetryRequestedError

        raise RetryRequestedError(exc, options.get("countdown"), options.get("eta")) from exc

    def apply(self, *args: Any, **options: Any) -> NoReturn:
        """Refused: what it returned would look like a run, and no home would know of it."""
        raise RefusedError(
            f"{self.name}: apply() would run the task here, unknown to the fleet; use .delay() "
            "to enqueue it, or call it like a function to run it here"
        )


def fleet_task(
    *,
    capability: str,
    effect: EffectClass = EffectClass.D,
    max_attempts: int = 3,
    backoff_s: float = 1.0,
    time_limit_s: float = 300.0,
    soft_time_limit_s: float | None = None,
    result: ResultPlace = ResultPlace.REPORTED,
) -> Callable[[Callable[..., Any]], FleetTask]:
    """Declare a task of the fleet; it is named after its module and function (`dev.git_log`).

    Raises UnknownNameError at import for an unknown capability.
    """
    routing.known("capability", capability, routing.CAPABILITIES)

    def declare(function: Callable[..., Any]) -> FleetTask:
        from tasks.app import app

        name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        contract = TaskContract(
            name=name,
            capability=capability,
            effect=effect,
            max_attempts=max_attempts,
            backoff_s=backoff_s,
            time_limit_s=time_limit_s,
            soft_time_limit_s=soft_time_limit_s,
            result=result,
            summary=(function.__doc__ or "").strip().split("\n", 1)[0],
        )
        declared: FleetTask = app.task(
            name=name,
            contract=contract,
            time_limit=time_limit_s,
            soft_time_limit=soft_time_limit_s,
        )(function)
        return declared

    return declare
