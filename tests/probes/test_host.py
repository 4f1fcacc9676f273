"""Metrics of the machine that the tests run on."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from probes.host import host_metrics


def test_the_metrics_of_this_machine(tmp_path: Path) -> None:
    metrics = host_metrics(tmp_path, cpu_interval_s=0.01)
    json.dumps(metrics, allow_nan=False)
    assert metrics["memory_total_bytes"] == psutil.virtual_memory().total
    assert metrics["disk_total_bytes"] == psutil.disk_usage(str(tmp_path)).total
    assert isinstance(metrics["cpu_percent"], float)
    assert 0 <= metrics["cpu_percent"] <= 100
    booted = datetime.fromisoformat(str(metrics["boot_time"]))
    uptime_s = metrics["uptime_s"]
    assert isinstance(uptime_s, int)
    assert abs((datetime.now(UTC) - booted).total_seconds() - uptime_s) < 5


def test_a_folder_that_is_not_there_yet_means_the_disk_it_will_be_on(tmp_path: Path) -> None:
    metrics = host_metrics(tmp_path / "not" / "yet", cpu_interval_s=0.01)
    assert metrics["disk_total_bytes"] == psutil.disk_usage(str(tmp_path)).total


@pytest.mark.parametrize("sensors", [None, dict])
def test_a_missing_sensor_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sensors: type[dict[str, object]] | None
) -> None:
    monkeypatch.setattr(psutil, "sensors_temperatures", sensors, raising=False)
    metrics = host_metrics(tmp_path, cpu_interval_s=0.01)
    assert (metrics["temperature_c"], metrics["temperatures_c"]) == (None, None)


def test_the_hottest_sensor_stands_for_the_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sensors() -> dict[str, list[SimpleNamespace]]:
        core = SimpleNamespace(label="Core 0", current=61.0)
        other = SimpleNamespace(label="", current=48.5)
        return {"coretemp": [core, other], "nvme": [SimpleNamespace(label="", current=None)]}

    monkeypatch.setattr(psutil, "sensors_temperatures", sensors, raising=False)
    metrics = host_metrics(tmp_path, cpu_interval_s=0.01)
    assert metrics["temperature_c"] == 61.0
    assert metrics["temperatures_c"] == {"coretemp/Core 0": 61.0, "coretemp/1": 48.5}
