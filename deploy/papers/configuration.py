"""The reference of the configuration, from the settings classes."""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from deploy.papers.markdown import first_paragraph, table
from deploy.render import toml_text
from tasks import settings
from tasks.settings import FleetSettings
from turtle_site.config import ControlPlaneSettings

#: How a type is called in the documentation.
WORDS: Mapping[Any, str] = {
    settings.Name: "name",
    settings.Capability: "capability",
    settings.Address: "host:port",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
}
BOUNDS = {
    Ge: ("from", "ge"),
    Gt: ("above", "gt"),
    Le: ("to", "le"),
    MinLen: ("at least", "min_length"),
}


def box_reference() -> str:
    return "\n".join(reference(FleetSettings, "TURTLE_"))


def control_plane_reference() -> str:
    return "\n".join(reference(ControlPlaneSettings, "TURTLE_CONTROL_PLANE__", ("control_plane",)))


def reference(model: type[BaseModel], variable: str, path: tuple[str, ...] = ()) -> Iterator[str]:
    """One table of keys for each table of the file; `variable` is what its variables start with."""
    fields = model.model_fields.items()
    plain = [(key, field) for key, field in fields if _model_in(field) is None]
    title = f"`[{'.'.join(path)}]`" if path else "The top of the file"
    yield f"### {title}\n\n{first_paragraph(model)}\n"
    head = ("key", "type", "default", "meaning", "example", "variable")
    yield table(head, (_setting(key, field, variable) for key, field in plain)) + "\n"
    for key, field in fields:
        inner = _model_in(field)
        if inner is not None:
            named = get_origin(field.annotation) is dict
            inner_path = (*path, key, "<name>") if named else (*path, key)
            inner_variable = "" if named else f"{variable}{key.upper()}__"
            yield from reference(inner, inner_variable, inner_path)


def _setting(key: str, field: FieldInfo, variable: str) -> tuple[str, ...]:
    return (
        f"`{key}`",
        _type_of(field),
        _default(key, field),
        field.description or "",
        _example(key, field),
        f"`{variable}{key.upper()}`" if variable else "",
    )


def _example(key: str, field: FieldInfo) -> str:
    """The declared one, else the default: that is a line that may stand in the file."""
    shown = field.examples[0] if field.examples else field.get_default(call_default_factory=False)
    return f"`{_toml(key, shown)}`" if shown is not None and shown is not PydanticUndefined else ""


def _default(key: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "not set" if value is None else f"`{_toml(key, value).partition(' = ')[2]}`"


def _toml(key: str, value: Any) -> str:
    return toml_text.dumps({"table": {key: value}}).splitlines()[1]


def _type_of(field: FieldInfo) -> str:
    whole = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    bounds = [
        f"{word} {getattr(limit, attribute)}"
        for limit in field.metadata
        for kind, (word, attribute) in BOUNDS.items()
        if isinstance(limit, kind)
    ]
    return ", ".join([WORDS.get(whole) or _words(field.annotation), *bounds])


def _words(annotation: Any) -> str:
    if annotation in WORDS:
        return WORDS[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (UnionType, Union):
        return _words(next(part for part in inner if part is not type(None)))
    if origin is dict:
        return f"table of {_words(inner[1])}"
    if origin is tuple:
        return f"list of {_words(inner[0])}"
    raise TypeError(f"no words for the type {annotation}")


def _model_in(field: FieldInfo) -> type[BaseModel] | None:
    parts = (field.annotation, *get_args(field.annotation))
    return next((p for p in parts if inspect.isclass(p) and issubclass(p, BaseModel)), None)
