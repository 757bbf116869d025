"""What amtdiag reads of every lane, held against tshark: the same files, the same facts.

tshark runs once over all files one behind the other: starting it takes longer than what it does here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import run as run_amtdiag
from test_samples import FOLDER, SAMPLES
from test_samples_oracle import run

FILES = sorted({path for sample in SAMPLES for path in sample.files.values()})
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
WATCHED = frozenset({9971, 9972, 16992, 16993, 16994, 16995, 664, 4433})
FIELDS = (
    "frame.number", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst", "tcp.srcport", "tcp.dstport", "tcp.flags",
    "tcp.len", "tcp.seq_raw", "tcp.stream", "dhcp.option.dhcp", "dhcp.hw.mac_addr", "dhcp.option.domain_name",
    "dhcp.option.domain_name_server", "dhcp.option.hostname", "dhcp.option.dhcp_server_id",
    "dhcp.fqdn.name", "dhcp.ip.your", "dns.id", "dns.flags.response", "dns.flags.rcode", "dns.qry.name",
    "dns.qry.type", "dns.a", "dns.aaaa", "dns.cname", "asf.type", "udp.payload", "udp.srcport", "udp.dstport",
    "tls.alert_message.desc", "tls.record.content_type", "icmp.type", "icmp.code", "http.request.method",
    "http.request.uri", "http.response.code", "http.server", "http.authorization",
)  # fmt: skip
FIN, SYN, RST, ACK = 1, 2, 4, 16
KINDS = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}
RCODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
MODES = {0: "factory", 1: "setup", 2: "operational"}

Row = Mapping[str, str]


@pytest.fixture(scope="module")
def shown(
    tshark: Path, need: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, list[Row]]:
    """By file: what tshark shows of each frame."""
    folder = tmp_path_factory.mktemp("joined")
    words = [word for field in FIELDS for word in ("-e", field)]
    found: dict[Path, list[Row]] = {}
    # Of one connection that two sensors saw, tshark would take the second view for repetition.
    second = [path for path in FILES if path.name == "server.pcapng"]
    for batch in ([path for path in FILES if path not in second], second):
        joined = folder / f"{len(batch)}.pcapng"
        run(need("mergecap"), "-a", "-w", joined, *batch)
        lines = run(tshark, "-r", joined, "-T", "fields", *words, "-E", "occurrence=a").splitlines()
        rows = iter([dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines])
        for path in batch:
            count = int(run(need("capinfos"), "-c", "-M", "-T", "-r", path).split("\t")[1])
            found[path] = [next(rows) for _ in range(count)]
    return found


def events_of(path: Path, kind: str) -> list[Any]:
    printed = run_amtdiag("analyze", "--jsonl", "--fail-on", "never", path).text
    return [event for event in map(json.loads, printed.splitlines()) if event["event_type"] == kind]


def first(row: Row, *names: str) -> str:
    return next((row[name].split(",")[0] for name in names if row[name]), "")


def number(text: str) -> int:
    return int(text, 0) if text else 0


def plain(rows: list[Row]) -> Iterator[Row]:
    """Frames that are no ICMP: those quote the headers of others."""
    yield from (row for row in rows if not row["icmp.type"])


# -------------------------------------------------------------------------------------------------------- TCP


@every_file
def test_every_connection_came_to_the_same(path: Path, shown: dict[Path, list[Row]]) -> None:
    """Outcome of each connection to a port of AMT, by flags alone."""
    streams: defaultdict[str, list[Row]] = defaultdict(list)
    for row in plain(shown[path]):
        ports = {number(first(row, "tcp.srcport")), number(first(row, "tcp.dstport"))}
        if ports & WATCHED:
            streams[first(row, "tcp.stream")].append(row)
    wanted = sorted(filter(None, map(outcome_of, streams.values())))
    got = sorted(
        (one["src"], one["sport"], one["dst"], one["dport"], one["outcome"])
        for one in events_of(path, "connection")
        if one["dport"] in WATCHED
    )
    # What an ICMP message says about an attempt tshark leaves to the reader.
    got = [(*ends, "unanswered" if outcome == "rejected" else outcome) for *ends, outcome in got]
    assert got == wanted


def outcome_of(rows: list[Row]) -> tuple[str, int, str, int, str] | None:
    opening = next((row for row in rows if flags_of(row) & (SYN | ACK) == SYN), None)
    answer = next((row for row in rows if flags_of(row) & (SYN | ACK) == SYN | ACK), None)
    src, sport, dst, dport = ends_of(opening or rows[0])
    if opening is None and (answer is not None or (sport in WATCHED and dport not in WATCHED)):
        src, sport, dst, dport = ends_of(answer or rows[0])
        src, sport, dst, dport = dst, dport, src, sport
    if dport not in WATCHED:
        return None
    resets = [ends_of(row)[:2] for row in rows if flags_of(row) & RST]
    if opening is not None and answer is None:
        if (dst, dport) in resets:
            return src, sport, dst, dport, "refused"
        if not any(ends_of(row)[:2] == (dst, dport) or number(first(row, "tcp.len")) for row in rows):
            return src, sport, dst, dport, "unanswered"
    if resets and (answer is not None or opening is None):
        return src, sport, dst, dport, "reset"
    return src, sport, dst, dport, "established" if answer is not None else "partial"


def flags_of(row: Row) -> int:
    return number(first(row, "tcp.flags"))


def ends_of(row: Row) -> tuple[str, int, str, int]:
    return (
        first(row, "ip.src", "ipv6.src"),
        number(first(row, "tcp.srcport")),
        first(row, "ip.dst", "ipv6.dst"),
        number(first(row, "tcp.dstport")),
    )


@every_file
def test_every_handshake_came_as_far(path: Path, shown: dict[Path, list[Row]]) -> None:
    """Alerts in the clear, and on which sides the cipher was changed."""
    alerts: dict[tuple[str, int, str, int], tuple[str, int]] = {}
    changed: defaultdict[tuple[str, int, str, int], set[str]] = defaultdict(set)
    for row in plain(shown[path]):
        src, sport, dst, dport = ends_of(row)
        if 16993 not in (sport, dport):
            continue
        key = (dst, dport, src, sport) if sport == 16993 else (src, sport, dst, dport)
        side = "server" if sport == 16993 else "client"
        if "20" in row["tls.record.content_type"].split(","):
            changed[key].add(side)
        if row["tls.alert_message.desc"] and side not in changed[key]:
            alerts.setdefault(key, (side, number(first(row, "tls.alert_message.desc"))))
    got = {
        (one["src"], one["sport"], one["dst"], one["dport"]): one["tls"]
        for one in events_of(path, "connection")
        if one["dport"] == 16993 and one["tls"]
    }
    assert {key: (tls["alert_by"], tls["alert"]) for key, tls in got.items() if tls["alert_by"]} == alerts
    finished = {key for key, tls in got.items() if tls["finished"]}
    assert finished == {key for key, sides in changed.items() if len(sides) == 2}


# ------------------------------------------------------------------------------------------- DHCP, DNS, RMCP


@every_file
def test_every_dhcp_message_says_the_same(path: Path, shown: dict[Path, list[Row]]) -> None:
    wanted = [
        (
            number(row["frame.number"]) - number(shown[path][0]["frame.number"]) + 1,
            KINDS[number(first(row, "dhcp.option.dhcp"))],
            first(row, "dhcp.hw.mac_addr"),
            first(row, "dhcp.option.domain_name").lower() or None,
            tuple(filter(None, row["dhcp.option.domain_name_server"].split(","))),
            first(row, "dhcp.option.hostname").lower() or None,
            first(row, "dhcp.option.dhcp_server_id") or None,
        )
        for row in plain(shown[path])
        if row["dhcp.option.dhcp"]
    ]
    got = [
        (
            one["evidence"][0]["frame"], one["kind"], one["mac"], one["domain"], tuple(one["dns"]),
            one["host"], one["server"],
        )
        for one in events_of(path, "dhcp")
        if one["version"] == 4
    ]  # fmt: skip
    assert sorted(got, key=str) == sorted(wanted, key=str)


@every_file
def test_every_question_for_a_server_was_answered_alike(path: Path, shown: dict[Path, list[Row]]) -> None:
    answers: dict[tuple[str, str, str], tuple[str | None, set[str]]] = {}
    for row in plain(shown[path]):
        name = first(row, "dns.qry.name").lower()
        if name.split(".")[0] != "provisionserver":
            continue
        kind = {"1": "A", "28": "AAAA"}[first(row, "dns.qry.type")]
        is_answer = first(row, "dns.flags.response") in ("1", "True")
        client = first(row, "ip.dst", "ipv6.dst") if is_answer else first(row, "ip.src", "ipv6.src")
        rcode, addresses = answers.setdefault((client, name, kind), (None, set()))
        if is_answer:
            rcode = RCODES[number(first(row, "dns.flags.rcode"))]
            addresses |= {one for field in ("dns.a", "dns.aaaa") for one in row[field].split(",") if one}
            answers[client, name, kind] = (rcode, addresses)
    got: dict[tuple[str, str, str], tuple[str | None, set[str]]] = {}
    for one in events_of(path, "dns"):
        if one["name"].split(".")[0] == "provisionserver":
            key = one["client"], one["name"], one["type"]
            rcode, addresses = got.setdefault(key, (None, set()))
            addresses |= {*one["addresses"], *one["other_addresses"]}
            got[key] = (one["rcode"] or rcode, addresses)
    assert got == answers


@every_file
def test_every_pong_says_the_same(path: Path, shown: dict[Path, list[Row]]) -> None:
    wanted = []
    for row in plain(shown[path]):
        if number(first(row, "asf.type")) != 0x40:
            continue
        data = bytes.fromhex(first(row, "udp.payload"))
        version = (data[18] >> 4, data[18] & 15) if data[18] else (data[22], data[23])
        wanted.append(
            (
                first(row, "ip.src", "ipv6.src"),
                MODES[data[19] & 3],
                f"{version[0]}.{version[1]}",
                int.from_bytes(data[16:18]) or None,
            )
        )
    got = [
        (one["device_address"], one["mode"], one["version"], one["port"]) for one in events_of(path, "rmcp")
    ]
    assert sorted(got, key=str) == sorted(wanted, key=str)


@every_file
def test_every_http_message_says_the_same(path: Path, shown: dict[Path, list[Row]]) -> None:
    """Requests with method, path and user; answers with status and server; each at the frame of its end."""
    rows = [row for row in plain(shown[path]) if "16992" in (row["tcp.srcport"], row["tcp.dstport"])]
    asked = [
        (row["http.request.method"], row["http.request.uri"], 'username="admin"' in row["http.authorization"])
        for row in rows
        if row["http.request.method"]
    ]
    answered = [
        (number(row["http.response.code"]), row["http.server"].rpartition(" ")[2])
        for row in rows
        if row["http.response.code"]
    ]
    talks = [one["http"] for one in events_of(path, "connection") if one["http"]]
    exchanges = [one for talk in talks for one in talk["exchanges"]]
    assert [
        (one["method"], one["path"], one["user"] == "admin") for one in exchanges if one["method"]
    ] == asked
    assert [(one["status"], one["server_version"]) for one in exchanges if one["status"]] == answered
    frames = {frame["frame"] for one in exchanges for frame in one["evidence"]}
    ends = {
        number(row["frame.number"]) for row in rows if row["http.request.method"] or row["http.response.code"]
    }
    offset = number(shown[path][0]["frame.number"]) - 1
    assert {one - offset for one in ends} <= frames
