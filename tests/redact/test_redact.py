"""Captures, redacted: nothing of the original is left, and amtdiag says the same of what is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from helpers import SAMPLES, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose
from amtdiag.protocols.hello import PLACEHOLDER_UUIDS
from amtdiag.redact.pseudonyms import KEPT_USERS
from amtdiag.redact.run import key_of, redact

KEY, OTHER = key_of(b"one"), key_of(b"another")
CAPTURES = sorted(
    capture
    for expected in SAMPLES.rglob("*.expected.json")
    for capture in expected.parent.iterdir()
    if capture != expected and capture.name.split(".")[0] == expected.name.split(".")[0]
    and not capture.name.endswith(".json")
)  # fmt: skip
WELL_KNOWN = frozenset(
    b"arpa com corp home in-addr internal intranet ip6 lan local localdomain net private provisionserver"
    b"".split()
)
OF_CERTIFICATES = re.compile(r"certificate-|chain-|refused-for-no-visible-reason|tls-ended|own-")
ADDRESS = re.compile(r"[0-9a-f]+(?:[.:]+[0-9a-f]*){2,}")


def named(capture: Path) -> str:
    return str(capture.relative_to(SAMPLES))


def facts(diagnosis: Diagnosis) -> dict[str, list[object]]:
    """What must stay: who is where, what happened when, how it ended."""
    order: dict[str | None, int] = {one.id: at for at, one in enumerate(diagnosis.devices)}
    return {
        "devices": [
            (one.stage, one.mode.name, one.mode.basis, one.mode.since, len(one.ips))
            for one in diagnosis.devices
        ],
        "connections": [
            (one.ts, one.last_ts, one.outcome, one.ends.sport, one.ends.dport, one.client_bytes)
            for one in diagnosis.connections
        ],
        "hellos": [
            (one.event.ts, one.event.hello.version, one.event.hello.complete, one.event.hello.pid_check_ok)
            for one in diagnosis.hellos
        ],
        "dhcp": [(one.ts, one.kind) for one in diagnosis.dhcp],
        "lookups": [one.ts for one in diagnosis.lookups],
        "pongs": [one.ts for one in diagnosis.pongs],
        "findings": [(one.rule, order.get(one.device), one.count) for one in diagnosis.findings],
        "unknowns": [(ADDRESS.sub("A", one.what), order.get(one.device)) for one in diagnosis.unknowns],
    }


@pytest.mark.parametrize("capture", CAPTURES, ids=named)
def test_the_analysis_is_the_same(capture: Path, tmp_path: Path) -> None:
    """With certificates all of it; without them all but what they tell, and nothing leaks."""
    original = diagnose([capture])
    wanted = facts(original)
    kept, dropped = tmp_path / "kept", tmp_path / "dropped"
    redact([capture], kept, KEY, keep_certificates=True)
    redact([capture], dropped, KEY)
    assert facts(diagnose([kept])) == wanted
    without = diagnose([dropped])
    found = facts(without)
    for one in (wanted, found):
        one["findings"] = [
            finding
            for finding, of in zip(
                one["findings"], (original if one is wanted else without).findings, strict=True
            )
            if not OF_CERTIFICATES.match(of.rule)
        ]
        one["unknowns"] = [what for what in one["unknowns"] if "certificates" not in str(what)]
    assert found == wanted
    written = b"".join(path.read_bytes() for path in _files(dropped))
    assert [secret for secret in _secrets(original) if secret in written] == []
    lower = written.lower()
    assert [word for word in _words(original) if word.lower() in lower] == []


def _files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def _secrets(diagnosis: Diagnosis) -> Iterator[bytes]:
    """Addresses, MACs, UUIDs and certificates as they are on the wire."""
    for text in _addresses(diagnosis):
        address = ip_address(text)
        if not (address.is_multicast or address.is_unspecified or text == "255.255.255.255"):
            yield address.packed
    for link in diagnosis.connections:
        for mac in (link.ends.src_mac, link.ends.dst_mac):
            if mac and not int(mac[:2], 16) & 1:
                yield bytes.fromhex(mac.replace(":", ""))
        for chain in (link.tls.client_chain, link.tls.server_chain) if link.tls else ():
            for der in chain.der if chain else ():
                yield der[8:40]
    for record in diagnosis.hellos:
        shown = record.event.hello.uuid
        if shown and shown not in PLACEHOLDER_UUIDS:
            uuid = UUID(shown)
            yield from (uuid.bytes, uuid.bytes_le)


def _addresses(diagnosis: Diagnosis) -> set[str]:
    found = {text for device in diagnosis.devices for text in device.ips}
    return found.union(*((link.ends.src, link.ends.dst) for link in diagnosis.connections))


def _words(diagnosis: Diagnosis) -> Iterator[bytes]:
    """Names, users, realms, PIDs and UUIDs as text."""
    names = [lookup.name for lookup in diagnosis.lookups]
    names += [name for one in diagnosis.dhcp for name in (one.host, one.domain, one.fqdn) if name]
    for name in names:
        for label in name.encode().split(b"."):
            if len(label) > 3 and label.lower() not in WELL_KNOWN:
                yield label
    for link in diagnosis.connections:
        for exchange in link.talk.exchanges if link.talk else ():
            if exchange.user and exchange.user.encode() not in KEPT_USERS:
                yield exchange.user.encode()
            if exchange.realm:
                yield exchange.realm.removeprefix("Digest:").encode()
    for link in diagnosis.connections:
        for text in (link.tls.server_name, link.tls.psk_identity) if link.tls else ():
            if text:
                yield text.encode()
    for record in diagnosis.hellos:
        hello = record.event.hello
        if hello.uuid and hello.uuid not in PLACEHOLDER_UUIDS:
            yield hello.uuid.encode()
        if hello.pid:
            yield hello.pid.encode()
            yield hello.pid.replace("-", "").encode()


@pytest.mark.parametrize("name", ["ring", "lab/two-sensors-back-dropped", "lab/two-sensors-ok"])
def test_a_folder_becomes_a_folder(name: str, tmp_path: Path) -> None:
    """Files of one sensor stay one sensor's, under names that say nothing."""
    target = tmp_path / "out"
    redact([SAMPLES / name], target, KEY, keep_certificates=True)
    assert facts(diagnose([target])) == facts(diagnose([SAMPLES / name]))
    assert all(re.fullmatch(r"[a-z]_\d{5}\.pcapng", path.name) for path in target.iterdir())


MERGED = ["hard-to-read.pcapng", "ipv6.pcapng", "web-commit.pcapng.gz", "psk-differs.pcapng.gz", "nat.pcapng",
    "chain-accepted.pcapng.gz", "connect-back-rejected.pcapng", "lab/ipv6-only.pcapng", "rmcp-modes.pcapng",
    "redirection-in-clear.pcapng.gz", "lossy-capture.pcapng"]  # fmt: skip
WRONG = " || ".join(f"{one}.checksum.status==0" for one in ("ip", "tcp", "udp", "icmp", "icmpv6"))


@pytest.mark.parametrize("name", MERGED)
def test_wireshark_finds_nothing_wrong(name: str, tmp_path: Path, tshark: Path) -> None:
    """Checksums are right, and nothing is malformed that was not."""

    def wrong(capture: Path) -> set[str]:
        options = [f"-o{one}.check_checksum:TRUE" for one in ("ip", "tcp", "udp")]
        shown = ["-Tfields", "-eframe.time_epoch", "-Y", f"_ws.malformed || {WRONG}"]
        done = subprocess.run(
            [tshark, "-nr", capture, *options, *shown], capture_output=True, text=True, check=True
        )
        return set(done.stdout.split())

    target = tmp_path / "kept.pcapng"
    redact([SAMPLES / name], target, KEY, keep_certificates=True)
    assert wrong(target) <= wrong(SAMPLES / name)


def test_one_key_gives_one_file(tmp_path: Path) -> None:
    """And another key another."""
    capture = SAMPLES / "psk-hello.pcapng"
    for name, key in (("a", KEY), ("b", KEY), ("c", OTHER)):
        redact([capture], tmp_path / name, key)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


MUTATED = [SAMPLES / name for name in ("ipv6.pcapng", "recorded/h1_single.pcap", "dns-nxdomain.pcapng")]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(MUTATED), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=30)
)  # fmt: skip
def test_damage_is_no_error(tmp_path: Path, capture: Path, changes: list[tuple[float, int]]) -> None:
    """Whatever the bytes of a capture are: each packet that is kept stays as long as it was."""
    data = bytearray(capture.read_bytes())
    for place, value in changes:
        at = 32 + int(place * (len(data) - 32))
        data[at] = value
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(data)
    done = redact([source], target, KEY, force=True)
    assert sum(one.packets for one in diagnose([target]).captures) == done.packets


def test_the_command_says_what_it_kept(tmp_path: Path) -> None:
    """One line on standard error; a key file gives the same again."""
    key = tmp_path / "key"
    key.write_bytes(b"secret")
    capture = SAMPLES / "chain-accepted.pcapng.gz"
    for name in ("a.pcapng", "b.pcapng"):
        done = run("redact", str(capture), str(tmp_path / name), "--key", str(key))
        assert done.code == 0
        assert re.fullmatch(
            r"amtdiag: [\d,]+ of [\d,]+ packets kept, 1 device, \d certificates dropped\n", done.err
        )
    assert (tmp_path / "a.pcapng").read_bytes() == (tmp_path / "b.pcapng").read_bytes()


def test_what_is_refused(tmp_path: Path) -> None:
    """One line each, and no file is touched."""
    capture, out = tmp_path / "in.pcap", tmp_path / "out.pcapng"
    capture.write_bytes((SAMPLES / "recorded" / "h1_single.pcap").read_bytes())
    out.write_bytes(b"mine")
    empty = tmp_path / "empty"
    empty.touch()
    for words, why in (
        (["-", str(tmp_path / "new")], "cannot be read twice"),
        ([str(capture), str(capture), "--force"], "where captures are read from"),
        ([str(tmp_path), str(tmp_path / "new")], "where captures are read from"),
        ([str(capture), str(out)], "exists already"),
        ([str(capture), "-"], "not to standard output"),
        ([str(capture), str(tmp_path / "new"), "--key", str(empty)], "an empty key"),
        ([str(capture), str(tmp_path / "none" / "new")], "no such folder"),
    ):
        done = run("redact", *words)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert why in done.err
    assert out.read_bytes() == b"mine"
    assert not (tmp_path / "new").exists()
