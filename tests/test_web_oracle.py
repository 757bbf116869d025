"""A capture with conversations in the clear, as the command line reads it and as tshark does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import run as run_amtdiag
from scenarios.containers import render
from scenarios.conversation import Conversation
from scenarios.packets import SECOND, Trace
from test_samples_oracle import run
from webtalks import (
    ACCEPTED,
    CIM,
    SETUP,
    amt_answer,
    digest,
    mesh_call,
    post,
    presence,
    provisioning,
    refused,
    reply,
    session,
)

from amtdiag.pipeline import diagnose
from amtdiag.simulator.hosts import network
from amtdiag.tables.event import all_events

FIELDS = (
    "frame.number", "tcp.stream", "http.request.method", "http.request.uri", "http.response.code",
    "http.server", "http.authorization", "http.content_type",
)  # fmt: skip
PROBE = mesh_call("CIM_SoftwareIdentity", "RequestStateChange", 1, schema=CIM)
TALKS = {
    "provisioning": provisioning(),
    "probe": [
        (True, post(PROBE)),
        (False, refused()),
        (True, post(PROBE, digest(response=""))),
        (
            False,
            reply(200, amt_answer("CIM_SoftwareIdentity", "RequestStateChange", 1, schema=CIM), chunk=300),
        ),
    ],
    "browser": [
        (True, b"GET /index.htm HTTP/1.1\r\nHost: x\r\n\r\n"),
        (False, reply(200, b"<html>" + b"x" * 5000, kind="text/html")),
        (True, b"HEAD /logo.gif HTTP/1.1\r\nHost: x\r\n\r\n"),
        (False, b"HTTP/1.1 304 Not Modified\r\nServer: x\r\n\r\n"),
    ],
}

PORTS = {"redirection": 16994, "presence": 4433}
TALKS["redirection"] = [*session(ACCEPTED), *[(side, bytes(9000)) for side in (True, False)]]
TALKS["presence"] = presence(b"\x34")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = network(1)
    trace = Trace("web")
    at = 1_700_000_000 * SECOND
    for name, flights in TALKS.items():
        device = replace(net.server, name="device", ip="192.168.2.148", mac="02:00:00:00:00:48")
        talk = Conversation(trace, net.server, device, PORTS.get(name, 16992), at)
        talk.open()
        for by_client, data in flights:
            talk.send(talk.client if by_client else talk.server, data)
        talk.close(talk.client)
        at = talk.now + SECOND
    path = tmp_path_factory.mktemp("web") / "web.pcapng"
    path.write_bytes(render(trace.ordered(), "pcapng"))
    return path


def connections(path: Path) -> list[Any]:
    printed = run_amtdiag("analyze", "--jsonl", "--fail-on", "never", path).text
    return [event for event in map(json.loads, printed.splitlines()) if event["event_type"] == "connection"]


def test_every_request_and_answer_as_tshark_reads_it(capture: Path, tshark: Path) -> None:
    words = [word for field in FIELDS for word in ("-e", field)]
    options = ["-d", "tcp.port==16992,http", "-Y", "http", "-T", "fields", *words]
    lines = run(tshark, "-r", capture, *options).splitlines()
    rows = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines]
    web = [one for one in connections(capture) if one["http"]]
    assert len(web) == len(TALKS) - len(PORTS)
    for number, connection in enumerate(web):
        mine = [row for row in rows if row["tcp.stream"] == str(number)]
        asked = [row for row in mine if row["http.request.method"]]
        told = [row for row in mine if row["http.response.code"]]
        exchanges = connection["http"]["exchanges"]
        assert len(exchanges) == len(asked) == len(told)
        for one, ask, tell in zip(exchanges, asked, told, strict=True):
            assert (one["method"], one["path"]) == (ask["http.request.method"], ask["http.request.uri"])
            assert (one["auth"] is not None) == bool(ask["http.authorization"])
            assert one["status"] == int(tell["http.response.code"])
            assert (one["content_type"] or "") == tell["http.content_type"].split(";")[0]
            if one["server_version"]:
                assert tell["http.server"].endswith(one["server_version"])
            frames = {frame["frame"] for frame in one["evidence"]}
            assert {int(ask["frame.number"]), int(tell["frame.number"])} <= frames
        assert connection["http"]["missing"] == []


def test_what_is_beside_http(capture: Path) -> None:
    """The conversations on the redirection and the presence port, and how much was said there."""
    for name, kind in (("redirection", "redirection"), ("presence", "apf")):
        (one,) = [link for link in connections(capture) if link["dport"] == PORTS[name]]
        assert (one[kind]["user"], one[kind]["accepted"]) == ("admin", True)
        assert one[kind]["evidence"]
        sent = [
            sum(len(data) for side, data in TALKS[name] if side is by_client) for by_client in (True, False)
        ]
        assert [one["client_bytes"], one["server_bytes"]] == sent


def test_the_line_of_an_event_says_what_was_changed_and_refused(capture: Path) -> None:
    details = [event.detail for event in all_events(diagnose([capture])) if event.ends.dport == 16992]
    assert "6 HTTP requests, admin refused" in details[0]
    assert "SetMEBxPassword returned 16, CommitChanges returned 0" in details[0]
    assert SETUP not in details[1]
    assert "2 HTTP requests" in details[1]


def test_the_probe_is_there_for_rules_to_see(capture: Path) -> None:
    probe = next(
        link.talk
        for link in diagnose([capture]).connections
        if link.talk and link.talk.exchanges[-1].digest_short
    )
    assert probe.exchanges[-1].status == 200


def test_nothing_secret_is_printed(capture: Path) -> None:
    for words in (["--jsonl"], ["--json"], []):
        printed = run_amtdiag("analyze", *words, "--fail-on", "never", capture).text
        assert not any(
            word in printed for word in ("P@ssw0rd", "c0ffee", "1" * 32, "s3cret", "AAECAwQFBgcICQoLDA0ODw")
        )
