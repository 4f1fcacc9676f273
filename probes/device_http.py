"""HTTP to a device: one request, one answer, in time, to a certificate that is known."""

import hashlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from pydantic import JsonValue

from fleet.policy.errors import ConfigurationError, NetworkError, TheirError
from probes.network import http_errors_translated

#: No answer of a device that we ask is near this size.
MAX_BODY_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to a device; headers and body may hold secrets and are not shown."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: JsonValue = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A device's answer; header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next(iter(self.header_list(name)), None)

    def header_list(self, name: str) -> list[str]:
        """All headers of this name."""
        return [value for key, value in self.headers if key == name]


class CertificateMismatchError(TheirError):
    """The device showed another certificate than the pinned one; nothing was sent to it."""


class DeviceHttp:
    """Sends calls to one device; redirects, proxies and cookies are left alone.

    `timeout_s` limits connecting, each wait for data, and the reading of the body as a whole.
    """

    def __init__(
        self, url: str, *, certificate_sha256: str | None = None, timeout_s: float = 5.0
    ) -> None:
        self.url = _checked_url(url, pinned=certificate_sha256 is not None)
        self._timeout_s = timeout_s
        self._client = httpx.Client(
            base_url=self.url,
            verify=_tls_context(certificate_sha256),
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    def send(self, call: Call) -> Answer:
        """Send `call`; every HTTP status is an answer.

        Raises NetworkError when none comes in time, TheirError when it is unusable, and
        CertificateMismatchError.
        """
        with (
            http_errors_translated(str(self.url), self._timeout_s, UNTRUSTED_HINT),
            self._client.stream(
                call.method, call.path, headers=dict(call.headers), json=call.body
            ) as response,
        ):
            return Answer(
                status=response.status_code,
                headers=tuple(
                    (key.lower(), value) for key, value in response.headers.multi_items()
                ),
                body=self._body(response),
            )

    def _body(self, response: httpx.Response) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise TheirError(f"{self.url} answered more than {MAX_BODY_BYTES} bytes")
            if time.monotonic() > deadline:
                raise NetworkError(f"{self.url} took over {self._timeout_s:g} s for one answer")
        return bytes(body)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


UNTRUSTED_HINT = (
    "a device's own certificate is pinned in the device's table of turtle.toml: "
    'certificate_sha256 = "<64 hex digits>"'
)


def _checked_url(url: str, *, pinned: bool) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"the device's url is no URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError('the device\'s url must look like "https://192.0.2.1"')
    if parsed.userinfo:
        raise ConfigurationError("the device's url must not hold a password; use password_file")
    if pinned and parsed.scheme != "https":
        raise ConfigurationError("certificate_sha256 needs a url that starts with https://")
    return parsed


def _tls_context(certificate_sha256: str | None) -> ssl.SSLContext:
    if certificate_sha256 is None:
        return ssl.create_default_context()
    pin = certificate_sha256.replace(":", "").strip().lower()
    if len(pin) != 64 or not set(pin) <= set("0123456789abcdef"):
        raise ConfigurationError("certificate_sha256 must be 64 hex digits, colons allowed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The pin says more than a chain would; it is checked in the handshake, before any request.
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = _pinned_socket_class(pin)
    return context


def _pinned_socket_class(pin: str) -> type[ssl.SSLSocket]:
    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            shown = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if shown != pin:
                self.close()
                raise CertificateMismatchError(
                    f"the device's certificate has SHA-256 {shown}, not the pinned {pin}; if the "
                    "device got a new one, check it there and change certificate_sha256"
                )

    return PinnedSocket
