"""The parameters of a task's function: arguments by name, and whether they have the types."""

import inspect
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import JsonValue, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaError
from typing_extensions import TypedDict

from fleet.policy.envelope import canonical_json
from fleet.policy.errors import BadArgumentsError

#: Annotations that any JSON satisfies; a parameter without one counts as such.
_ANYTHING = (Any, JsonValue, object, inspect.Parameter.empty)
SHOWN_CHARS = 60
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What a function takes.

    `positional` are filled in this order, `named` may be given by name; `rest` and `more` are the
    names of `*args` and `**kwargs`, "" for none. `adapter` checks those of `hints`.
    """

    positional: tuple[str, ...]
    named: frozenset[str]
    rest: str
    more: str
    hints: Mapping[str, Any]
    adapter: TypeAdapter[Any] | None

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call that fits the signature, by the names of the parameters."""
        bound = dict(zip(self.positional, args, strict=False))
        if self.rest and len(args) > len(self.positional):
            bound[self.rest] = list(args[len(self.positional) :])
        if not self.more:
            return bound | dict(kwargs)
        others = {name: value for name, value in kwargs.items() if name not in self.named}
        bound |= {name: value for name, value in kwargs.items() if name in self.named}
        return bound | ({self.more: others} if others else {})

    def check(self, task: str, bound: Mapping[str, Any]) -> None:
        """Raise BadArgumentsError naming each argument of the wrong type; nothing is converted.

        The rules are those of JSON: a whole number will do for a float, a text for no number.
        """
        if self.adapter is None:
            return
        try:
            self.adapter.validate_json(canonical_json(bound), strict=True)
        except ValidationError as error:
            # The first mistake of each parameter: a union has one for each of its types.
            firsts = {item["loc"][:1]: item for item in reversed(error.errors())}
            said = [_mistake(item, self.hints, bound) for item in reversed(firsts.values())]
            raise BadArgumentsError(f"{task}: {'; '.join(said)}") from None


@lru_cache(maxsize=1024)
def parameters_of(function: Callable[..., Any]) -> Parameters:
    """Read once for each function; what pydantic cannot check counts as any JSON."""
    found = inspect.signature(function).parameters.values()
    hints = _hints(function)
    checked = {p.name: _whole(p, hints[p.name]) for p in found if _can_check(hints.get(p.name))}
    return Parameters(
        positional=tuple(p.name for p in found if p.kind in _POSITIONAL),
        named=frozenset(p.name for p in found if p.kind in _NAMED),
        rest=next((p.name for p in found if p.kind is p.VAR_POSITIONAL), ""),
        more=next((p.name for p in found if p.kind is p.VAR_KEYWORD), ""),
        hints=checked,
        adapter=_adapter(checked) if checked else None,
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        return {}


def _whole(parameter: inspect.Parameter, hint: Any) -> Any:
    """The type of all that a parameter takes together."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return list[hint]
    return dict[str, hint] if parameter.kind is parameter.VAR_KEYWORD else hint


def _can_check(hint: Any) -> bool:
    if hint is None or any(hint is anything for anything in _ANYTHING):
        return False
    try:
        TypeAdapter(hint)
    except (PydanticUserError, SchemaError):
        return False
    return True


def _adapter(hints: Mapping[str, Any]) -> TypeAdapter[Any]:
    """One adapter for all: an argument that was left out is the signature's matter."""
    return TypeAdapter(TypedDict("Arguments", dict(hints), total=False))  # type: ignore[operator]


def _mistake(item: ErrorDetails, hints: Mapping[str, Any], bound: Mapping[str, Any]) -> str:
    parameter = str(item["loc"][0]) if item["loc"] else ""
    if parameter not in bound:
        return item["msg"]
    place, value = _deepest(parameter, bound[parameter], item["loc"][1:])
    wanted = inspect.formatannotation(hints[parameter])
    if not item["type"].endswith(("_type", "_parsing", "_from_float")):
        wanted += f" ({item['msg']})"
    if place == parameter:
        return f"{parameter} must be {wanted}, not {_shown(value)}"
    return f"{parameter} must be {wanted}, and {place} is {_shown(value)}"


def _deepest(place: str, value: Any, steps: Sequence[int | str]) -> tuple[str, Any]:
    """Where a mistake is; steps that name a type of a union lead nowhere and are left out."""
    for step in steps:
        if isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            place, value = f"{place}[{step}]", value[step]
        elif isinstance(value, dict) and step in value:
            place, value = f"{place}.{step}", value[step]
    return place, value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
