"""The broker of a site that is alone: a folder of this box, read by a worker of its own.

A second worker is started with `TURTLE_ISLAND=1` (`probes.agent.island`). All else is the same
for it: envelopes, claims, the journal. kombu's own transport for folders is not used: it writes
messages where a reader can see half of them, and moves them through /tmp.
"""

import json
import os
import signal
import threading
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from celery.signals import worker_ready
from kombu.transport import TRANSPORT_ALIASES, virtual

VARIABLE = "TURTLE_ISLAND"
URL = "island://localhost"
#: How often the worker looks into an empty folder.
POLL_S = 0.2
_SUFFIX = ".msg"
_INPUT = 0


def on_island() -> bool:
    """Whether this process is the worker of a site that is alone."""
    return os.environ.get(VARIABLE) == "1"


def island_folder(state_dir: Path) -> Path:
    """Where the messages lie."""
    return state_dir / "island"


def island_options(state_dir: Path) -> dict[str, Any]:
    """kombu's transport options."""
    return {"folder": str(island_folder(state_dir)), "polling_interval": POLL_S}


def install_island_transport() -> None:
    """Make `island://` mean this transport."""
    TRANSPORT_ALIASES["island"] = "tasks.island:IslandTransport"


def messages(folder: Path, queue: str) -> list[Path]:
    """The files of the messages that wait in a queue, the oldest first."""
    return sorted(folder.glob(f"*_{queue}{_SUFFIX}"))


def clear(folder: Path) -> None:
    """Drop all that waits; whoever gave it gives it again. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.iterdir():
        path.unlink(missing_ok=True)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _end_with_agent(**_: Any) -> None:
    """The agent tells its worker to end by closing the worker's input, or by being gone."""
    if on_island():
        threading.Thread(target=_await_agent, name="agent", daemon=True).start()


def _await_agent() -> None:
    # Not through sys.stdin, whose lock a child that is forked meanwhile would wait for.
    while os.read(_INPUT, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


class IslandChannel(virtual.Channel):
    """One message is one file; its name carries time and queue."""

    #: What this worker took and did not finish is given again by its home, if it should be.
    do_restore = False

    @property
    def _folder(self) -> Path:
        return Path(self.connection.client.transport_options["folder"])

    def _put(self, queue: str, message: Any, **_: Any) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        written = self._folder / f"{name}.new"
        written.write_text(json.dumps(message), encoding="utf-8")
        written.replace(self._folder / f"{name}_{queue}{_SUFFIX}")

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for path in messages(self._folder, queue):
            taken = path.with_suffix(".taken")
            try:
                path.rename(taken)
                text = taken.read_text(encoding="utf-8")
            except FileNotFoundError:  # dropped in this moment, as the island ended
                continue
            taken.unlink(missing_ok=True)
            return json.loads(text)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(messages(self._folder, queue))

    def _purge(self, queue: str) -> int:
        found = messages(self._folder, queue)
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


class IslandTransport(virtual.Transport):
    """Used for `island://`."""

    Channel = IslandChannel
    driver_type = "island"
    driver_name = "island"

    def driver_version(self) -> str:
        return "1"
