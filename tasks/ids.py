"""Identifiers of runs: UUID version 7 (RFC 9562), so that they sort by time."""

import os
import time
import uuid


def new_run_id() -> uuid.UUID:
    """48 bits of milliseconds since the epoch, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)
