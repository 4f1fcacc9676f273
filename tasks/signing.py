"""Ed25519 signatures of envelopes (RFC 8032), over `fleet.policy.envelope.signed_bytes`."""

import base64
import binascii
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fleet.policy.envelope import Envelope, signed_bytes
from fleet.policy.errors import ConfigurationError
from tasks.settings import read_secret


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """The home's key from its PEM file; raises ConfigurationError for anything else."""
    try:
        key = load_pem_private_key(read_secret(path).encode(), password=None)
    except ValueError as error:
        raise ConfigurationError(f"{path} is no PEM private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} is not an Ed25519 key")
    return key


@lru_cache(maxsize=64)
def load_public_key(text: str) -> Ed25519PublicKey:
    """A public key from the base64 of its 32 bytes."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise ConfigurationError(f"public key {text!r} is not 32 bytes of base64") from error


def sign(key: Ed25519PrivateKey, envelope: Envelope) -> str:
    """The signature in base64."""
    return base64.b64encode(key.sign(signed_bytes(envelope))).decode()


def is_valid(public_key: str, envelope: Envelope, signature: str) -> bool:
    """Whether `signature` is the home's over exactly this envelope."""
    try:
        load_public_key(public_key).verify(
            base64.b64decode(signature, validate=True), signed_bytes(envelope)
        )
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
