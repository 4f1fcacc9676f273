"""The enqueue page: a form from the signature, errors beside the fields."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from html import unescape
from typing import Any, Literal
from unittest.mock import patch

import pytest
from django import forms
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from pydantic import JsonValue

from fleet.admin.enqueue_form import EnqueueForm
from fleet.admin.signature import call_arguments, parameters_of
from fleet.models import TaskRun
from fleet.templatetags.fleet import inline_code, paragraphs
from tasks import app
from tasks.call import task_contracts

PAGE = "/admin/fleet/taskrun/enqueue/"


class Mode(StrEnum):
    FAST = "fast"
    SAFE = "safe"


def every_kind(  # one of each is the point
    text: str,
    count: int,
    ratio: float = 0.5,
    flag: bool = False,
    sure: bool | None = None,
    names: list[str] | None = None,
    table: dict[str, int] | None = None,
    mode: Mode = Mode.SAFE,
    level: Literal[1, 2, "max"] = 1,
    anything: JsonValue = None,
    site: str = "inside",
    note: str | None = None,
    *rest: Any,
    **more: Any,
) -> None:
    """A parameter of each kind."""


PARAMETERS = parameters_of(every_kind)
UNTOUCHED = {
    "arg_text": "t",
    "arg_count": "3",
    "arg_ratio": "0.5",
    "arg_mode": "safe",
    "arg_level": "1",
    "arg_site": "inside",
}


def cleaned(**changes: str) -> tuple[list[Any], dict[str, Any]]:
    """The call that the form makes; fails with the form's errors."""
    form = forms.Form({**UNTOUCHED, **{f"arg_{k}": v for k, v in changes.items()}})
    form.fields.update({parameter.key: parameter.field for parameter in PARAMETERS})
    if not form.is_valid():
        raise AssertionError(form.errors)
    return call_arguments(PARAMETERS, form.cleaned_data)


def test_what_stays_at_its_default_is_left_out() -> None:
    assert cleaned() == ([], {"text": "t", "count": 3})


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("count", "-7", -7),
        ("ratio", "2", 2.0),
        ("flag", "on", True),
        ("sure", "no", False),
        ("sure", "yes", True),
        ("names", "a b\n\n c ", ["a b", " c "]),
        ("names", '["with\\nbreak"]', ["with\nbreak"]),
        ("names", "[]", []),
        ("table", '{"a": 1}', {"a": 1}),
        ("table", "{}", {}),
        ("mode", "fast", "fast"),
        ("level", "2", 2),
        ("level", "max", "max"),
        ("anything", "[1, {}]", [1, {}]),
        ("anything", "0", 0),
        ("site", "", ""),
        ("text", " padded ", " padded "),
        ("note", "x", "x"),
    ],
)
def test_each_kind_of_parameter_arrives_as_its_type(name: str, typed: str, value: Any) -> None:
    _, kwargs = cleaned(**{name: typed})

    assert kwargs[name] == value
    assert type(kwargs[name]) is type(value)


def test_further_arguments_are_json() -> None:
    args, kwargs = cleaned(rest="[1, null]", more='{"x": 2}')

    assert args == [1, None]
    assert kwargs == {"text": "t", "count": 3, "x": 2}


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("text", ""),
        ("count", ""),
        ("count", "1.5"),
        ("ratio", "much"),
        ("table", "[1]"),
        ("table", '{"a": "b"}'),
        ("anything", "{"),
        ("anything", "[" * 50_000),
        ("mode", "slow"),
        ("level", "3"),
        ("names", "[1]"),
        ("rest", "{}"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field(name: str, typed: str) -> None:
    with pytest.raises(AssertionError, match=f"arg_{name}"):
        cleaned(**{name: typed})


def test_labels_and_help_come_from_the_signature() -> None:
    fields = {parameter.name: parameter.field for parameter in PARAMETERS}

    assert fields["ratio"].help_text == "number; default 0.5"
    assert fields["text"].help_text == "text"
    assert fields["note"].help_text == "text; may stay empty"
    assert fields["flag"].help_text == "yes or no; default no"
    assert fields["mode"].help_text == "default safe"
    assert fields["table"].help_text == "a JSON object; may stay empty"
    assert fields["more"].help_text == "JSON"
    assert fields["text"].required
    assert not fields["site"].required


def test_every_task_of_the_fleet_has_a_form_that_opens() -> None:
    for name in task_contracts(app):
        assert str(EnqueueForm(app, name))


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    return client


def test_the_page_offers_every_task_with_its_summary(boss: Client) -> None:
    page = unescape(boss.get(PAGE).content.decode())

    for contract in task_contracts(app).values():
        assert f"?task={contract.name}" in page
        assert re.sub("`(.*?)`", r"<code>\1</code>", contract.summary) in page


@pytest.mark.parametrize("query", ["", "?task=dev.run_command", "?task=canary.effect_d"])
def test_class_d_is_offered_with_one_attempt(boss: Client, query: str) -> None:
    page = boss.get(PAGE + query).content.decode()

    assert "effect class D, one attempt, then a person decides" in page
    assert not re.search(r"class D, at most \d+", page)


def test_docstrings_and_types_are_written_for_people(boss: Client) -> None:
    page = unescape(boss.get(f"{PAGE}?task=dev.run_command").content.decode())

    assert "<code>command</code> is a short name of <code>[dev] commands</code>" in page
    assert "text; may stay empty" in page
    assert not re.search(r"`|\bstr\b|\| None|default None", page.partition("content-main")[2])


def test_markup_in_a_docstring_stays_text() -> None:
    assert inline_code("a <b> and `<i>`") == "a &lt;b&gt; and <code>&lt;i&gt;</code>"
    assert paragraphs("one\n  line\n\n two ") == "<p>one line</p>\n<p>two</p>"


def test_the_list_of_runs_links_to_it(boss: Client) -> None:
    assert PAGE in boss.get("/admin/fleet/taskrun/").content.decode()


def send(client: Client, task: str, **fields: str) -> Any:
    return client.post(f"{PAGE}?task={task}", {"priority": "normal", **fields})


def test_a_task_is_enqueued_and_the_browser_goes_to_its_run(boss: Client) -> None:
    response = send(
        boss,
        "canary.echo",
        arg_value='{"a": [1]}',
        site="dc1",
        priority="high",
        run_after="2031-01-01T06:00:00",
        idempotency_key="k",
    )
    run = TaskRun.objects.get()

    assert response["Location"] == f"/admin/fleet/taskrun/{run.pk}/change/"
    assert run.kwargs == {"value": {"a": [1]}}
    assert (run.queue_name, run.priority, run.idempotency_key) == ("dev.dc1", 50, "k")
    assert run.run_after == datetime(2031, 1, 1, 6, tzinfo=UTC)
    assert run.enqueued_by == "boss"


def test_the_same_key_leads_to_the_first_run(boss: Client) -> None:
    locations = {
        send(boss, "canary.echo", arg_value="1", idempotency_key="k")["Location"] for _ in "ab"
    }

    assert len(locations) == 1
    assert TaskRun.objects.count() == 1


def error_at(page: Any, field: str) -> str:
    assert page.status_code == 200
    return " ".join(page.context["form"].errors.get(field, []))


def test_errors_stand_beside_their_fields_and_nothing_is_written(boss: Client) -> None:
    send(boss, "canary.echo", arg_value="1", idempotency_key="k")

    assert error_at(send(boss, "canary.echo", arg_value="{"), "arg_value")
    assert error_at(send(boss, "canary.echo"), "arg_value")
    assert error_at(send(boss, "canary.echo", arg_value="1", site="dc9"), "site")
    assert error_at(send(boss, "canary.echo", arg_value="1", run_after="soon"), "run_after")
    conflict = send(boss, "canary.echo", arg_value="2", idempotency_key="k")
    assert "new key" in error_at(conflict, "idempotency_key")
    too_large = send(boss, "canary.echo", arg_value=f'"{"x" * 70_000}"')
    assert "limit" in error_at(too_large, "__all__")
    assert TaskRun.objects.count() == 1


def test_a_ledger_that_cannot_be_written_is_told_on_the_page(boss: Client) -> None:
    with patch(
        "fleet.ledger.enqueue.insert_rows", side_effect=OperationalError("database is locked")
    ):
        page = send(boss, "canary.echo", arg_value="1")

    assert "busy" in error_at(page, "__all__")
    assert "busy" in page.content.decode()


def test_an_unknown_task_is_404(boss: Client) -> None:
    assert boss.get(f"{PAGE}?task=no.such").status_code == 404
