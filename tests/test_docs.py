"""README.md and docs/ say what is so: links, commands with their output, options, fields, rules, limits.

The examples in the documentation are run as they stand:

* A fenced block marked ``console`` runs; all of a document run in one folder that holds ``sample_pcaps``, two
  certificate chains and an .etl. ``$`` stands before a command, which has to give 0 or 1. The other lines are
  its output: they have to be in it, in this order, whatever the width of the terminal. Three dots where a
  line begins stand for what is left out.
* A block marked ``python`` runs too, those of a document one after the other. A block marked ``text`` right
  behind one is what it prints.
* Blocks marked ``sh`` and ``text`` do not run; those in braces are for Sphinx.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, get_args

import certifi
import pytest
from conftest import IN_CI

from amtdiag import errors, model, tables
from amtdiag.cli import main as cli
from amtdiag.config import Limits, Options
from amtdiag.pipeline import diagnose, interest
from amtdiag.report.formats.json import analysis_lines
from amtdiag.simulator.certificates import server_identity
from amtdiag.trust.verdicts import VERDICTS

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCUMENTS = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
WIDTH = 110
DOTS = "..."

_FENCE = re.compile(r"^```([\w{}-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """The text of a document without its blocks of code."""
    return _FENCE.sub("", path.read_text("utf-8"))


@cache
def everything() -> str:
    return "\n".join(path.read_text("utf-8") for path in DOCUMENTS)


def formats() -> str:
    return (ROOT / "docs" / "formats.md").read_text("utf-8")


def code_words(text: str) -> frozenset[str]:
    """What stands in backticks, dotted names also by their last part."""
    words = re.findall(r"`([^`\n]+)`", text)
    return frozenset([*words, *(word.rpartition(".")[2] for word in words)])


by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


# ------------------------------------------------------------------------------------------- links and layout


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@by_name
def test_relative_links_resolve(document: Path) -> None:
    for link in _LINK.findall(prose(document)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{document.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{document.name} links to {link}"


@by_name
def test_layout(document: Path) -> None:
    for number, line in enumerate(prose(document).splitlines(), 1):
        assert line.startswith("|") or len(line) <= WIDTH, f"{document.name}, prose line {number}: {line}"
        assert line == line.rstrip()


@by_name
def test_blocks_say_whether_they_run(document: Path) -> None:
    kinds = [kind for kind, _ in _FENCE.findall(document.read_text("utf-8"))]
    assert set(kinds) <= {"console", "python", "sh", "text", "{eval-rst}", "{toctree}"}


def test_sphinx_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", "docs"]
    done = subprocess.run(
        [*command, "-d", tmp_path / "doctrees", ".", tmp_path / "pages"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    made = {path.stem for path in (tmp_path / "pages" / "docs").glob("*.html")}
    assert made == {path.stem for path in DOCUMENTS if path.parent != ROOT}


# --------------------------------------------------------------------------------------------------- examples


class Example(NamedTuple):
    command: str
    shown: list[str]


def examples(document: Path) -> Iterator[Example]:
    for kind, body in _FENCE.findall(document.read_text("utf-8")):
        if kind != "console":
            continue
        example = None
        for line in body.splitlines():
            if line.startswith("$ "):
                if example:
                    yield example
                example = Example(line[2:], [])
            else:
                assert example, f"{document.name}: output before any command: {line}"
                example.shown.append(line)
        if example:
            yield example


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where examples run: with the samples, a chain and an event trace."""
    (tmp_path / "sample_pcaps").symlink_to(ROOT / "sample_pcaps")
    bundle = Path(certifi.where()).read_text("utf-8")
    label = bundle.index('# Label: "DigiCert Global Root G2"')
    chain = re.compile(r"-----BEGIN.*?-----END CERTIFICATE-----\n", re.DOTALL).search(bundle, label)
    assert chain
    (tmp_path / "chain.pem").write_text(chain[0])
    (tmp_path / "provisioning.pem").write_bytes(server_identity("site12.example").chain)
    (tmp_path / "trace.etl").write_bytes((65536).to_bytes(4, "little") + bytes(5000))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    # The commands of the interpreter that runs the tests come first.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def missing_tool(command: str) -> str | None:
    """The first program of a pipeline that is not installed."""
    quoted = re.sub(r"'[^']*'|\"[^\"]*\"", "''", command)
    for part in re.split(r"[|;]", quoted):
        words = part.split()
        if words and shutil.which(words[0]) is None:
            return words[0]
        if words[:1] == ["amtdiag"] and {"--psk", "--keylog"} & set(words) and shutil.which("tshark") is None:
            return "tshark"
    return None


def run(command: str) -> tuple[int, str]:
    """Run an example; return its exit code and its output, standard error among it."""
    words = shlex.split(command)
    if words[0] != "amtdiag" or {"|", ">", ";", "<"} & set(shlex.split(command.replace(";", " ; "))):
        done = subprocess.run(
            ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(words[1:])
    return code, f"{out.getvalue()}\n{err.getvalue()}"


def shown_parts(lines: list[str]) -> Iterator[str]:
    """What is shown of an output, in one piece from dots to dots, all space being alike."""
    part: list[str] = []
    for line in lines:
        if line.startswith(DOTS):
            yield " ".join(part)
            part = []
        part += line.removeprefix(DOTS).split()
    yield " ".join(part)


@by_name
def test_examples(document: Path, folder: Path, need: Callable[[str], Path]) -> None:
    left_out = []
    not_made: set[str] = set()  # files that a command would have written that was left out
    for command, shown in examples(document):
        if tool := missing_tool(command):
            left_out.append(tool)
            not_made.update(re.findall(r"> (\S+)$", command))
            continue
        if not_made & set(command.split()):
            continue
        code, output = run(command)
        assert code in (0, 1), f"{command}\n{output}"
        rest = " ".join(output.split())
        for part in filter(None, shown_parts(shown)):
            _, found, after = rest.partition(part)
            assert found, f"$ {command}\nshows: {part}\nbut there is only: {rest}"
            rest = after
    if left_out:
        # Those with the other tools have passed; conftest.py counts these.
        need(left_out[0])


def shown_after(text: str, end: int) -> str | None:
    """The block of text that stands right behind one of Python: what that prints."""
    following = _FENCE.search(text, end)
    if following and following[1] == "text" and not text[end : following.start()].strip():
        return following[2]
    return None


def may_capture_on(interface: str) -> bool:
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as opened:
            opened.bind((interface, 0))
    except OSError:
        return False
    return True


@by_name
def test_python(document: Path, folder: Path, need: Callable[[str], Path]) -> None:
    names: dict[str, Any] = {}
    text = document.read_text("utf-8")
    for block in _FENCE.finditer(text):
        if block[1] != "python":
            continue
        if ".packets(" in block[2]:
            need("tshark")
        if 'sniff("eth0"' in block[2] and not may_capture_on("eth0") and not IN_CI:
            pytest.skip("no eth0 here, or no right to capture on it")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block[2], document.name, "exec"), names)
        shown = shown_after(text, block.end())
        assert shown is None or out.getvalue().split() == shown.split(), f"it prints:\n{out.getvalue()}"
    if "matplotlib" in sys.modules:
        import matplotlib.pyplot as plt

        plt.close("all")


def test_there_are_examples() -> None:
    """The pattern that finds blocks has not gone blind."""
    commands = [example.command for document in DOCUMENTS for example in examples(document)]
    assert len(commands) > 30
    assert sum("amtdiag" in command for command in commands) > 25


def commands_that_do_not_run() -> list[list[str]]:
    """The words of our own commands in blocks for people with a network, rights or a cluster at hand."""
    found = []
    for kind, body in _FENCE.findall(everything()):
        for line in body.replace("\\\n", " ").splitlines() if kind == "sh" else ():
            words = shlex.split(line, comments=True)
            places = [
                at for at, word in enumerate(words) if word.rpartition("/")[2].strip("$()") == "amtdiag"
            ]
            found += [
                words[at + 1 :] for at in places if words[at + 1 : at + 2] and words[at + 1] in cli.COMMANDS
            ]
    return found


def test_commands_that_do_not_run_are_commands() -> None:
    """Their arguments are read as the program would read them."""
    assert len(commands_that_do_not_run()) > 12
    for command, *words in commands_that_do_not_run():
        parser = argparse.ArgumentParser()
        import_module(f"amtdiag.cli.{command}").add_arguments(parser)
        parser.parse_args(words)


def capture_filters() -> list[str]:
    """The filters of every tcpdump and dumpcap command in the documentation."""
    found = []
    for kind, body in _FENCE.findall(everything()):
        for line in body.replace("\\\n", " ").splitlines() if kind == "sh" else ():
            words = shlex.split(line)
            if words[:1] == ["tcpdump"]:
                found.append(words[-1])
            elif words[:1] == ["dumpcap"] and "-f" in words:
                found.append(words[words.index("-f") + 1])
    return list(dict.fromkeys(found))


@pytest.mark.needs("tcpdump")
def test_capture_filters_compile() -> None:
    assert len(capture_filters()) >= 4
    for one in capture_filters():
        done = subprocess.run(
            ["tcpdump", "-y", "EN10MB", "-d", one], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{one}: {done.stderr}"


def recommended() -> str:
    """The filter of the tutorial, and of the page on where to capture."""
    (found,) = [one for one in capture_filters() if "tcp port 4433" in one]
    return found


def test_the_recommended_filter_is_what_the_program_looks_for() -> None:
    assert recommended() == interest(Options()).capture_filter()


@pytest.mark.needs("tcpdump")
@pytest.mark.parametrize(
    "sample",
    [
        "pki-connects.pcapng",
        "lab/nxdomain.pcapng",
        "lab/sca-dropped.pcapng",
        "lab/back-dead.pcapng",
        "lab/cira.pcapng",
    ],
)
def test_the_recommended_filter_keeps_what_matters(sample: str, tmp_path: Path) -> None:
    whole = ROOT / "sample_pcaps" / sample
    command: list[str | Path] = ["tcpdump", "-r", whole, "-w", tmp_path / "filtered.pcap", recommended()]
    subprocess.run(command, capture_output=True, check=True)
    before, after = (diagnose([path]) for path in (whole, tmp_path / "filtered.pcap"))
    assert [one.rule for one in after.findings] == [one.rule for one in before.findings]
    assert [(one.id, one.stage, one.mode.name) for one in after.devices] == [
        (one.id, one.stage, one.mode.name) for one in before.devices
    ]
    assert after.devices


# ------------------------------------------------------------------------------------------- what there is


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield name
                yield from options_of(sub)
        yield from action.option_strings


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_commands_and_options(command: str) -> None:
    parser = argparse.ArgumentParser()
    import_module(f"amtdiag.cli.{command}").add_arguments(parser)
    text = everything()
    assert f"`amtdiag {command} " in text
    for option in set(options_of(parser)) - {"-h"}:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), option


def test_exit_codes() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    text = README.read_text("utf-8")
    for code in {0, 1, 130, *(one.exit_code for one in classes if issubclass(one, errors.AmtdiagError))}:
        assert f"\n| {code} | " in text


def test_limits() -> None:
    text = (ROOT / "docs" / "how-it-works.md").read_text("utf-8")
    for name, value in Limits()._asdict().items():
        assert f"\n| `{name}` | {value:,} | " in text, name


def test_verdicts() -> None:
    rows = [f"| `{verdict}` | {meaning} |" for verdict, meaning in VERDICTS.items()]
    assert "\n".join(rows) in formats()


@pytest.mark.parametrize(
    "vocabulary",
    [
        model.Basis, model.Severity, model.Category, model.Confidence, model.Mode, model.Stage, model.Outcome,
        model.HelloType, model.Weight, tables.EventKind,
    ],
)  # fmt: skip
def test_vocabularies(vocabulary: object) -> None:
    assert set(get_args(vocabulary)) <= code_words(formats())


def schema_fields(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for value in schema.values():
            yield from schema_fields(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from schema_fields(value)


@pytest.mark.parametrize("name", ["analysis", "hello", "tls"])
def test_json_fields(name: str) -> None:
    path = f"amtdiag/report/formats/schema/{name}.schema.json"
    text = formats()
    assert f"`{path}`" in text
    missing = set(schema_fields(json.loads((ROOT / path).read_text("utf-8")))) - code_words(text)
    assert not missing


def test_jsonl_and_tables() -> None:
    text = formats()
    diagnosis = diagnose([ROOT / "sample_pcaps" / "one-way-capture.pcap"])
    for line in analysis_lines(diagnosis):
        assert {line["event_type"], *line} <= code_words(text)
    for table in (
        tables.hellos, tables.digests, tables.devices, tables.findings, tables.events, tables.captures,
    ):  # fmt: skip
        section = text.partition(f"\n### Table {table.__name__}\n")[2].partition("\n### ")[0]
        assert f"`{table.__name__}.csv`" in section
        assert set(table(diagnosis).columns) <= code_words(section), table.__name__


def test_extras() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extra in set(project["optional-dependencies"]) - {"dev"}:
        assert f"`pip install '.[{extra}]'`" in README.read_text("utf-8")
