"""What is told while it goes on adds up to the report: no alert too many, no fact twice or never."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from helpers import SAMPLES, replace
from test_live_engine import frames_of

from amtdiag.capture.live.source import Tap
from amtdiag.config import Options
from amtdiag.live import diff as news_module
from amtdiag.live.diff import AlertTracker, Fact
from amtdiag.live.engine import Live, key_of
from amtdiag.model import ConnectionEvent, DhcpEvent, LookupEvent
from amtdiag.report.formats.eve import fact_line
from amtdiag.times import SECOND

BATCH = 10
SOME = [
    "connect-back-overcome.pcap",
    "recorded/mesh_closed.pcapng",
    "connect-back-unanswered.pcapng",
    "dns-unanswered.pcap",
    "dns-nxdomain.pcapng",
    "psk-differs.pcapng.gz",
    "dhcp-no-dns.pcapng",
    "cloned-uuid.pcapng",
]


class Ran:
    """A sample, played as if it were live, with what was told."""

    def __init__(self, path: Path, batch: int = BATCH) -> None:
        frames, linktypes = frames_of(path)
        live = Live("live:eth0", [Tap("eth0", *linktypes)], Options())
        desk = AlertTracker(live, 0, frozenset())
        self.told = []
        for at in range(0, len(frames), batch):
            live.feed(frames[at : at + batch])
            # A minute later than the next packet at most: what is silent for so long is over.
            later = frames[at + batch].ts if at + batch < len(frames) else frames[-1].ts
            now = min(later, frames[min(at + batch, len(frames)) - 1].ts + 30 * SECOND)
            self.told.append(desk.look(live.so_far(now), live.over(), now))
        end = frames[-1].ts + 3600 * SECOND
        self.diagnosis = live.finish(end)
        self.told.append(desk.sift(self.diagnosis, live.over(), end))

    @property
    def facts(self) -> list[Fact]:
        return [fact for one in self.told for fact in one.facts]


@pytest.mark.parametrize("name", SOME)
def test_what_stands_in_the_end_is_the_report(name: str) -> None:
    ran = Ran(SAMPLES / name)
    names = {alias: one.id for one in ran.diagnosis.devices for alias in (one.id, *one.aliases)}

    def known(rule: str, device: str | None, identity: str) -> tuple[str, str]:
        return rule, names.get(device, device) if device is not None else identity

    standing: Counter[tuple[str, str]] = Counter()
    for one in ran.told:
        standing.subtract(known(w.finding.rule, w.finding.device, w.finding.id) for w in one.withdrawn)
        standing.update(known(a.rule, a.device, a.id) for a in one.raised)
    open_ = {key for key, count in standing.items() if count > 0 and not key[0].startswith("live-")}
    assert max(standing.values()) == 1
    assert min(standing.values()) >= 0
    found = [(known(one.rule, one.device, one.id), one.overcome) for one in ran.diagnosis.findings]
    assert {key for key, overcome in found if not overcome} <= open_
    assert open_ <= {key for key, _ in found}


def test_what_was_overcome_is_withdrawn() -> None:
    ran = Ran(SAMPLES / "connect-back-overcome.pcap")
    withdrawn = {one.finding.rule: one.reason for news in ran.told for one in news.withdrawn}
    assert withdrawn["connect-back-refused"] == "a later attempt got through"


@pytest.mark.parametrize("name", SOME)
def test_each_fact_is_told_once(name: str) -> None:
    ran = Ran(SAMPLES / name)
    links = [one for one in ran.facts if isinstance(one, ConnectionEvent)]
    of_devices = [link for link in ran.diagnosis.connections if link.owner is not None]
    assert Counter(map(key_of, links)) == Counter(map(key_of, of_devices))
    lookups = [one for one in ran.facts if isinstance(one, LookupEvent)]
    assert Counter((one.client, one.name, one.type, one.ts) for one in lookups) == Counter(
        {(one.client, one.name, one.type, one.ts) for one in ran.diagnosis.lookups}
    )
    leases = [one for one in ran.facts if isinstance(one, DhcpEvent)]
    assert len(leases) == len({one.evidence[0] for one in leases})
    assert {one.evidence for one in leases} == {
        one.evidence for one in ran.diagnosis.dhcp if one.kind in ("ack", "nak", "decline") and one.owner
    }


def test_a_device_that_is_let_go_of_takes_nothing_back() -> None:
    ran = Ran(SAMPLES / "recorded/mesh_closed.pcapng")
    live = Live("live:eth0", [Tap("eth0", 1)], Options())
    desk = AlertTracker(live, 0, frozenset())
    first = desk.sift(ran.diagnosis, [], 1)
    assert first.raised
    gone = replace(ran.diagnosis, devices=(), findings=())
    assert [one.finding.device for one in desk.sift(gone, [], 2).withdrawn] == []


def test_an_alert_that_comes_back_is_one_again() -> None:
    ran = Ran(SAMPLES / "recorded/mesh_closed.pcapng")
    live = Live("live:eth0", [Tap("eth0", 1)], Options())
    desk = AlertTracker(live, 0, frozenset())
    ids = {one.id for one in desk.sift(ran.diagnosis, [], 1).raised}
    without = replace(ran.diagnosis, findings=())
    taken_back = desk.sift(without, [], 2)
    assert {one.finding.id for one in taken_back.withdrawn} == ids - {"live-new-server/10.99.71.1"}
    assert {one.id for one in desk.sift(ran.diagnosis, [], 3).raised} == ids - {"live-new-server/10.99.71.1"}


def test_too_many_facts_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news_module, "MOST_FACTS", 2)
    ran = Ran(SAMPLES / "recorded/mesh_closed.pcapng", batch=1000)
    told = Counter(type(one) for one in ran.facts)
    assert max(told.values()) <= 2 * len(ran.told)
    assert sum(one.facts_left_out for one in ran.told) > 0


def test_lines_of_facts() -> None:
    ran = Ran(SAMPLES / "recorded/mesh_closed.pcapng")
    lines = [fact_line(one) for one in ran.facts]
    hello = next(line for line in lines if line["event_type"] == "flow" and line["dest_port"] == 9971)
    assert hello["flow"]["outcome"] == "established"
    assert hello["flow"]["state"] == "closed"
    back = [line for line in lines if line["event_type"] == "flow" and line["dest_port"] == 16993]
    assert [line["flow"]["outcome"] for line in back] == ["refused"] * 5
    dns = next(line for line in lines if line["event_type"] == "dns" and line["dns"]["rcode"] == "NOERROR")
    assert dns["dns"]["rrname"] == "provisionserver.truth.example"
    assert dns["dns"]["answers"][-1]["rdata"] == "10.99.71.1"
    lease = next(line for line in lines if line["event_type"] == "dhcp")
    assert lease["dhcp"]["client_mac"] == "02:1c:69:7a:6b:7a"
    assert lease["dhcp"]["assigned_ip"] == "10.99.71.48"
    assert {line["device"] for line in lines} == {"uuid:939b524b-13d4-1d18-e487-1c697a6b7a2b"}
    assert all(line["pcap_cnt"] for line in lines)


def test_the_id_of_a_question_is_wiresharks(tshark: Path) -> None:
    path = SAMPLES / "recorded/mesh_closed.pcapng"
    ran = Ran(path)
    dns = [fact_line(one) for one in ran.facts if isinstance(one, LookupEvent)]
    words = [str(tshark), "-r", str(path), "--enable-protocol", "communityid", "-Y", "dns", "-T", "fields"]
    done = subprocess.run(
        [*words, "-e", "frame.number", "-e", "communityid"], capture_output=True, text=True, check=True
    )
    ids = dict(line.split("\t") for line in done.stdout.splitlines())
    assert dns
    for line in dns:
        assert ids[str(line["pcap_cnt"])] == line["community_id"]
