"""Django's deploy checks pass with the production settings."""

import os
import subprocess
import sys
from pathlib import Path

from tests.environment import write_config

ROOT = Path(__file__).resolve().parents[2]


def test_deploy_checks_pass(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite3")
    production = config.read_text(encoding="utf-8").replace("insecure_http = true\n", "")
    config.write_text(production, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={**os.environ, "TURTLE_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
