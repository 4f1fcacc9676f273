"""Mistakes in a configuration, told in lines: the key, what is wrong, the remedy.

No line repeats a value that was given: it may be a secret in the wrong place.
"""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo


def unknown_keys(given: Iterable[str], known: Collection[str]) -> list[str]:
    """One line for each given key that is not known, with the known ones that look like it."""
    return [
        f"  {key}: there is no such key; {_instead_of(key, known)}"
        for key in given
        if key not in known
    ]


def invalid_values(
    error: ValidationError, model: type[BaseModel], table: tuple[str, ...] = ()
) -> list[str]:
    """One line for each mistake that `model` found; `table` is the place of `model` in the file."""
    return [_invalid(item, model, table) for item in error.errors()]


def _invalid(item: Any, model: type[BaseModel], table: tuple[str, ...]) -> str:
    path = [str(part) for part in (*table, *item["loc"])]
    variable = "TURTLE_" + "__".join(path).upper()
    remedy = _remedy(item, model)
    return f"  {'.'.join(path)} (or {variable}): {item['msg']}" + (f"; {remedy}" if remedy else "")


def _remedy(item: Any, model: type[BaseModel]) -> str:
    fields, key = _place(model, item["loc"])
    if item["type"] == "extra_forbidden":
        return _instead_of(key, fields)
    field = fields.get(key)
    return f"for example: {key} = {_toml(field.examples[0])}" if field and field.examples else ""


def _instead_of(key: str, known: Collection[str]) -> str:
    near = get_close_matches(key, sorted(known), n=2)
    return f"did you mean {' or '.join(near)}?" if near else "remove it"


def _place(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[Mapping[str, FieldInfo], str]:
    """The keys of the table in which a mistake lies, and the key that it lies at or below."""
    key, rest = (str(loc[0]), loc[1:]) if loc else ("", ())
    field = model.model_fields.get(key)
    if field is not None:
        # The first part below a dict is a name that the operator chose.
        below = rest[1:] if get_origin(field.annotation) is dict else rest
        inner = _model_in(field.annotation)
        if inner is not None and below:
            return _place(inner, below)
    return model.model_fields, key


def _model_in(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((c for c in candidates if hasattr(c, "model_fields")), None)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return repr(value)
