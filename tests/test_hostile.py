"""Text that would act on whatever shows it, sent through every surface: none of it may act.

It comes in two ways. Names of files and the bytes of a PID go the whole way from a capture to the output.
Whatever other text a diagnosis may hold is put there by hand, after `safetext.safe` as the model wants it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import markupsafe
import pytest
from helpers import HELLO_ONLY, SAMPLES, Ran, replace, run, unsafe_characters
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from shapes import device, pcap, plain, psk, records

from amtdiag import Analysis
from amtdiag.config import Options
from amtdiag.model import Diagnosis, Evidence, OwnRoot
from amtdiag.pipeline import diagnose
from amtdiag.report.formats.json import analysis_json, analysis_lines, dumps
from amtdiag.report.formats.terminal import print_analysis, print_hellos
from amtdiag.report.report_directory import write_report
from amtdiag.safetext import safe

NASTY = [
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "a\u202egnp.exe\u2066\u200b",
    "[red]danger[/red]",
    "[/]",
    "[link=https://example.com]here[/link] :boom:",
    "$x_{$ \\frac{1}{0} $",
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>&amp;",
    "]]>--><!--",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-rf",
    "@SUM(A1)",
    "\t=1",
    "\n=1\r\nforged: line",
    "\uff1d1",
    "'; rm -rf ~; '",
    "\udc80\udcff",
    "\ue000\U000e0041\ufeff\u2028",
    "e" + "\u0301" * 40,
    "..\\..\\etc",
    "%s%n{0}{x!r}",
    "日本語 \U0001f600",
]
NAMES = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.sampled_from("=+-@'\"<>&[]$\\_^\x1b\x00\t\r\n\u202e\udc80é "), max_size=30),
)
"""Text of any kind, surrogates and all."""
FILE_NAMES = NAMES.map(lambda name: re.sub("[/\0]", "", name)[:60]).filter(
    lambda name: name.strip(".") and len(os.fsencode(name)) < 200
)
PIDS = st.one_of(
    st.sampled_from(
        [b"\x1b[2Jabcd", b"[red]abc", b"=1+1+1+1", b"\n\r\t\0\x7f\x80\xff\\", b"<script>", b"@SUM(A1)"]
    ),
    st.binary(min_size=8, max_size=8),
)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
slow = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WIDE = 100_000
"""Columns: no line is broken, so that a name can be looked for."""


# -------------------------------------------------------------------------------------- what must not be seen


def assert_plain(text: str) -> None:
    assert unsafe_characters(text) == []
    text.encode("utf-8")


def assert_json(data: bytes) -> Any:
    """ASCII, one document, and no text in it that would act once it is shown."""
    assert unsafe_characters(data.decode("ascii")) == []
    document = json.loads(data)
    for text in strings(document):
        assert unsafe_characters(text, allowed="") == []
    return document


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def assert_csv(path: Path) -> None:
    """No cell acts, none is a formula; every row has all cells, on one line."""
    text = path.read_bytes().decode("utf-8")
    assert_plain(text)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == text.count("\n")
    for row in rows:
        assert len(row) == len(rows[0])
        for cell in row:
            number = re.fullmatch(r"-?\d+(\.\d+)?", cell)
            assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d")), cell


class _Tags(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")


HTML_TAGS = {"div", "p", "b", "bdi", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "span"}


def assert_html(page: str) -> str:
    """Return the words of a page that is made of harmless tags."""
    assert_plain(page)
    tags = _Tags()
    tags.feed(page)
    tags.close()
    assert tags.tags <= HTML_TAGS
    assert tags.attributes <= {"style", "title"}
    return "".join(tags.words)


def assert_svg(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert_plain(text)
    names = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(text).iter()}
    assert names.isdisjoint({"script", "a", "image", "foreignObject", "iframe"})


def assert_page(path: Path) -> None:
    """Only our own two scripts, and no attribute that runs one; a browser looks closer in its own test."""
    text = path.read_text(encoding="utf-8")
    assert_plain(text)
    tags = re.findall(r"<script[^>]*>", text)
    assert tags == ['<script type="application/json" id="model">', "<script>"]
    shown = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(img|iframe|object|embed|form|base)\b|<[^>]*\son\w+=", shown)


REPORT_NAME = re.compile(r"(charts/)?[a-z][a-z0-9-]*\.(html|json|jsonl|csv|png|svg)")


def assert_report(folder: Path) -> None:
    """A folder of files with our own names, each harmless."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    assert {"report.json", "hellos.jsonl", "devices.csv"} <= {path.name for path in files}
    assert {path.suffix for path in files} == {".html", ".json", ".jsonl", ".csv", ".png", ".svg"}
    for path in files:
        assert REPORT_NAME.fullmatch(path.relative_to(folder).as_posix()), path
        if path.suffix == ".csv":
            assert_csv(path)
        elif path.suffix == ".svg":
            assert_svg(path)
        elif path.suffix == ".html":
            assert_page(path)
        elif path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        else:
            for line in path.read_bytes().splitlines():
                assert_json(line)


def assert_shown(name: str, text: str) -> None:
    """The name stands there letter by letter: nothing took a part of it for markup."""
    assert safe(name, 4096) in text


# ---------------------------------------------------------------------------- from a capture to every surface


@contextmanager
def captured(name: str, pid: bytes = b"0000037N") -> Iterator[Path]:
    """A folder to stand in, with a capture of that name in which a device sends that PID."""
    assert "/" not in name
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        path = Path("captures", name)
        path.parent.mkdir()
        path.write_bytes(pcap(records(plain(psk(pid), device(7)))))
        yield path


@quick
@given(FILE_NAMES, PIDS)
@example("[red]x[bold]", b"[bold]x[")
@example("\udcff\x1b[31m", b'\x1b[31m\xff\\"')
def test_text_reports(name: str, pid: bytes) -> None:
    with captured(name, pid) as path:
        ran = run("analyze", path, columns=WIDE)
        assert_plain(ran.text + ran.err)
        assert_shown(name, ran.text)
        hellos = run("hellos", path, columns=WIDE)
        assert_plain(hellos.text + hellos.err)
        assert f"PID {safe(pid)}".rstrip() in hellos.text
        narrow = run("analyze", path, columns=80)
        assert_plain(narrow.text)
        decoded = run("hello", "decode", psk(pid).payload.hex())
        assert_plain(decoded.text)


@quick
@given(FILE_NAMES, PIDS)
def test_json_reports(name: str, pid: bytes) -> None:
    with captured(name, pid) as path:
        document = assert_json(run("analyze", "--json", path).out)
        assert document["captures"][0]["file"] == "captures/" + safe(name)
        for line in run("analyze", "--jsonl", path).out.splitlines():
            assert_json(line)
        (hello,) = map(assert_json, run("hellos", "--jsonl", path).out.splitlines())
        assert hello["pid"] == safe(pid)
        assert_json(run("hello", "decode", "--json", psk(pid).payload.hex()).out)


@quick
@given(FILE_NAMES)
def test_names_that_begin_oddly(name: str) -> None:
    """A name of its own, no folder in front: ``--`` keeps it from being an option."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path(name).write_bytes(HELLO_ONLY.read_bytes())
        ran = run("analyze", "--json", "--", name)
        if name == "-":
            assert ran.code == 3
            return
        assert ran.code == 0
        assert assert_json(ran.out)["captures"][0]["file"] == safe(name)


@slow
@given(FILE_NAMES, PIDS)
@example("-=cmd|' -C calc'!A0<script>$x$\x1b[2J\u202e\n", b"=1+1$_<&")
@example("[red]\udcff\t@SUM", b"\x1b[2J$x$_")
def test_report_folders(name: str, pid: bytes) -> None:
    with captured(name, pid) as path:
        before = every_path()
        ran = run("analyze", "-o", "report", path)
        assert ran.code == 0
        assert_report(Path("report"))
        report = Path("report")
        assert {one for one in every_path() - before if one != report and report not in one.parents} == set()


def every_path() -> set[Path]:
    return set(Path().rglob("*"))


@quick
@given(FILE_NAMES, PIDS)
def test_notebooks(name: str, pid: bytes) -> None:
    with captured(name, pid) as path:
        analysis = Analysis(diagnose([path]))
        assert_html(analysis._repr_html_())
        assert_plain(repr(analysis))


# ----------------------------------------------------------------------------------------------------- errors


def assert_one_line(ran: Ran, code: int) -> None:
    assert (ran.code, ran.out) == (code, b"")
    assert_plain(ran.err)
    assert ran.err.startswith("amtdiag: ")
    assert ran.err.count("\n") == 1


@quick
@given(FILE_NAMES)
def test_inputs_that_are_not_there(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for command in (["analyze"], ["hellos"], ["analyze", "--json"], ["hello", "decode"]):
            assert_one_line(run(*command, f"{folder}/{name}"), 3 if command != ["hello", "decode"] else 2)
        assert_one_line(run("analyze", "--root-of", f"{folder}/{name}", HELLO_ONLY), 3)


@quick
@given(FILE_NAMES)
def test_inputs_that_are_no_captures(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text("no capture")
        assert_one_line(run("analyze", path), 3)
        assert_one_line(run("hello", "decode", path), 3)
        assert_one_line(run("analyze", "--root-of", path, HELLO_ONLY), 2)
        path.unlink()
        path.mkdir()
        assert_one_line(run("analyze", path), 3)
        partly = run("analyze", "--json", HELLO_ONLY, path)
        assert_plain(partly.err)
        assert_json(partly.out)


@pytest.mark.parametrize(
    "words",
    [
        ["hello", "decode", "{}"],
        ["hello", "build", "--uuid", "{}"],
        ["hello", "build", "--uuid", "4c4c4544-0042-3510-8052-b4c04f353532", "--digest", "{}:00"],
        ["hello", "build", "--uuid", "4c4c4544-0042-3510-8052-b4c04f353532", "--digest", "{}:" + "00" * 32],
        ["hello", "build", "--uuid", "4c4c4544-0042-3510-8052-b4c04f353532", "--root", "{}"],
        ["hello", "build", "--uuid", "4c4c4544-0042-3510-8052-b4c04f353532", "--pid", "{}12345678"],
    ],
    ids=lambda words: " ".join(words[:2] + words[-2:-1]),
)
def test_arguments_in_errors(words: list[str]) -> None:
    for nasty in NASTY:
        ran = run(*(word.replace("{}", f"zz{nasty}") for word in words))
        assert_one_line(ran, 2)


@pytest.mark.parametrize(
    "words",
    [["{}"], ["analyze", "--port", "{}", "x"], ["analyze", "--fail-on", "{}", "x"], ["hello", "{}"]],
    ids=" ".join,
)
def test_arguments_in_usage_errors(words: list[str]) -> None:
    for nasty in NASTY:
        ran = run(*(word.replace("{}", f"zz{nasty}") for word in words))
        assert ran.code == 2
        assert_plain(ran.err)


def test_unknown_options_in_usage_errors() -> None:
    for nasty in NASTY:
        ran = run("analyze", f"--zz{nasty}", HELLO_ONLY)
        assert ran.code == 2 or " " in nasty  # with a blank in it argparse takes it for a path
        assert_plain(ran.err)


@quick
@given(FILE_NAMES)
def test_report_folders_that_cannot_be_written(name: str) -> None:
    found = real(SAMPLES / "psk-hello.pcapng")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text("taken")
        with pytest.raises(Exception, match="cannot be written") as error:
            write_report(found, path)
        assert unsafe_characters(str(error.value), allowed="") == []


# ----------------------------------------------------------------------------- text that a diagnosis may hold


@cache
def real(path: Path) -> Diagnosis:
    return diagnose([path], Options())


def poisoned(found: Diagnosis, texts: list[str]) -> Diagnosis:
    """A real diagnosis with such texts wherever a text of the wire, a file or a program can stand."""
    shown = [safe(text) for text in texts]
    turn = (shown[number % len(shown)] for number in range(10**9))

    def named(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
        return tuple(one._replace(file=next(turn)) for one in evidence)

    return replace(
        found,
        captures=tuple(replace(one, file=next(turn), notes=(next(turn),)) for one in found.captures),
        hellos=tuple(
            replace(
                one,
                event=replace(
                    one.event,
                    evidence=named(one.event.evidence),
                    hello=replace(one.event.hello, pid=next(turn), problems=(next(turn), next(turn))),
                ),
                judgement=replace(
                    one.judgement,
                    digests=tuple(replace(judged, name=next(turn)) for judged in one.digests),
                ),
            )
            for one in found.hellos
        ),
        connections=tuple(
            replace(one, foreign=next(turn), evidence=named(one.evidence)) for one in found.connections
        ),
        devices=tuple(
            replace(
                one,
                aliases=(next(turn),),
                macs=(next(turn),),
                ips=(next(turn),),
                suffix=next(turn),
                server=next(turn),
                firmware=next(turn),
                mode=replace(one.mode, reason=next(turn)),
            )
            for one in found.devices
        ),
        findings=tuple(
            replace(
                one,
                summary=next(turn),
                remedy=next(turn),
                display_filter=next(turn),
                evidence=named(one.evidence),
                candidates=tuple(
                    replace(each, cause=next(turn), would_decide=next(turn)) for each in one.candidates
                ),
            )
            for one in found.findings
        ),
        unknowns=tuple(
            replace(one, what="x" + next(turn), why=next(turn), would_decide=next(turn))
            for one in found.unknowns
        ),
        notes=(next(turn),),
        problems=(next(turn),),
        own_root=OwnRoot(next(turn), tuple(one.id for one in found.devices), (), ()),
    )


BASES = [SAMPLES / name for name in ("no-connect-back.pcapng", "not-a-hello.pcapng", "one-way-capture.pcap")]
TEXTS = st.lists(NAMES, min_size=1, max_size=6)


def in_terminal(found: Diagnosis, *, colour: bool) -> str:
    """Both text reports as a console writes them."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=WIDE,
        highlight=False,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
    )
    print_analysis(found, console)
    print_hellos(found, console)
    return out.getvalue()


OWN_STYLES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("base", BASES, ids=lambda path: path.name)
@quick
@given(TEXTS)
@example(NASTY)
def test_diagnoses_on_the_terminal(base: Path, texts: list[str]) -> None:
    found = poisoned(real(base), texts)
    text = in_terminal(found, colour=False)
    assert_plain(text)
    for finding in found.findings[:1]:
        assert finding.summary in text
    coloured = in_terminal(found, colour=True)
    assert "\x1b]8" not in coloured, "no hyperlinks"
    assert OWN_STYLES.sub("", coloured) == text


@pytest.mark.parametrize("base", BASES, ids=lambda path: path.name)
@quick
@given(TEXTS)
@example(NASTY)
def test_diagnoses_as_json(base: Path, texts: list[str]) -> None:
    found = poisoned(real(base), texts)
    assert_json(dumps(analysis_json(found)).encode())
    for line in analysis_lines(found):
        assert_json(dumps(line).encode())


@pytest.mark.parametrize("base", BASES, ids=lambda path: path.name)
@quick
@given(TEXTS)
@example(NASTY)
def test_diagnoses_in_notebooks(base: Path, texts: list[str]) -> None:
    found = poisoned(real(base), texts)
    page = Analysis(found)._repr_html_()
    words = assert_html(page)
    for note in found.notes:
        assert note[:100] in words
        assert markupsafe.escape(note[:100]) in page


@slow
@given(TEXTS)
@example(NASTY)
def test_diagnoses_as_folders(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        write_report(poisoned(real(BASES[0]), texts), "report")
        assert_report(Path("report"))
        assert {path.parts[0] for path in every_path()} == {"report"}
