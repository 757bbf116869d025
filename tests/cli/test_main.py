"""The command line as a whole: help, usage errors, pipes that close, terminals, Ctrl-C."""

from __future__ import annotations

import argparse
import ast
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from helpers import HELLO_ONLY, ROOT, SAMPLES, run, spawn

from amtdiag import __version__
from amtdiag.cli.main import COMMANDS

REFUSED = SAMPLES / "connect-back-refused.pcapng"
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|9[0-7]|4[0-7])(?:;[0-9]+)*m")
BAR = "━"

# --------------------------------------------------------------------------------------------- help and usage


def test_version() -> None:
    assert run("--version") == (0, f"amtdiag {__version__}\n".encode(), "")


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS), ["hello", "decode"], ["hello", "build"]]
)
def test_every_command_has_help(command: Sequence[str]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.text.startswith(" ".join(["usage: amtdiag", *command]))
    assert "--help" in ran.text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_does(command: str) -> None:
    words = " ".join(run(command, "--help").text.split())
    assert COMMANDS[command][1:] + "." in words


def test_help_names_every_command_and_the_exit_codes() -> None:
    text = run("--help").text
    assert all(name in text and purpose.split()[0] in text for name, purpose in COMMANDS.items())
    assert all(f"{code} " in text.split("Exit codes:")[1] for code in range(5))


def test_no_private_part_of_argparse_is_used() -> None:
    """They change from one Python to the next: 3.15 hands `_get_formatter` a file."""
    parser = argparse.ArgumentParser()
    made = (argparse, parser, argparse.HelpFormatter("amtdiag"), parser.add_argument("word"))
    private = {name for thing in made for name in dir(thing) if re.match("_[^_]", name)}
    assert {"_get_formatter", "_actions", "_SubParsersAction", "_split_lines"} <= private
    sources = [path for path in (ROOT / "amtdiag").rglob("*.py") if "argparse" in path.read_text("utf-8")]
    assert ROOT / "amtdiag" / "cli" / "main.py" in sources
    for path in sources:
        used = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.alias(name=name):
                    used.add(name)
                case _:
                    pass
        assert used.isdisjoint(private), path


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["analyze"],
        ["hellos"],
        ["hello"],
        ["hello", "nonsense"],
        ["hello", "decode"],
        ["analyze", "--nonsense", HELLO_ONLY],
        ["analyze", "--json", "--jsonl", HELLO_ONLY],
        ["analyze", "--fail-on", "nothing", HELLO_ONLY],
        ["analyze", "--port", "0", HELLO_ONLY],
        ["analyze", "--port", "65536", HELLO_ONLY],
        ["analyze", "--port", "٣", HELLO_ONLY],
        ["hellos", "--port", "ssh", HELLO_ONLY],
        ["roots", "one", "two"],
    ],
)
def test_usage_errors(words: Sequence[str]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, b"")
    assert ": error: " in err.splitlines()[-1]


def test_python_m_and_the_script_are_the_same_program() -> None:
    done = spawn("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"amtdiag {__version__}\n".encode(), b"")


# ---------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize(
    "words",
    [
        ["roots"],
        ["roots", "--json"],
        ["hellos", SAMPLES / "fleet.pcapng.gz"],
        ["analyze", SAMPLES / "fleet.pcapng.gz"],
        ["analyze", "--jsonl", SAMPLES / "fleet.pcapng.gz"],
        ["analyze", "--json", SAMPLES / "fleet.pcapng.gz"],
    ],
    ids=lambda words: " ".join(map(str, words[:2])) if isinstance(words, list) else "",
)
def test_closed_pipe_is_quiet(words: Sequence[str | Path]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "amtdiag", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.read(1)
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode in {0, 1}


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_closed_streams_give_no_traceback(stream: str) -> None:
    shut = {"stdin": "<&-", "stdout": ">&-"}[stream]
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m amtdiag analyze --json - {shut}', sys.executable],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


# -------------------------------------------------------------------------------------------------- terminals


class Terminal:
    """A pseudo-terminal; `said` reads all that was written to it."""

    def __init__(self, columns: int = 80) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def said(self) -> str:
        os.close(self.slave)
        parts = []
        with contextlib.suppress(OSError):  # Linux answers EIO once the other side is shut
            while part := os.read(self.master, 65536):
                parts.append(part)
        os.close(self.master)
        return b"".join(parts).decode()


def in_terminal(
    code: str, *words: str | Path, streams: Sequence[str], env: dict[str, str] | None = None
) -> tuple[str, bytes]:
    """Run Python code with some streams at a terminal; what the terminal showed, and what the pipe got."""
    terminal = Terminal()
    inherited = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS"}}
    stdout, stderr = (terminal.slave if name in streams else subprocess.PIPE for name in ("stdout", "stderr"))
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=subprocess.DEVNULL,
        env={**inherited, "TERM": "xterm-256color", **(env or {})},
        stdout=stdout,
        stderr=stderr,
    ) as child:
        said = terminal.said()
        rest = child.stdout or child.stderr
        output = rest.read() if rest else b""
    assert child.returncode in {0, 1, 2}, said
    return said, output


ENTRY = "from amtdiag.cli.main import entry; entry()"
ALWAYS_A_BAR = "import amtdiag.cli.progress as progress; progress.LONG = 0; " + ENTRY


def test_colours_at_a_terminal() -> None:
    said, _ = in_terminal(ENTRY, "analyze", REFUSED, streams=["stdout"])
    assert COLOUR.search(said)


def test_no_color_is_heeded() -> None:
    said, _ = in_terminal(ENTRY, "analyze", REFUSED, streams=["stdout"], env={"NO_COLOR": "1"})
    assert "refused" in said
    assert not COLOUR.search(said)


@pytest.mark.parametrize("words", [["analyze", REFUSED], ["hellos", REFUSED], ["roots"], ["--help"]])
def test_no_escape_codes_outside_a_terminal(words: Sequence[str | Path]) -> None:
    done = spawn(*words, env={"TERM": "xterm-256color"})
    assert b"\x1b" not in done.stdout + done.stderr


def test_progress_bar_for_a_long_input_at_a_terminal() -> None:
    said, output = in_terminal(ALWAYS_A_BAR, "analyze", "--json", REFUSED, streams=["stderr"])
    assert BAR in said
    assert output.startswith(b'{"schema_version"')


def test_no_progress_bar_for_a_short_input() -> None:
    said, _ = in_terminal(ENTRY, "analyze", "--json", REFUSED, streams=["stderr"])
    assert BAR not in said
    assert re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).strip() == ""


def test_no_progress_bar_outside_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALWAYS_A_BAR, "analyze", "--json", str(REFUSED)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == b""


def test_bytes_of_a_hello_are_kept_from_a_terminal() -> None:
    words = ["hello", "build", "--uuid", "4c4c4544-0042-3510-8052-b4c04f353532", "--pid", "0000-037M"]
    said, err = in_terminal(ENTRY, *words, streams=["stdout"])
    assert said == ""
    assert err.startswith(b"amtdiag: ")
    assert err.count(b"\n") == 1


# ----------------------------------------------------------------------------------------------------- Ctrl-C


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe, and an end of it to write to that waits for no reader."""
    path = tmp_path / "live.pcap"
    os.mkfifo(path)
    handle = os.open(path, os.O_RDWR)
    yield path, handle
    os.close(handle)


# Whoever runs the tests in the background has them ignore SIGINT, and children inherit that.
HEEDS_CTRL_C = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from amtdiag.cli.main import entry; entry()"
)


def interrupted(fifo: tuple[Path, int], data: bytes) -> tuple[int, str, str]:
    """Interrupt a command once it has taken `data` from the pipe and waits for more."""
    path, handle = fifo
    os.write(handle, data)
    with subprocess.Popen(
        [sys.executable, "-c", HEEDS_CTRL_C, "analyze", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            deadline = time.monotonic() + 30
            while struct.unpack("i", fcntl.ioctl(handle, termios.FIONREAD, b"\0" * 4))[0]:
                assert time.monotonic() < deadline, "the pipe was not read"
                time.sleep(0.02)
            time.sleep(0.3)  # what was read last is dealt with, the next read blocks
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=30)
        finally:
            child.kill()
    return child.returncode, out, err


def test_ctrl_c_before_there_is_a_capture(fifo: tuple[Path, int]) -> None:
    code, out, err = interrupted(fifo, b"\xd4")
    assert (code, out) == (130, "")
    assert "Traceback" not in err


def test_ctrl_c_still_prints_the_report(fifo: tuple[Path, int]) -> None:
    code, out, err = interrupted(fifo, REFUSED.read_bytes())
    assert (code, err) == (1, "")
    assert "The way back to the device is closed" in out
    assert "reading was interrupted" in out


def test_ctrl_c_prints_the_report_of_a_short_capture(fifo: tuple[Path, int]) -> None:
    _, out, _ = interrupted(fifo, HELLO_ONLY.read_bytes())
    assert "939b524b..7a2b" in out
