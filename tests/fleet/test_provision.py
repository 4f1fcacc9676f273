"""`manage.py provision`: written once, the same again, and clear when it cannot be."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from fleet.models import ApiToken, Site
from tests.environment import write_secret
from tests.fleet.api_calls import Api, ok

pytestmark = pytest.mark.django_db
TOKEN = "tf_" + "a" * 43


@pytest.fixture
def plan(tmp_path: Path) -> dict[str, Any]:
    agent = write_secret(tmp_path / "agent.token", f"tf_{'b' * 43}\n")
    reader = write_secret(tmp_path / "reader.token", TOKEN + "\n")
    password = write_secret(tmp_path / "admin.password", "correct horse\n")
    return {
        "sites": [
            {
                "name": "dc1",
                "number": 1,
                "title": "One",
                "note": "a note",
                "capabilities": ["udm", "dev"],
            },
            {"name": "dc3", "number": 3, "title": "Three", "note": "", "capabilities": []},
        ],
        "tokens": [
            {"name": "agent-dc1", "scope": "agent", "site": "dc1", "file": str(agent)},
            {"name": "reader", "scope": "read", "site": None, "file": str(reader)},
        ],
        "admin": {"username": "admin", "password_file": str(password)},
        "homes": {
            "control": {"public_key": "Y29udHJvbA==", "number": 0},
            "dc1": {"public_key": "ZGMx", "number": 1},
        },
    }


def provision(folder: Path, plan: Any) -> str:
    path = folder / "provision.json"
    path.write_text(plan if isinstance(plan, str) else json.dumps(plan), encoding="utf-8")
    out = io.StringIO()
    call_command("provision", str(path), stdout=out)
    return out.getvalue()


def test_sites_tokens_keys_and_the_operator_are_written(
    tmp_path: Path, plan: dict[str, Any]
) -> None:
    said = provision(tmp_path, plan)

    site = Site.objects.get(name="dc1")
    assert (site.number, site.title, site.note) == (1, "One", "a note")
    assert (site.capabilities, site.public_key) == (["udm", "dev"], "ZGMx")
    assert ApiToken.objects.get(name="agent-dc1").site == site
    user = User.objects.get(username="admin")
    assert user.is_superuser
    assert user.is_staff
    assert user.check_password("correct horse")
    assert "2 sites, 2 tokens" in said
    assert TOKEN not in said


def test_a_provisioned_token_opens_the_api(tmp_path: Path, plan: dict[str, Any]) -> None:
    provision(tmp_path, plan)

    assert len(ok(Api(TOKEN).get("/sites"))["items"]) == 2


def test_the_same_again_changes_nothing(tmp_path: Path, plan: dict[str, Any]) -> None:
    provision(tmp_path, plan)
    seen = timezone.now()
    Site.objects.filter(name="dc1").update(last_seen_at=seen)
    before = (
        list(Site.objects.values()),
        list(ApiToken.objects.values()),
        list(User.objects.values()),
    )
    provision(tmp_path, plan)

    after = (
        list(Site.objects.values()),
        list(ApiToken.objects.values()),
        list(User.objects.values()),
    )
    assert after == before


def test_a_changed_plan_is_taken_over(tmp_path: Path, plan: dict[str, Any]) -> None:
    provision(tmp_path, plan)
    plan["sites"][0]["title"] = "New"
    write_secret(Path(plan["admin"]["password_file"]), "other password")
    provision(tmp_path, plan)

    assert Site.objects.get(name="dc1").title == "New"
    assert User.objects.get().check_password("other password")


def test_a_revoked_token_stays_revoked_until_its_secret_changes(
    tmp_path: Path, plan: dict[str, Any]
) -> None:
    provision(tmp_path, plan)
    ApiToken.objects.filter(name="reader").update(revoked_at=timezone.now())
    provision(tmp_path, plan)
    assert ApiToken.objects.get(name="reader").revoked_at is not None

    write_secret(tmp_path / "reader.token", f"tf_{'c' * 43}")
    provision(tmp_path, plan)
    assert ApiToken.objects.get(name="reader").revoked_at is None


def test_homes_may_come_later_than_their_sites(tmp_path: Path, plan: dict[str, Any]) -> None:
    provision(tmp_path, {**plan, "homes": {}})
    provision(tmp_path, {"homes": plan["homes"]})

    assert Site.objects.get(name="dc1").public_key == "ZGMx"


def broken(plan: dict[str, Any], case: str) -> Any:
    site, token = plan["sites"][0], plan["tokens"][0]
    return {
        "no json": "{",
        "no object": [],
        "unknown key": {**plan, "site": []},
        "bad name": {**plan, "sites": [{**site, "name": "DC 1"}]},
        "no number": {**plan, "sites": [{"name": "dc1", "title": "x"}]},
        "unknown capability": {**plan, "sites": [{**site, "capabilities": ["fly"]}]},
        "agent without site": {**plan, "tokens": [{**token, "site": None}]},
        "unknown scope": {**plan, "tokens": [{**token, "scope": "root"}]},
        "unknown site": {**plan, "tokens": [{**token, "site": "dc9"}]},
        "no token file": {**plan, "tokens": [{**token, "file": "/no/such"}]},
        "two of a number": {**plan, "sites": [site, {**site, "name": "dc2"}], "homes": {}},
        "same secret twice": {**plan, "tokens": [token, {**token, "name": "again"}]},
        "home of other number": {**plan, "homes": {"dc1": {"public_key": "x", "number": 2}}},
        "home of no site": {**plan, "homes": {"dc7": {"public_key": "x", "number": 7}}},
    }[case]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("no json", "Invalid JSON"),
        ("no object", "file:"),
        ("unknown key", "site: Extra"),
        ("bad name", "sites.0.name: Value error, use lower-case"),
        ("no number", "sites.0.number: Field required"),
        ("unknown capability", "sites.0.capabilities.0"),
        ("agent without site", "tokens.0: Value error, an agent's token needs a site"),
        ("unknown scope", "tokens.0.scope"),
        ("unknown site", "token agent-dc1: there is no site 'dc9'"),
        ("no token file", "/no/such"),
        ("two of a number", "same name, number or token"),
        ("same secret twice", "same name, number or token"),
        ("home of other number", "home dc1 has number 2, not 1"),
        ("home of no site", "there is no site dc7"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(
    tmp_path: Path, plan: dict[str, Any], case: str, said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        provision(tmp_path, broken(plan, case))
    assert not Site.objects.exists()
    assert not User.objects.exists()


def test_a_missing_file_a_readable_secret_and_a_short_token_are_refused(
    tmp_path: Path, plan: dict[str, Any]
) -> None:
    with pytest.raises(CommandError, match="cannot read"):
        call_command("provision", str(tmp_path / "nothing.json"))
    (tmp_path / "agent.token").chmod(0o644)
    with pytest.raises(CommandError, match="chmod 600"):
        provision(tmp_path, plan)
    write_secret(tmp_path / "agent.token", "short")
    with pytest.raises(CommandError, match="openssl rand") as caught:
        provision(tmp_path, plan)
    assert "short\n" not in str(caught.value)
    assert not Site.objects.exists()
