"""`amtdiag live` on a cable between two ends of a network namespace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import HELLO_ONLY, ROOT, SAMPLES, run
from wire import FAR, NEAR, Wire, capturing, inside, laid, packets_of, wanted_of

from amtdiag.capture.live.af_packet import Sniffer
from amtdiag.capture.prefilter import libpcap
from amtdiag.config import Options
from amtdiag.pipeline import interest
from amtdiag.simulator.certificates import server_identity

REFUSED = SAMPLES / "recorded" / "mesh_closed.pcapng"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with laid() as one:
        yield one


def until(ready: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def analysed(path: Path) -> list[dict[str, Any]]:
    ran = run("analyze", "--jsonl", path)
    return [json.loads(line) for line in ran.text.splitlines()]


def report(lines: list[dict[str, Any]], kinds: set[str]) -> list[dict[str, Any]]:
    return [line for line in lines if line["event_type"] in kinds and "timestamp" not in line]


def test_the_report_is_that_of_the_file_that_was_kept(wire: Wire, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    with capturing(wire, tmp_path, "-w", str(kept)) as live:
        wire.send(packets_of(REFUSED))
        until(lambda: any(line["event_type"] == "alert" for line in live.lines()))
        code, lines = live.end()
    assert code == 1
    assert packets_of(kept) == wanted_of(REFUSED)
    from_file = analysed(kept)
    kinds = {line["event_type"] for line in from_file} - {"hello", "capture", "summary"}
    assert {"connection", "dhcp", "dns", "device", "finding"} <= kinds
    assert report(lines, kinds) == report(from_file, kinds)
    (summary,), (same,) = report(lines, {"summary"}), report(from_file, {"summary"})
    assert summary == same
    (capture,), (of_file,) = report(lines, {"capture"}), report(from_file, {"capture"})
    for key in ("file", "packets", "bytes", "first_ts", "last_ts", "watched_until", "drops", "format"):
        assert capture[key] == of_file[key], key
    assert sum(line["event_type"] == "hello" for line in lines) == 1


def test_lines_have_the_shape_of_eve(wire: Wire, tmp_path: Path) -> None:
    with capturing(wire, tmp_path) as live:
        wire.send(packets_of(REFUSED))
        until(lambda: any(line["event_type"] == "alert" for line in live.lines()))
        _, lines = live.end()
    stream = [line for line in lines if "timestamp" in line]
    assert {line["event_type"] for line in stream} == {"hello", "alert", "stats", "flow", "dns", "dhcp"}
    (hello,) = [line for line in stream if line["event_type"] == "hello"]
    of_hello = [line for line in stream if line.get("flow_id") == hello["flow_id"]]
    assert {line["community_id"] for line in of_hello} == {hello["community_id"]}
    alerts = [line for line in stream if line["event_type"] == "alert"]
    of_live_alone = {"live-new-server/10.99.71.1"}
    assert {line["finding"]["id"] for line in alerts} - of_live_alone == {
        line["id"] for line in lines if line["event_type"] == "finding"
    }
    refused = next(line for line in alerts if line["finding"]["rule"] == "connect-back-refused")
    assert (refused["src_ip"], refused["dest_port"], refused["alert"]["severity"]) == ("10.99.71.1", 16993, 1)
    assert stream[-1]["stats"]["capture"]["kernel_drops"] == 0
    assert stream[-1]["stats"]["capture"]["kernel_packets"] == len(wanted_of(REFUSED))


def test_an_alert_that_was_overcome_is_withdrawn(wire: Wire, tmp_path: Path) -> None:
    """The server is refused, which is an alert; then the device opens its port."""
    packets = packets_of(SAMPLES / "connect-back-overcome.pcap")
    with capturing(wire, tmp_path) as live:
        wire.send(packets[:22])  # to the first refusal
        until(lambda: bool(told(live.lines(), {"alert"})))
        wire.send(packets[22:])
        until(lambda: bool(told(live.lines(), {"alert_withdrawn"})))
        _, lines = live.end()
    (raised,) = told(lines, {"alert"})
    (withdrawn,) = told(lines, {"alert_withdrawn"})
    assert withdrawn["reason"] == "a later attempt got through"
    for key in ("alert", "flow_id", "community_id", "pcap_cnt"):
        assert withdrawn[key] == raised[key]
    assert withdrawn["finding"]["id"] == raised["finding"]["id"]


def told(lines: list[dict[str, Any]], kinds: set[str]) -> list[dict[str, Any]]:
    """Alerts that the way back is closed, or such as were withdrawn."""
    return [
        line
        for line in lines
        if line["event_type"] in kinds and line["finding"]["rule"] == "connect-back-refused"
    ]


def test_my_own_certificate(wire: Wire, tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(server_identity("site12.example").chain)
    capture = SAMPLES / "tls-cut-by-device.pcapng"
    words = ("--cert", str(chain), "--root-of", str(chain))
    with capturing(wire, tmp_path, *words) as live:
        wire.send(packets_of(capture))
        until(lambda: any(line["event_type"] == "alert" for line in live.lines()))
        _, lines = live.end()
    from_file = [json.loads(line) for line in run("analyze", "--jsonl", *words, capture).text.splitlines()]
    found, same = (
        {line["rule"] for line in some if line["event_type"] == "finding" and "timestamp" not in line}
        for some in (lines, from_file)
    )
    assert {"own-chain-refused", "root-not-listed"} <= found == same
    assert found <= {line["finding"]["rule"] for line in lines if line["event_type"] == "alert"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_the_report(wire: Wire, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "report"
    with capturing(wire, tmp_path, "-o", str(folder), "--fail-on", "never") as live:
        wire.send(packets_of(HELLO_ONLY))
        until(lambda: bool(live.lines()))
        code, _ = live.end(number)
    assert code == 0
    assert len(json.loads((folder / "report.json").read_text())["devices"]) == 1


def test_what_a_killed_run_leaves_is_a_capture(wire: Wire, tmp_path: Path) -> None:
    with capturing(wire, tmp_path, "-w", str(tmp_path / "ring.pcapng"), "-b", "filesize:2") as live:
        for one in packets_of(REFUSED):
            wire.send([one])
            time.sleep(0.01)
        until(lambda: any(line["event_type"] == "hello" for line in live.lines()))
        time.sleep(1)  # packets gather in the kernel for a while
        live.process.kill()
        live.process.wait()
    files = sorted(tmp_path.glob("ring_*.pcapng"))
    assert len(files) > 1
    assert [one for path in files for one in packets_of(path)] == wanted_of(REFUSED)
    assert len([line for line in analysed(tmp_path) if line["event_type"] == "hello"]) == 1


def kept_in(folder: Path) -> dict[str, int]:
    """The files of a ring and their sizes."""
    found = {}
    for path in folder.glob("ring_*.pcapng"):
        with contextlib.suppress(FileNotFoundError):  # it made room
            found[path.name] = path.stat().st_size
    return found


def test_a_ring_keeps_so_many_files(wire: Wire, tmp_path: Path) -> None:
    ring = ("-b", "filesize:1", "-b", "files:3")
    with capturing(wire, tmp_path, "-w", str(tmp_path / "ring.pcapng"), *ring) as live:
        for one in packets_of(REFUSED):
            before = kept_in(tmp_path)
            wire.send([one])
            for _ in range(100):  # packets that come together go to one file, however large
                if kept_in(tmp_path) != before:
                    break
                time.sleep(0.01)
        _, lines = live.end()
    files = sorted(tmp_path.glob("ring_*.pcapng"))
    assert len(files) == 3
    named = [line["file"] for line in lines if line["event_type"] == "capture"]
    assert named[-3:] == [str(path) for path in files]


def test_an_interface_that_goes_and_comes_back(wire: Wire, tmp_path: Path) -> None:
    with capturing(wire, tmp_path) as live:
        wire.ip("link", "set", FAR, "down")
        live.wait_for(f"{FAR} is down")
        wire.ip("link", "set", FAR, "up")
        live.wait_for(f"{FAR} is up again")
        wire.send(packets_of(HELLO_ONLY))
        until(lambda: any(line["event_type"] == "hello" for line in live.lines()))
        live.said = ""
        wire.ip("link", "del", FAR)
        live.wait_for(f"{FAR} is down")
        wire.ip("link", "add", NEAR, "type", "veth", "peer", "name", FAR)
        for end in (NEAR, FAR):
            wire.ip("link", "set", end, "up")
        live.wait_for(f"{FAR} is up again")
        wire.near.bind((NEAR, 0))
        wire.send(packets_of(REFUSED))
        until(lambda: sum(line["event_type"] == "hello" for line in live.lines()) == 2)
        _, lines = live.end()
    (summary,) = [line for line in lines if line["event_type"] == "summary"]
    assert len([note for note in summary["notes"] if "is down" in note]) == 2


def test_two_interfaces_that_show_the_same(wire: Wire, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    with capturing(wire, tmp_path, "-i", NEAR, "-w", str(kept)) as live:
        wire.send(packets_of(REFUSED))
        until(lambda: any(line["event_type"] == "alert" for line in live.lines()))
        _, lines = live.end()
    assert sum(line["event_type"] == "hello" for line in lines) == 1
    assert sum(line["event_type"] == "device" for line in lines) == 1
    assert sorted(packets_of(kept)) == sorted(wanted_of(REFUSED) * 2)


@pytest.mark.needs("tcpdump")
@pytest.mark.parametrize("words", ["host 10.99.71.1 or", "port x\x1b[2J"])
def test_a_filter_that_is_none(words: str) -> None:
    """libpcap says why; without tcpdump there may be no libpcap."""
    ran = run("live", "-i", "lo", "-f", words)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert "\x1b" not in ran.err


def test_a_filter_without_libpcap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpcap, "_LIBRARIES", ("libpcap-that-is-not-there.so",))
    ran = run("live", "-i", "lo", "-f", "tcp")
    assert ran.code == 4
    (line,) = ran.err.splitlines()
    assert "-f needs libpcap" in line
    assert "apt-get install libpcap0.8" in line


def test_nothing_is_sent(wire: Wire, tmp_path: Path) -> None:
    with inside(wire.name):
        ear = Sniffer([NEAR], interest(Options()), any_port=True)
    with capturing(wire, tmp_path) as live:
        time.sleep(0.5)
        live.end()
    assert ear.read() == []
    ear.close()


def test_without_the_right_there_is_one_line_and_exit_code_4(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        ran = run("live", "-i", "lo")
        code, err = ran.code, ran.err
    else:
        # Root without its capabilities: whatever user there is, it can read this Python.
        drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
        words = [sys.executable, "-m", "amtdiag", "live", "-i", "lo"]
        done = subprocess.run([*drop, *words], capture_output=True, text=True, check=False, timeout=60)
        code, err = done.returncode, done.stderr
    assert code == 4
    (line,) = err.splitlines()
    assert f"sudo setcap cap_net_raw+ep {os.path.realpath(sys.executable)}" in line


def test_rights_are_given_up(wire: Wire, tmp_path: Path) -> None:
    with capturing(wire, tmp_path, "-w", str(tmp_path / "kept.pcapng")) as live:
        status = Path(f"/proc/{live.process.pid}/status").read_text()
        live.end()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
        assert int(fields[kind], 16) == 0, kind
    assert fields["NoNewPrivs"] == "1"


def python_for_all() -> str:
    """A Python that any user may run with amtdiag: this one, else the system's, which needs nothing more."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for one in filter(os.path.exists, (sys.executable, "/usr/bin/python3")):
        library = subprocess.run(
            [one, "-c", "import os, sys; print(os.__file__ if sys.version_info >= (3, 11) else '')"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        reads = "import sys; open(sys.argv[1]).close(); import amtdiag.cli.live"
        tried = subprocess.run(
            [*nobody, one, "-c", reads, library], capture_output=True, check=False, env=environment
        )
        if not tried.returncode:
            return one
    pytest.skip("nobody else can read this Python, nor has the system one that will do")


def test_files_belong_to_who_called_sudo(wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_to_all = Path("/var/tmp") / f"amtdiag-test-{os.getpid()}"
    open_to_all.mkdir(mode=0o777)
    open_to_all.chmod(0o777)
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    words = [python_for_all(), "-m", "amtdiag", "live", "-i", FAR, "-a", "duration:1"]
    try:
        done = subprocess.run(
            wire.command(*words, "-w", str(open_to_all / "kept.pcapng")),
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (open_to_all / "kept.pcapng").stat().st_uid == 65534
    finally:
        for path in open_to_all.iterdir():
            path.unlink()
        open_to_all.rmdir()


def test_text_on_a_terminal(wire: Wire) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "amtdiag", "live", "-i", FAR]
    process = subprocess.Popen(wire.command(*words), stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    shown = ""
    try:
        assert process.stderr is not None
        assert "capturing on" in process.stderr.readline()
        wire.send(packets_of(REFUSED))
        while "was refused" not in shown:
            shown += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the end of a terminal
            while more := os.read(ours, 65_536):
                shown += more.decode()
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
    assert "Hello 939b524b-13d4-1d18-e487-1c697a6b7a2b 10.99.71.48 -> 10.99.71.1:9971, retry 0" in shown
    assert "received, 0 dropped by the kernel, 0 by the interface; 1 devices" in shown
    assert "1 of 1 device is stuck" in shown


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-i", "nosuch0"], 3),
        (["-i", "../lo"], 3),
        (["-i", "lo", "-b", "filesize:1"], 2),
        (["-i", "lo", "-w", "x", "-b", "files:1"], 2),
        (["-i", "lo", "-b", "speed:1"], 2),
        (["-i", "lo", "-a", "files:1"], 2),
        (["-i", "lo", "--stuck-after", "-1"], 2),
        (["-i", "lo", "--cert-password-file", "x"], 2),
        (["-i", "lo", "--cert", "nothing-here"], 3),
        ([], 2),
    ],
)
def test_calls_that_make_no_sense(words: list[str], code: int) -> None:
    ran = run("live", *words)
    assert ran.code == code
    assert "Traceback" not in ran.err


def test_a_file_that_cannot_be_written(wire: Wire) -> None:
    words = wire.command(sys.executable, "-m", "amtdiag", "live", "-i", FAR, "-w", "/dev/full")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "amtdiag: /dev/full: No space left on device\n")


def test_a_full_disk_ends_the_file_and_not_the_capture(wire: Wire, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", small], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with capturing(wire, tmp_path, "-w", str(small / "kept.pcapng")) as live:
            for one in packets_of(REFUSED):
                wire.send([one])
                time.sleep(0.002)
            until(lambda: any(line["event_type"] == "hello" for line in live.lines()))
            _, lines = live.end()
        kept = packets_of(small / "kept.pcapng")
        assert kept == wanted_of(REFUSED)[: len(kept)]
    finally:
        subprocess.run(["umount", small], check=True)
    assert "No space left on device: no more packets are kept" in live.said
    (summary,) = [line for line in lines if line["event_type"] == "summary"]
    assert any("no more packets are kept" in note for note in summary["notes"])
