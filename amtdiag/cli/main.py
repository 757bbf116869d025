"""Entry point: which command, and what becomes of its errors. Imports stay light until a command runs."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from amtdiag._version import __version__
from amtdiag.errors import AmtdiagError

TYPE_CHECKING = False  # not from typing: `--version` does without it
if TYPE_CHECKING:
    from typing import Any, NoReturn

_DESCRIPTION = "Find out from captures why Intel AMT provisioning does not work."
_EPILOG = (
    "Exit codes: 0 nothing found at or above --fail-on, 1 something found, 2 usage, "
    "3 no input could be read, 4 a tool or privilege is missing."
)

_WIDTH = 80
"""Of help that goes to no terminal."""
COMMANDS: dict[str, str] = {
    "analyze": "say what happened to every device in a capture, and what to do",
    "live": "capture on an interface and say what goes wrong while it happens",
    "listen": "wait for Hellos in the server's place: does a device's Hello reach this machine",
    "hellos": "list the Hello messages of a capture",
    "hello": "decode or build a single Hello message",
    "compare": "put a device that works beside one that does not: what is the first difference",
    "redact": "make a capture fit to be passed on: pseudonyms, and nothing that is not needed",
    "roots": "list the root certificates that AMT firmware is known to trust",
    "wireshark": "have Wireshark read Hellos: put a dissector into its plugin folder",
    "simulate": "play devices that really talk, to test a provisioning server without hardware",
    "explain": "say what a rule means, what it looks for and what to do, or list all rules",
}
"""Command and what it does; module `amtdiag.cli.COMMAND` has `add_arguments` and `run`."""

LASTING = frozenset({"live", "listen", "simulate"})
"""Commands that may run for weeks."""


class _Formatter(argparse.HelpFormatter):
    """Help as wide as the terminal. argparse makes one for every argument, and asks shutil, a slow import."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS", "")) or os.get_terminal_size().columns
        except (OSError, ValueError):
            columns = _WIDTH
        super().__init__(prog, width=columns - 2)


class _Parser(argparse.ArgumentParser):
    """argparse, with what the caller typed made safe before it is repeated."""

    def __init__(self, **options: Any) -> None:
        # Parsers of subcommands are made by argparse, which hands on the class and nothing else.
        super().__init__(formatter_class=_Formatter, **options)

    def error(self, message: str) -> NoReturn:
        """End with a usage error of one line."""
        from amtdiag.safetext import safe

        super().error(safe(message, 1000))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors that are the caller's to mend are one line each."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Only the command at hand is imported; the others are there for the help text, which a command that comes
    # first has no use for: argparse takes longer to make ready for one than to read all of the arguments.
    wanted = next((word for word in words if not word.startswith("-")), None)
    named = {wanted: COMMANDS[wanted]} if wanted in COMMANDS and words[0] == wanted else COMMANDS
    parser = _Parser(prog="amtdiag", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"amtdiag {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in named.items():
        sub = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name == wanted:
            import_module(f"amtdiag.cli.{name}").add_arguments(sub)
    try:
        arguments = parser.parse_args(words)
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    except AmtdiagError as error:
        for line in str(error).splitlines():
            print(f"amtdiag: {line}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough. Point stdout elsewhere, or its closing complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def entry() -> None:
    """Console script."""
    if LASTING.isdisjoint(sys.argv[1:2]):
        # What a run makes lives to its end: searching it for cycles takes a twentieth of a large capture.
        gc.disable()
    try:
        code = main()
    except KeyboardInterrupt:
        code = 130
    gc.freeze()  # nor does it have to be searched when the process ends
    sys.exit(code)
