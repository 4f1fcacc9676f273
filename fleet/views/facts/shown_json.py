"""JSON as an operator may see it: indented, and without what looks like a secret."""

import json
import re
from typing import Any

HIDDEN = "•••••• hidden"
_SECRET = re.compile(
    r"passw|secret|token|api_?key|private_?key|authorization|credential", re.IGNORECASE
)


def shown_json(value: Any) -> str:
    """Indented JSON; the values of keys that sound like secrets are hidden."""
    return json.dumps(_without_secrets(value), indent=2, ensure_ascii=False, sort_keys=True)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _kept(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return value


def _kept(key: Any, value: Any) -> Any:
    hide = isinstance(value, str) and value and _SECRET.search(str(key))
    return HIDDEN if hide else _without_secrets(value)
