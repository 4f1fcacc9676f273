"""A nudge between processes of one box: "there is something to do, look now".

A datagram on a Unix socket. It may be lost: every loop that is woken also looks by itself.
"""

import contextlib
import os
import select
import socket
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path


class Bell:
    """The receiving end. `path` is taken over if a dead process left it behind."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with _relative(path) as short:
            self._socket.bind(short)
        path.chmod(0o600)
        self._socket.setblocking(False)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a nudge; True if one came. Nudges that piled up count as one."""
        ready, _, _ = select.select([self._socket], [], [], max(0.0, timeout_s))
        if not ready:
            return False
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(16)
        return True

    def close(self) -> None:
        self._socket.close()


_sender: socket.socket | None = None
_sender_pid = 0


def ring(path: Path) -> None:
    """Nudge whoever waits at `path`; nobody there is fine."""
    global _sender, _sender_pid
    if _sender is None or _sender_pid != os.getpid():
        _sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        _sender.setblocking(False)
        _sender_pid = os.getpid()
    with contextlib.suppress(OSError), _relative(path) as short:
        _sender.sendto(b"!", short)


@contextlib.contextmanager
def _relative(path: Path) -> Iterator[str]:
    """A name of the socket that fits into the 108 bytes the kernel allows."""
    text = str(path)
    if len(text.encode()) < 100:
        yield text
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@lru_cache(maxsize=8)
def agent_bell(state_dir: Path) -> Path:
    """Where the box's agent listens for workers and producers."""
    return state_dir / "agent.sock"


@lru_cache(maxsize=8)
def relay_bell(state_dir: Path) -> Path:
    """Where the control plane's relay listens for new runs."""
    return state_dir / "relay.sock"
