"""An agent that could do nothing says so and ends, instead of running without a report."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOX = """site = "dc1"
box = "mini-1"
[broker]
sentinels = ["127.0.0.1:1"]
username = "worker-dc1"
password_file = "/nowhere"
sentinel_password_file = "/nowhere"
"""


def test_a_missing_control_table_is_named_with_an_example(tmp_path: Path) -> None:
    config = tmp_path / "turtle.toml"
    config.write_text(BOX, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "probes.agent"],
        cwd=ROOT,
        env={**os.environ, "TURTLE_CONFIG": str(config), "TURTLE_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert f"configuration of {config}:" in done.stderr
    assert "control: the agent reports to it, and the table is missing" in done.stderr
    assert (
        "for example: [control] with url = 'https://fleet.example.org', token_file" in done.stderr
    )
