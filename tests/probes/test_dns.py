"""Look-ups at name servers on this machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from fleet.policy.errors import BadArgumentsError, NetworkError, TheirError
from probes import network


@contextmanager
def name_server(rcode: dns.rcode.Rcode, *answers: str) -> Iterator[str]:
    """A name server that gives these answers, of type A, to every question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)

        def serve_questions() -> None:
            while True:
                try:
                    asked, client = server.recvfrom(4096)
                except OSError:
                    return
                if asked == b"stop":
                    return
                query = dns.message.from_wire(asked)
                reply = dns.message.make_response(query)
                reply.flags |= dns.flags.RA
                reply.set_rcode(rcode)
                asks_address = query.question[0].rdtype == dns.rdatatype.A
                if rcode == dns.rcode.NOERROR and asks_address:
                    name = query.question[0].name
                    reply.answer.append(dns.rrset.from_text(name, 300, "IN", "A", *answers))
                server.sendto(reply.to_wire(), client)

        thread = threading.Thread(target=serve_questions, daemon=True)
        thread.start()
        address = server.getsockname()
        yield f"{address[0]}:{address[1]}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"stop", address)
        thread.join(5)


def test_a_name_is_looked_up() -> None:
    with name_server(dns.rcode.NOERROR, "192.0.2.8", "192.0.2.7") as server:
        result = network.dns_check("site.example", nameserver=server)
    assert result["answers"] == ["192.0.2.7", "192.0.2.8"]
    assert (result["record_type"], result["ttl_s"]) == ("A", 300)


@pytest.mark.parametrize(
    ("rcode", "record_type", "transient"),
    [
        (dns.rcode.NXDOMAIN, "A", False),
        (dns.rcode.NOERROR, "MX", False),
        (dns.rcode.SERVFAIL, "A", True),
    ],
)
def test_a_name_server_that_says_no(
    rcode: dns.rcode.Rcode, record_type: str, transient: bool
) -> None:
    with name_server(rcode, "192.0.2.7") as server, pytest.raises(TheirError) as caught:
        network.dns_check("site.example", record_type, nameserver=server, timeout_s=2)
    assert caught.value.transient is transient


def test_a_name_server_that_keeps_silent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(NetworkError, match=r"within 0\.3 s"):
            network.dns_check("site.example", nameserver=address, timeout_s=0.3)


@pytest.mark.parametrize(
    ("name", "record_type", "nameserver"),
    [
        ("site.example", "NOPE", "127.0.0.1"),
        ("a" * 70 + ".example", "A", "127.0.0.1"),
        ("site.example", "A", "dns.example"),
        ("site.example", "A", "127.0.0.1:0"),
    ],
)
def test_a_question_that_does_not_fit_is_refused(
    name: str, record_type: str, nameserver: str
) -> None:
    with pytest.raises(BadArgumentsError):
        network.dns_check(name, record_type, nameserver)
