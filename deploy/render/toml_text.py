"""Write TOML: the few kinds of values that the fleet's configuration has."""

import json
from collections.abc import Mapping
from pathlib import Path

Value = (
    str | int | float | bool | Path | tuple["Value", ...] | list["Value"] | Mapping[str, "Value"]
)


def dumps(table: Mapping[str, "Value"]) -> str:
    """The text of a TOML file; mappings at the top become tables, below them inline tables."""
    plain = [f"{_key(k)} = {_value(v)}" for k, v in table.items() if not isinstance(v, Mapping)]
    blocks = ["\n".join(plain)] if plain else []
    for name, inner in table.items():
        if isinstance(inner, Mapping):
            lines = [f"{_key(k)} = {_value(v)}" for k, v in inner.items()]
            blocks.append("\n".join([f"[{_key(name)}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _value(value: "Value") -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    return _text(str(value))


def _text(text: str) -> str:
    # JSON's strings are TOML's basic strings, but TOML wants DEL escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    bare = key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key)
    return key if bare else _text(key)
