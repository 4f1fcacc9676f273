"""The comparisons. Each round measures both sides; the ratio is taken within the round."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.lab import processes
from deploy.lab.state import LabState
from tests.benchmarks import stage

Seconds = float
#: Accepted, but not due: the relay and the workers stay quiet while accepting is measured.
DELAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`ratio` is ours to plain Celery's, in the unit of `what`; spread is the middle half."""

    what: str
    ours: float
    plain: float
    unit: str
    ratio: float
    spread: tuple[float, float]
    target: str
    reached: bool


def compare(
    what: str,
    unit: str,
    pairs: list[tuple[float, float]],
    target: str,
    reached: Callable[[float], bool],
) -> Comparison:
    """Make the row from (ours, plain) pairs of each round."""
    ratios = sorted(ours / plain for ours, plain in pairs)
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    ratio = statistics.median(ratios)
    return Comparison(
        what=what,
        unit=unit,
        ours=statistics.median(p[0] for p in pairs),
        plain=statistics.median(p[1] for p in pairs),
        ratio=ratio,
        spread=(low, high),
        target=target,
        reached=reached(ratio),
    )


def timed(work: Callable[[], object]) -> Seconds:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def one_call(rounds: int, calls: int = 100) -> Comparison:
    """One durable `.delay()` against plain `apply_async`: mean milliseconds of a call."""
    from tasks import canary
    from tests.benchmarks import plain

    def ours() -> None:
        for number in range(calls):
            canary.echo.apply_async((number,), countdown=DELAY_S)

    def theirs() -> None:
        for number in range(calls):
            plain.echo.apply_async((number,))

    ours()
    theirs()
    pairs = [(timed(ours) * 1e3 / calls, timed(theirs) * 1e3 / calls) for _ in range(rounds)]
    return compare("one durable .delay()", "ms", pairs, "at most 1.5", lambda ratio: ratio <= 1.5)


def many_calls(rounds: int, count: int = 1000) -> Comparison:
    """`enqueue_many(1000)` against the plain loop of `apply_async`: milliseconds."""
    from tasks import canary, enqueue_many
    from tests.benchmarks import plain

    def ours() -> None:
        enqueue_many([canary.echo.s(n).set(countdown=DELAY_S) for n in range(count)])

    def theirs() -> None:
        for number in range(count):
            plain.echo.apply_async((number,))

    pairs = [(timed(ours) * 1e3, timed(theirs) * 1e3) for _ in range(rounds)]
    return compare("enqueue_many(1000)", "ms", pairs, "at most 0.2", lambda ratio: ratio <= 0.2)


def drain(state: LabState, folder: Path, rounds: int, count: int = 1500) -> Comparison:
    """Tasks a second of one worker (2 processes, acks_late, prefetch 1, events on) with a filled
    queue. The control plane is ended first: it stands on another machine."""
    processes.stop(
        [record for (_, name), record in state.records().items() if name in ("worker", "control")]
    )
    pairs = [(_drain_ours(folder, count), _drain_plain(folder, count)) for _ in range(rounds)]
    return compare(
        "drain of one worker", "tasks/s", pairs, "at least 0.85", lambda ratio: ratio >= 0.85
    )


def _drain_ours(folder: Path, count: int) -> float:
    """Published past the relay's window, so that the worker alone is measured."""
    from fleet.ledger.store import LedgerStore
    from fleet.models import CONTROL_HOME
    from tasks import app, canary, enqueue_many
    from tasks.broker import master_client
    from tasks.home.broker import RedisBroker
    from tasks.home.signer import Signer
    from tasks.settings import settings
    from tasks.signing import load_private_key

    config = settings()
    assert config.signing is not None
    later = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1)
    handles = enqueue_many([canary.echo.s(n).set(eta=later, queue="dev.dc1") for n in range(count)])
    store, now = LedgerStore(), datetime.now(UTC)
    opened = store.open_attempts([(h.id, "dev.dc1") for h in handles], now)
    signer = Signer(CONTROL_HOME, load_private_key(config.signing.private_key_file))
    RedisBroker(app, config.broker).publish([signer.seal(d) for d in opened])
    store.mark_published([d.token for d in opened], now)
    redis = master_client(config.broker)
    with stage.worker(folder, "tasks", "dc1", "-n", "bench@dc1", "-Q", "dev.dc1"):
        return _rate(lambda: int(redis.llen("dev.dc1")), count)


def _drain_plain(folder: Path, count: int) -> float:
    from tests.benchmarks import plain

    plain.client().delete(plain.QUEUE)
    for number in range(count):
        plain.echo.apply_async((number,))
    with stage.worker(
        folder, "tests.benchmarks.plain", "dc3", "-n", "plain@dc3", "-E", "-Q", plain.QUEUE
    ):
        return _rate(lambda: int(plain.client().llen(plain.QUEUE)), count)


def _rate(left: Callable[[], int], count: int) -> float:
    """Rate between a tenth and nine tenths of the queue: start and end are left out."""
    stage.wait(lambda: left() <= count * 0.9, "the first tenth")
    started, first = time.perf_counter(), left()
    stage.wait(lambda: left() <= count * 0.1, "the queue to drain")
    return (first - left()) / (time.perf_counter() - started)


def latency(folder: Path, samples: int = 60) -> tuple[Comparison, dict[str, float]]:
    """From the call to the task's start in an idle fleet, and on to the committed result."""
    ours, committed = _latency_ours(samples)
    plain = _latency_plain(folder, samples)
    pairs = list(zip(ours, plain, strict=True))
    row = compare(
        "call to start, idle, p50", "ms", pairs, "at most 1.3", lambda ratio: ratio <= 1.3
    )
    p50, plain_p50 = statistics.median(ours), statistics.median(plain)
    extra = {
        "ours_p50_ms": p50,
        "ours_p99_ms": _p99(ours),
        "plain_p50_ms": plain_p50,
        "plain_p99_ms": _p99(plain),
        "committed_p50_ms": statistics.median(committed),
        "committed_p99_ms": _p99(committed),
    }
    return row, extra


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def _latency_ours(samples: int) -> tuple[list[float], list[float]]:
    from fleet.models import TaskRun
    from tasks import canary

    started, committed = [], []
    for number in range(samples + 5):
        sent, clock = time.time(), time.perf_counter()
        handle = canary.echo.delay(number)
        handle.get(timeout=30)
        if number >= 5:
            committed.append((time.perf_counter() - clock) * 1e3)
            run = TaskRun.objects.get(pk=handle.id)
            assert run.started_at is not None
            started.append((run.started_at.timestamp() - sent) * 1e3)
        time.sleep(0.02)
    return started, committed


def _latency_plain(folder: Path, samples: int) -> list[float]:
    from tests.benchmarks import plain

    plain.client().delete(plain.LATENCY_KEY, plain.QUEUE)
    with stage.worker(
        folder, "tests.benchmarks.plain", "dc3", "-n", "plain@dc3", "-E", "-Q", plain.QUEUE
    ):
        for number in range(samples + 5):
            plain.stamp.apply_async((time.time(),))
            expected = number + 1
            stage.wait(lambda n=expected: plain.client().llen(plain.LATENCY_KEY) >= n, "a stamp")  # type: ignore[misc]
            time.sleep(0.02)
    values = [float(v) * 1e3 for v in plain.client().lrange(plain.LATENCY_KEY, 0, -1)]
    return values[:samples]
