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


def no_table(top: Mapping[str, Any], table: tuple[str, ...], model: type[BaseModel]) -> list[str]:
    """One line where the file has a plain value in place of the table that `model` reads."""
    found = top.get(table[0], {}) if table else top
    if isinstance(found, Mapping):
        return []
    return [f"  {table[0]}: must be a table; for example: {table_example(table[0], model)}"]


def table_example(name: str, model: type[BaseModel]) -> str:
    """A table with the keys that must be in it, in one line."""
    needed = {key: field for key, field in model.model_fields.items() if field.is_required()}
    keys = [f"{key} = {_toml(f.examples[0])}" for key, f in needed.items() if f.examples]
    return f"[{name}] with {', '.join(keys)}"


def invalid_values(
    error: ValidationError, model: type[BaseModel], table: tuple[str, ...] = ()
) -> list[str]:
    """One line for each mistake that `model` found; `table` is the place of `model` in the file."""
    return [_invalid(item, model, table) for item in error.errors()]


def _invalid(item: Any, model: type[BaseModel], table: tuple[str, ...]) -> str:
    path = ".".join(str(part) for part in (*table, *item["loc"]))
    remedy = _remedy(item, model, table)
    variable = _variable(item["loc"], model, table)
    said = item["msg"].removeprefix("Value error, ")
    return f"  {path} (or {variable}): {said}" + (f"; {remedy}" if remedy else "")


def _variable(loc: tuple[int | str, ...], model: type[BaseModel], table: tuple[str, ...]) -> str:
    """The variable that can set it: there is none for a part of a list, nor for the keys of a
    table where the model does not read them one by one."""
    reach = next((at for at, part in enumerate(loc) if isinstance(part, int)), len(loc))
    if not model.model_config.get("env_nested_delimiter"):
        reach = min(reach, 1)
    names = [*table, *map(str, loc[:reach])]
    fields, key = _place(model, loc[:reach])
    field = fields.get(key)
    named = reach > 0 and key == loc[reach - 1]
    whole = reach < len(loc) or (
        named and field is not None and _is_table_or_list(field.annotation)
    )
    return "TURTLE_" + "__".join(names).upper() + (", as JSON" if whole else "")


def _is_table_or_list(annotation: Any) -> bool:
    return get_origin(annotation) in (dict, list, tuple) or _model_in(annotation) is not None


def _remedy(item: Any, model: type[BaseModel], table: tuple[str, ...]) -> str:
    fields, key = _place(model, item["loc"])
    if item["type"] == "extra_forbidden":
        return _instead_of(key, fields)
    field = fields.get(key)
    if field is None:
        return ""
    if field.examples:
        return f"for example: {key} = {_toml(field.examples[0])}"
    inner = _model_in(field.annotation)
    chosen = ("<name>",) if get_origin(field.annotation) is dict else ()
    name = ".".join(map(str, (*table, *item["loc"], *chosen)))
    return f"for example: {table_example(name, inner)}" if inner else ""


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
