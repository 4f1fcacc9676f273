"""What the lab writes: secrets once and privately, the same again at the next start."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.lab.example_repository import make_example
from deploy.lab.files import tail, write_private
from deploy.lab.secret_files import SecretFiles
from deploy.lab.site_files import SiteFiles


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_writing_again_changes_nothing(site_files: SiteFiles) -> None:
    site_files.write()
    before = snapshot(site_files.paths.root)
    site_files.write()
    assert snapshot(site_files.paths.root) == before


def test_everything_is_private(site_files: SiteFiles) -> None:
    old = os.umask(0)
    try:
        site_files.write()
    finally:
        os.umask(old)
    secrets = [p for p in site_files.secrets.root.rglob("*") if p.is_file()]
    assert len(secrets) > 10
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}
    assert site_files.secrets.root.stat().st_mode & 0o777 == 0o700
    assert site_files.paths.provision.stat().st_mode & 0o777 == 0o600


def test_no_secret_stands_in_the_configuration(site_files: SiteFiles) -> None:
    site_files.write()
    written = [site_files.paths.provision, *map(site_files.paths.config, ("dc1", "dc2", "dc3"))]
    text = "".join(path.read_text(encoding="utf-8") for path in written)
    secrets = [p for p in site_files.secrets.root.rglob("*") if p.is_file()]
    assert not [p.name for p in secrets if p.read_text(encoding="utf-8").strip() in text]


def test_provision_names_tokens_homes_and_the_login(site_files: SiteFiles) -> None:
    site_files.write()
    found = json.loads(site_files.paths.provision.read_text(encoding="utf-8"))
    assert [site["name"] for site in found["sites"]] == ["dc1", "dc2", "dc3"]
    scopes = {token["name"]: (token["scope"], token["site"]) for token in found["tokens"]}
    assert scopes == {
        "agent-dc1": ("agent", "dc1"),
        "agent-dc2": ("agent", "dc2"),
        "agent-dc3": ("agent", "dc3"),
        "operator": ("operate", None),
        "reader": ("read", None),
    }
    assert all(Path(token["file"]).is_file() for token in found["tokens"])
    assert Path(found["admin"]["password_file"]).is_file()
    assert {name: home["number"] for name, home in found["homes"].items()} == {
        "control": 0,
        "dc1": 1,
        "dc2": 2,
    }


def test_a_home_key_signs_what_its_public_key_verifies(tmp_path: Path) -> None:
    secrets = SecretFiles(tmp_path)
    pem = secrets.home_key("dc1").read_bytes()
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, Ed25519PrivateKey)
    raw = base64.b64decode(secrets.home_public_key("dc1"))
    assert len(raw) == 32
    assert raw == key.public_key().public_bytes_raw()
    assert secrets.home_public_key("dc2") != secrets.home_public_key("dc1")


def test_tokens_and_passwords_are_long_and_differ(tmp_path: Path) -> None:
    secrets = SecretFiles(tmp_path)
    tokens = [secrets.api_token(name).read_text().strip() for name in ("a", "b")]
    assert tokens[0] != tokens[1]
    assert all(token.startswith("tf_") and len(token) == 46 for token in tokens)
    user, _, password = secrets.basic_auth("flower", "turtle").read_text().strip().partition(":")
    assert user == "turtle"
    assert len(password) == 32


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    file = write_private(tmp_path / "secret", "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(file, "new \udcff")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_the_example_is_a_real_repository_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    bare = make_example(tmp_path)
    assert make_example(tmp_path) == bare
    monkeypatch.delenv("GIT_DIR")
    log = subprocess.run(
        ["git", "-C", str(bare), "log", "--format=%s", "main"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert log.splitlines()[-1] == "Plant the fleet's first file"
    assert len(log.splitlines()) == 3
    status = subprocess.run(
        ["git", "-C", str(tmp_path / "example"), "status", "--porcelain"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert status == ""


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert tail(log) == f"(no log at {log})"
    log.write_text("1\n2\n3\n")
    assert tail(log, 2) == "2\n3"
