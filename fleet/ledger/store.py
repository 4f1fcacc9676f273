"""The ledger as a home's store: the control plane's side of relay and reconcile."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q

from fleet.ledger.bulk import insert_rows
from fleet.ledger.loss import lose_run
from fleet.ledger.tokens import Tokens
from fleet.ledger.transitions import move
from fleet.models import CONTROL_HOME, Attempt, TaskRun, Worker
from fleet.policy.dispatch import Supply
from fleet.policy.effects import EffectClass
from fleet.policy.liveness import Liveness
from fleet.policy.routing import split_queue
from fleet.policy.states import OPEN_ATTEMPTS, AttemptStatus, RunEvent, RunStatus
from tasks.home.store import Dispatch, DueRun, Group, OpenAttempt

SUPPLY_FRESH = timedelta(seconds=1)


class LedgerStore:
    """Implements `tasks.home.store.HomeStore` with Django's ORM."""

    name = CONTROL_HOME

    def __init__(self) -> None:
        self._tokens = Tokens()
        self._supply: list[Supply] = []
        self._supply_at: datetime | None = None

    def expire_due(self, now: datetime) -> int:
        stale = TaskRun.objects.filter(
            home=CONTROL_HOME, status=RunStatus.READY, expires_at__lte=now
        )[:500]
        return sum(
            move(run, RunEvent.EXPIRE, now=now, why="expired before a worker took it", who="ledger")
            for run in stale
        )

    def due(self, now: datetime, limit: int, without: Collection[Group]) -> list[DueRun]:
        rows = TaskRun.objects.filter(
            Q(run_after__isnull=True) | Q(run_after__lte=now),
            Q(expires_at__isnull=True) | Q(expires_at__gt=now),
            home=CONTROL_HOME,
            status=RunStatus.READY.value,
            open_attempt=False,
        )
        for capability, site, effect in without:
            rows = rows.exclude(capability=capability, site=site, effect=effect.value)
        chosen = rows.order_by("-priority", "enqueued_at").only(
            "id", "capability", "site", "effect", "token"
        )[:limit]
        return [
            DueRun(
                run_id=str(run.pk),
                capability=run.capability,
                site=run.site,
                effect=EffectClass(run.effect),
                last_site=_unclaimed_site(run),
            )
            for run in chosen
        ]

    def supply(self, now: datetime) -> list[Supply]:
        """Read at most once a second: workers come and go more slowly than runs."""
        if self._supply_at is None or abs(now - self._supply_at) >= SUPPLY_FRESH:
            self._supply = self._live_workers(now)
            self._supply_at = now
        return self._supply

    def _live_workers(self, now: datetime) -> list[Supply]:
        workers = Worker.objects.filter(stopped_at__isnull=True)
        return [
            Supply(
                site=w.site_id, capabilities=frozenset(w.capabilities), slots=w.slots, busy=w.busy
            )
            for w in workers
            if w.verdict(now).liveness is Liveness.ALIVE
        ]

    def open_attempts(self, chosen: Sequence[tuple[str, str]], now: datetime) -> list[Dispatch]:
        try:
            with transaction.atomic():
                return self._open(dict(chosen), now)
        except BaseException:
            self._tokens.forget()  # a block that was reserved in there is rolled back with it
            raise

    def _open(self, queues: dict[str, str], now: datetime) -> list[Dispatch]:
        runs = self._lock_ready(list(queues))
        for run in runs:
            run.token = self._tokens.after(run.token)
            run.attempts += 1
        attempts = [
            Attempt(
                run=run,
                number=run.attempts,
                token=run.token,
                created_at=now,
                queue_name=queues[str(run.pk)],
            )
            for run in runs
        ]
        insert_rows(attempts)
        _store_tokens(runs, now)
        return [_dispatch(attempt, run) for attempt, run in zip(attempts, runs, strict=True)]

    def _lock_ready(self, run_ids: list[str]) -> list[TaskRun]:
        rows = TaskRun.objects.filter(
            pk__in=run_ids, status=RunStatus.READY.value, open_attempt=False
        )
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        by_id = {str(run.pk): run for run in rows}
        return [by_id[run_id] for run_id in run_ids if run_id in by_id]

    def mark_published(self, tokens: Sequence[int], now: datetime) -> None:
        """A claim may already have been reported: then the attempt is RUNNING, and stays so."""
        for part in _parts(tokens):
            rows = Attempt.objects.filter(token__in=part)
            rows.update(published_at=now, times_published=F("times_published") + 1)
            rows.filter(status=AttemptStatus.CREATED).update(status=AttemptStatus.PUBLISHED)

    def under_way(self) -> list[OpenAttempt]:
        rows = Attempt.objects.filter(
            status__in=OPEN_ATTEMPTS, run__home=CONTROL_HOME, run__open_attempt=True
        )
        return [
            OpenAttempt(
                run_id=str(a.run_id),
                token=a.token,
                queue=a.queue_name,
                status=AttemptStatus(a.status),
                created_at=a.created_at,
                published_at=a.published_at,
                times_published=a.times_published,
                seen_at=a.seen_at or a.started_at,
            )
            for a in rows
        ]

    def dispatches(self, tokens: Sequence[int]) -> list[Dispatch]:
        rows = Attempt.objects.filter(
            token__in=tokens,
            run__open_attempt=True,
            run__token=F("token"),
            status__in=(AttemptStatus.CREATED, AttemptStatus.PUBLISHED),
        ).select_related("run")
        return [_dispatch(attempt, attempt.run) for attempt in rows]

    def lose(self, token: int, why: str, now: datetime) -> None:
        attempt = Attempt.objects.select_related("run").get(token=token)
        if attempt.run.token == token and attempt.run.status == RunStatus.RUNNING:
            lose_run(attempt.run, why, now, who="ledger")


def _unclaimed_site(run: TaskRun) -> str:
    """Where a class D run was published before and may still lie: nowhere else may it start."""
    if run.effect != EffectClass.D or not run.token:
        return ""
    queues = Attempt.objects.filter(token=run.token, started_at__isnull=True)
    queue = queues.values_list("queue_name", flat=True).first()
    return split_queue(queue)[1] or "" if queue else ""


def _dispatch(attempt: Attempt, run: TaskRun) -> Dispatch:
    return Dispatch(
        run_id=str(run.pk),
        task=run.task,
        args=run.args,
        kwargs=run.kwargs,
        queue=attempt.queue_name,
        token=attempt.token,
        attempt=attempt.number,
        key=run.idempotency_key or "",
        expires_at=run.expires_at,
        group_id=run.group_id,
    )


def _store_tokens(runs: Sequence[TaskRun], now: datetime) -> None:
    """One prepared statement for all rows; `bulk_update` would build a CASE of thousands."""
    fields = {f.name: f for f in TaskRun._meta.concrete_fields}
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE fleet_taskrun SET token = %s, attempts = %s, open_attempt = %s, "
            "last_attempted_at = %s, reason = %s WHERE id = %s",
            [
                (
                    run.token,
                    run.attempts,
                    True,
                    fields["last_attempted_at"].get_db_prep_value(now, connection),
                    "",
                    fields["id"].get_db_prep_value(run.pk, connection),
                )
                for run in runs
            ],
        )


def _parts(tokens: Sequence[int]) -> list[Sequence[int]]:
    return [tokens[i : i + 500] for i in range(0, len(tokens), 500)]
