"""The page as a file: its model holds what the JSON says, its policy fits its script, and it stays small."""

from __future__ import annotations

import json
import pickle
import re
import zlib
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers import SAMPLES, replace
from htmlmodel import Reader, model_of
from test_hostile import NASTY, poisoned

from amtdiag.config import Options
from amtdiag.model import Diagnosis, HelloRecord
from amtdiag.pipeline import diagnose
from amtdiag.report.formats.html import render_page
from amtdiag.report.formats.html.model import page_data
from amtdiag.report.formats.html.summary import Outline
from amtdiag.report.formats.json import analysis_json, dumps, hello_json
from amtdiag.report.wording import STAGES
from amtdiag.safetext import safe
from amtdiag.tables import all_events
from amtdiag.times import rfc3339

CAPTURES = sorted(
    path
    for pattern in ("*.pcap", "*.pcapng", "*.pcap.gz", "*.pcapng.gz")
    for path in (*SAMPLES.glob(pattern), *SAMPLES.glob(f"recorded/{pattern}"))
)


@cache
def diagnosed(path: Path) -> Diagnosis:
    return diagnose([path], Options())


def page_of(found: Diagnosis) -> str:
    return "".join(render_page(found))


@cache
def fleet_page() -> str:
    return page_of(diagnosed(SAMPLES / "fleet.pcapng.gz"))


# -------------------------------------------------------------------------------------------------- the model


def as_json(found: Diagnosis) -> dict[str, Any]:
    """What the JSON says, in the fields that the model has."""
    document: dict[str, Any] = json.loads(dumps(analysis_json(found)))
    row = {device["id"]: number for number, device in enumerate(document["devices"])}
    for device in document["devices"]:
        del device["mode"], device["retry_counts"], device["gaps_seconds"]  # held against the events
        device["schedules"] = [
            [one["documented_by"], one["schedule"], one["fits"]] for one in device.pop("documented_schedules")
        ]
    for finding in document["findings"]:
        del finding["id"]
        finding["candidates"] = [[one["cause"], one["would_decide"]] for one in finding["candidates"]]
        finding["filter"] = finding.pop("display_filter") or None
    for judgement in (*document["findings"], *document["unknowns"]):
        judgement["device"] = row.get(judgement["device"])
    return document


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_the_model_says_what_the_json_says(path: Path) -> None:
    found = diagnosed(path)
    reader = Reader(json.loads(json.dumps(page_data(Outline(found)))))
    wanted = as_json(found)
    devices = reader.devices()
    own = {"name", "state", "place", "cause", "host", "left_out", "events"}
    shown = [{key: value for key, value in one.items() if key not in own} for one in devices]
    outcomes = [[device.pop(key) for key in ("state", "cause", "doubt")] for device in wanted["devices"]]
    assert shown == wanted["devices"]
    rules = [None if one["cause"] is None else found.findings[one["cause"]].rule for one in devices]
    assert [(one["state"], rule) for one, rule in zip(devices, rules, strict=True)] == [
        (state, cause or doubt) for state, cause, doubt in outcomes
    ]
    findings = [
        {key: value for key, value in one.items() if key != "group"} for one in reader.rows("findings")
    ]
    assert findings == wanted["findings"]
    assert reader.rows("unknowns") == wanted["unknowns"]
    assert reader.rows("captures") == wanted["captures"]
    del wanted["summary"]["root_of"]
    assert reader.model["summary"] == wanted["summary"]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_the_lanes_hold_every_event_and_every_digest(path: Path) -> None:
    found = diagnosed(path)
    reader = Reader(json.loads(json.dumps(page_data(Outline(found)))))
    shown = {
        (
            device["id"], one["at"], one["kind"], one["outcome"], one["detail"], one["src"] or "",
            one["dport"], dumps(one["evidence"]),
        )
        for device in reader.devices() for one in device["events"] if one["kind"] not in ("tls", "http")
    }  # fmt: skip
    assert shown == {
        (
            one.device, rfc3339(one.ts), one.kind, one.outcome, one.detail, one.ends.src, one.ends.dport,
            dumps([each._asdict() for each in one.evidence]),
        )
        for one in all_events(found) if one.device is not None and one.kind != "other"
    }  # fmt: skip
    for device, record in zip(reader.devices(), found.devices, strict=True):
        hellos = [one for one in device["events"] if one["kind"] == "hello"]
        counts = [one["retry"] for one in hellos if one["retry"] is not None]
        assert (len(hellos), counts) == (record.hellos, list(record.retry_counts))
        lists = [reader.digests(hello) for hello in hellos]
        assert lists == [hello_json(one)["hashes"] for one in of_device(found, record.id)]


def of_device(found: Diagnosis, device: str) -> list[HelloRecord]:
    return [one for one in found.hellos if one.device == device]


def test_tls_and_http_have_lanes_of_their_own() -> None:
    (device,) = Reader(page_data(Outline(diagnosed(SAMPLES / "web-commit.pcapng.gz")))).devices()
    asked = [one["detail"] for one in device["events"] if one["kind"] == "http"]
    assert any("CommitChanges" in one and "returns 0" in one for one in asked)
    (device,) = Reader(page_data(Outline(diagnosed(SAMPLES / "chain-root-not-listed.pcapng.gz")))).devices()
    shaken = [one for one in device["events"] if one["kind"] == "tls"]
    assert {one["outcome"] for one in shaken} == {"failed"}
    assert all("alert 48 (unknown CA)" in one["detail"] for one in shaken)


def test_the_middle_of_too_many_events_is_left_out_and_counted() -> None:
    found = diagnosed(SAMPLES / "psk-hello.pcapng")
    (first,) = found.hellos
    event = first.event
    hellos = [replace(first, event=replace(event, ts=event.ts + number * 10**9)) for number in range(1000)]
    (device,) = Reader(page_data(Outline(replace(found, hellos=tuple(hellos))))).devices()
    assert len(device["events"]) == 400
    assert device["left_out"] > 600
    assert rfc3339(hellos[-1].event.ts) in {one["at"] for one in device["events"]}


# ----------------------------------------------------------------------------------------------- the overview


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_the_funnel_counts_every_device_once(path: Path) -> None:
    outline = Outline(diagnosed(path))
    steps = outline.funnel()
    assert [one.stage for one in steps] == list(STAGES)
    assert sum(one.stuck + one.ended for one in steps) == len(outline.devices)
    assert sum(one.stuck for one in steps) == dict(outline.counts)["stuck"]
    for step, following in pairwise(steps):
        assert following.reached == step.reached - step.stuck - step.ended
    grouped = [one for place in ("stops", "look", "know") for one in outline.causes_at(place)]
    assert sum(one.findings for one in grouped) == len(outline.diagnosis.findings)


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        for tag in self._open[-1:]:
            self.words[tag] = self.words.get(tag, "") + data


def test_without_a_script_the_page_says_the_essential() -> None:
    found = diagnosed(SAMPLES / "fleet.pcapng.gz")
    words = re.sub(r"\s+", " ", " ".join(Page(fleet_page()).words.values()))
    outline = Outline(found)
    assert outline.verdict in words
    for cause in outline.causes:
        assert cause.title in words
        assert cause.first.remedy in words
    for device, _ in outline.troubled():
        assert outline.names[device.id] in words
    assert "<noscript>" in fleet_page()


# ------------------------------------------------------------------------------------------------- the policy


def test_the_policy_names_the_script_and_the_style_and_nothing_else() -> None:
    page = fleet_page()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)

    def hashed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == hashed(script)
    assert rules["style-src"] == hashed(style)
    assert "innerHTML" not in script
    parsed = Page(page)
    assert not [name for name in parsed.attributes if name.startswith("on") or name in ("style", "src")]


@pytest.mark.parametrize("texts", [NASTY, [one for one in NASTY if "<" in one]], ids=["all", "markup"])
@pytest.mark.parametrize("name", ["no-connect-back.pcapng", "not-a-hello.pcapng", "fleet.pcapng.gz"])
def test_hostile_text_stays_text(name: str, texts: list[str]) -> None:
    found = diagnosed(SAMPLES / name)
    harmless, page = Page(fleet_page()), page_of(poisoned(found, texts))
    hostile = Page(page)
    assert set(hostile.tags) <= {*harmless.tags, "li", "ul"}
    assert hostile.tags.count("script") == 2
    assert hostile.attributes <= harmless.attributes
    shown = "".join(hostile.words.values())
    assert any(safe(one) in shown for one in texts)
    assert "\x1b" not in page
    assert "\u202e" not in page
    (model,) = re.findall(r'id="model">(.*?)</script>', page, re.DOTALL)
    assert not set(model) & set("<>&\u2028\u2029")


# --------------------------------------------------------------------------------------------------- the size


def many_times(found: Diagnosis, times: int) -> Diagnosis:
    """A fleet so many times as large: each copy has addresses, MACs and UUIDs of its own.

    The bytes of a pickle are changed, which is a hundred times as fast as to change the records.
    """
    wire, copies = pickle.dumps(found), []
    for number in range(times):
        tag = f"{number + 1:08x}"
        mac = ":".join(tag[place : place + 2] for place in (0, 2, 4, 6))
        changed = wire.replace(b"10.20.23.", b"10.%d.%d." % (10 + number // 90, 10 + number % 90))
        changed = changed.replace(b"02a4d700", tag.encode()).replace(b"02:a4:d7:00", mac.encode())
        copies.append(pickle.loads(changed))
    lists = ("hellos", "connections", "dhcp", "lookups", "devices", "findings", "unknowns")
    return replace(
        found,
        **{name: tuple(one for copy in copies for one in getattr(copy, name)) for name in lists},
    )


def test_ten_thousand_devices_fit_into_fifteen_megabytes() -> None:
    # Even if no two sites had anything in common that packing could make use of.
    text = dumps(page_data(Outline(diagnosed(SAMPLES / "fleet.pcapng.gz"))))
    assert len(b64encode(zlib.compress(text.encode()))) * 400 < 15_000_000
    # A tenth of them: a page of 10,000 is no larger than ten of these.
    found = many_times(diagnosed(SAMPLES / "fleet.pcapng.gz"), 40)
    assert len({one.id for one in found.devices}) == 1000
    page = page_of(found)
    assert len(page) < 1_500_000
    assert '"deflate"' in page
    reader = Reader(model_of(page))
    assert [one["id"] for one in reader.devices()] == [one.id for one in found.devices]
    assert [one["summary"] for one in reader.rows("findings")] == [one.summary for one in found.findings]
