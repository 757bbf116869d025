#!/usr/bin/env python3
"""Say whether a change to the code changes what amtdiag prints and writes: for a refactoring, it must not.

python tools/same_results.py store DIR [--also CASES] [--rev REV]   before: keep all results in DIR
python tools/same_results.py compare DIR                            after: exit with 1 where one differs

`store` copies the captures too, so that both sides read the same ones from the same paths. A key that a JSON
document has gained is listed and allowed; anything else has to be equal.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import io
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[1]
SAMPLES = "sample_pcaps"
CASES = "cases"
SECOND = 10**9
COLUMNS = 100

NAMES = {
    "Frame": ("amtdiag.capture.live.source:LivePacket", "amtdiag.capture.source:Frame"),
    "Tap": ("amtdiag.capture.live.source:Tap", "amtdiag.capture.source:Tap"),
    "Live": ("amtdiag.live.engine:Live", "amtdiag.live:Live"),
    "Desk": ("amtdiag.live.diff:AlertTracker", "amtdiag.news:Desk"),
    "told_by": (
        "amtdiag.cli.live_output:printer_for",
        "amtdiag.cli.live_output:told_by",
        "amtdiag.cli.telling:told_by",
    ),
}
"""What has no public door, and where it is or was: a commit that moves one adds the new place here."""

CHARTED = (
    "another-dhcp-server.pcapng", "chain-expired.pcapng.gz", "connect-back-refused.pcapng",
    "fleet.pcapng.gz", "gave-up.pcap.gz", "pki-connects.pcapng", "planted-root.pcapng",
    "psk-differs.pcapng.gz", "rmcp-modes.pcapng", "lab/two-sensors-back-dropped",
)  # fmt: skip
"""Samples whose charts are drawn, which takes half a second and more for each."""

PAIRS = (
    ("pki-connects.pcapng", "connect-back-refused.pcapng"),
    ("pki-connects.pcapng", "server-refuses.pcapng"),
    ("psk-hello.pcapng", "psk-differs.pcapng.gz"),
    ("lab/ok-tls12.pcapng", "lab/back-dropped.pcapng"),
    ("chain-accepted.pcapng.gz", "chain-expired.pcapng.gz"),
    ("fleet.pcapng.gz",),
)
"""What `amtdiag compare` is given: a device that works and one that does not."""

READ_ARGUMENTS = {"--keylog": "keylog", "--psk": "psk", "--root-of": "root_of", "--cert": "cert"}
"""Options of `amtdiag analyze` that `amtdiag.read` has too."""

ENVIRONMENT = {
    "AMTDIAG_KERNEL": "python",  # a tree that was not installed has no compiled one
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "agg",
    "PYTHONSAFEPATH": "1",
    "TZ": "UTC",
}


@dataclass(frozen=True)
class Input:
    """What one call of amtdiag is given. Paths are relative to `home`, and that to the stored captures."""

    name: str
    home: str
    files: list[str]
    options: list[str]
    kind: str
    """capture, tree (many samples, read as one capture), pair (for compare) or none (no capture at all)."""


# ------------------------------------------------------------------------------------------------- the inputs


def sample_inputs(folder: Path) -> Iterator[Input]:
    """Yield each capture file of a folder, and each folder of it as one capture."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".pcap" in path.name)
    whole = {path.relative_to(folder).parent for path in files if ".pcap" in path.name}
    whole |= {above for one in whole for above in one.parents}
    for place in sorted(whole):
        kind = "tree" if any((folder / place).glob("*.expected.json")) else "capture"
        name = (Path(SAMPLES) / place).as_posix()
        yield Input(name, ".", [name], [], kind)
    for path in files:
        name = f"{SAMPLES}/{path.relative_to(folder)}"
        yield Input(name, ".", [name], [], "capture")
    for pair in PAIRS:
        paths = [f"{SAMPLES}/{one}" for one in pair]
        yield Input("compare/" + "--".join(one.replace("/", "-") for one in pair), ".", paths, [], "pair")


def case_inputs(folder: Path) -> Iterator[Input]:
    """Yield the cases of a folder with a cases.json, but for those that need an interface."""
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        if case.get("command", "analyze") != "live":
            yield Input(f"{CASES}/{case['name']}", CASES, case["files"], case["options"], "capture")


def copy_inputs(target: Path, cases: Path | None) -> list[Input]:
    """Copy all captures to a folder, and return what is to be done with them."""
    listed = [Input("no-capture", ".", [], [], "none"), *sample_inputs(TREE / SAMPLES)]
    leave = shutil.ignore_patterns("*.expected.json", "README.md", "__pycache__")
    shutil.copytree(TREE / SAMPLES, target / SAMPLES, ignore=leave)
    if cases is not None:
        listed += case_inputs(cases)
        shutil.copytree(cases, target / CASES, ignore=leave)
    return listed


# --------------------------------------------------------------------------------------- results of one input


class _Stream(io.TextIOWrapper):
    """Standard output of a command that is called: a terminal, or none."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    @property
    def text(self) -> str:
        raw: Any = self.buffer
        return str(raw.getvalue().decode("utf-8", "replace"))


class Results:
    """Collects what amtdiag says of one input: the name of a surface, and its text."""

    def __init__(self, one: Input, room: Path, replaced: Mapping[str, str]) -> None:
        self.input = one
        self.room = room
        """A folder that the results may be written to in between."""
        self.replaced = replaced
        """What differs from run to run, and what is written in its place."""
        self.texts: dict[str, str] = {}
        self.said: list[str] = []
        """Exit code and standard error of each command."""

    def run(self, surface: str | None, *words: str, colour: bool = False) -> str:
        """Run a command in this process; keep what it prints as `surface`, unless that is None."""
        from amtdiag.cli.main import main

        for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
            os.environ.pop(name, None)
        look = {"TERM": "xterm-256color", "COLORTERM": "truecolor"} if colour else {"NO_COLOR": "1"}
        os.environ.update(look, COLUMNS=str(COLUMNS))
        out, errors = _Stream(is_terminal=colour), _Stream(is_terminal=False)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                ended = f"exit {main(words)}"
            except Exception:  # a crash is a result, too
                ended = "crash\n" + _last_line()
        shown = " ".join(words).replace(str(self.room), "<room>")
        self.said.append(f"{surface or shown}: {ended}\n{errors.text}")
        if surface is not None:
            self.keep(surface, out.text)
        return out.text

    def keep(self, surface: str, text: str) -> None:
        """Keep a text, without what differs from run to run."""
        for old, new in self.replaced.items():
            text = text.replace(old, new)
        self.texts[surface] = text

    def keep_json(self, surface: str, value: object) -> None:
        """Keep a JSON document."""
        self.keep(surface, json.dumps(without_tool(value), indent=1, ensure_ascii=False) + "\n")

    def run_json(self, surface: str, *words: str) -> str:
        """Run a command that prints JSON: one document, or an object a line for .jsonl."""
        printed = self.run(None, *words)
        with self.trying(surface):
            lines = [json.loads(line) for line in printed.splitlines() if line]
            self.keep_json(surface, lines if surface.endswith(".jsonl") or len(lines) != 1 else lines[0])
        return printed

    @contextlib.contextmanager
    def trying(self, surface: str) -> Iterator[None]:
        """Keep an exception as the text of a surface."""
        try:
            yield
        except Exception:  # it may be that of both sides
            self.keep(surface, "no result: " + _last_line())


def _last_line() -> str:
    kind, error, _ = sys.exc_info()
    assert kind is not None
    return "".join(traceback.format_exception_only(kind, error)).strip() + "\n"


def without_tool(value: Any) -> Any:
    """Return a JSON document without the version of amtdiag, and the kernel that it read with."""
    if isinstance(value, list):
        return [without_tool(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: without_tool(one) for key, one in value.items()}
    if isinstance(tool := found.get("tool"), dict):
        found["tool"] = {
            key: f"<{key}>" if key in {"version", "kernel"} else one for key, one in tool.items()
        }
    elif "tool" in found and "schema" in found:
        found["tool"] = "<version>"
    return found


def results_of(one: Input, inputs: Path, room: Path, skipped: Sequence[str]) -> dict[str, str]:
    """Return all results of one input; report.html stays in the room, for the browser."""
    import amtdiag

    os.chdir(inputs / one.home)
    room.mkdir(parents=True, exist_ok=True)
    replaced = {
        str(room): "<room>",
        str(inputs): "<inputs>",
        str(Path(amtdiag.__file__).parents[1]): "<tree>",
        f"amtdiag {amtdiag.__version__}": "amtdiag <version>",
    }
    results = Results(one, room, replaced)
    if one.kind == "none":
        _without_capture(results)
    elif one.kind == "pair":
        results.run("compare.txt", "compare", *one.files)
        results.run("compare-all-colour.txt", "compare", "--all", *one.files, colour=True)
        results.run_json("compare.json", "compare", "--json", *one.files)
    else:
        _of_capture(results, skipped)
    results.keep("exit-and-stderr.txt", "\n".join(results.said))
    return results.texts


def _without_capture(results: Results) -> None:
    from amtdiag.cli.main import COMMANDS

    results.run("help.txt", "--help")
    for name in COMMANDS:
        results.run(f"help-{name}.txt", name, "--help")
    results.run("explain.txt", "explain")
    results.run("explain-colour.txt", "explain", colour=True)
    for rule in re.findall(r"^([a-z0-9-]+) ", results.texts["explain.txt"], re.MULTILINE):
        results.run(f"explain-{rule}.txt", "explain", rule)
    results.run("roots.txt", "roots")
    results.run("roots-colour.txt", "roots", colour=True)
    results.run_json("roots.json", "roots", "--json")


def _of_capture(results: Results, skipped: Sequence[str]) -> None:
    one, room = results.input, results.room
    given = [*one.options, *one.files]
    report = results.run_json("analyze.json", "analyze", "--json", *given)
    results.run_json("analyze.jsonl", "analyze", "--jsonl", *given)
    results.run("terminal.txt", "analyze", *given)
    results.run("terminal-colour.txt", "analyze", *given, colour=True)
    results.run("hellos.txt", "hellos", *one.files)
    results.run("hellos-colour.txt", "hellos", *one.files, colour=True)
    hellos = results.run_json("hellos.jsonl", "hellos", "--jsonl", *one.files)
    with results.trying("report-files.txt"):
        _read_and_save(results, {"report.json": report, "hellos.jsonl": hellos}, skipped)
    with results.trying("live-eve.jsonl"):
        _play_live(results)
    if one.kind == "capture":
        written = room / "redacted"
        (room / "key").write_bytes(b"the same in every run")
        results.run(None, "redact", "--key", str(room / "key"), *one.files, str(written))
        results.keep("redacted-bytes.txt", dump_of(written, results.replaced))
        written = room / "annotated.pcapng"
        results.run(None, "analyze", "--json", "--annotate", str(written), *given)
        results.keep("annotated-bytes.txt", dump_of(written, results.replaced))


def _read_and_save(results: Results, printed: Mapping[str, str], skipped: Sequence[str]) -> None:
    """What the library gives, and the folder of `analyze -o` without its charts."""
    import amtdiag

    one, folder = results.input, results.room / "report"
    pairs = list(zip(one.options[::2], one.options[1::2], strict=True))
    read: Callable[..., Any] = amtdiag.read
    analysis = read(*one.files, **{READ_ARGUMENTS[name]: value for name, value in pairs})
    analysis.save(folder, charts=())
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in written]
    results.keep("report-files.txt", "\n".join(names) + "\n")
    for name, path in zip(names, written, strict=True):
        text = path.read_text(encoding="utf-8")
        if name.endswith(".csv"):
            results.keep(f"tables/{name}", text)
        elif name == "report.html":
            results.keep_json("report-data.json", page_data(text))
            results.keep("report-static.txt", without_data(text))
        elif name in printed:
            if text != printed[name]:  # it should be what the command prints
                lines = [json.loads(line) for line in text.splitlines()]
                results.keep_json(f"report-folder/{name}", lines)
        else:
            results.keep(f"report-folder/{name}", text)
    results.keep("python-repr.txt", f"{analysis!r}\n{analysis.verdict}\n")
    results.keep("notebook.html", split_tags(analysis._repr_html_()))  # Jupyter's name for it
    for number, device in enumerate(json.loads(printed["report.json"])["devices"][:4]):
        shown = analysis.device(device["id"])
        results.keep(f"notebook-device-{number}.html", split_tags(shown._repr_html_()))
    if one.name.removeprefix(f"{SAMPLES}/") in CHARTED and "charts" not in skipped:
        drawn = results.room / "charts"
        analysis.save(drawn, charts="svg")
        for path in sorted(drawn.rglob("*.svg")):
            results.keep(f"charts/{path.name}.txt", chart_text(path.read_text(encoding="utf-8")))
        results.keep("charts/index.csv", (drawn / "charts" / "index.csv").read_text(encoding="utf-8"))


def dump_of(path: Path, replaced: Mapping[str, str]) -> str:
    """Return the bytes of a file, or of all files of a folder, in hexadecimal."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    lines = []
    for file in files:
        if not file.exists():
            lines.append(f"no {file.name}")
            continue
        data = file.read_bytes()
        for old, new in replaced.items():
            data = data.replace(old.encode(), new.encode())
        lines.append(f"{file.name}: {len(data)} bytes")
        lines += (data[at : at + 32].hex() for at in range(0, len(data), 32))
    return "\n".join(lines) + "\n"


def split_tags(page: str) -> str:
    """Return HTML with a line for each element, so that a difference is short."""
    return page.replace("><", ">\n<") + "\n"


def chart_text(svg: str) -> str:
    """Return the texts of a chart, which matplotlib writes beside their outlines, and a digest of it all."""
    texts = [one.strip() for one in re.findall(r"<!--(.*?)-->", svg, re.DOTALL)]
    return "\n".join([*texts, f"drawing {hashlib.sha256(svg.encode()).hexdigest()}"]) + "\n"


# ------------------------------------------------------------------------------------------ the live commands


@cache
def named(name: str) -> Any:
    """Return what `NAMES` tells the places of."""
    for place in NAMES[name]:
        module, attribute = place.split(":")
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(import_module(module), attribute)
    raise LookupError(f"{name} has moved: add its new place to NAMES in tools/same_results.py")


def _play_live(results: Results) -> None:
    """What `amtdiag live` prints where the packets of a capture come in by an interface, at their times."""
    import amtdiag

    links: list[int] = []
    frames = []
    for ts, link, data, length in packets_of([Path(one) for one in results.input.files]):
        if link not in links:
            links.append(link)
        frames.append(named("Frame")(ts, links.index(link), data, length))
    taps = [named("Tap")(f"eth{number}", link) for number, link in enumerate(links)]
    if not frames:
        results.keep("live-eve.jsonl", "no packets\n")
        return
    live = named("Live")("live:eth0", taps, amtdiag.Options())
    desk = named("Desk")(live, 15 * 60 * SECOND, frozenset())
    tellers = [named("told_by")(jsonl=True), named("told_by")(jsonl=False)]
    streams = [_Stream(is_terminal=False), _Stream(is_terminal=False)]

    def tell(what: str, about: object) -> None:
        for teller, stream in zip(tellers, streams, strict=True):
            with contextlib.redirect_stdout(stream):
                getattr(teller, what)(about)

    batch, now = max(len(frames) // 4, 1), 0
    for at in range(0, len(frames), batch):
        part = frames[at : at + batch]
        for event in live.feed(part):
            tell("hello", event)
        now = max(now, *(one.ts for one in part), 0)
        tell("judged", desk.look(live.so_far(now), live.over(), now))
    end = now + 3600 * SECOND
    tell("judged", desk.look(live.so_far(end), live.over(), end))
    diagnosis = live.finish(end)
    tell("judged", desk.sift(diagnosis, live.over(), end))
    tell("report", diagnosis)
    results.keep_json("live-eve.jsonl", [json.loads(line) for line in streams[0].text.splitlines()])
    results.keep("live-lines.txt", streams[1].text)


def packets_of(paths: Sequence[Path]) -> list[tuple[int, int, bytes, int]]:
    """Return time, link type, bytes and length of the packets of captures, as scapy reads them."""
    found: list[tuple[int, int, bytes, int]] = []
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    for file in files:
        if file.is_file():
            with contextlib.suppress(Exception):  # what is damaged is read as far as it goes
                found.extend(_packets_of_file(file))
    return found if len(files) == 1 else sorted(found, key=lambda one: one[0])


def _packets_of_file(file: Path) -> Iterator[tuple[int, int, bytes, int]]:
    from scapy.utils import RawPcapReader

    reader: Any = RawPcapReader(str(file))
    with contextlib.closing(reader):
        for data, of in reader:
            if hasattr(of, "tshigh"):
                ts = ((of.tshigh or 0) << 32 | (of.tslow or 0)) * SECOND // (of.tsresol or 10**6)
                yield ts, of.linktype, bytes(data), of.wirelen
            else:
                yield (
                    of.sec * SECOND + of.usec * (1 if reader.nano else 1000),
                    reader.linktype,
                    bytes(data),
                    of.wirelen,
                )


# ------------------------------------------------------------------------------------------------ report.html

_MODEL = re.compile(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', re.DOTALL)
_SCRIPT = re.compile(r"<(script|style)\b[^>]*>.*?</\1>", re.DOTALL)
_POLICY = re.compile(r"('|&#39;)sha256-[^'&]*\1")


def page_data(page: str) -> Any:
    """Return the data that a page carries, decoded, whichever way it is coded."""
    found = [json.loads(text) for text in _MODEL.findall(page)]
    data = [unpacked(one) for one in found]
    return data[0] if len(data) == 1 else data


def unpacked(carried: Any) -> Any:
    """Return data as rows of plain values; data that is not in columns is returned as it is."""
    if isinstance(carried, dict) and "deflate" in carried:
        carried = json.loads(zlib.decompress(b64decode(carried["deflate"])))
    if isinstance(carried, dict) and "pool" in carried and "start" in carried:
        return Columns(carried).document()
    if isinstance(carried, dict) and "columns" in carried.get("devices", ()):
        return tables_document(carried)
    return carried


def without_data(page: str) -> str:
    """Return what a page is without script and style: its markup before the script has run."""
    return split_tags(without_hashes(_SCRIPT.sub("", page)))


def without_hashes(page: str) -> str:
    """Return a page without the hashes of its script and style, which its policy names."""
    return _POLICY.sub(r"\1sha256-\1", page)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Columns:
    """Decodes the columns of the page's data as they were until schema 2: numbers that point into a pool."""

    TEXTS = _words(
        "id name state uuid aliases macs ips host hello_type stage suffix server consistent_with hints "
        "visibility schedules basis weight reason outcome detail kind src dst digests rule catalogue "
        "category severity confidence summary remedy candidates filter what why would_decide title "
        "label file format linktypes notes"
    )
    TIMES = _words("first_seen last_seen since at first_ts last_ts watched_until")
    NONE_IS_MINUS_1 = _words("cause device retry snaplen drops")
    TRUTHS = _words("is_amt overcome truncated")

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.pool = model["pool"]
        self.start, self.tick = int(model["start"]), model["tick"]

    def document(self) -> dict[str, Any]:
        """Return all of it; tables as lists of objects."""
        left_out = {"pool", "start", "tick"}
        return {
            key: self.table(value, value["rows"]) if isinstance(value, dict) and "rows" in value else value
            for key, value in self.model.items()
            if key not in left_out
        }

    def table(self, columns: dict[str, Any], rows: int) -> list[dict[str, Any]]:
        """Return the rows of a table."""
        decoded = {
            name: self.column(name, column, rows)
            for name, column in columns.items()
            if name not in {"rows", "n"}
        }
        return [{name: decoded[name][row] for name in decoded} for row in range(rows)]

    def column(self, name: str, column: Any, rows: int) -> list[Any]:
        """Return the values of a column."""
        if name == "evidence":
            return self.evidence(column, rows)
        if isinstance(column, dict):
            counts = self.spread(column["n"], rows)
            inner = iter(self.table(column, sum(counts)))
            return [[next(inner) for _ in range(count)] for count in counts]
        if name in self.TIMES:
            return self.times(column)
        values = self.spread(column, rows)
        if name == "lasts":
            return [one * self.tick for one in values]
        if name == "digests":
            return [[self.pool[place] for place in self.pool[one] or ()] for one in values]
        if name in self.TEXTS:
            return [self.pool[one] for one in values]
        if name in self.TRUTHS:
            return [bool(one) for one in values]
        return [None if one == -1 and name in self.NONE_IS_MINUS_1 else one for one in values]

    @staticmethod
    def spread(column: Any, rows: int) -> list[Any]:
        """Return a value a row."""
        return [column] * rows if isinstance(column, int) else list(column)

    def times(self, column: Sequence[int | None]) -> list[str | None]:
        """Return times as JSON has them elsewhere."""
        now, found = self.start, []
        for step in column:
            now += (step or 0) * self.tick
            found.append(None if step is None else time_text(now))
        return found

    def evidence(self, columns: dict[str, Any], rows: int) -> list[list[dict[str, Any]]]:
        """Return the frames of each row."""
        counts = self.spread(columns["n"], rows)
        files = iter(self.spread(columns["file"], sum(counts)))
        frame, steps, found = 0, iter(columns["frame"]), []
        for count in counts:
            own = []
            for _ in range(count):
                frame += next(steps)
                own.append({"file": self.pool[next(files)], "frame": frame})
            found.append(own)
        return found


def tables_document(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page's data, described in `amtdiag.report.formats.html.model`, in the form of `Columns`."""
    document = {
        name: table_rows(value, int(model["start"]))
        if isinstance(value, dict) and "columns" in value
        else value
        for name, value in model.items()
        if name not in {"start", "digest_lists"}
    }
    nested = {name: document.pop(name) for name in ("modes", "stages", "events")}
    for device in document["devices"]:
        device |= {name: [] for name in nested}
    for name, rows in nested.items():
        for row in rows:
            if "digests" in row:
                row["digests"] = [] if row["digests"] is None else model["digest_lists"][row["digests"]]
            document["devices"][row.pop("device")][name].append(row)
    document["schema"] = 1  # it says how the data are coded, and they are decoded here
    return document


def table_rows(table: Mapping[str, Any], start: int) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    columns: dict[str, list[Any]] = {}
    for name, column in table["columns"].items():
        values = [column["values"][place] for place in column["places"]] if "values" in column else column
        if name in Columns.TIMES:
            values = [None if value is None else time_text(start + value) for value in values]
        columns[name] = values
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for row in rows:
        if "frames" in row:
            frames = zip(row.pop("files"), row.pop("frames"), strict=True)
            row["evidence"] = [{"file": file, "frame": frame} for file, frame in frames]
    return rows


def time_text(ts: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 with nine digits."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ts // SECOND)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ts % SECOND:09d}Z"


class Browser:
    """Headless Chromium, which shows pages one after the other; `missing` says why there is none."""

    _VIEW = """async hash => {
        if (hash) {
            await new Promise(done => {
                addEventListener("hashchange", done, { once: true });  // after the page's own listener
                location.hash = hash;
                setTimeout(done, 5000);
            });
        }
        for (let number = 0; number < 3; number++) await new Promise(requestAnimationFrame);
        for (const one of document.querySelectorAll("details")) one.open = true;
        return document.body.innerText;
    }"""
    _DEVICES = 4
    """Devices of a page whose own view is looked at."""

    def __init__(self) -> None:
        self.missing = ""
        self._stack = contextlib.ExitStack()
        program = next(
            filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
        )
        if program is None:
            self.missing = "no Chromium"
            return
        try:
            from playwright.sync_api import sync_playwright

            playwright = self._stack.enter_context(sync_playwright())
            flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=program, args=flags)
            self._stack.callback(browser.close)
            self._page = browser.new_page(
                viewport={"width": 1280, "height": 900},
                timezone_id="UTC",
                locale="en-US",
                reduced_motion="reduce",
            )
        except Exception as error:  # whatever it is, the other results are wanted
            self.missing = f"no Chromium: {str(error).splitlines()[0]}"

    def text_of(self, path: Path, devices: Sequence[str]) -> str:
        """Return the text that stands in a page, and in its views of the first devices."""
        parts = []
        self._page.goto("about:blank")
        self._page.goto(path.as_uri())
        with contextlib.suppress(Exception):  # a page without a script is never ready
            self._page.wait_for_selector("html[data-ready]", timeout=5000)
        for view in ("", *(f"#device={name}" for name in devices[: self._DEVICES])):
            parts += [f"===== {view or 'overview'}", str(self._page.evaluate(self._VIEW, view))]
        return "\n".join(parts) + "\n"

    def close(self) -> None:
        """End it."""
        self._stack.close()


# ---------------------------------------------------------------------------------------- run over all inputs


def run_inputs(inputs: Path, target: Path, tree: Path, skipped: Sequence[str], only: Sequence[str]) -> None:
    """Write the results of all inputs to a folder; this is the process in which amtdiag is that of `tree`."""
    import amtdiag

    if not Path(amtdiag.__file__).is_relative_to(tree):
        sys.exit(f"{amtdiag.__file__} is not the amtdiag of {tree}")
    listed = [one for one in stored_inputs(inputs.parent) if is_wanted(one.name, only)]
    listed.sort(key=lambda one: (one.name.removeprefix(f"{SAMPLES}/") not in CHARTED, one.name))
    notes = dict.fromkeys(skipped, "left out by --skip")
    browser = None
    if "report-text" not in skipped:
        browser = Browser()
        if browser.missing:
            notes["report-text"] = browser.missing
    with (
        tempfile.TemporaryDirectory() as rooms,
        ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool,
    ):
        waited = {}
        for number, one in enumerate(listed):
            room = Path(rooms) / str(number)
            waited[pool.submit(results_of, one, inputs, room, skipped)] = (one, room)
        for done in as_completed(waited):
            one, room = waited[done]
            texts = done.result()
            page = room / "report" / "report.html"
            if browser is not None and not browser.missing and page.exists():
                found = json.loads(texts["analyze.json"])
                devices = [device["id"] for device in found.get("devices", ())]
                texts["report-text.txt"] = browser.text_of(page, devices).replace(
                    f"amtdiag {amtdiag.__version__}", "amtdiag <version>"
                )
            for surface, text in texts.items():
                path = target / one.name.replace("/", "+") / surface
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="")
            shutil.rmtree(room)
    if browser is not None:
        browser.close()
    (target / "skipped.json").write_text(json.dumps(notes), encoding="utf-8")


def is_wanted(name: str, only: Sequence[str]) -> bool:
    """Say whether an input is among those that are asked for by parts of their names."""
    return not only or any(part in name for part in only)


def stored_inputs(folder: Path) -> list[Input]:
    """Return the inputs that `store` noted."""
    try:
        return [Input(**one) for one in json.loads((folder / "inputs.json").read_text(encoding="utf-8"))]
    except FileNotFoundError:
        sys.exit(f"{folder} holds no stored results")


def run_tree(tree: Path, folder: Path, target: Path, skipped: Sequence[str], only: Sequence[str]) -> None:
    """Run amtdiag as it is in `tree` on the stored captures."""
    words = [sys.executable, __file__, "run", str(folder), str(target), str(tree)]
    words += [word for name in skipped for word in ("--skip", name)] + [
        w for name in only for w in ("--only", name)
    ]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(tree)}
    if (code := subprocess.run(words, env=environment, cwd=tree, check=False).returncode) != 0:
        sys.exit(f"the results could not be made (exit {code})")


@contextlib.contextmanager
def tree_of(revision: str | None) -> Iterator[Path]:
    """Give this tree, or a temporary one with a revision of it."""
    if revision is None:
        yield TREE
        return
    git = ["git", "-C", str(TREE), "worktree"]
    with tempfile.TemporaryDirectory() as room:
        place = Path(room) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), revision], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


# --------------------------------------------------------------------------------------------- the comparison


@dataclass
class Comparison:
    """What differs in the results of one surface."""

    differences: list[str]
    new_keys: set[str]


def compare_json(old: Any, new: Any, path: str = "", general: str = "") -> Comparison:
    """Compare two JSON documents; `path` is a place, `general` the same with [] for any array place."""
    found = Comparison([], set())

    def add(key: str, short: str, one: Any, other: Any) -> None:
        inner = compare_json(one, other, path + key, general + short)
        found.differences += inner.differences
        found.new_keys |= inner.new_keys

    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            name = f".{key}" if path else key
            if key in new:
                add(name, name, value, new[key])
            else:
                found.differences.append(f"{path}{name}: gone, was {_short(value)}")
        found.new_keys |= {f"{general}.{key}" if general else key for key in new if key not in old}
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            found.differences.append(f"{path or 'document'}: {len(old)} elements, now {len(new)}")
        for number, (one, other) in enumerate(zip(old, new, strict=False)):
            add(f"[{number}]", "[]", one, other)
    elif type(old) is not type(new) or old != new:
        found.differences.append(f"{path or 'document'}: {_between(_short(old), _short(new))}")
    return found


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _between(old: str, new: str, most: int = 160) -> str:
    """Show two long texts from a little before the place where they part."""
    parted = (number for number, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    part = next(parted, min(len(old), len(new)))
    begin = max(part - 40, 0) if max(len(old), len(new)) > most else 0
    dots = "..." if begin else ""
    return f"{dots}{old[begin : begin + most]} -> {dots}{new[begin : begin + most]}"


def compare_texts(old: str, new: str) -> Comparison:
    """Compare two texts line by line."""
    if old == new:
        return Comparison([], set())
    before, after = old.split("\n"), new.split("\n")
    found = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for number in range(max(b - a, d - c)):
            one = repr(before[a + number]) if a + number < b else "(no line)"
            other = repr(after[c + number]) if c + number < d else "(no line)"
            found.append(f"line {a + number + 1}: {_between(one, other)}")
    return Comparison(found, set())


def compare_surface(name: str, old: str, new: str) -> Comparison:
    """Compare what stands in two files of a name."""
    if old != new and name.endswith((".json", ".jsonl")):
        with contextlib.suppress(ValueError):
            return compare_json(json.loads(old), json.loads(new))
    if name.endswith("report-static.txt"):  # results stored before this was done when they are made
        old, new = without_hashes(old), without_hashes(new)
    if name.startswith("notebook"):  # html and markupsafe write quotation marks each in its way
        old, new = (text.replace("&#x27;", "&#39;").replace("&quot;", "&#34;") for text in (old, new))
    return compare_texts(old, new)


def compare_folders(
    old: Path, new: Path, most: int, only: Sequence[str]
) -> tuple[Counter[str], dict[str, set[str]]]:
    """Print what differs between two folders of results; return how often each surface does, and new keys."""
    skipped = _skipped(old) | _skipped(new)
    names = {path.relative_to(one) for one in (old, new) for path in one.rglob("*") if path.is_file()}
    differing: Counter[str] = Counter()
    new_keys: dict[str, set[str]] = {}
    for name in sorted(names - {Path("skipped.json")}):
        owner, surface = name.parts[0].replace("+", "/"), "/".join(name.parts[1:])
        if not is_wanted(owner, only) or surface.split("/")[0].split(".")[0] in skipped:
            continue
        texts = [
            path.read_bytes().decode("utf-8") if (path := one / name).exists() else None for one in (old, new)
        ]
        if texts[0] is None or texts[1] is None:
            found = Comparison(
                ["there is none any more" if texts[1] is None else "there was none before"], set()
            )
        else:
            found = compare_surface(surface, texts[0], texts[1])
        for key in found.new_keys:
            new_keys.setdefault(surface, set()).add(key)
        if found.differences:
            differing[surface] += 1
            print(f"{owner}: {surface}: {len(found.differences)} differences")
            for line in found.differences[:most]:
                print(f"    {line}")
    return differing, new_keys


def _skipped(folder: Path) -> set[str]:
    return set(json.loads((folder / "skipped.json").read_text(encoding="utf-8")))


# ----------------------------------------------------------------------------------------------- the commands


def store(arguments: argparse.Namespace) -> int:
    """Keep all results of this tree or of a revision, and the captures that they are of."""
    folder: Path = arguments.folder
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "inputs.json").exists():
            sys.exit(f"{folder} holds something else")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    listed = copy_inputs(folder / "inputs", arguments.also)
    (folder / "inputs.json").write_text(
        json.dumps([asdict(one) for one in listed], indent=1), encoding="utf-8"
    )
    with tree_of(arguments.rev) as tree:
        run_tree(tree, folder, folder / "results", arguments.skip, [])
    print(f"stored in {folder}: {len(listed)} inputs{_told_skipped(folder / 'results')}")
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Make all results anew, with this tree or a revision, and hold them against what is stored."""
    folder: Path = arguments.folder
    listed = [one for one in stored_inputs(folder) if is_wanted(one.name, arguments.only)]
    with tempfile.TemporaryDirectory() as room, tree_of(arguments.rev) as tree:
        fresh = arguments.keep or Path(room)
        if arguments.keep and fresh.exists() and any(fresh.iterdir()):
            sys.exit(f"{fresh} is not empty")
        fresh.mkdir(parents=True, exist_ok=True)
        run_tree(tree, folder, fresh, arguments.skip, arguments.only)
        differing, new_keys = compare_folders(folder / "results", fresh, arguments.most, arguments.only)
        skipped = _told_skipped(folder / "results", fresh)
    for home, cases in (("inputs/" + SAMPLES, TREE / SAMPLES), ("inputs/" + CASES, arguments.also)):
        if cases is not None and (changed := changed_captures(folder / home, cases)):
            print(f"captures that were added or changed since, not compared: {', '.join(changed)}")
    for surface, keys in sorted(new_keys.items()):
        print(f"new keys in {surface}: {', '.join(sorted(keys))}")
    for surface, number in sorted(differing.items()):
        print(f"{surface} differs in {number} inputs")
    verdict = (
        f"{differing.total()} results differ"
        if differing
        else "all equal" + " but for new keys" * bool(new_keys)
    )
    print(f"{len(listed)} inputs: {verdict}{skipped}")
    return int(bool(differing))


def changed_captures(stored: Path, now: Path) -> list[str]:
    """Return the names of captures that are others than when the results were stored."""
    return [
        path.relative_to(now).as_posix()
        for path in sorted(now.rglob("*.pcap*"))
        if not (kept := stored / path.relative_to(now)).exists() or kept.read_bytes() != path.read_bytes()
    ]


def _told_skipped(*folders: Path) -> str:
    reasons = {
        name: why
        for folder in folders
        for name, why in json.loads((folder / "skipped.json").read_text(encoding="utf-8")).items()
    }
    return "".join(f"; not looked at: {name} ({why})" for name, why in sorted(reasons.items()))


def _path(text: str) -> Path:
    return Path(text).resolve()


def main() -> int:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    subs = {}
    for name, does in (("store", store), ("compare", compare)):
        sub = subs[name] = commands.add_parser(name, help=(does.__doc__ or "").lower().rstrip("."))
        sub.add_argument("folder", metavar="DIR", type=_path, help="where the results are")
        also = "folder with a cases.json, whose cases are inputs, too"
        if name == "compare":
            also = "say which of its captures have changed (those compared are the stored ones)"
        sub.add_argument("--also", metavar="CASES", type=_path, help=also)
        sub.add_argument("--rev", metavar="REV", help="run this git revision, not the tree as it is")
        sub.add_argument(
            "--skip",
            action="append",
            default=[],
            choices=("charts", "report-text"),
            help="leave out what is slow",
        )
        sub.set_defaults(does=does)
    sub = subs["compare"]
    sub.add_argument(
        "--only", metavar="PART", action="append", default=[], help="inputs with this in their names"
    )
    sub.add_argument("--most", metavar="N", type=int, default=3, help="differences to show of each result")
    sub.add_argument("--keep", metavar="DIR", type=_path, help="keep the new results here, for diff -r")
    if sys.argv[1:2] == ["run"]:  # this program, with another tree in front of it
        runner = argparse.ArgumentParser()
        for place in ("folder", "target", "tree"):
            runner.add_argument(place, type=_path)
        for option in ("--skip", "--only"):
            runner.add_argument(option, action="append", default=[])
        words = runner.parse_args(sys.argv[2:])
        run_inputs(words.folder / "inputs", words.target, words.tree, words.skip, words.only)
        return 0
    arguments = parser.parse_args()
    begun = time.monotonic()
    code: int = arguments.does(arguments)
    print(f"took {time.monotonic() - begun:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
