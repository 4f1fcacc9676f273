"""An OpenWrt router's system state: `system board`, `system info` and files of the kernel."""

from dataclasses import asdict, dataclass

from pydantic import JsonValue

from probes.values import Table, count, number, percent_of, table, text

#: Load averages are fixed-point numbers with 16 bits of fraction.
LOAD_SCALE = 65_536
KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemState:
    """A router's state; None is what it did not tell, or what the account may not read."""

    hostname: str | None = None
    model: str | None = None
    board: str | None = None
    release: str | None = None
    kernel: str | None = None
    uptime_s: int | None = None
    load_1: float | None = None
    load_5: float | None = None
    load_15: float | None = None
    cpu_percent: float | None = None
    temperature_c: float | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    memory_percent: float | None = None
    storage_total_bytes: int | None = None
    storage_free_bytes: int | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """The same as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Ticks since boot, all processors together."""

    busy: int
    total: int


def system_state(
    board: Table, info: Table, cpu_percent: float | None, temperature_c: float | None
) -> SystemState:
    """Bring together what the calls returned."""
    memory, root = table(info.get("memory")), table(info.get("root"))
    total, available = count(memory.get("total")), count(memory.get("available"))
    load_1, load_5, load_15 = _loads(info.get("load"))
    return SystemState(
        hostname=text(board.get("hostname")),
        model=text(board.get("model")),
        board=text(board.get("board_name")),
        release=text(table(board.get("release")).get("description")),
        kernel=text(board.get("kernel")),
        uptime_s=count(info.get("uptime")),
        load_1=load_1,
        load_5=load_5,
        load_15=load_15,
        cpu_percent=cpu_percent,
        temperature_c=temperature_c,
        memory_total_bytes=total,
        memory_available_bytes=available,
        memory_percent=_used_percent(available, total),
        storage_total_bytes=_kib(root.get("total")),
        storage_free_bytes=_kib(root.get("avail")),
    )


def cpu_times(stat: str) -> CpuTimes | None:
    """The first line of /proc/stat: user nice system idle iowait irq softirq steal ..."""
    words = stat.partition("\n")[0].split()
    if len(words) < 6 or words[0] != "cpu":
        return None
    # Guest time, from the ninth value on, is already in user time.
    ticks = [count(word) for word in words[1:9]]
    known = [tick for tick in ticks if tick is not None]
    if len(known) != len(ticks):
        return None
    return CpuTimes(busy=sum(known) - known[3] - known[4], total=sum(known))


def cpu_percent(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """How busy the processors were between two readings, in percent."""
    if before is None or after is None:
        return None
    return percent_of(max(0, after.busy - before.busy), after.total - before.total)


def temperature_c(content: str | None) -> float | None:
    """A thermal zone's `temp` file, in thousandths of a degree."""
    milli = number(content)
    return None if milli is None else round(milli / 1000, 1)


def _loads(value: object) -> tuple[float | None, float | None, float | None]:
    items = value if isinstance(value, list) else []
    loads = [count(item) for item in [*items[:3], None, None, None][:3]]
    first, second, third = (None if x is None else round(x / LOAD_SCALE, 2) for x in loads)
    return first, second, third


def _used_percent(available: int | None, total: int | None) -> float | None:
    free = percent_of(available, total)
    return None if free is None else round(100 - free, 1)


def _kib(value: object) -> int | None:
    kib = count(value)
    return None if kib is None else kib * KIB
