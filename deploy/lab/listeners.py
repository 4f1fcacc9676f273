"""Where a process listens, also one in another network namespace."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

#: The state LISTEN in /proc/net/tcp.
LISTEN = "0A"


def listeners(process: psutil.Process) -> set[tuple[str, int]]:
    """The IPv4 addresses and TCP ports at which a process listens; empty when it has ended."""
    # psutil knows the sockets of its own network namespace only.
    table = Path(f"/proc/{process.pid}/net/tcp")
    try:
        if table.exists():
            return _of_linux(table, _sockets(process.pid))
        return {
            (c.laddr.ip, c.laddr.port)
            for c in process.net_connections("tcp4")
            if c.status == psutil.CONN_LISTEN
        }
    except (OSError, psutil.Error):
        return set()


def _of_linux(table: Path, sockets: set[str]) -> set[tuple[str, int]]:
    rows = (line.split() for line in table.read_text(encoding="ascii").splitlines()[1:])
    return {_address(row[1]) for row in rows if row[3] == LISTEN and row[9] in sockets}


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    # The kernel prints the address as a number of this machine's byte order.
    return socket.inet_ntoa(struct.pack("=I", int(host, 16))), int(port, 16)


def _sockets(pid: int) -> set[str]:
    """The inode numbers of a process' sockets."""
    return {name[len("socket:[") : -1] for name in _links(pid) if name.startswith("socket:[")}


def _links(pid: int) -> Iterator[str]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            yield str(entry.readlink())
