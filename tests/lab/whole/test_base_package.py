"""A LAN box has the base package only: no Django is installed there."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.lab import processes
from deploy.lab.processes import ProcessSpec
from tests.lab.whole.stage import REPOSITORY, Fleet, eventually

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def install_base_package(folder: Path) -> Path:
    """An empty venv with what the base lock file pins, and the package; returns its Python."""
    uv = str(Path(sys.prefix) / "bin" / "uv")
    python = folder / "bin" / "python"
    source = folder / "source"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        ["git", "-C", str(REPOSITORY), "checkout-index", "--all", f"--prefix={source}/"],
        [uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes",
         "-r", str(REPOSITORY / "requirements-base.txt")],
        [uv, "pip", "install", "--quiet", "--python", str(python), "--no-deps", str(source)],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return python


def test_a_worker_without_django_runs_a_task(fleet: Fleet, tmp_path: Path) -> None:
    python = install_base_package(tmp_path / "venv")
    missing = subprocess.run(
        [str(python), "-c", "import django"], capture_output=True, check=False, cwd=tmp_path
    )
    assert missing.returncode != 0, "Django is in the base package"
    worker = fleet.state.sites["dc2"].processes["worker"]
    processes.stop([worker])
    spec = ProcessSpec(
        site="dc2",
        name="worker",
        command=(
            str(python),
            "-m",
            "celery",
            "-A",
            "tasks",
            "worker",
            "-l",
            "INFO",
            "-n",
            "lan@dc2",
        ),
        log=tmp_path / "worker.log",
        cwd=tmp_path,
        env=fleet.environment("dc2"),
    )
    record = processes.start(spec)
    try:
        run = fleet.finished(fleet.enqueue("canary.echo", "no django", site="dc2")["id"], 60)
        assert run["return_value"] == "no django"
        assert run["worker_id"] == "lan@dc2"
    finally:
        processes.stop([record])
        del fleet.state.sites["dc2"].processes["worker"]
        fleet.start_again()
    eventually(
        lambda: any(
            w["id"] == "mini-2@dc2" and w["liveness"] == "alive"
            for w in fleet.api.get("/workers").json()["items"]
        ),
        "the lab's own worker",
    )


def test_a_worker_without_configuration_says_what_to_write(tmp_path: Path) -> None:
    """One error a mistake, with the file, the key and an example; no traceback."""
    config = tmp_path / "turtle.toml"
    config.write_text('site = "DC1"\nbox = "mini-1"\ncapabilities = ["uddm"]\n[broker]\n')
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", "worker"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "TURTLE_CONFIG": str(config)},
        timeout=60,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 78, text
    assert str(config) in text
    for expected in ("site", "broker.sentinels", "for example", "did you mean udm?"):
        assert expected in text
    assert "Traceback" not in text
