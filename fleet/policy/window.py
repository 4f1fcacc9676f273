"""How many tasks of a queue the broker holds; the rest waits in the ledger, where it can be
reordered, cancelled and counted."""

#: Enough for a LAN to keep working for a while when its home is cut off.
MIN_WINDOW = 200


def window(live_slots: int) -> int:
    """Size of a queue's window for the worker slots that can serve it."""
    return max(MIN_WINDOW, 2 * live_slots)


def room(depth: int, live_slots: int) -> int:
    """How many more tasks may be published to a queue that holds `depth` now."""
    return max(0, window(live_slots) - depth)
