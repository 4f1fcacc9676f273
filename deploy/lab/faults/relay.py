"""Pass frames between two network interfaces, some of them late or never.

python -m deploy.lab.faults.relay PORT INNER --peers 10.66.2.1 --delay-ms 80 --loss 0.01

It holds back IPv4 packets to and from `--peers` and passes on all others at once. It works where
the kernel has no traffic shaping of its own.
"""

import argparse
import heapq
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

#: From Linux' if_packet.h and if_ether.h; Python has no names for them.
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
#: The header of a frame that is not cut into packets yet, and lacks its checksum.
VNET_HEADER_BYTES = 10
LARGEST_FRAME_BYTES = 1 << 17
#: Where an Ethernet frame has its type, and an IPv4 packet in it its two addresses.
TYPE_AT, SOURCE_AT, DESTINATION_AT = 12, 26, 30
IPV4 = b"\x08\x00"
#: A queue's worth; a real link drops what comes faster than it leaves.
MOST_WAITING = 20_000
READY = "relay ready"


@dataclass(slots=True, kw_only=True)
class Delay:
    """Which frames are late, and by how many seconds; order within a direction is kept."""

    peers: frozenset[bytes]
    delay_s: float
    jitter_s: float = 0.0
    loss: float = 0.0
    chance: Callable[[], float] = random.random
    _last_s: dict[int, float] = field(default_factory=dict)

    def due_s(self, frame: bytes, now_s: float, direction: int) -> float | None:
        """When the frame (with its VNET header) is to leave; None: never."""
        if not self._is_slow(frame[VNET_HEADER_BYTES:]):
            return now_s
        if self.chance() < self.loss:
            return None
        due_s = now_s + self.delay_s + self.chance() * self.jitter_s
        # A link keeps the order of its packets, also an unsteady one.
        self._last_s[direction] = max(due_s, self._last_s.get(direction, 0.0))
        return self._last_s[direction]

    def _is_slow(self, frame: bytes) -> bool:
        if frame[TYPE_AT : TYPE_AT + 2] != IPV4:
            return False
        ends = (frame[SOURCE_AT : SOURCE_AT + 4], frame[DESTINATION_AT : DESTINATION_AT + 4])
        return any(end in self.peers for end in ends)


class Relay:
    """Two interfaces and the frames on their way between them."""

    def __init__(self, first: str, second: str, delay: Delay) -> None:
        self._ends = (_packet_socket(first), _packet_socket(second))
        self._delay = delay
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._selector = selectors.DefaultSelector()
        for index, end in enumerate(self._ends):
            self._selector.register(end, selectors.EVENT_READ, index)

    def run(self) -> None:
        """Pass frames until the process is ended."""
        while True:
            for key, _ in self._selector.select(self._next_s()):
                self._take(key.data)
            self._send_due(time.monotonic())

    def _next_s(self) -> float | None:
        return max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None

    def _take(self, index: int) -> None:
        """Take what has arrived at one end, and let it wait for the other."""
        while True:
            try:
                frame = self._ends[index].recv(LARGEST_FRAME_BYTES)
            except BlockingIOError:
                return
            due_s = self._delay.due_s(frame, time.monotonic(), index)
            if due_s is not None and len(self._waiting) < MOST_WAITING:
                self._count += 1
                heapq.heappush(self._waiting, (due_s, self._count, 1 - index, frame))

    def _send_due(self, now_s: float) -> None:
        while self._waiting and self._waiting[0][0] <= now_s:
            _, _, index, frame = heapq.heappop(self._waiting)
            try:
                self._ends[index].send(frame)
            except OSError:
                # A full queue or an interface that is down loses the frame, as a link does.
                continue


def _packet_socket(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    end.bind((interface, ETH_P_ALL))
    end.setblocking(False)
    return end


def main() -> None:
    """Relay until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Pass frames between two interfaces, late.")
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--peers", required=True, help="IPv4 addresses, with commas between")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--jitter-ms", type=float, default=0.0)
    parser.add_argument("--loss", type=float, default=0.0)
    arguments = parser.parse_args()
    delay = Delay(
        peers=frozenset(map(socket.inet_aton, arguments.peers.split(","))),
        delay_s=arguments.delay_ms / 1000,
        jitter_s=arguments.jitter_ms / 1000,
        loss=arguments.loss,
    )
    signal.signal(signal.SIGTERM, _end)
    try:
        relay = Relay(arguments.first, arguments.second, delay)
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        relay.run()
    except KeyboardInterrupt:
        return


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
