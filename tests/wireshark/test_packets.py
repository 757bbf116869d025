"""`Analysis.packets`: evidence as Wireshark dissects it, by pyshark or without it, in a running loop too."""

from __future__ import annotations

import asyncio
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from helpers import SAMPLES

import amtdiag
from amtdiag.errors import InputError, MissingToolError, UsageError
from amtdiag.wireshark import packets as module
from amtdiag.wireshark.packets import Packet

PKI = SAMPLES / "planted-root.pcapng"
PYSHARK = sys.version_info < (3, 14)

pytestmark = pytest.mark.usefixtures("tshark")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyshark remembers there what it has asked tshark."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def without_pyshark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyshark", None)


def hello_fields(packets: list[Any]) -> list[dict[str, str]]:
    """The fields of our dissector in all packets, as text."""
    names = ("uuid", "type", "retry", "digests", "digest_value", "digest_name", "digest_verdict", "complete")
    layers = [packet.intelamt for packet in packets if "intelamt" in packet]
    return [{name: str(getattr(layer, name)) for name in names} for layer in layers]


def plainly(analysis: amtdiag.Analysis, **asked: Any) -> list[Packet]:
    """Without pyshark, which is said."""
    with pytest.warns(UserWarning, match="pyshark is not installed"):
        return analysis.packets(**asked)


@pytest.mark.skipif(not PYSHARK, reason="pyshark does not run on this Python")
def test_both_ways_give_the_same_and_a_running_loop_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = amtdiag.read(PKI)

    async def in_a_notebook() -> list[Any]:
        await asyncio.sleep(0)
        return analysis.packets()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with_pyshark = asyncio.run(in_a_notebook())
    assert type(with_pyshark[0]).__module__.startswith("pyshark")
    monkeypatch.setitem(sys.modules, "pyshark", None)
    without = plainly(analysis)
    assert [int(one.number) for one in with_pyshark] == [one.number for one in without]
    assert hello_fields(with_pyshark) == hello_fields(without) != []
    record = analysis.diagnosis.hellos[0]
    (layer,) = [one.intelamt for one in without if "intelamt" in one]
    assert layer.digest_value == [one.digest.value for one in record.digests]
    assert layer.get("uuid") == record.event.hello.uuid
    assert layer.digests == record.event.hello.declared_digests
    assert with_pyshark[0].frame_info.protocols == without[0].frame_info.protocols


@pytest.mark.usefixtures("without_pyshark")
def test_what_is_meant() -> None:
    analysis = amtdiag.read(PKI)
    found = next(one for one in analysis.diagnosis.findings if one.rule == "unknown-digest")
    frames = [one.frame for one in found.evidence]
    for asked in ({"finding": "unknown-digest"}, {"finding": found.id}):
        assert [one.number for one in plainly(analysis, **asked)] == frames
    numbers = {one.number for one in plainly(analysis, device=analysis.diagnosis.devices[0].uuid)}
    assert set(frames) < numbers
    assert (
        plainly(analysis, device=analysis.diagnosis.devices[0].id, frames=[frames[0], 1])[0].number in numbers
    )
    with pytest.raises(UsageError, match="no finding here that 'nonsense' names"):
        analysis.packets(finding="nonsense")
    with pytest.raises(UsageError, match="no device here"):
        analysis.packets("nobody")


@pytest.mark.usefixtures("without_pyshark")
def test_several_files() -> None:
    analysis = amtdiag.read(SAMPLES / "ring")
    last = analysis.diagnosis.captures[-1].file
    (packet,) = plainly(analysis, frames=[(last, 2)])
    assert packet.number == 2
    with pytest.raises(UsageError, match="as a pair"):
        analysis.packets(frames=[2])


@pytest.mark.usefixtures("without_pyshark")
def test_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PACKETS", 3)
    analysis = amtdiag.read(PKI)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert len(analysis.packets(frames=range(1, 9))) == 3
    assert str(told[0].message) == "8 frames are meant: these are the first 3"


def test_a_python_that_is_too_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WITHOUT_PYSHARK", sys.version_info[:2])
    with pytest.warns(UserWarning, match=r"Python 3\.\d+ is too new for pyshark") as told:
        (packet,) = amtdiag.read(PKI).packets(frames=[16])
    assert told[0].filename == __file__
    assert isinstance(packet, Packet)
    assert repr(packet) == "<packet 16: frame_info eth ip tcp intelamt>"
    with pytest.raises(AttributeError, match="no layer 'dns'"):
        packet.dns  # noqa: B018


def test_without_tshark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match=r"tshark dissects packets, and is not installed: .*install"):
        amtdiag.read(PKI).packets()


@pytest.mark.parametrize(
    "by", [pytest.param("pyshark", marks=pytest.mark.skipif(not PYSHARK, reason="too new")), "tshark"]
)
def test_a_file_that_is_no_more(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "tshark":
        monkeypatch.setitem(sys.modules, "pyshark", None)
    path = tmp_path / "a.pcapng"
    path.write_bytes(PKI.read_bytes())
    analysis = amtdiag.read(path)
    path.write_bytes(b"no capture at all")
    warnings.simplefilter("ignore")  # pytest puts it back
    with pytest.raises(InputError, match="cannot read it"):
        analysis.packets(frames=[16])
    path.unlink()
    with pytest.raises(InputError, match="not there"):
        analysis.packets(frames=[16])
