"""What protocols register: ports that nobody else has, and every field of the records that parsers return."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers import ROOT

from amtdiag.model import (
    Apf,
    Digest,
    Exchange,
    Hello,
    Redirection,
    Sighting,
    TlsConversation,
    UnansweredArp,
    WebServer,
)
from amtdiag.model.web import WebCall, WebResult
from amtdiag.protocols.dhcp import Lease
from amtdiag.protocols.dns import DnsMessage
from amtdiag.protocols.icmp import Unreachable
from amtdiag.protocols.ports import DATAGRAM_PORTS, DEVICE_PORTS, HELLO_PORTS, PLAIN_PORTS, PORTS, TCP_PORTS
from amtdiag.protocols.registry import PROTOCOLS, field_tables
from amtdiag.protocols.rmcp import Ping, PresencePong
from amtdiag.protocols.tls.messages import CertificateRequestBody, ClientHello, ServerHello
from amtdiag.protocols.web.credentials import Challenge, Credentials
from amtdiag.protocols.web.http_messages import HttpMessage
from amtdiag.protocols.web.soap import Envelope

OF_ANY_EVENT = {"ts", "last_ts", "evidence", "owner"}
RESULTS = [
    Apf, CertificateRequestBody, Challenge, ClientHello, Credentials, Digest, DnsMessage, Envelope, Exchange,
    Hello, HttpMessage, Lease, Ping, PresencePong, Redirection, ServerHello, Sighting, TlsConversation,
    UnansweredArp, Unreachable, WebCall, WebResult, WebServer,
]  # fmt: skip


@pytest.mark.parametrize("record", RESULTS, ids=lambda record: record.__name__)
def test_each_field_of_what_a_parser_returns_is_named(record: type) -> None:
    names = [field.name for field in field_tables()[record]]
    assert len(set(names)) == len(names)
    assert set(names) == set(record._fields) - OF_ANY_EVENT  # type: ignore[attr-defined]


def test_no_other_record_has_a_table() -> None:
    assert set(field_tables()) == set(RESULTS)


def test_each_field_says_where_it_stands() -> None:
    assert all(field.source for table in field_tables().values() for field in table)


def test_a_port_has_one_protocol() -> None:
    known = [(port.transport, port.number) for port in PORTS]
    assert len(set(known)) == len(known)
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())
    assert all(port.protocol == protocol.name for protocol in PROTOCOLS.values() for port in protocol.ports)


def test_ports_are_those_of_the_documentation() -> None:
    assert set(HELLO_PORTS) == {9971, 9972}
    assert set(DEVICE_PORTS) == {664, 16992, 16993, 16994, 16995}
    assert {16992, 16994} == PLAIN_PORTS
    assert {53, 664, 4433, 16992, 16993, 16994, 16995} == TCP_PORTS
    assert {53, 67, 68, 546, 547, 623, 664} == DATAGRAM_PORTS


def test_what_has_ports_has_a_reader() -> None:
    for port in PORTS:
        protocol = PROTOCOLS[port.protocol]
        assert port.use == "hello" or (protocol.lane if port.use == "lane" else protocol.conversation)


def test_ports_are_known_without_the_parsers_of_conversations() -> None:
    code = "import sys, amtdiag.protocols.ports; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    heavy = {
        f"amtdiag.protocols.{name}" for name in ("web.http_session", "web.soap", "tls.reader", "tls.messages")
    }
    assert heavy.isdisjoint(loaded.stdout.split())


def test_the_page_of_protocols_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "protocols_page.py", "--check"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
