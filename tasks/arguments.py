"""Arguments of a call, checked at the door: their shape, their JSON, their size, their types."""

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery

from fleet.policy.envelope import canonical_json
from fleet.policy.errors import BadArgumentsError, TooLargeError
from fleet.policy.json_values import MAX_DEPTH, has_nul, too_deep
from tasks.argument_types import parameters_of
from tasks.settings import settings

#: Positional and named arguments as they go to the worker, and all of them by name.
Checked = tuple[list[Any], dict[str, Any], dict[str, Any]]


def check_arguments(
    app: Celery, name: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> Checked:
    """Copies of the arguments, their values unchanged.

    Raises BadArgumentsError (signature, JSON, types) or TooLargeError.
    """
    clean = _clean(name, args, kwargs)
    task = app.tasks[name]
    try:
        task.__header__(*clean[0], **clean[1])
    except TypeError as error:
        raise BadArgumentsError(f"{name}: {_plain(error)}") from None
    _check_json(name, clean)
    parameters = parameters_of(task.run)
    bound = parameters.bind(*clean)
    parameters.check(name, bound)
    return (*clean, bound)


def is_json(value: Any) -> bool:
    """Whether a value is JSON as the fleet keeps it: no NaN, no half of a surrogate pair."""
    try:
        canonical_json(value)
    except (TypeError, ValueError):
        return False
    return True


def _clean(
    name: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(args, str | bytes) or not isinstance(args or (), Sequence):
        raise BadArgumentsError(f"{name}: args must be a list, not {type(args).__name__}")
    if not isinstance(kwargs or {}, Mapping):
        raise BadArgumentsError(f"{name}: kwargs must be an object, not {type(kwargs).__name__}")
    return list(args or ()), dict(kwargs or {})


def _plain(error: TypeError) -> str:
    """Celery checks against a generated function; show the caller the message only."""
    return str(error).replace("<lambda>", "the task").split("() ", 1)[-1]


def _check_json(name: str, clean: tuple[list[Any], dict[str, Any]]) -> None:
    if too_deep(clean):
        raise BadArgumentsError(f"{name}: arguments are nested more than {MAX_DEPTH} levels deep")
    _check_keys(name, clean)
    size_bytes = _json_size(name, clean)
    if has_nul(clean):
        raise BadArgumentsError(f"{name}: an argument holds the character U+0000; remove it")
    limit_bytes = settings().limits.max_args_bytes
    if size_bytes > limit_bytes:
        raise TooLargeError(size_bytes, limit_bytes)


def _check_keys(name: str, clean: tuple[list[Any], dict[str, Any]]) -> None:
    """Python's JSON would turn the key 1 into "1", and the worker would get another object."""
    args, kwargs = clean
    for place, value in [*((f"args[{i}]", v) for i, v in enumerate(args)), *kwargs.items()]:
        odd = _odd_key(value)
        if odd is not None:
            where, key = odd
            raise BadArgumentsError(
                f"{name}: {place}{where} has the key {key!r}, which is no text; "
                "keys of JSON objects are texts"
            )


def _odd_key(value: Any) -> tuple[str, Any] | None:
    """The place within `value` of the first object with a key that is no text, and that key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                return "", key
            odd = _odd_key(inner)
            if odd is not None:
                return f".{key}{odd[0]}", odd[1]
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            odd = _odd_key(inner)
            if odd is not None:
                return f"[{index}]{odd[0]}", odd[1]
    return None


def _json_size(name: str, clean: tuple[list[Any], dict[str, Any]]) -> int:
    try:
        return len(canonical_json(clean))
    except (TypeError, ValueError):
        wrong = [f"args[{i}]" for i, value in enumerate(clean[0]) if not is_json(value)]
        wrong += [key for key, value in clean[1].items() if not is_json(value)]
        raise BadArgumentsError(
            f"{name}: {', '.join(map(str, wrong)) or 'an argument'} is not JSON; "
            "pass strings, numbers, booleans, null, lists and objects"
        ) from None
