"""What the fault operations refuse, and their command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.lab.errors import LabError
from deploy.lab.faults import FaultKind, Faults
from deploy.lab.faults.record import FaultFile
from tests.lab.namespaced import SmallLab

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda f: f.cut_site("dc9"), "no site 'dc9'"),
        (lambda f: f.cut_link("dc1", "dc1"), "two different sites"),
        (lambda f: f.kill("dc1", "rabbit"), "no process 'rabbit' at dc1"),
        (lambda f: f.block_port("dc1", 0), "port 0 does not exist"),
        (lambda f: f.slow_link("dc1", "dc2", delay_ms=-1), "late by 0 to 60000"),
        (lambda f: f.slow_link("dc1", "dc2", delay_ms=1, loss=1.5), "from 0 to 1"),
        (lambda f: f.skew_clock("dc1", by_s=float("nan")), "at most 86400"),
        (lambda f: f.api_errors("dc3", mode="wan_down"), "no way to fail 'wan_down' at dc3"),
        (lambda f: f.api_errors("dc1", for_s=0), "more than 0"),
        (lambda f: f.api_errors("dc1", mode="tired"), "no way to fail 'tired'"),
        (lambda f: f.heal("cut-site dc1"), "no fault 'cut-site dc1' is on"),
    ],
)
def test_nonsense_is_refused_and_leaves_no_trace(
    lab: SmallLab, wrong: Callable[[Faults], object], words: str
) -> None:
    with pytest.raises(LabError, match=words):
        wrong(lab.faults)
    assert lab.faults.active() == ()


def test_a_lab_on_loopback_addresses_has_no_links_to_cut(tmp_path: Path, lab: SmallLab) -> None:
    addresses = lab.brokers.addresses
    plain = {n: a.model_copy(update={"netns": None}) for n, a in addresses.sites.items()}
    paths = type(lab.paths)(tmp_path)
    paths.addresses.write_text(addresses.model_copy(update={"sites": plain}).model_dump_json())
    with pytest.raises(LabError, match="--driver namespaces"):
        Faults(paths).cut_link("dc1", "dc2")
    assert Faults(paths).active() == ()


def test_a_damaged_record_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text("[{}]")
    with pytest.raises(LabError, match="turtle lab down"):
        FaultFile(tmp_path / "faults.json").read()


def test_the_command_line_breaks_lists_and_heals(
    lab: SmallLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURTLE_LAB_DIR", str(lab.paths.root))

    def turtle(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["lab", "fault", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    made = json.loads(turtle("cut-link", "dc2", "dc1", "--json"))
    assert (made["id"], made["kind"]) == ("cut-link dc1 dc2", FaultKind.CUT_LINK)
    assert [fault["id"] for fault in json.loads(turtle("list", "--json"))] == [made["id"]]
    assert "Healed: cut-link dc1 dc2" in turtle("heal", "cut-link", "dc1", "dc2")
    assert "No fault is on" in turtle("list")
    refused = CliRunner().invoke(app, ["lab", "fault", "cut-site", "dc9", "--json"])
    assert refused.exit_code == 1
    assert "no site" in json.loads(refused.output)["error"]
