"""What JSON values may look like here, beyond being JSON."""

from typing import Any

#: Deeper than any sensible argument, far from the recursion limits of the libraries below.
MAX_DEPTH = 64
NUL = "\x00"


def too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether lists and objects are nested more than `limit` levels."""
    level = [value]
    for _ in range(limit + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def has_nul(value: Any) -> bool:
    """Whether a text in `value` holds U+0000, which PostgreSQL cannot store."""
    if isinstance(value, str):
        return NUL in value
    if isinstance(value, dict) and any(isinstance(k, str) and NUL in k for k in value):
        return True
    return any(has_nul(child) for child in _children(value))


def without_nul(value: Any) -> Any:
    """The same value with U+FFFD, the replacement character, for every U+0000."""
    if isinstance(value, str):
        return value.replace(NUL, "\ufffd")
    if isinstance(value, dict):
        return {without_nul(k): without_nul(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_nul(item) for item in value]
    return value


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []
