"""Arguments have the types that the function declares, before anything is written."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, JsonValue

from fleet.policy.errors import BadArgumentsError, RefusedError
from tasks.app import app
from tasks.argument_types import Parameters, parameters_of
from tasks.call import make_call


def check(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    found = parameters_of(function)
    found.check("test.task", found.bind(args, kwargs))


@pytest.mark.parametrize(
    ("task", "kwargs", "said"),
    [
        ("dev.git_log", {"url": "/x", "limit": "abc"}, 'limit must be int, not "abc"'),
        ("dev.git_log", {"url": 5}, "url must be str, not 5"),
        ("dev.git_log", {"url": "/x", "limit": 2.5}, "limit must be int, not 2.5"),
        ("dev.git_log", {"url": "/x", "limit": True}, "limit must be int, not true"),
        ("dev.git_log", {"url": None}, "url must be str, not null"),
        ("dev.git_log", {"url": 5, "limit": ""}, "url must be str, not 5; limit must be int, not"),
        ("dev.git_clone", {"url": "/x", "name": 5}, "name must be str | None, not 5"),
        (
            "dev.run_command",
            {"command": "ls", "arguments": "-l"},
            'arguments must be list[str], not "-l"',
        ),
        (
            "dev.run_command",
            {"command": "ls", "arguments": ["-l", 7]},
            "arguments must be list[str], and arguments[1] is 7",
        ),
        ("dev.run_command", {"command": "ls", "check": 1}, "check must be bool, not 1"),
        ("canary.wait", {"seconds": "5"}, 'seconds must be float, not "5"'),
    ],
)
def test_a_wrong_type_is_refused_naming_argument_type_and_value(
    task: str, kwargs: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadArgumentsError) as refused:
        make_call(app, task, None, kwargs)
    assert str(refused.value).startswith(f"{task}: ")
    assert said in str(refused.value)


def test_an_argument_given_by_its_place_is_named_too() -> None:
    with pytest.raises(BadArgumentsError, match=r"dev\.git_log: limit must be int, not \"5\""):
        make_call(app, "dev.git_log", ["/x", "5"])


def test_a_long_value_is_cut() -> None:
    with pytest.raises(BadArgumentsError) as refused:
        make_call(app, "dev.git_log", ["/x", "y" * 5000])
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("task", "args", "kwargs"),
    [
        ("canary.wait", [5], {}),
        ("network.tcp_check", ["h", 80, 3], {}),
        ("dev.run_command", ["ls", ("-l", "x")], {"cwd": None, "timeout_s": 5}),
        ("dev.git_clone", ["/x", None], {}),
        ("canary.echo", [{"any": [None, 1.5]}], {}),
    ],
)
def test_what_fits_is_accepted_and_not_changed(
    task: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    call = make_call(app, task, args, kwargs)
    assert (call.args, call.kwargs) == (args, kwargs)
    assert [type(value) for value in call.args] == [type(value) for value in args]


class NotForJson:
    """A type of which nothing can be checked."""


def everything(  # type: ignore[no-untyped-def]
    a: int,
    /,
    b: Literal["x", "y"] = "x",
    *rest: int,
    c: dict[str, int] | None = None,
    d: Annotated[int, Field(ge=1)] = 1,
    e: int | list[str] = 0,
    odd: NotForJson | None = None,
    free: JsonValue = None,
    bare=None,
    **more: str,
) -> None:
    """Every kind of parameter."""


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ([1], {}, ""),
        ([1, "y", 2, 3], {"c": {"k": 1}, "d": 2, "free": [1], "bare": {}, "more": "m"}, ""),
        ([1], {"odd": 5, "e": ["s"], "c": None}, ""),
        (["1"], {}, 'a must be int, not "1"'),
        ([1, "z"], {}, "b must be Literal['x', 'y']"),
        ([1, "x", 2, "3"], {}, 'rest must be list[int], and rest[1] is "3"'),
        ([1], {"c": {"k": "v"}}, 'c must be dict[str, int] | None, and c.k is "v"'),
        ([1], {"d": 0}, "greater than or equal to 1"),
        ([1], {"e": [5]}, "e must be int | list[str], "),
        ([1], {"other": 5}, "more must be dict[str, str], and more.other is 5"),
    ],
)
def test_every_kind_of_parameter_is_checked(
    args: list[Any], kwargs: dict[str, Any], said: str
) -> None:
    if not said:
        check(everything, *args, **kwargs)
        return
    with pytest.raises(BadArgumentsError) as refused:
        check(everything, *args, **kwargs)
    assert said in str(refused.value)


def test_annotations_that_cannot_be_read_check_nothing() -> None:
    def broken(value: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821
        """Its annotation names nothing."""

    check(broken, object())


def test_a_function_is_read_once() -> None:
    found = parameters_of(everything)
    assert isinstance(found, Parameters)
    assert parameters_of(everything) is found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(json_values, json_values)
def test_any_json_is_accepted_unchanged_or_refused(url: Any, limit: Any) -> None:
    try:
        call = make_call(app, "dev.git_log", [url], {"limit": limit})
    except RefusedError:
        assert not isinstance(url, str) or type(limit) is not int or "\0" in url
        return
    assert (call.args, call.kwargs) == ([url], {"limit": limit})
    assert (type(url), type(limit)) == (str, int)
