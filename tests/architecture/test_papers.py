"""The documentation says what is there: generated parts, links, commands, settings, examples."""

import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.management import get_commands
from typer.main import get_command
from typer.testing import CliRunner

from deploy.cli import app as turtle
from deploy.papers import parts
from deploy.render import acl
from deploy.topology import topology
from fleet.policy.errors import ConfigurationError
from tasks import broker, celeryconfig
from tasks.settings import FleetSettings, load_settings
from tasks.wire import Ack, Report

ROOT = Path(__file__).resolve().parents[2]
PAPERS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: Pictures are taken of a running fleet; their absence is seen on the page.
PICTURES = {".png"}
#: How settings of Celery begin.
CELERY = "(accept|beat|broker|enable|event|result|task|timezone|worker)(_|$)"


def each_paper() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", PAPERS, ids=lambda p: str(p.relative_to(ROOT)))


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return [
        textwrap.dedent(b) for b in re.findall(rf"^ *```{language}\n(.*?)```", text, re.S | re.M)
    ]


def code(text: str) -> Iterator[str]:
    """Every line of a shell block and every inline code span."""
    for block in blocks(text, "sh"):
        yield from (line.split("  #")[0].strip() for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M))


def calls(text: str, program: str) -> list[list[str]]:
    """The words that follow `program` in the text's code."""
    found = (
        re.match(rf"(?:\.venv/bin/|python )?{re.escape(program)} (.+)$", c) for c in code(text)
    )
    return [shlex.split(match[1]) for match in found if match]


def headings(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_generated_parts_are_fresh() -> None:
    stale = [str(path.relative_to(ROOT)) for path in parts.stale()]

    assert not stale, "run: .venv/bin/python -m deploy.papers"


def test_a_changed_part_is_noticed(tmp_path: Path) -> None:
    for name in parts.PARTS:
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text_of(name).replace("RUNNING", "WALKING"), encoding="utf-8")

    assert tmp_path / "docs/protocol.md" in parts.stale(tmp_path)


def test_a_part_without_its_marks_is_an_error() -> None:
    with pytest.raises(LookupError, match="marks of the part 'states'"):
        parts.fresh("# Nothing here", {"states": lambda: ""})


@each_paper()
def test_links_resolve(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        there = (path.parent / name).resolve() if name else path
        if there.suffix in PICTURES:
            continue
        assert there.exists(), f"{path.name}: {target}"
        assert not anchor or anchor in headings(there.read_text(encoding="utf-8")), target


@each_paper()
def test_paths_exist(path: Path) -> None:
    pattern = r"`((?:deploy|docs|fleet|probes|tasks|tests|turtle_site)/[\w./-]*)`"
    for name in re.findall(pattern, path.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{path.name} names {name}"


@each_paper()
def test_commands_exist(path: Path) -> None:
    for words in calls(path.read_text(encoding="utf-8"), "turtle"):
        found: Any = get_command(turtle)
        names: list[str] = []
        while hasattr(found, "commands") and words and not words[0].startswith("-"):
            names.append(words.pop(0))
            assert names[-1] in found.commands, f"{path.name}: turtle {' '.join(names)}"
            found = found.commands[names[-1]]
        known = {option for parameter in found.params for option in parameter.opts}
        own = words[: words.index("--")] if "--" in words else words
        assert {w for w in own if w.startswith("-")} <= known | {"--help"}, f"{path.name}: {words}"
        assert CliRunner().invoke(turtle, [*names, "--help"]).exit_code == 0


@each_paper()
def test_make_targets_and_django_commands_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.M))
    for words in calls(text, "make"):
        assert words[0] in targets, f"{path.name}: make {words[0]}"
    for words in calls(text, "manage.py"):
        assert words[0] in get_commands(), f"{path.name}: manage.py {words[0]}"


def test_every_setting_of_the_broker_has_its_reason() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text_of("docs/broker.md"), re.M))
    settings = {
        n: v for n, v in vars(celeryconfig).items() if re.match(CELERY, n) and not callable(v)
    }
    settings |= broker.transport_options(load_settings().broker)

    assert settings.keys() <= rows.keys()
    plain = {n: v for n, v in settings.items() if v is None or isinstance(v, bool | int | float)}
    assert {n: rows[n] for n in plain} == {
        n: f"{v:g}" if _number(v) else str(v) for n, v in plain.items()
    }


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_the_report_of_the_protocol_is_one() -> None:
    report, answer = blocks(text_of("docs/protocol.md"), "json")[-2:]

    assert [e.kind for e in Report.model_validate_json(report).entries] == ["claimed", "finished"]
    assert Ack.model_validate_json(answer).ack == 42


def test_the_smallest_configuration_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = blocks(text_of("docs/configuration.md"), "toml")
    config = tmp_path / "turtle.toml"
    config.write_text(example, encoding="utf-8")
    monkeypatch.setenv("TURTLE_CONFIG", str(config))

    assert load_settings() == FleetSettings(**tomllib.loads(example))

    config.write_text(example.replace('box = "mini-1"\n', ""), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="TURTLE_BOX"):
        load_settings()


def test_a_box_is_rendered_as_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of("docs/operating.md")
    (script,), (addresses,) = blocks(text, "python"), blocks(text, "toml")
    monkeypatch.chdir(tmp_path)
    Path("secrets").mkdir()
    Path("addresses.toml").write_text(addresses, encoding="utf-8")
    for user in (*acl.redis_users(topology()), *acl.sentinel_users()):
        Path("secrets", user).write_text("a password\n", encoding="utf-8")

    exec(compile(script, "docs/operating.md", "exec"), {})  # noqa: S102 - our own documentation

    assert "replicaof" not in Path("rendered/redis.conf").read_text(encoding="utf-8")
    assert Path("rendered/turtle-worker.service").stat().st_mode & 0o077 == 0


@each_paper()
def test_python_in_the_papers_compiles(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8"), "python"):
        compile(block, str(path), "exec")
