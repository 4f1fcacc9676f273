"""API tokens: how they are made, and how they are kept."""

import secrets
from hashlib import sha256

#: What every token starts with, so that people and secret scanners recognise it.
PREFIX = "tf_"


def new_token() -> str:
    """A token of 256 random bits; show it once and keep only its digest."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """SHA-256 in hex. No salt: a guess against 256 random bits gains nothing from tables."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
