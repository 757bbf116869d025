"""The TLS reader held against tshark: the samples, and conversations of every kind put into a capture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from scenarios.containers import render
from scenarios.conversation import Conversation
from scenarios.packets import MILLISECOND, SECOND, Trace
from test_samples import SAMPLES
from test_samples_oracle import run
from tls_talks import SIDES, talks

from amtdiag.model import TlsConversation
from amtdiag.model.tls import TlsSide
from amtdiag.pipeline import diagnose
from amtdiag.protocols.tls.constants import MESSAGES
from amtdiag.simulator.hosts import network

FIELDS = (
    "tcp.stream", "frame.number", "tcp.srcport", "tcp.dstport", "tls.handshake.type",
    "tls.handshake.certificate", "tls.handshake.version", "tls.handshake.ciphersuite",
    "tls.handshake.extensions.supported_version", "tls.handshake.identity", "tls.alert_message.level",
    "tls.alert_message.desc", "tls.handshake.cert_type", "tls.handshake.dname_len",
    "tls.handshake.extensions_server_name", "tls.handshake.extensions_reneg_info_len",
)  # fmt: skip
NUMBERS = {name: number for number, name in MESSAGES.items()} | {"HelloRetryRequest": 2}
TLS_PORT = 16993
FIRST_PORT = 50_000

Row = dict[str, list[str]]


def rows_of(tshark: Path, path: Path) -> list[Row]:
    words = [word for field in FIELDS for word in ("-e", field)]
    options = ("-d", f"tcp.port=={TLS_PORT},tls", "-Y", f"tcp.port=={TLS_PORT}")
    lines = run(tshark, "-r", path, *options, "-T", "fields", *words, "-E", "occurrence=a").splitlines()
    split = [[value.split(",") if value else [] for value in line.split("\t")] for line in lines]
    return [dict(zip(FIELDS, values, strict=True)) for values in split]


def frame_of(row: Row) -> int:
    return int(row["frame.number"][0])


class Shown:
    """What tshark shows of one side of a conversation."""

    def __init__(self, rows: Iterable[Row], side: TlsSide) -> None:
        self.rows = [row for row in rows if (row["tcp.srcport"] == [str(TLS_PORT)]) == (side == "server")]

    def all(self, field: str) -> list[str]:
        return [value for row in self.rows for value in row[field]]

    def numbers(self, field: str) -> list[int]:
        return [int(value, 0) for value in self.all(field)]

    def messages(self) -> list[tuple[int, int]]:
        """Frame and type."""
        return [(frame_of(row), int(kind)) for row in self.rows for kind in row["tls.handshake.type"]]


def compare(found: TlsConversation, rows: list[Row], before: int = 0) -> None:
    """`before`: frames that tshark saw in front of those of the file."""
    shown = {side: Shown(rows, side) for side in SIDES}
    client, server = shown["client"], shown["server"]
    for side in SIDES:
        said = [one for one in found.messages if one.sender == side]
        ours = [(one.evidence[-1].frame + before, NUMBERS[one.name]) for one in said]
        assert ours == shown[side].messages(), side
        alerts = [(one.level, one.description) for one in found.alerts if one.sender == side]
        levels = shown[side].numbers("tls.alert_message.level")
        assert alerts == list(zip(levels, shown[side].numbers("tls.alert_message.desc"), strict=True)), side
        chain = found.client_chain if side == "client" else found.server_chain
        ders = [der.hex() for der in chain.der] if chain else []
        assert ders == shown[side].all("tls.handshake.certificate"), side
    versions = server.numbers("tls.handshake.version")
    versions += server.numbers("tls.handshake.extensions.supported_version")
    assert found.version == (versions[-1] if versions else None)
    suites = server.numbers("tls.handshake.ciphersuite")
    assert found.suite == (suites[-1] if suites else None)
    # A second hello repeats what the first one offers.
    for one, field in (
        ([found.client_version or 0], "tls.handshake.version"),
        (list(found.suites), "tls.handshake.ciphersuite"),
        (list(found.client_versions), "tls.handshake.extensions.supported_version"),
    ):
        assert client.numbers(field) in (one, one + one), field
    identities = client.all("tls.handshake.identity")
    assert (found.psk_identity or "").encode().hex() == "".join(identities)
    assert (found.server_name or "") == "".join(client.all("tls.handshake.extensions_server_name"))
    if found.renegotiation_info is not None:
        assert found.renegotiation_info == bool(server.all("tls.handshake.extensions_reneg_info_len"))
    request = found.certificate_request
    assert list(request.types if request else ()) == server.numbers("tls.handshake.cert_type")
    assert (request.authorities if request else 0) == len(server.all("tls.handshake.dname_len"))


def test_conversations_of_every_kind(tshark: Path, tmp_path: Path) -> None:
    trace, net = Trace("tls"), network(1)
    for number, said in enumerate(talks().values()):
        at = (1_700_000_000 + number) * SECOND
        one = Conversation(trace, net.server, net.device(), TLS_PORT, at, sport=FIRST_PORT + number)
        one.open()
        for side, data in said.flights:
            one.wait(MILLISECOND, 4 * MILLISECOND)
            one.send(one.client if side == "client" else one.server, data)
        one.close(one.client)
    path = tmp_path / "talks.pcap"
    path.write_bytes(render(trace.ordered(), "pcap"))
    found = {one.ends.sport: one.tls for one in diagnose([path]).connections if one.ends.dport == TLS_PORT}
    rows: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows_of(tshark, path):
        ports = {int(row["tcp.srcport"][0]), int(row["tcp.dstport"][0])} - {TLS_PORT}
        rows[ports.pop()].append(row)
    for number, name in enumerate(talks()):
        talk = found[FIRST_PORT + number]
        assert talk is not None, name
        assert talk.missing == (), name
        compare(talk, rows[FIRST_PORT + number])


def test_every_sample(tshark: Path, need: Callable[[str], Path], tmp_path: Path) -> None:
    """tshark runs over all files one behind the other: starting it takes longer than what it does here."""
    files = sorted({path for sample in SAMPLES for path in sample.files.values()})
    links = {path: [one for one in diagnose([path]).connections if one.tls] for path in files}
    links = {path: [one for one in found if one.ends.dport == TLS_PORT] for path, found in links.items()}
    held = [path for path in files if links[path]]
    # Of one connection that two sensors saw, tshark would take the second view for repetition.
    second = [path for path in held if path.name == "server.pcapng"]
    compared = 0
    for batch in ([path for path in held if path not in second], second):
        joined = tmp_path / f"{len(batch)}.pcapng"
        run(need("mergecap"), "-a", "-w", joined, *batch)
        rows = rows_of(tshark, joined)
        streams = {frame_of(row): row["tcp.stream"] for row in rows}
        before = 0
        for path in batch:
            for link in links[path]:
                stream = streams[link.evidence[0].frame + before]
                assert link.tls is not None
                compare(link.tls, [row for row in rows if row["tcp.stream"] == stream], before)
                compared += 1
            before += int(run(need("capinfos"), "-c", "-M", "-T", "-r", path).split("\t")[1])
    assert compared > 60
