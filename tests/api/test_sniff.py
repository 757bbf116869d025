"""`amtdiag.sniff`, in a process of its own at the end of a cable."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import SAMPLES
from wire import FAR, Wire, laid, packets_of, wanted_of

import amtdiag
from amtdiag.errors import InputError, MissingToolError, UsageError

REFUSED = SAMPLES / "recorded" / "mesh_closed.pcapng"
SHOWN = """
import amtdiag, json, sys
{how}
print(json.dumps([analysis.verdict, analysis.to_dict()["captures"][0]["packets"]]))
"""
ALONE = f'analysis = amtdiag.sniff("{FAR}", %s)'
IN_A_LOOP = f"""
import asyncio
async def cell():
    return amtdiag.sniff("{FAR}", %s)
analysis = asyncio.run(cell())
"""
IN_A_THREAD = f"""
import asyncio
async def cell():
    return await asyncio.to_thread(amtdiag.sniff, "{FAR}", %s)
analysis = asyncio.run(cell())
"""


@pytest.fixture
def wire() -> Iterator[Wire]:
    with laid() as one:
        yield one


@pytest.mark.parametrize("how", [ALONE, IN_A_LOOP, IN_A_THREAD], ids=["alone", "in a loop", "in a thread"])
def test_so_many_packets(wire: Wire, tmp_path: Path, how: str) -> None:
    kept, wanted = tmp_path / "kept.pcapng", wanted_of(REFUSED)
    code = SHOWN.format(how=how % f'count={len(wanted) - 2}, file="{kept}", duration=60')
    process = subprocess.Popen(wire.command(sys.executable, "-c", code), stdout=subprocess.PIPE)
    begun(kept)
    wire.send(packets_of(REFUSED))
    out, _ = process.communicate(timeout=60)
    verdict, packets = json.loads(out)
    assert packets == len(wanted) - 2
    assert packets_of(kept) == wanted[:-2]
    assert verdict.startswith("1 of 1 device is stuck")


def test_an_interrupt_ends_it_with_what_there_is(wire: Wire, tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    code = SHOWN.format(how=ALONE % f'file="{kept}"')
    process = subprocess.Popen(wire.command(sys.executable, "-c", code), stdout=subprocess.PIPE)
    begun(kept)
    wire.send(packets_of(REFUSED))
    while packets_of(kept) != wanted_of(REFUSED):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert json.loads(out)[1] == len(wanted_of(REFUSED))
    assert process.returncode == 0


def begun(kept: Path) -> None:
    """Wait until the interfaces are open: the file is made after that."""
    end = time.monotonic() + 60
    while not kept.exists() or not kept.stat().st_size:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_so_many_seconds_and_options() -> None:
    if os.geteuid():
        pytest.skip("capturing takes rights")
    began = time.monotonic()
    analysis = amtdiag.sniff("lo", duration=0.3, servers=["192.168.2.10"], ports=[9999])
    assert time.monotonic() - began >= 0.3
    options = analysis.to_dict()["tool"]["options"]
    assert options["servers"] == ["192.168.2.10"]
    assert 9999 in options["ports"]


def test_without_the_right() -> None:
    code = "import amtdiag, amtdiag.errors\ntry:\n    amtdiag.sniff('lo', duration=1)\nexcept "
    code += "amtdiag.errors.MissingToolError as error:\n    print(error)"
    words = [sys.executable, "-c", code]
    if os.geteuid() == 0:
        words = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert "cap_net_raw" in done.stdout
    assert MissingToolError.exit_code == 4


def test_calls_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="name an interface"):
        amtdiag.sniff()
    with pytest.raises(UsageError, match="duration"):
        amtdiag.sniff("lo", duration=0)
    with pytest.raises(UsageError, match="count"):
        amtdiag.sniff("lo", count=-1)
    with pytest.raises(UsageError, match="IP address"):
        amtdiag.sniff("lo", servers=["server"])
    with pytest.raises(UsageError, match="a port"):
        amtdiag.sniff("lo", ports=[0])
    with pytest.raises(UsageError, match="nothing-here"):
        amtdiag.sniff("lo", cert="nothing-here")
    with pytest.raises(InputError, match="no such interface"):
        amtdiag.sniff("nosuch0", duration=1)
