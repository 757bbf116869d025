"""`amtdiag redact`: a capture made fit to be passed on."""

from __future__ import annotations

import argparse
import sys

from amtdiag.cli.common import add_port, read_file
from amtdiag.errors import UsageError
from amtdiag.safetext import safe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "paths", nargs="+", metavar="IN", help="capture file or folder; several are one capture in time order"
    )
    parser.add_argument(
        "target", metavar="OUT", help="file to write; a folder where IN is a folder, or several files"
    )
    parser.add_argument(
        "--certificates",
        choices=("drop", "keep"),
        default="drop",
        help="what becomes of certificates (default: drop, and what they show is unknown then); "
        "keep discloses the names in them, here and wherever else they stand",
    )
    parser.add_argument(
        "--key",
        metavar="FILE",
        help="a secret file: the same secret gives the same pseudonyms (default: a random one, kept nowhere)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    add_port(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the redacted capture, and say on standard error what is in it."""
    from amtdiag.cli.progress import progress_bar
    from amtdiag.config import Options
    from amtdiag.redact.run import key_of, redact

    keeps = arguments.certificates == "keep"
    with progress_bar() as progress:
        done = redact(
            arguments.paths,
            arguments.target,
            key_of(_secret(arguments.key)),
            Options(tuple(arguments.port)),
            keep_certificates=keeps,
            force=arguments.force,
            progress=progress,
        )
    for note in done.notes:
        print(f"amtdiag: {safe(note, 4096)}", file=sys.stderr)
    print(
        f"amtdiag: {done.packets:,} of {done.of:,} packets kept, {_counted(done.devices, 'device')}, "
        f"{_counted(done.certificates, 'certificate')} {'kept' if keeps else 'dropped'}",
        file=sys.stderr,
    )
    return 0


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _secret(file: str | None) -> bytes:
    if file is None:
        from secrets import token_bytes

        return token_bytes(64)
    secret = read_file(file)
    if not secret:
        raise UsageError(f"{safe(file, 4096)}: an empty key is none")
    return secret
