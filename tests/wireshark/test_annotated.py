"""`analyze --annotate`: the packets that matter are as they were, and say what was found about them."""

from __future__ import annotations

import io
import os
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from helpers import SAMPLES, run, spawn, unsafe_characters
from test_samples import Sample, every_sample

from amtdiag.capture.files.spooled_pipe import Copy
from amtdiag.capture.frame_index import FrameIndex
from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose
from amtdiag.wireshark.annotated import Annotated, write_annotated
from amtdiag.wireshark.comments import packet_comments

REFUSED = SAMPLES / "connect-back-refused.pcapng"
SEVERAL_PLACES = "lab/two-sensors"
"""What was captured at two places looks, in one file, as if it had been at one."""
WAS = re.compile(r"was frame (\d+) of (\S+)\]$")


class Written(NamedTuple):
    diagnosis: Diagnosis
    path: Path
    told: Annotated


def annotate(target: Path, *paths: Path) -> Written:
    kept = FrameIndex()
    diagnosis = diagnose(paths, kept=kept)
    return Written(diagnosis, target, write_annotated(diagnosis, kept, target))


def found(diagnosis: Diagnosis) -> Any:
    """What a diagnosis says, but for frame numbers."""
    return (
        Counter(
            (
                one.rule,
                one.severity,
                one.device,
                one.basis,
                one.count,
                one.first_ts,
                one.last_ts,
                one.overcome,
            )
            for one in diagnosis.findings
        ),
        Counter((one.id, one.stage, one.mode.name, one.hellos, one.ips) for one in diagnosis.devices),
        Counter((one.what, one.why, one.device) for one in diagnosis.unknowns),
        [record.event.hello for record in diagnosis.hellos],
    )


@every_sample
def test_it_is_diagnosed_as_its_source_was(sample: Sample, tmp_path: Path) -> None:
    written = annotate(tmp_path / "out.pcapng", sample.path)
    assert written.told.notes == ()
    assert written.told.packets <= sum(sample.expected["packets"].values())
    again = diagnose([written.path])
    if sample.name.startswith(SEVERAL_PLACES):
        assert {one.rule for one in again.findings} == {one.rule for one in written.diagnosis.findings}
    else:
        assert found(again) == found(written.diagnosis)


class Packet(NamedTuple):
    time: str
    kind: str
    size: str
    md5: str
    comments: list[str]


def packets(tshark: Path, path: Path) -> list[Packet]:
    """All packets of a file, as tshark has them."""
    fields = ("frame.time_epoch", "frame.encap_type", "frame.len", "frame.md5_hash", "frame.comment")
    shown = [word for field in fields for word in ("-e", field)]
    options = ("-E", "occurrence=a", "-E", "aggregator=~", "-o", "frame.generate_md5_hash:TRUE")
    done = subprocess.run(
        [tshark, "-n", "-r", path, "-T", "fields", *shown, *options],
        capture_output=True,
        check=True,
        timeout=60,
    )
    cells = [line.split("\t") for line in done.stdout.decode().splitlines()]
    return [
        Packet(time, kind, size, md5, comments.split("~") if comments else [])
        for time, kind, size, md5, comments in cells
    ]


SOURCES = [
    SAMPLES / "bad-pid.pcap",
    SAMPLES / "psk-hello.pcapng",
    SAMPLES / "web-commit-refused.pcapng.gz",
    SAMPLES / "ring",
]


def test_tshark_sees_the_same_packets_and_the_comments(tshark: Path, capinfos: Path, tmp_path: Path) -> None:
    written = annotate(tmp_path / "out.pcapng", *SOURCES)
    got = packets(tshark, written.path)
    assert len(got) == written.told.packets
    sources = {one.file: packets(tshark, Path(one.file)) for one in written.diagnosis.captures}
    assert len(sources) == 6
    there = Counter(one[:4] for all_ in sources.values() for one in all_)
    assert Counter(one[:4] for one in got) <= there
    commented = set()
    for packet in got:
        for comment in packet.comments:
            place = WAS.search(comment)
            assert place
            frame, file = int(place[1]), place[2]
            assert packet[:4] == sources[file][frame - 1][:4]
            commented.add((file, frame))
    wanted = packet_comments(written.diagnosis)
    assert commented == {(place.file, place.frame) for place in wanted}
    assert len(commented) > 20
    assert Counter(text for one in got for text in one.comments) == Counter(
        text for texts in wanted.values() for text in texts
    )


def test_interfaces_and_resolutions_are_kept(capinfos: Path, tmp_path: Path) -> None:
    written = annotate(tmp_path / "out.pcapng", *SOURCES)
    shown = subprocess.run(
        [capinfos, "-I", "-M", written.path], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    told = dict(re.findall(r"Description = of (\S+)\n.*\n.*\n.*Time precision = (\w+)", shown))
    units = {"pcap": "microseconds", "pcapng": "nanoseconds", "pcapng.gz": "nanoseconds"}
    assert told == {one.file: units[one.format] for one in written.diagnosis.captures}
    assert shown.count("Name = span0") == 2


def test_the_comment_of_the_whole_is_the_verdict(capinfos: Path, tmp_path: Path) -> None:
    written = annotate(tmp_path / "out.pcapng", REFUSED)
    shown = subprocess.run(
        [capinfos, "-k", written.path], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert "First to fix: the way back to the device is closed (1 device)." in shown
    assert f"{REFUSED} (74 packets)" in shown


def test_comments_of_the_source_stay(tshark: Path, need: Callable[[str], Path], tmp_path: Path) -> None:
    source = tmp_path / "source.pcapng"
    subprocess.run([need("editcap"), "-a", "21:look here", REFUSED, source], check=True, timeout=60)
    first, *others = packets(tshark, annotate(tmp_path / "out.pcapng", source).path)[20].comments
    assert first == "look here"
    assert others[0].startswith("amtdiag error: The way back to the device is closed.")


def test_nothing_in_a_name_can_act(tshark: Path, tmp_path: Path) -> None:
    source = tmp_path / "a\x1b[2J\u202eb.pcapng"
    source.write_bytes(REFUSED.read_bytes())
    comments = [
        one
        for packet in packets(tshark, annotate(tmp_path / "out.pcapng", source).path)
        for one in packet.comments
    ]
    assert comments
    assert [one for one in comments if unsafe_characters(one)] == []
    assert all("a\\x1b[2J\\u202eb.pcapng" in one for one in comments)


def test_a_pipe_is_read_twice(tmp_path: Path) -> None:
    from_file = annotate(tmp_path / "file.pcapng", REFUSED)
    target = tmp_path / "out.pcapng"
    ran = spawn("analyze", "--json", "-", "--annotate", target, stdin=REFUSED.read_bytes())
    assert ran.returncode == 1
    assert f"{target}: {from_file.told.packets} packets" in ran.stderr.decode()
    assert found(diagnose([target])) == found(from_file.diagnosis)
    assert b"of standard input]" in target.read_bytes()


def test_so_is_a_named_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=lambda: pipe.write_bytes(REFUSED.read_bytes()))
    thread.start()
    written = annotate(tmp_path / "out.pcapng", pipe)
    thread.join()
    assert written.told.packets == annotate(tmp_path / "again.pcapng", REFUSED).told.packets


def test_of_a_long_pipe_the_beginning_is_kept() -> None:
    copy = Copy(io.BytesIO(bytes(range(100))), most=30)
    assert copy.read(20) + copy.read(80) == bytes(range(100))
    assert copy.is_full
    assert copy.again().read(100) == bytes(range(30))
    copy.close()
    with closing(Copy(io.BytesIO(b"x"), most=30)) as short:
        assert short.read(20) == b"x"
        assert not short.is_full


def test_secrets_that_a_file_brings_stay_with_it(need: Callable[[str], Path], tmp_path: Path) -> None:
    log = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\n"
    (tmp_path / "keys.log").write_bytes(log)
    source = tmp_path / "source.pcapng"
    words: list[str | Path] = [
        "--inject-secrets",
        f"tls,{tmp_path / 'keys.log'}",
        SAMPLES / "chain-accepted.pcapng.gz",
        source,
    ]
    subprocess.run([str(need("editcap")), *words], check=True, timeout=60)
    assert log.strip() in annotate(tmp_path / "out.pcapng", source).path.read_bytes()


def test_secrets_of_the_user_do_not_go_in(tshark: Path, tmp_path: Path) -> None:
    secret = "ef" * 48
    log = tmp_path / "keys.log"
    log.write_text(f"CLIENT_RANDOM {'ab' * 32} {secret}\n", encoding="ascii")
    target = tmp_path / "out.pcapng"
    source = SAMPLES / "chain-accepted.pcapng.gz"
    assert run("analyze", source, "--keylog", log, "--annotate", target).code in (0, 1)
    assert secret.encode() not in target.read_bytes()
    assert len(packets(tshark, target)) > 10


def test_where_it_is_not_written(tmp_path: Path) -> None:
    source = tmp_path / "in" / "source.pcapng"
    source.parent.mkdir()
    source.write_bytes(REFUSED.read_bytes())
    wrong = ("-", source, source.parent / "new.pcapng", tmp_path, tmp_path / "none" / "out.pcapng")
    for target in wrong:
        ran = run("analyze", source.parent, "--annotate", target)
        assert (ran.code, ran.text) == (2, ""), target
        assert len(ran.err.splitlines()) == 1
    assert source.read_bytes() == REFUSED.read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "source.pcapng"]
