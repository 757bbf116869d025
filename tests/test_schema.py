"""The JSON faces and their schemas: each holds the other to its word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest
from helpers import ROOT, run
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from test_samples import SAMPLES, Sample, every_sample

from amtdiag import model
from amtdiag.pipeline import diagnose
from amtdiag.protocols.hello import ALGORITHMS
from amtdiag.report.formats.json import (
    analysis_json,
    analysis_text,
    device_json,
    dumps,
    evidence_json,
    finding_json,
)
from amtdiag.report.formats.jsontext import device_text, finding_text
from amtdiag.rules.catalogue import RULES
from amtdiag.trust.verdicts import VERDICTS

FOLDER = files("amtdiag.report.formats") / "schema"
SCHEMAS: dict[str, Any] = {
    name: json.loads(
        (files("amtdiag.report.formats") / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    )
    for name in ("analysis", "hello", "tls")
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
LOOKS_LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
TIME_KEYS = {
    "ts",
    "last_ts",
    "first_ts",
    "first_seen",
    "last_seen",
    "since",
    "at",
    "watched_until",
    "answered",
}


@cache
def printed(*words: str | Path) -> bytes:
    return run(*words).out


def analysis_of(sample: Sample) -> Any:
    return json.loads(printed("analyze", "--json", sample.path))


def lines_of(*words: str, sample: Sample) -> list[Any]:
    return [json.loads(line) for line in printed(*words, sample.path).splitlines()]


def errors(instance: object, schema: Mapping[str, Any]) -> list[str]:
    return [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(instance)
    ]


def part(name: str) -> dict[str, Any]:
    """The schema of one of the definitions of an analysis."""
    return {"$defs": SCHEMAS["analysis"]["$defs"], "$ref": f"#/$defs/{name}"}


# ---------------------------------------------------------------------------------------------- valid schemas


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def objects(schema: object, at: str = "#") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object with named properties in a schema."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield at, schema
        for key, value in schema.items():
            yield from objects(value, f"{at}/{key}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_leave_no_key_open(name: str) -> None:
    for at, one in objects(SCHEMAS[name]):
        assert one.get("additionalProperties") is False, at
        assert set(one["required"]) == set(one["properties"]), at


# ---------------------------------------------------------------------------------------- output against them


@every_sample
def test_analysis_is_as_described(sample: Sample) -> None:
    assert errors(analysis_of(sample), SCHEMAS["analysis"]) == []


@every_sample
def test_hellos_are_as_described(sample: Sample) -> None:
    for line in lines_of("hellos", "--jsonl", sample=sample):
        assert errors(line, SCHEMAS["hello"]) == []


@every_sample
def test_lines_of_an_analysis_are_as_described(sample: Sample) -> None:
    """Each line is one object that a schema describes, and all objects of the whole document are there."""
    whole = analysis_of(sample)
    by_type: dict[str, list[Any]] = {}
    for line in lines_of("analyze", "--jsonl", sample=sample):
        by_type.setdefault(line.pop("event_type"), []).append(line)
    for kind in ("capture", "device", "finding", "unknown"):
        lines = by_type.pop(kind, [])
        assert lines == whole[f"{kind}s"], kind
        assert [error for line in lines for error in errors(line, part(kind))] == []
    (summary,) = by_type.pop("summary")
    head = {key: summary.pop(key) for key in ("schema_version", "tool")}
    assert head == {key: whole[key] for key in head}
    assert summary == whole["summary"]
    hellos = by_type.pop("hello", [])
    assert hellos == lines_of("hellos", "--jsonl", sample=sample)
    connections = by_type.pop("connection", [])
    talks = [one["tls"] for one in connections if one["tls"]]
    assert [error for talk in talks for error in errors(talk, SCHEMAS["tls"])] == []
    for kind in ("dhcp", "dns", "rmcp"):
        events = by_type.pop(kind, [])
        assert len({tuple(one) for one in events}) <= 1, "the same fields in every line"
        assert all(one["evidence"] for one in events)
    assert by_type == {}
    assert {one["outcome"] for one in connections} <= set(get_args(model.Outcome))


@every_sample
def test_times_are_rfc_3339_with_nine_digits(sample: Sample) -> None:
    for line in [analysis_of(sample), *lines_of("analyze", "--jsonl", sample=sample)]:
        for key, value in pairs(line):
            if key in TIME_KEYS:
                assert value is None or TIME.fullmatch(value), key
            elif isinstance(value, str) and key not in {"id", "device", "aliases"}:
                assert not LOOKS_LIKE_A_TIME.match(value), key


def pairs(value: object, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a document that is no container, with the key it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from pairs(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from pairs(inner, key)
    else:
        yield key, value


@every_sample
@pytest.mark.parametrize("face", ["--json", "--jsonl"])
def test_output_is_the_same_each_time(face: str, sample: Sample) -> None:
    first = printed("analyze", face, sample.path)
    assert first == run("analyze", face, sample.path).out
    assert first.isascii()
    assert first.endswith(b"\n")


@every_sample
def test_names_that_refer_to_devices_have_one(sample: Sample) -> None:
    whole = analysis_of(sample)
    known = {device["id"] for device in whole["devices"]}
    assert len(known) == len(whole["devices"])
    assert {one["device"] for key in ("findings", "unknowns") for one in whole[key]} <= known | {None}
    assert {one["device"] for one in lines_of("hellos", "--jsonl", sample=sample)} <= known
    ids = [one["id"] for one in whole["findings"]]
    assert len(ids) == len(set(ids))


# ----------------------------------------------------------------------------------------------- vocabularies


def find(schema: Mapping[str, Any], *path: str) -> Any:
    found: Any = schema
    for key in path:
        found = found[key]
    return found


ANALYSIS, HELLO = SCHEMAS["analysis"], SCHEMAS["hello"]
STAGES = get_args(model.Stage)


@pytest.mark.parametrize(
    ("schema", "path", "words"),
    [
        (ANALYSIS, "$defs mode properties name enum", get_args(model.Mode)),
        (ANALYSIS, "$defs mode properties basis enum", get_args(model.Basis)),
        (ANALYSIS, "$defs stage properties name enum", STAGES),
        (ANALYSIS, "$defs stage properties basis enum", get_args(model.Basis)),
        (ANALYSIS, "$defs device properties stage enum", STAGES),
        (ANALYSIS, "$defs device properties hello_type enum", (*get_args(model.HelloType), None)),
        (ANALYSIS, "$defs finding properties category enum", get_args(model.Category)),
        (ANALYSIS, "$defs finding properties severity enum", get_args(model.Severity)),
        (ANALYSIS, "$defs finding properties basis enum", get_args(model.Basis)),
        (ANALYSIS, "$defs finding properties confidence enum", get_args(model.Confidence)),
        (HELLO, "properties type enum", get_args(model.HelloType)),
        (HELLO, "$defs digest properties verdict enum", tuple(VERDICTS)),
        (HELLO, "$defs digest properties verdicts items enum", tuple(VERDICTS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_enums_are_the_models(schema: Mapping[str, Any], path: str, words: tuple[str | None, ...]) -> None:
    assert find(schema, *path.split()) == list(words)


def test_algorithms_are_those_of_the_message() -> None:
    names = find(HELLO, "$defs", "digest", "properties", "algorithm", "enum")
    assert sorted(names) == sorted([*(name for name, _ in ALGORITHMS.values()), "unknown"])


def test_counts_by_severity_name_every_severity() -> None:
    counted = find(ANALYSIS, "properties", "summary", "properties", "findings", "properties")
    assert list(counted) == list(model.SEVERITIES)


def test_samples_speak_of_most_rules() -> None:
    """The schemas are held to output that is worth the name."""
    seen = {one["rule"] for sample in SAMPLES for one in analysis_of(sample)["findings"]}
    known = {rule.id for rule in RULES}
    assert seen <= known
    assert len(seen) >= 18


@every_sample
def test_the_document_in_pieces_is_the_document(sample: Sample) -> None:
    found = diagnose([sample.path])
    assert "".join(analysis_text(found)) == dumps(analysis_json(found)) + "\n"


FOUND = diagnose([ROOT / "sample_pcaps" / "cloned-uuid.pcapng"])


@given(st.text(), st.text(), st.none() | st.text(), st.lists(st.integers(0, 10**19), max_size=3))
def test_records_are_written_as_the_encoder_would_write_them(
    one: str, other: str, perhaps: str | None, gaps: list[int]
) -> None:
    """Devices and findings are put together as text: whatever stands in them, it comes back as it was."""
    evidence = (model.Evidence(one, 7), model.Evidence(other, 10**12))
    device = FOUND.devices[0]
    stage = device.stages[0]._replace(detail=one, evidence=evidence)
    strange = device._replace(
        id=one,
        aliases=(other, one),
        uuid=perhaps,
        gaps=tuple(gaps),
        stages=(stage, *device.stages),
        suffix=perhaps,
        mode=device.mode._replace(reason=other),
        visibility={**device.visibility, other: True},
    )
    text = device_text(strange)
    back = device_json(strange)
    assert dumps(back) == text
    assert (back["id"], back["aliases"], back["uuid"], back["suffix"]) == (
        one,
        [other, one],
        perhaps,
        perhaps,
    )
    assert back["gaps_seconds"] == [round(gap / 1e9, 9) for gap in gaps]
    assert back["stages"][0]["evidence"] == evidence_json(evidence)
    finding = FOUND.findings[0]._replace(
        summary=one,
        remedy=other,
        device=perhaps,
        evidence=evidence,
        candidates=(model.Candidate(one, other),),
    )
    found = finding_json(finding)
    assert dumps(found) == finding_text(finding)
    assert (found["summary"], found["remedy"], found["device"]) == (one, other, perhaps)
    assert found["candidates"] == [{"cause": one, "would_decide": other}]
    assert found["evidence"] == evidence_json(evidence)
