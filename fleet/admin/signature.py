"""Form fields from a task's signature: one field a parameter, of the parameter's type."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from fleet.admin.json_fields import JsonField, LinesField, Omitted

#: Prefix of parameters in the form, so that one called `site` is not taken for the option.
PREFIX = "arg_"
_NO_DEFAULT = inspect.Parameter.empty
_KINDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    dict: "a JSON object",
    list: "a JSON list",
    tuple: "a JSON list",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a task and its form field."""

    name: str
    kind: inspect._ParameterKind
    default: Any
    field: forms.Field

    @property
    def key(self) -> str:
        """The field's name in the form."""
        return PREFIX + self.name


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """The parameters in their order; annotations that cannot be read count as any JSON."""
    hints = _hints(function)
    return [
        _parameter(parameter, hints.get(name, Any))
        for name, parameter in inspect.signature(function).parameters.items()
    ]


def call_arguments(
    parameters: list[Parameter], data: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named arguments from cleaned form data.

    What was left at its default is left out, so that the call reads as a person would write it.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for parameter in parameters:
        value = data[parameter.key]
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            args += [] if value is Omitted else value
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            kwargs |= {} if value is Omitted else value
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            args.append(parameter.default if _left_out(parameter, value) else value)
        elif not _left_out(parameter, value):
            kwargs[parameter.name] = value
    return args, kwargs


def _left_out(parameter: Parameter, value: Any) -> bool:
    if value is Omitted or parameter.default is _NO_DEFAULT:
        return value is Omitted
    default = _plain(parameter.default)
    return value is None or (type(value) is type(default) and value == default)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        field: forms.Field = JsonField(list[Any], required=False)
    elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
        field = JsonField(dict[str, Any], required=False)
    else:
        field = field_for(hint, parameter.default)
    field.label = parameter.name
    field.help_text = field.help_text or _help(hint, parameter.default)
    return Parameter(parameter.name, parameter.kind, parameter.default, field)


def field_for(hint: Any, default: Any = _NO_DEFAULT) -> forms.Field:
    """The form field for a type; `Optional` and parameters with a default may stay empty."""
    inner, optional = _without_none(hint)
    required = default is _NO_DEFAULT and not optional
    initial = None if default in (_NO_DEFAULT, None) else default
    if get_origin(inner) is Literal:
        return _choice(get_args(inner), required, initial)
    if isinstance(inner, type) and issubclass(inner, Enum):
        return _choice([member.value for member in inner], required, _plain(initial))
    if inner is bool:
        return _yes_no(optional, initial)
    if inner in (int, float):
        return _number(inner, required, initial)
    if inner is str:
        return _text(optional, default)
    if inner in (list[str], tuple[str, ...]):
        return LinesField(required=required, initial=initial)
    return JsonField(hint, required=default is _NO_DEFAULT, initial=initial)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    rest = [part for part in get_args(hint) if part is not type(None)]
    optional = len(rest) < len(get_args(hint))
    return (rest[0], True) if optional and len(rest) == 1 else (hint, optional)


def _choice(values: typing.Iterable[Any], required: bool, initial: Any) -> forms.Field:
    by_text = {str(value): value for value in values}
    empty = [] if required else [("", "-")]
    return forms.TypedChoiceField(
        choices=[*empty, *((text, text) for text in by_text)],
        coerce=by_text.__getitem__,
        empty_value=None,
        required=required,
        initial=initial,
        widget=UnfoldAdminSelectWidget(),
    )


def _yes_no(optional: bool, initial: Any) -> forms.Field:
    if optional:
        field = _choice(["yes", "no"], required=False, initial=_word(initial))
        assert isinstance(field, forms.TypedChoiceField)  # noqa: S101  # made just above
        field.coerce = "yes".__eq__
        return field
    return forms.BooleanField(
        required=False, initial=bool(initial), widget=UnfoldBooleanSwitchWidget()
    )


def _word(value: Any) -> str | None:
    return None if value is None else ("yes" if value else "no")


def _number(kind: type, required: bool, initial: Any) -> forms.Field:
    if kind is int:
        return forms.IntegerField(
            required=required, initial=initial, widget=UnfoldAdminIntegerFieldWidget()
        )
    widget = UnfoldAdminIntegerFieldWidget(attrs={"step": "any"})
    return forms.FloatField(required=required, initial=initial, widget=widget)


def _text(optional: bool, default: Any) -> forms.Field:
    """An empty field is the empty text, or None where the parameter may be None."""
    return forms.CharField(
        required=default is _NO_DEFAULT and not optional,
        strip=False,
        initial=None if default in (_NO_DEFAULT, None) else default,
        empty_value=None if optional else "",  # None is a value here
        widget=UnfoldAdminTextInputWidget(),
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _help(hint: Any, default: Any) -> str:
    """What may be written into the field, for people who do not read Python."""
    inner, optional = _without_none(hint)
    parts = [_kind(inner), _default(default)]
    if optional or default is None:
        parts.append("may stay empty")
    return "; ".join(filter(None, parts))


def _kind(hint: Any) -> str:
    """The kind of a value in words; nothing where the field offers the values to choose from."""
    origin = get_origin(hint) or hint
    if origin is Literal or (isinstance(origin, type) and issubclass(origin, Enum)):
        return ""
    return _KINDS.get(origin, "JSON")


def _default(default: Any) -> str:
    if default is _NO_DEFAULT or default is None or default == "":
        return ""
    if isinstance(default, bool):
        return "default yes" if default else "default no"
    return f"default {_plain(default)}"
