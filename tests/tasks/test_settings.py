"""Wrong configuration: one line a mistake, with file, key and example; secrets stay secret."""

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.policy.errors import ConfigurationError
from tasks.settings import FleetSettings, config_path, load_settings, read_secret, settings
from tests.environment import write_secret

GOOD = """site = "dc1"
box = "mini-1"
capabilities = ["dev", "udm"]
state_dir = "{folder}"
agent_address = "127.0.0.1:8787"
[broker]
sentinels = ["127.0.0.1:26379", "127.0.0.2:26379"]
username = "worker-dc1"
password_file = "{folder}/redis.password"
sentinel_password_file = "{folder}/redis.password"
[homes.control]
public_key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
number = 0
[limits]
max_args_bytes = 1000
"""
Load = Callable[..., FleetSettings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads the good file with some texts replaced."""
    write_secret(tmp_path / "redis.password", "hunter2\n")
    config = tmp_path / "turtle.toml"
    monkeypatch.setenv("TURTLE_CONFIG", str(config))

    def loader(*replacements: tuple[str, str]) -> FleetSettings:
        text = GOOD.format(folder=tmp_path)
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        config.write_text(text, encoding="utf-8")
        return load_settings()

    return loader


def test_a_good_file_is_read_with_its_defaults(load: Load, tmp_path: Path) -> None:
    found = load()
    assert (found.site, found.box, found.capabilities) == ("dc1", "mini-1", ("dev", "udm"))
    assert found.sites == ("dc1", "dc2", "dc3")
    assert found.state_dir == tmp_path
    assert found.homes["control"].number == 0
    assert (found.limits.max_args_bytes, found.limits.max_result_bytes) == (1000, 65_536)
    assert found.control is None


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('site = "dc1"\n', "", r"site \(or TURTLE_SITE\): .*required.*for example: site = 'dc1'"),
        ('site = "dc1"', 'site = "DC 1"', r"site \(or TURTLE_SITE\): .*lower-case letters"),
        ('box = "mini-1"', "box = 5", r"box \(or TURTLE_BOX\): .*string.*box = 'mini-1'"),
        ('"udm"]', '"udn"]', r"capabilities.*unknown capability 'udn'; did you mean udm"),
        ('"udm"]', '"udn"]', r"capabilities\.1 .*for example: capabilities = \["),
        (
            'username = "worker-dc1"\n',
            "",
            r"broker\.username \(or TURTLE_BROKER__USERNAME\): .*username = 'worker-dc1'",
        ),
        ("sentinels = [", "sentinel = [", r"broker\.sentinels .*for example: sentinels = \["),
        ("sentinels = [", "sentinel = [", r"broker\.sentinel .*[Ee]xtra"),
        ("sentinels = [", "sentinel = [", r"broker\.sentinel .*did you mean sentinels"),
        ('"127.0.0.2:26379"', '"x"', r"broker\.sentinels\.1 .*for example: sentinels = \["),
        ('"127.0.0.2:26379"', '"127.0.0.2"', r"broker\.sentinels.*: .*use host:port"),
        ("public_key =", "publickey =", r"control\.public_key .*for example: public_key = '"),
        ("public_key =", "publickey =", r"control\.publickey .*did you mean public_key\?"),
        ("number = 0", "number = 256", r"homes\.control\.number .*255"),
        ("max_args_bytes = 1000", "max_args_bytes = 1", r"limits\.max_args_bytes .*256"),
        ('"127.0.0.1:8787"', '"8787"', r"agent_address .*use host:port"),
        ("[limits]", '[peers]\ndc2 = "x"\n[limits]', r"for example: peers = { dc2 = '10\.2\.0\.2:"),
        ("state_dir =", "state_dri =", r"state_dri: there is no such key; did you mean state_dir"),
        ("state_dir =", "zzz = 1\nstate_dir =", r"zzz: there is no such key; remove it"),
        ('site = "dc1"', "site = ", r"cannot be read as TOML: .*line 1"),
        ('site = "dc1"', 'site = "dc9"', r"site \(or TURTLE_SITE\): unknown site 'dc9'; did you"),
        ('"udm"]', '"udn"]', r"capabilities\.1 \(or TURTLE_CAPABILITIES, as JSON\): "),
        ('"127.0.0.2:26379"', '"x"', r"\(or TURTLE_BROKER__SENTINELS, as JSON\): use host:port"),
        ("number = 0", "number = 256", r"\(or TURTLE_HOMES__CONTROL__NUMBER\): .*: number = 1"),
        ("[limits]", '[peers]\ndc2 = "x"\n[limits]', r"peers\.dc2 \(or TURTLE_PEERS__DC2\): "),
        (
            "[broker]",
            "[dev]",
            r"broker \(or TURTLE_BROKER, as JSON\): .*for example: \[broker\] with sentinels = "
            r"\[.*\], username = 'worker-dc1', password_file = '/etc/turtle/redis\.password', ",
        ),
        ("[broker]", "[udm]\n[broker]", r"udm\.url .*for example: url = 'https://192"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_example(
    load: Load, tmp_path: Path, old: str, new: str, line: str
) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        load((old, new))
    first, *lines = str(wrong.value).splitlines()
    assert first == f"configuration of {tmp_path}/turtle.toml:"
    assert any(re.search(line, text) for text in lines), lines


def test_each_mistake_has_a_line_of_its_own(load: Load) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        load(('site = "dc1"', 'site = "!"'), ("number = 0", "number = -1"), ('"udm"', '"x"'))
    assert len(str(wrong.value).splitlines()) == 1 + 3


def test_an_unknown_site_hides_no_other_mistake(load: Load) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        load(('site = "dc1"', 'site = "dc9"'), ("number = 0", "number = -1"), ('"udm"', '"x"'))
    assert len(str(wrong.value).splitlines()) == 1 + 3
    assert "unknown site 'dc9'" in str(wrong.value)


def test_sites_that_are_wrong_themselves_are_told_and_the_site_is_not(load: Load) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        load(('site = "dc1"', 'site = "dc1"\nsites = ["DC 1"]'))
    (line,) = str(wrong.value).splitlines()[1:]
    assert "sites.0 (or TURTLE_SITES, as JSON)" in line


def test_a_value_in_place_of_a_table_is_told_with_the_table(load: Load, tmp_path: Path) -> None:
    load()
    config = tmp_path / "turtle.toml"
    config.write_text('site = "dc1"\nbox = "mini-1"\nbroker = 5\nhomes = 6\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as wrong:
        load_settings()
    broker, homes = str(wrong.value).splitlines()[1:]
    assert re.search(r"broker .*; for example: \[broker\] with sentinels = ", broker)
    assert re.search(
        r"homes .*; for example: \[homes\.<name>\] with public_key = '.*, number", homes
    )


def test_a_variable_of_one_part_of_a_table_is_there_where_it_is_offered(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURTLE_HOMES__CONTROL__NUMBER", "7")
    monkeypatch.setenv("TURTLE_PEERS__DC2", "10.2.0.2:8787")
    found = load()
    assert (found.homes["control"].number, found.peers) == (7, {"dc2": "10.2.0.2:8787"})


def test_an_unknown_key_hides_no_other_mistake(load: Load) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        load(("state_dir =", "state_dri ="), ("number = 0", "number = -1"))
    assert re.search(r"state_dri: .*\n  homes\.control\.number ", str(wrong.value))


def test_a_file_in_another_encoding_is_told(load: Load, tmp_path: Path) -> None:
    load()
    (tmp_path / "turtle.toml").write_bytes('box = "Kübel"'.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"cannot be read as TOML: .*utf-8"):
        load_settings()


def test_the_table_of_another_program_is_no_mistake(load: Load) -> None:
    assert load(("[limits]", "[control_plane]\ndebug = true\n[limits]")).site == "dc1"


def test_the_environment_goes_before_the_file(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURTLE_BOX", "mini-2")
    monkeypatch.setenv("TURTLE_BROKER__USERNAME", "other")
    monkeypatch.setenv("TURTLE_CAPABILITIES", '["openwrt"]')
    found = load()
    assert (found.box, found.broker.username, found.capabilities) == (
        "mini-2",
        "other",
        ("openwrt",),
    )


def test_a_wrong_variable_is_named(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURTLE_LIMITS__MAX_ARGS_BYTES", "many")
    with pytest.raises(ConfigurationError, match=r"TURTLE_LIMITS__MAX_ARGS_BYTES.*integer"):
        load()


def test_a_named_file_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURTLE_CONFIG", "/nowhere/turtle.toml")
    with pytest.raises(ConfigurationError, match=r"TURTLE_CONFIG names /nowhere/turtle\.toml"):
        config_path()


def test_without_any_file_the_message_says_where_one_may_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TURTLE_CONFIG")
    monkeypatch.chdir(tmp_path)
    assert config_path() is None
    with pytest.raises(ConfigurationError, match=r"no file \(turtle\.toml, /etc/turtle/"):
        load_settings()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_secret_that_others_can_read_is_refused_with_the_remedy(
    tmp_path: Path, mode: int
) -> None:
    path = write_secret(tmp_path / "secret", "hunter2")
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}") as refused:
        read_secret(path)
    assert "hunter2" not in str(refused.value)


def test_a_secret_is_read_without_the_line_end(tmp_path: Path) -> None:
    assert read_secret(write_secret(tmp_path / "secret", "hunter2\n")) == "hunter2"


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"cannot read the secret {tmp_path}/none: No"):
        read_secret(tmp_path / "none")


def test_no_secret_is_in_the_text_of_the_settings(load: Load) -> None:
    found = load()
    assert found.broker.password() == "hunter2"
    texts = [repr(found), str(found), found.model_dump_json(), repr(found.broker)]
    assert not any("hunter2" in text for text in texts)


def test_a_secret_written_into_the_file_is_refused_and_not_repeated(load: Load) -> None:
    with_secret = '[broker]\npassword = "hunter2"\n'
    with pytest.raises(ConfigurationError, match=r"broker\.password ") as wrong:
        load(("[broker]\n", with_secret))
    assert "hunter2" not in "".join(traceback.format_exception(wrong.value))
    assert wrong.value.__context__ is None


def test_the_settings_cannot_be_changed(load: Load) -> None:
    found: Any = load()
    with pytest.raises(ValueError, match="frozen"):
        found.site = "dc2"
    with pytest.raises(ValueError, match="frozen"):
        found.broker.username = "root"


def test_the_settings_of_a_process_are_read_once() -> None:
    assert settings() is settings()
