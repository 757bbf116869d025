"""Questions and their answers brought together, over UDP and TCP."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import DNS_SERVER, FILE, START
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from amtdiag.model import Evidence, LookupEvent
from amtdiag.pipeline import diagnose
from amtdiag.protocols.dns_transactions import Lookups
from amtdiag.times import SECOND

CLIENT = "192.168.2.148"
NAME = "provisionserver.corp.example"


def question(number: int = 7, name: str = NAME, **fields: Any) -> bytes:
    return bytes(DNS(id=number, qd=[DNSQR(qname=name)], **fields))


def answer(*addresses: str, number: int = 7, name: str = NAME, **fields: Any) -> bytes:
    records = [DNSRR(rrname=name, rdata=one) for one in addresses]
    return bytes(DNS(id=number, qr=1, qd=[DNSQR(qname=name)], an=records, **fields))


Step = tuple[float, bytes]


def lookups(*steps: Step, port: int = 50_000) -> list[LookupEvent]:
    """What becomes of messages, each so many seconds after `START`."""
    reader = Lookups()
    found: list[LookupEvent] = []
    for frame, (after, data) in enumerate(steps, 1):
        is_response = bool(data[2] & 0x80)
        ends = (DNS_SERVER, CLIENT) if is_response else (CLIENT, DNS_SERVER)
        at = START + round(after * SECOND)
        found += reader.take(data, at, ends, port, (Evidence(FILE, frame),))
    return [*found, *reader.finish()]


def test_question_and_answer() -> None:
    (one,) = lookups((0, question()), (0.01, answer("10.0.0.5")))
    assert (one.client, one.server, one.name, one.type) == (CLIENT, DNS_SERVER, NAME, "A")
    assert (one.queries, one.rcode, one.addresses, one.other_addresses) == (1, "NOERROR", ("10.0.0.5",), ())
    assert [frame.frame for frame in one.evidence] == [1, 2]
    assert one.ts == START


def test_careless_software_numbers_its_questions_alike() -> None:
    reader = Lookups()
    for after, port in ((0, 50_000), (5, 50_000), (9, 50_001)):
        at = START + after * SECOND
        assert not list(reader.take(question(), at, (CLIENT, DNS_SERVER), port, (Evidence(FILE, after),)))
    assert [one.queries for one in reader.finish()] == [2, 1]


def test_an_answer_without_its_question() -> None:
    (one,) = lookups((0, answer("10.0.0.5")))
    assert (one.queries, one.client, one.addresses) == (0, CLIENT, ("10.0.0.5",))


def test_repeated_questions_are_counted() -> None:
    (one,) = lookups((0, question()), (1, question()), (3, question()))
    assert (one.queries, one.rcode) == (3, None)


def test_another_number_is_another_question() -> None:
    assert [one.queries for one in lookups((0, question(1)), (1, question(2)))] == [1, 1]


def test_the_case_of_letters_does_not_matter() -> None:
    (one,) = lookups((0, question(name="ProvisionServer.Corp.Example")), (0.1, answer("10.0.0.5")))
    assert one.addresses == ("10.0.0.5",)


def test_an_answer_for_another_name_is_not_taken() -> None:
    asked, _ = lookups((0, question()), (0.1, answer("10.6.6.6", name="provisionserver.evil")))
    assert (asked.rcode, asked.addresses) == (None, ())


def test_a_second_answer_that_disagrees() -> None:
    (one,) = lookups((0, question()), (0.01, answer("10.0.0.5")), (0.02, answer("10.6.6.6")))
    assert (one.addresses, one.other_addresses) == (("10.0.0.5",), ("10.6.6.6",))


def test_a_second_answer_that_agrees() -> None:
    (one,) = lookups(
        (0, question()), (0.01, answer("10.0.0.5", "10.0.0.6")), (1, answer("10.0.0.6", "10.0.0.5"))
    )
    assert one.other_addresses == ()


def test_a_repeated_question_may_be_answered_in_turns() -> None:
    """A balancing server gives another address each time: two questions, two answers, nobody forged one."""
    steps = [(0, question()), (0.5, question()), (0.6, answer("10.0.0.5")), (0.7, answer("10.0.0.6"))]
    (one,) = lookups(*steps)
    assert one.other_addresses == ()
    (forged,) = lookups(*steps, (0.8, answer("10.6.6.6")))
    assert forged.other_addresses == ("10.0.0.6",)


@pytest.mark.parametrize("cut", [1, 10, 15])
def test_an_answer_that_the_capture_cut_denies_nothing(cut: int) -> None:
    (one,) = lookups((0, question()), (0.01, answer("10.0.0.5")[:-cut]))
    assert (one.rcode, one.addresses) == (None, ())
    (denied,) = lookups((0, question()), (0.01, answer(rcode=3)))
    assert denied.rcode == "NXDOMAIN"


def test_a_truncated_answer_is_replaced() -> None:
    (one,) = lookups((0, question()), (0.01, answer(tc=1)), (0.1, answer("10.0.0.5")))
    assert (one.addresses, one.other_addresses) == (("10.0.0.5",), ())


def test_a_denial() -> None:
    (one,) = lookups((0, question()), (0.01, answer(rcode=3)))
    assert (one.rcode, one.addresses) == ("NXDOMAIN", ())


@pytest.mark.parametrize(("after", "count"), [(59, 1), (61, 2)])
def test_a_question_is_over_after_a_minute(after: float, count: int) -> None:
    assert len(lookups((0, question()), (after, question()))) == count


def test_evidence_is_bounded() -> None:
    (one,) = lookups(*((number / 10, question()) for number in range(40)))
    assert (one.queries, len(one.evidence)) == (40, 8)


@given(st.lists(st.tuples(st.floats(0, 200), st.binary(max_size=60))))
def test_random_bytes(steps: list[Step]) -> None:
    lookups(*((after, data.ljust(3, b"\0")) for after, data in steps))


# --------------------------------------------------------------------------------------- through the pipeline


def diagnosed(tmp_path: Any, packets: list[Any]) -> tuple[LookupEvent, ...]:
    for number, packet in enumerate(packets):
        packet.time = 1_772_442_072 + number / 100
    wrpcap(str(tmp_path / "dns.pcap"), packets)
    return diagnose([tmp_path / "dns.pcap"]).lookups


def tcp(sent: bytes, received: bytes) -> list[Any]:
    ether, there = Ether(), IP(src=CLIENT, dst=DNS_SERVER)
    back = IP(src=DNS_SERVER, dst=CLIENT)
    up: dict[str, Any] = {"sport": 50_000, "dport": 53}
    down: dict[str, Any] = {"sport": 53, "dport": 50_000}
    return [
        ether / there / TCP(**up, flags="S", seq=100),
        ether / back / TCP(**down, flags="SA", seq=500, ack=101),
        ether / there / TCP(**up, flags="PA", seq=101, ack=501) / sent,
        ether / back / TCP(**down, flags="PA", seq=501, ack=101 + len(sent)) / received,
    ]


def framed(*messages: bytes) -> bytes:
    return b"".join(len(one).to_bytes(2) + one for one in messages)


def test_over_tcp(tmp_path: Any) -> None:
    (one,) = diagnosed(tmp_path, tcp(framed(question()), framed(answer("10.0.0.5"))))
    assert (one.client, one.server, one.addresses) == (CLIENT, DNS_SERVER, ("10.0.0.5",))
    assert [frame.frame for frame in one.evidence] == [3, 4]


def test_two_messages_of_one_connection(tmp_path: Any) -> None:
    sent = framed(question(1), question(2, name="provisionserver"))
    received = framed(answer("10.0.0.5", number=1), answer(number=2, name="provisionserver", rcode=3))
    found = diagnosed(tmp_path, tcp(sent, received))
    assert [(one.name, one.rcode) for one in found] == [(NAME, "NOERROR"), ("provisionserver", "NXDOMAIN")]


@pytest.mark.parametrize("sent", [b"\0\0", b"\xff\xff" + question(), b"\0", framed(question())[:-3]])
def test_tcp_that_ends_too_soon(tmp_path: Any, sent: bytes) -> None:
    assert diagnosed(tmp_path, tcp(sent, b"\0\5abc")) == ()


def test_other_names_are_left_out(tmp_path: Any) -> None:
    ask = Ether() / IP(src=CLIENT, dst=DNS_SERVER) / UDP(sport=5000, dport=53)
    found = diagnosed(tmp_path, [ask / question(), ask / question(name="www.example.com")])
    assert [one.name for one in found] == [NAME]
