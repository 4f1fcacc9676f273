"""Signed rows: each is signed by the home of its site, so that anybody may pass it on."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fleet.policy.errors import FleetError
from fleet.policy.matrix import Row, row_from_json, to_json
from tasks.signing import load_public_key

#: Told apart from signatures of envelopes, which the same keys make.
_PURPOSE = b"turtle-row-1\n"


class RowRefusedError(FleetError):
    """A row that is malformed, or that its site's key did not sign."""


@dataclass(frozen=True, slots=True)
class SignedRow:
    """A row and the signature over it (base64); `text` is what was signed, byte for byte."""

    row: Row
    text: str
    signature: str

    def to_json(self) -> dict[str, str]:
        return {"row": self.text, "sig": self.signature}


def sign_row(key: Ed25519PrivateKey, row: Row) -> SignedRow:
    """Sign a row with the key of its site's home."""
    text = json.dumps(to_json(row), sort_keys=True, separators=(",", ":"))
    signature = base64.b64encode(key.sign(_PURPOSE + text.encode())).decode()
    return SignedRow(row, text, signature)


class RowReader:
    """Checks rows that came from the network. `keys`: site -> base64 of its public key."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys

    def read(self, data: Any) -> SignedRow:
        """The row; raises RowRefusedError for one that its site did not sign."""
        text, signature = _parts(data)
        try:
            row = row_from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise RowRefusedError(f"a row is no JSON: {error}") from error
        if row.site not in self._keys:
            raise RowRefusedError(f"a row of {row.site!r}: no such site, or no key of it is known")
        try:
            load_public_key(self._keys[row.site]).verify(
                base64.b64decode(signature, validate=True), _PURPOSE + text.encode()
            )
        except (InvalidSignature, ValueError, binascii.Error) as error:
            raise RowRefusedError(f"a row of {row.site} has a wrong signature") from error
        return SignedRow(row, text, signature)


def _parts(data: Any) -> tuple[str, str]:
    if not isinstance(data, Mapping):
        raise RowRefusedError("a signed row is a table with row and sig")
    text, signature = data.get("row"), data.get("sig")
    if not isinstance(text, str) or not isinstance(signature, str):
        raise RowRefusedError("a signed row has the texts row and sig")
    return text, signature
