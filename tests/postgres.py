"""Run a command with a PostgreSQL server of its own: `python -m tests.postgres pytest tests/fleet`.

The server is Debian's, on a free port of loopback, with its data in a temporary folder. Where it
is not installed the command is skipped, except in CI, where that is an error.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEADLINE_S = 30.0


def binaries() -> Path | None:
    """The folder of the newest installed server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextlib.contextmanager
def server(bin_dir: Path) -> Iterator[str]:
    """A running server; gives its URL (without the database's password)."""
    folder = Path(tempfile.mkdtemp(prefix="turtle-pg-"))
    # The server refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(folder, user, user)
    run_as: dict[str, Any] = {"user": user, "group": user} if os.geteuid() == 0 else {}
    password = secrets.token_urlsafe(16)
    password_file = folder / "password"
    password_file.write_text(password, encoding="utf-8")
    if os.geteuid() == 0:
        shutil.chown(password_file, user, user)
    subprocess.run(
        [
            str(bin_dir / "initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            "turtle",
            "-A",
            "scram-sha-256",
            f"--pwfile={password_file}",
            "-N",
            "--locale=C.UTF-8",
            "-E",
            "UTF8",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **run_as,
    )
    port = free_port()
    process = subprocess.Popen(
        [
            str(bin_dir / "postgres"),
            "-D",
            str(folder / "data"),
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-k",
            str(folder),
            "-F",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **run_as,
    )
    try:
        wait_for(port)
        yield f"postgresql://turtle:{password}@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE_S)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"PostgreSQL did not listen on port {port} within {DEADLINE_S} s")


def main() -> int:
    bin_dir = binaries()
    if bin_dir is None:
        in_ci = os.environ.get("CI") == "true"
        print("PostgreSQL's server is not installed (apt-get install postgresql): skipped")  # noqa: T201
        return 1 if in_ci else 0
    with server(bin_dir) as url:
        environment = {**os.environ, "TURTLE_TEST_DATABASE_URL": url}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
