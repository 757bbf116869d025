"""What tests of the live view show: diagnoses of captures, as a run would tell them."""

from __future__ import annotations

from pathlib import Path

from helpers import replace

from amtdiag.capture.decode.linktypes import ETHERNET
from amtdiag.capture.live.source import Counts, Tap
from amtdiag.config import Options
from amtdiag.live.diff import AlertTracker, Update
from amtdiag.live.engine import Live
from amtdiag.live.loop import Counters
from amtdiag.model import Diagnosis, Finding
from amtdiag.pipeline import diagnose
from amtdiag.tui.app import LiveApp
from amtdiag.tui.state import State


class Told:
    """A state, and who tells it."""

    def __init__(self, stuck_after: int = 0) -> None:
        self.state = State("eth0")
        live = Live("live:eth0", [Tap("eth0", ETHERNET)], Options())
        self.desk = AlertTracker(live, stuck_after, frozenset())

    def tell(self, diagnosis: Diagnosis, now: int | None = None) -> Update:
        at = now or max((one.last_seen for one in diagnosis.devices), default=0)
        news = self.desk.sift(diagnosis, [], at)
        self.state.prepare(news)
        self.state.judged(news)
        return news

    def count(self, received: int, dropped: int = 0, file: str | None = "ring_00001.pcapng") -> None:
        self.state.counted(
            Counters(
                now=1_772_442_132_000_000_000,
                since=1_772_442_072_000_000_000,
                taps=[Tap("eth0", ETHERNET)],
                counts=[Counts(received, dropped, 0)],
                packets=received,
                devices=0,
                file=file,
                facts_left_out=0,
            )
        )


def shown(*paths: Path) -> Told:
    """A state that has been told what captures show."""
    one = Told()
    one.tell(diagnose(paths))
    one.count(12_345)
    return one


class Wish:
    """Stands for the one who may ask for the end."""

    asked = False


def many(diagnosis: Diagnosis, count: int) -> Diagnosis:
    """The devices of a diagnosis, over and over, each with its findings."""
    devices, findings = [], []
    by_device: dict[str | None, list[Finding]] = {}
    for one in diagnosis.findings:
        by_device.setdefault(one.device, []).append(one)
    for number in range(count):
        device = diagnosis.devices[number % len(diagnosis.devices)]
        uuid = f"{number:08x}{(device.uuid or '-' * 36)[8:]}"
        name = f"uuid:{uuid}"
        devices.append(replace(device, id=name, uuid=uuid, aliases=()))
        findings += [
            replace(one, id=f"{one.rule}/{name}", device=name) for one in by_device.get(device.id, ())
        ]
    return replace(diagnosis, devices=tuple(devices), findings=tuple(findings))


def text_of(app: LiveApp) -> list[str]:
    """What stands on the screen, line by line."""
    return ["".join(part.text for part in line) for line in app.screen._compositor.render_strips()]
