"""Signatures of envelopes: only the home's own, over exactly this envelope."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from fleet.policy.errors import ConfigurationError
from tasks.signing import is_valid, load_private_key, load_public_key, sign
from tests.environment import write_home_key, write_secret
from tests.tasks.envelopes import envelope

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))


def public(key: Ed25519PrivateKey) -> str:
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return base64.b64encode(key.public_key().public_bytes(*raw)).decode()


def test_the_homes_own_signature_is_valid() -> None:
    assert is_valid(public(KEY), envelope(), sign(KEY, envelope()))


def test_another_keys_signature_is_not() -> None:
    assert not is_valid(public(KEY), envelope(), sign(OTHER, envelope()))
    assert not is_valid(public(OTHER), envelope(), sign(KEY, envelope()))


ALTERED: dict[str, Any] = {
    "task": "dev.run_command",
    "id": "0190aaaa-0000-7000-8000-000000000002",
    "queue": "dev.dc1",
    "args": [2],
    "kwargs": {"a": 1},
    "home": "dc1",
    "token": 257,
    "attempt": 2,
    "key": "k",
    "issued_at_ms": 1,
    "expires_at_ms": 1 << 61,
    "v": 2,
}


@pytest.mark.parametrize("field", ALTERED)
def test_a_signature_does_not_cover_an_altered_field(field: str) -> None:
    signature = sign(KEY, envelope())
    assert not is_valid(public(KEY), replace(envelope(), **{field: ALTERED[field]}), signature)
    assert set(ALTERED) == set(envelope().__dataclass_fields__)


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_any_other_text_is_no_signature_and_no_error(text: str) -> None:
    assert not is_valid(public(KEY), envelope(), text)


@pytest.mark.parametrize("args", [["\ud800"], [float("nan")]])
def test_arguments_that_cannot_be_signed_are_never_valid(args: list[Any]) -> None:
    assert not is_valid(public(KEY), envelope(args=args), sign(KEY, envelope()))


def test_a_key_pair_from_files_signs_and_verifies(tmp_path: Path) -> None:
    text = write_home_key(tmp_path / "home.key")
    key = load_private_key(tmp_path / "home.key")
    assert is_valid(text, envelope(), sign(key, envelope()))


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write_home_key(tmp_path / "home.key")
    (tmp_path / "home.key").chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"readable by others; run: chmod 600 .*home\.key"):
        load_private_key(tmp_path / "home.key")


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_file_that_is_no_key_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    path = write_secret(tmp_path / "home.key", content)
    with pytest.raises(ConfigurationError, match=r"home\.key is no PEM private key"):
        load_private_key(path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = write_secret(tmp_path / "home.key", pem.decode())
    with pytest.raises(ConfigurationError, match="is not an Ed25519 key"):
        load_private_key(path)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "é", "A" * 44])
def test_a_public_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not 32 bytes of base64"):
        load_public_key(text)
