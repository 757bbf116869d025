"""Wireshark's word on the samples: they hold what their expected.json says, whatever amtdiag makes of it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from test_samples import SAMPLES, Sample, every_sample

FIELDS = (
    "frame.number",
    "ip.src",
    "ipv6.src",
    "tcp.srcport",
    "ip.dst",
    "ipv6.dst",
    "tcp.dstport",
    "tcp.stream",
    "tcp.seq_raw",
    "tcp.payload",
)
BAD = " or ".join(
    ["_ws.malformed", "_ws.short", *(f"{layer}.checksum.status == 0" for layer in ("ip", "tcp", "udp"))]
)
CHECKSUMS = [word for layer in ("ip", "tcp", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
SIMULATED = [sample for sample in SAMPLES if sample.expected["origin"] == "amtdiag/simulate"]
SAMPLE_PPS = b"NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ"


class Segment(NamedTuple):
    file: str
    frame: int
    ends: tuple[str, int, str, int]
    stream: int
    seq: int
    data: bytes


def run(program: Path, *words: str | Path) -> str:
    done = subprocess.run([program, *words], capture_output=True, check=True, text=True, timeout=120)
    return done.stdout


@pytest.fixture
def segments(sample: Sample, tshark: Path) -> list[Segment]:
    """All TCP segments with data."""
    return [segment for name, path in sample.files.items() for segment in _segments(name, path, tshark)]


@cache  # several tests ask, and starting tshark takes longer than what it does here
def _segments(name: str, path: Path, tshark: Path) -> list[Segment]:
    shown = [word for field in FIELDS for word in ("-e", field)]
    found = []
    for line in run(tshark, "-r", path, "-Y", "tcp.len > 0", "-T", "fields", *shown).splitlines():
        frame, src, src6, sport, dst, dst6, dport, stream, seq, data = line.split("\t")
        ends = (src or src6, int(sport), dst or dst6, int(dport))
        found.append(Segment(name, int(frame), ends, int(stream), int(seq), bytes.fromhex(data)))
    return found


def places(hello: Mapping[str, Any], *keys: str) -> set[tuple[str, int]]:
    return {(file, frame) for key in keys for file, frame in hello.get(key, ())}


def put_together(pieces: list[Segment]) -> bytes:
    """The bytes of one direction, by sequence number."""
    start = min(piece.seq for piece in pieces)
    data = bytearray(max(piece.seq - start + len(piece.data) for piece in pieces))
    for piece in pieces:
        data[piece.seq - start : piece.seq - start + len(piece.data)] = piece.data
    return bytes(data)


@every_sample
def test_capinfos_counts_the_same_packets(sample: Sample, capinfos: Path) -> None:
    for name, path in sample.files.items():
        line = run(capinfos, "-c", "-M", "-T", "-r", path)
        assert int(line.split("\t")[1]) == sample.expected["packets"][name]


@every_sample
def test_tshark_finds_the_hellos_in_the_same_frames(sample: Sample, segments: list[Segment]) -> None:
    for hello in sample.expected["hellos"]:
        ends = (hello["src"], hello["sport"], hello["dst"], hello["dport"])
        mine = [segment for segment in segments if segment.ends == ends]
        assert {(one.file, one.frame) for one in mine} == places(hello, "frames", "copies")
        # The frames named first are enough: the copies add nothing.
        fresh = places(hello, "frames")
        data = put_together([one for one in mine if (one.file, one.frame) in fresh])
        if "payload_sha256" in hello:
            assert hashlib.sha256(data).hexdigest() == hello["payload_sha256"]


@pytest.mark.parametrize(
    "sample", [sample for sample in SAMPLES if not sample.path.is_dir()], ids=lambda sample: sample.name
)
def test_tshark_puts_the_same_hellos_together(sample: Sample, segments: list[Segment], tshark: Path) -> None:
    """Wireshark's own reassembly, where all of the stream is in one file."""
    streams = {segment.ends: segment.stream for segment in segments}
    wanted = {
        streams[hello["src"], hello["sport"], hello["dst"], hello["dport"]]: hello["payload_sha256"]
        for hello in sample.expected["hellos"]
        if "payload_sha256" in hello
    }
    if not wanted:
        return
    asked = [word for stream in wanted for word in ("-z", f"follow,tcp,raw,{stream}")]
    got = {}
    for part in run(tshark, "-q", "-r", sample.path, *asked).split("Filter: tcp.stream eq ")[1:]:
        number, _, rest = part.partition("\n")
        # Node 0 is the client; what the server sends is indented.
        lines = [
            line for line in rest.splitlines() if line and not line.startswith(("Node", "=", "\t", "Follow"))
        ]
        got[int(number)] = hashlib.sha256(bytes.fromhex("".join(lines))).hexdigest()
    assert got == wanted


@pytest.mark.parametrize("sample", SIMULATED, ids=lambda sample: sample.name)
def test_tshark_has_nothing_against_the_packets(sample: Sample, tshark: Path) -> None:
    """No malformed message and no wrong checksum."""
    for path in sample.files.values():
        assert run(tshark, *CHECKSUMS, "-r", path, "-Y", BAD) == ""


MESSAGE_FIELDS = (
    "frame.number",
    "dhcp.option.dhcp",
    "dhcp.option.domain_name",
    "dhcp.option.domain_name_server",
    "dns.qry.name",
    "dns.flags.response",
    "dns.flags.rcode",
    "dns.a",
    "dns.aaaa",
    "asf.iana",
    "asf.type",
    "asf.tag",
    "udp.payload",
)
DHCP_TYPES = {"1": "discover", "2": "offer", "3": "request", "5": "ack", "6": "nak"}
RMCP_TYPES = {0x80: "ping", 0x40: "pong"}
TELLING = [sample for sample in SAMPLES if "messages" in sample.expected]


def test_samples_tell_of_messages_of_all_three_protocols() -> None:
    told = {one["protocol"] for sample in TELLING for one in sample.expected["messages"]}
    assert told == {"dhcp", "dns", "rmcp"}
    assert len(TELLING) >= 23


@pytest.fixture(scope="module")
def messages(
    tshark: Path, need: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, dict[str, Any]]:
    """All DHCP, DNS and RMCP messages of the samples that tell of theirs, one after the other.

    One run of tshark over all of them: starting it takes longer than what it does here.
    """
    joined = tmp_path_factory.mktemp("joined") / "all.pcapng"
    run(need("mergecap"), "-a", "-w", joined, *(sample.path for sample in TELLING))
    shown = [word for field in MESSAGE_FIELDS for word in ("-e", field)]
    lines = run(
        tshark, "-r", joined, "-Y", "dhcp or dns or asf", "-T", "fields", *shown, "-E", "occurrence=a"
    ).splitlines()
    read = [_message(dict(zip(MESSAGE_FIELDS, line.split("\t"), strict=True))) for line in lines]
    return {message["frame"]: message for message in read}


def _message(shown: Mapping[str, str]) -> dict[str, Any]:
    """What tshark says of a message, in the words of expected.json."""
    frame = {"frame": int(shown["frame.number"])}
    if shown["dhcp.option.dhcp"]:
        return frame | {
            "protocol": "dhcp",
            "type": DHCP_TYPES[shown["dhcp.option.dhcp"]],
            "domain": shown["dhcp.option.domain_name"] or None,
            "dns": _list(shown["dhcp.option.domain_name_server"]),
        }
    if shown["dns.qry.name"]:
        asked = frame | {"protocol": "dns", "name": shown["dns.qry.name"]}
        if shown["dns.flags.response"] in ("0", "False"):  # before and since tshark 4.2
            return asked
        addresses = _list(shown["dns.a"]) + _list(shown["dns.aaaa"])
        return asked | {"rcode": int(shown["dns.flags.rcode"]), "addresses": addresses}
    assert int(shown["asf.iana"], 0) == 4542
    data = bytes.fromhex(shown["udp.payload"])
    kind = RMCP_TYPES[int(shown["asf.type"], 0)]
    told = frame | {"protocol": "rmcp", "type": kind, "tag": int(shown["asf.tag"], 0)}
    if kind == "ping":
        return told
    # What Intel's bytes of a pong mean, tshark does not know; their places are those of Intel's guide.
    assert data[12:16] == (343).to_bytes(4)
    version = [data[18] >> 4, data[18] & 15] if data[18] else [data[22], data[23]]
    return told | {"state": data[19], "port": int.from_bytes(data[16:18]), "version": version}


def _list(text: str) -> list[str]:
    return text.split(",") if text else []


@pytest.mark.parametrize("sample", TELLING, ids=lambda sample: sample.name)
def test_tshark_reads_the_same_messages(sample: Sample, messages: dict[int, dict[str, Any]]) -> None:
    counts = [sum(one.expected["packets"].values()) for one in TELLING]
    first = sum(counts[: TELLING.index(sample)])
    mine = [
        message | {"frame": frame - first}
        for frame, message in messages.items()
        if first < frame <= first + sum(sample.expected["packets"].values())
    ]
    assert mine == sample.expected["messages"]


def sample_named(name: str) -> Path:
    return next(sample.path for sample in SAMPLES if sample.name == name)


def test_the_psk_session_is_genuine(tshark: Path) -> None:
    """Given the passphrase, Wireshark decrypts it: key derivation, MACs and padding are right."""
    path = sample_named("psk-hello")
    shown = ("-Y", "http", "-T", "fields", "-e", "http.server", "-e", "http.request.uri")
    found = run(tshark, "-o", f"tls.psk:{SAMPLE_PPS.hex()}", "-r", path, *shown)
    assert "/wsman" in found
    assert "Intel(R) Active Management Technology" in found


def test_the_device_says_that_it_knows_no_such_authority(tshark: Path) -> None:
    path = sample_named("tls-cut-by-device")
    shown = ("-Y", "tls.alert_message.desc", "-T", "fields", "-e", "ip.src", "-e", "tls.alert_message.desc")
    assert set(run(tshark, "-r", path, *shown).split("\n")) == {"10.20.12.50\t48", ""}
