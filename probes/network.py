"""Checks of addresses, services and links: they measure, within a time limit, and change nothing.

A check whose target does not answer raises NetworkError; one that is answered with a "no" raises
TheirError. `link_latency` counts what is lost instead. Times are in milliseconds.
"""

import asyncio
import socket
import ssl
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import Event, Thread

import dns.exception
import dns.rdatatype
import dns.resolver
import httpx
from cryptography import x509
from pydantic import JsonValue

from fleet.policy.errors import (
    BadArgumentsError,
    ConfigurationError,
    FleetError,
    NetworkError,
    TheirError,
)

Result = dict[str, JsonValue]
IpAddress = IPv4Address | IPv6Address
LONGEST_CHECK_S = 30.0
MOST_CONNECTS = 50

#: Cloud and router metadata services answer here, to whoever asks from the box itself, with
#: credentials. A task's caller must not be able to read them through a worker.
METADATA_NETWORKS = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128")))


def tcp_check(host: str, port: int, timeout_s: float = 5.0) -> Result:
    """Open and close one TCP connection; `connect_ms` leaves the name's resolution out."""
    deadline = _deadline(timeout_s)
    address = resolve(host, timeout_s)[0]
    connect_ms = _connect_ms(address, _port(port), _left(deadline, f"{host}:{port}"))
    return {"host": host, "port": port, "address": str(address), "connect_ms": connect_ms}


def link_latency(
    host: str, port: int, count: int = 5, timeout_s: float = 1.0, interval_s: float = 0.1
) -> Result:
    """Connect `count` times to a listening peer, one after the other.

    The time of a TCP connect is one round trip. Attempts that are refused or not answered within
    `timeout_s` count as lost; with all lost the latencies are null. All together may take 30 s.
    """
    if not 1 <= count <= MOST_CONNECTS:
        raise BadArgumentsError(f"count must be from 1 to {MOST_CONNECTS}")
    _deadline(timeout_s * count)
    address = resolve(host, timeout_s)[0]
    pause, times_ms = Event(), []
    for number in range(count):
        pause.wait(interval_s if number else 0)
        try:
            times_ms.append(_connect_ms(address, _port(port), timeout_s))
        except NetworkError:
            continue
    return {
        "host": host,
        "port": port,
        "sent": count,
        "lost": count - len(times_ms),
        "loss_percent": round(100 * (count - len(times_ms)) / count, 1),
        "min_ms": min(times_ms, default=None),
        "median_ms": round(statistics.median(times_ms), 3) if times_ms else None,
        "max_ms": max(times_ms, default=None),
    }


def dns_check(
    name: str, record_type: str = "A", nameserver: str | None = None, timeout_s: float = 5.0
) -> Result:
    """Ask a name server (`address` or `address:port`; the system's ones by default)."""
    started = _deadline(timeout_s) - timeout_s
    try:
        resolver = _resolver(nameserver)
        answer = resolver.resolve(name, record_type, lifetime=timeout_s, search=False)
    except dns.exception.DNSException as error:
        raise _dns_error(error, f"{name} {record_type}", timeout_s) from None
    return {
        "name": name,
        "record_type": dns.rdatatype.to_text(answer.rdtype),
        "answers": sorted(record.to_text() for record in answer),
        "ttl_s": answer.rrset.ttl if answer.rrset is not None else None,
        "nameserver": str(answer.nameserver),
        "elapsed_ms": _ms_since(started),
    }


def http_check(
    url: str, method: str = "HEAD", timeout_s: float = 10.0, verify: bool = True
) -> Result:
    """Send one request and read the answer's head; every status is an answer.

    Redirects are shown, not followed. `verify=False` accepts a certificate that nobody vouches
    for, so that its expiry can still be watched. Link-local and metadata addresses are refused.
    """
    target = _checked_url(url, method)
    deadline = _deadline(timeout_s)
    address = _allowed(resolve(target.host, timeout_s), target.host)
    where = f"{target.scheme}://{target.netloc.decode('ascii')}"
    with http_errors_translated(where, timeout_s, "verify=false checks it without trust"):
        return asyncio.run(_http(target, method, address, _left(deadline, where), verify))


async def _http(
    target: httpx.URL, method: str, address: IpAddress, timeout_s: float, verify: bool
) -> Result:
    # The system's store, where a LAN's own authority may have been added.
    trusted = ssl.create_default_context() if verify else False
    started = time.monotonic()
    async with (
        asyncio.timeout(timeout_s),
        httpx.AsyncClient(verify=trusted, trust_env=False, timeout=timeout_s) as client,
        client.stream(
            method,
            # The address that was checked is the one that is asked: a second look-up may differ.
            target.copy_with(host=str(address)),
            headers={"Host": target.netloc.decode("ascii"), "User-Agent": "turtle-fleet-check"},
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        return {
            "url": str(target),
            "address": str(address),
            "status": response.status_code,
            "ok": response.status_code < 400,
            "location": response.headers.get("location"),
            "elapsed_ms": _ms_since(started),
            "certificate_days_left": _certificate_days_left(response),
        }


def _certificate_days_left(response: httpx.Response) -> float | None:
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    return days_left(tls.getpeercert(binary_form=True), datetime.now(UTC)) if tls else None


def days_left(certificate: bytes, now: datetime) -> float:
    """Days until the DER certificate expires; negative when it has."""
    expires = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    return round((expires - now).total_seconds() / 86_400, 1)


def resolve(host: str, timeout_s: float) -> list[IpAddress]:
    """The addresses of `host` in the system's order of preference, within `timeout_s`."""
    if (literal := _literal(host)) is not None:
        return [literal]
    found: SimpleQueue[list[IpAddress] | FleetError] = SimpleQueue()
    # getaddrinfo knows no time limit, so it waits in a thread that nobody has to wait for.
    Thread(target=lambda: found.put(_look_up(host)), daemon=True).start()
    try:
        result = found.get(timeout=timeout_s)
    except Empty:
        result = NetworkError(f"{host} was not resolved within {timeout_s:g} s")
    if isinstance(result, FleetError):
        raise result
    return result


def _look_up(host: str) -> list[IpAddress] | FleetError:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            return NetworkError(f"{host} cannot be resolved now: {error.strerror}")
        return TheirError(f"{host} cannot be resolved: {error.strerror}")
    except (OSError, ValueError) as error:
        return TheirError(f"{host} cannot be resolved: {error}")
    return [ip_address(str(row[4][0])) for row in rows]


def _literal(host: str) -> IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _allowed(addresses: list[IpAddress], host: str) -> IpAddress:
    for address in addresses:
        plain = getattr(address, "ipv4_mapped", None) or address
        if any(plain in network for network in METADATA_NETWORKS):
            raise BadArgumentsError(
                f"{host} is a link-local or metadata address ({address}); http_check refuses "
                "those, because services there hand out credentials. Use tcp_check."
            )
    return addresses[0]


def _connect_ms(address: IpAddress, port: int, timeout_s: float) -> float:
    started = time.monotonic()
    try:
        with socket.create_connection((str(address), port), timeout=timeout_s):
            return _ms_since(started)
    except TimeoutError:
        raise NetworkError(f"{address}:{port} did not answer within {timeout_s:g} s") from None
    except OSError as error:
        raise NetworkError(f"cannot connect to {address}:{port}: {error.strerror}") from None


@contextmanager
def http_errors_translated(where: str, timeout_s: float, untrusted_hint: str) -> Iterator[None]:
    """Turn what httpx raises into FleetErrors; `where` names the other side."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError):
        raise NetworkError(f"{where} did not answer within {timeout_s:g} s") from None
    except httpx.DecodingError:
        raise TheirError(f"{where} sent a body that cannot be decoded", transient=True) from None
    except httpx.TransportError as error:
        untrusted = _certificate_error(error)
        if untrusted is None:
            raise NetworkError(f"no answer from {where}: {error or type(error).__name__}") from None
        message = f"the certificate of {where} is not trusted: {untrusted.verify_message}"
        raise TheirError(f"{message}; {untrusted_hint}") from None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def _dns_error(error: dns.exception.DNSException, question: str, timeout_s: float) -> FleetError:
    if isinstance(error, dns.exception.Timeout):
        return NetworkError(f"{question}: no name server answered within {timeout_s:g} s")
    if isinstance(error, dns.resolver.NoNameservers):
        return TheirError(f"{question}: every name server failed", transient=True)
    if isinstance(error, dns.resolver.NXDOMAIN | dns.resolver.NoAnswer):
        return TheirError(f"{question}: {error}")
    if isinstance(error, dns.resolver.NoResolverConfiguration):
        return ConfigurationError("this box has no name servers; fill /etc/resolv.conf")
    return BadArgumentsError(f"{question}: {error}")


def _resolver(nameserver: str | None) -> dns.resolver.Resolver:
    if nameserver is None:
        return dns.resolver.Resolver()
    host, colon, port = nameserver.rpartition(":")
    if _literal(nameserver) is not None or not colon:
        host, port = nameserver, "53"
    if (address := _literal(host.strip("[]"))) is None:
        raise BadArgumentsError("nameserver must be an address, or address:port")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [str(address)], _port(port)
    return resolver


def _checked_url(url: str, method: str) -> httpx.URL:
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise BadArgumentsError(f"{url!r} is no URL: {error}") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise BadArgumentsError("url must start with http:// or https:// and name a host")
    if target.userinfo:
        raise BadArgumentsError("url must not hold a user name or password")
    if method not in ("GET", "HEAD"):
        raise BadArgumentsError("method must be GET or HEAD: a check changes nothing")
    return target


def _port(port: int | str) -> int:
    if not (str(port).isascii() and str(port).isdigit() and 1 <= int(port) <= 65_535):
        raise BadArgumentsError(f"port must be from 1 to 65535, not {port!r}")
    return int(port)


def _deadline(timeout_s: float) -> float:
    if not 0 < timeout_s <= LONGEST_CHECK_S:
        raise BadArgumentsError(
            f"timeout_s must be above 0; the whole, at most {LONGEST_CHECK_S:g}"
        )
    return time.monotonic() + timeout_s


def _left(deadline: float, where: str) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise NetworkError(f"no time left to ask {where} after resolving its name")
    return left_s


def _ms_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)
