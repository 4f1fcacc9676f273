"""Metrics of the box itself, read from the kernel. What it does not tell is null."""

import os
from datetime import UTC, datetime
from pathlib import Path
from time import time

import psutil
from pydantic import JsonValue


def host_metrics(state_dir: Path, cpu_interval_s: float = 0.1) -> dict[str, JsonValue]:
    """The box's state now; takes `cpu_interval_s`, over which the CPU is measured.

    Sizes in bytes, temperatures in degrees Celsius by sensor, times in UTC; the disk is the one
    that holds `state_dir`.
    """
    born = psutil.boot_time()
    return {
        "cpu_percent": psutil.cpu_percent(interval=cpu_interval_s),
        "cpu_count": psutil.cpu_count(),
        **_memory(),
        **_disk(state_dir),
        **_load(),
        **_temperatures(),
        "boot_time": datetime.fromtimestamp(born, UTC).isoformat(),
        "uptime_s": round(max(0.0, time() - born)),
    }


def _memory() -> dict[str, JsonValue]:
    memory = psutil.virtual_memory()
    return {
        "memory_total_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "memory_percent": memory.percent,
    }


def _disk(state_dir: Path) -> dict[str, JsonValue]:
    place = next(path for path in (state_dir, *state_dir.absolute().parents) if path.exists())
    try:
        disk = psutil.disk_usage(str(place))
    except OSError:
        return dict.fromkeys(("disk_total_bytes", "disk_free_bytes", "disk_percent"))
    return {
        "disk_total_bytes": disk.total,
        "disk_free_bytes": disk.free,
        "disk_percent": disk.percent,
    }


def _load() -> dict[str, JsonValue]:
    try:
        loads: tuple[float | None, ...] = os.getloadavg()
    except OSError:
        loads = (None, None, None)
    return dict(zip(("load_1", "load_5", "load_15"), loads, strict=True))


def _temperatures() -> dict[str, JsonValue]:
    # psutil has the function only on systems that can give temperatures.
    read = getattr(psutil, "sensors_temperatures", None)
    found: dict[str, JsonValue] = {
        f"{chip}/{sensor.label or number}": sensor.current
        for chip, sensors in (read() if read else {}).items()
        for number, sensor in enumerate(sensors)
        if sensor.current is not None
    }
    hottest = max((float(str(value)) for value in found.values()), default=None)
    return {"temperature_c": hottest, "temperatures_c": found or None}
