"""What several commands share: arguments, options, problems on standard error."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from amtdiag.capture.prefilter import kernel
from amtdiag.config import Cluster, Options
from amtdiag.errors import InputError, UsageError
from amtdiag.model import SEVERITIES, Diagnosis
from amtdiag.safetext import safe

_MAX_PORT = 65_535
_MAX_WORKERS = 1024
_MAX_COUNT = 1 << 31
_MAX_MINUTES = 1_000_000
_MAX_FILE_BYTES = 16 << 20


def port(text: str) -> int:
    """Read a TCP port."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to {_MAX_PORT}, not {text!r}")
    return int(text)


def workers(text: str) -> int:
    """Read a number of processes."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"a number from 1 to {_MAX_WORKERS} is wanted, not {text!r}")
    return int(text)


def minutes(text: str) -> int:
    """Read a duration in minutes."""
    if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= _MAX_MINUTES:
        raise argparse.ArgumentTypeError(f"a number of minutes to {_MAX_MINUTES} is wanted, not {text!r}")
    return int(text)


def address(text: str) -> str:
    """Read an IP address, in the form that events have it in."""
    from ipaddress import ip_address

    try:
        return str(ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"an IP address is wanted, not {text!r}") from None


def conditions(*names: str) -> Callable[[str], tuple[str, int]]:
    """Return what reads one of dumpcap's conditions, such as duration:60."""

    def read(text: str) -> tuple[str, int]:
        name, _, value = text.partition(":")
        if name not in names or not value.isascii() or not value.isdigit() or not 0 < int(value) < _MAX_COUNT:
            wanted = " or ".join(f"{condition}:NUMBER" for condition in names)
            raise argparse.ArgumentTypeError(f"{wanted} is wanted, not {text!r}")
        return name, int(value)

    return read


class StopRequest:
    """Set by the first Ctrl-C or SIGTERM; the second one ends the process as usual."""

    asked = False

    def __call__(self, number: int, _frame: object) -> None:
        """Handle the signal."""
        import signal

        self.asked = True
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def until_signal() -> Iterator[StopRequest]:
    """Give what notes the first Ctrl-C or SIGTERM, which then ends nothing by itself."""
    import signal  # which commands that read files do without

    stop = StopRequest()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add what every command has that reads captures."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="capture file, folder, or - for standard input; several are one capture in time order",
    )
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what every command has that says how captures are read."""
    add_port(parser)
    parser.add_argument(
        "--workers",
        type=workers,
        metavar="N",
        help="processes that read several files (default: one a core, where it pays); the result is the same",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="dask.distributed scheduler whose workers read instead: tls://HOST:PORT (see docs/fleet.md)",
    )
    parser.add_argument(
        "--cluster-insecure", action="store_true", help="allow tcp:// to another machine, unprotected"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 3 if any input cannot be read")


def add_port(parser: argparse.ArgumentParser) -> None:
    """Add the option for further Hello ports."""
    parser.add_argument(
        "--port",
        type=port,
        action="append",
        default=[],
        metavar="N",
        help="expect Hellos on this port too (9971 and 9972 always; may be repeated)",
    )


def add_own(parser: argparse.ArgumentParser) -> None:
    """Add the options for the caller's own certificates."""
    parser.add_argument(
        "--root-of",
        metavar="CHAIN",
        help="PEM or DER file: which devices carry the digest of this chain's root?",
    )
    parser.add_argument(
        "--cert",
        metavar="FILE",
        help="your provisioning certificate with its chain, PEM, DER or PFX: would each device accept it?",
    )
    parser.add_argument(
        "--cert-password-file",
        metavar="FILE",
        help="its first line is the password of the PFX file (default: amtdiag asks, on a terminal)",
    )


def add_judging(parser: argparse.ArgumentParser) -> None:
    """Add what every command has that judges: whose server is right, and what counts as a failure."""
    parser.add_argument(
        "--server",
        type=address,
        action="append",
        default=[],
        metavar="ADDRESS",
        help="your provisioning server: a device that turns to any other is reported (may be repeated)",
    )
    parser.add_argument(
        "--fail-on",
        default="error",
        choices=(*SEVERITIES, "never"),
        help="exit with 1 if there is a finding of this level or above (default: error)",
    )


def read_options(arguments: argparse.Namespace, chain: str | None = None) -> Options:
    """Return the options that the arguments ask for; `chain` is a file with the caller's certificates.

    Where the command has `--cert`, that is read too, which may ask for a password.
    """
    options = Options(
        ports=tuple(arguments.port),
        strict=getattr(arguments, "strict", False),
        servers=frozenset(getattr(arguments, "server", ())),
        workers=getattr(arguments, "workers", None),
        cluster=Cluster(arguments.cluster, arguments.cluster_insecure)
        if getattr(arguments, "cluster", None)
        else None,
    )
    if getattr(arguments, "cert", None) is not None:
        options = _with_own_chain(options, arguments.cert, arguments.cert_password_file)
    elif getattr(arguments, "cert_password_file", None) is not None:
        raise UsageError("--cert-password-file goes with --cert")
    if getattr(arguments, "keylog", None) is not None:
        options = options._replace(key_log=read_file(arguments.keylog))
    if getattr(arguments, "psk", None) is not None:
        options = options._replace(keys=_pairs(arguments.psk))
    if chain is None:
        return options
    from amtdiag.trust.user_root import own_root

    try:
        name, digests = own_root(read_file(chain))
    except UsageError as error:
        raise UsageError(f"{safe(chain, 4096)}: {error}") from error
    return options._replace(root_name=name, root_digests=digests)


def _pairs(file: str) -> tuple[tuple[str, str], ...]:
    from amtdiag.protocols.pid import read_pairs

    try:
        return read_pairs(read_file(file))
    except UsageError as error:
        raise UsageError(f"{safe(file, 4096)}: {error}") from error


def _with_own_chain(options: Options, file: str, password_file: str | None) -> Options:
    """Add the caller's provisioning chain."""
    from amtdiag.trust.user_chain import own_chain

    try:
        chain, name = own_chain(read_file(file), _password(file, password_file))
    except UsageError as error:
        raise UsageError(f"{safe(file, 4096)}: {error}") from error
    return options._replace(chain=chain, chain_name=name)


def _password(file: str, password_file: str | None) -> Callable[[], bytes] | None:
    """Return what gets a password when one is needed: the first line of a file, or a question.

    None where there is no file, and no terminal on which to ask.
    """
    if password_file is not None:
        return lambda: read_file(password_file).removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].rstrip(b"\r")
    if sys.stdin is None or not sys.stdin.isatty():
        return None

    def ask() -> bytes:
        from getpass import getpass

        try:
            return getpass(f"Password of {safe(file, 4096)}: ", stream=sys.stderr).encode()
        except EOFError:
            raise UsageError("no password was given") from None

    return ask


def read_file(name: str) -> bytes:
    """Return what is in a small file, or on standard input for `-`. Raises `InputError`."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(_MAX_FILE_BYTES)
        with Path(name).open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"{safe(name, 4096)}: {getattr(error, 'strerror', None) or error}") from error


@cache
def say_how_it_reads() -> None:
    """Print on standard error, once, where reading takes longer than it has to."""
    if kernel.is_missing():
        print(f"amtdiag: {kernel.MISSING}", file=sys.stderr)


def say_problems(diagnosis: Diagnosis) -> None:
    """Print on standard error which named inputs could not be read."""
    for line in diagnosis.problems:
        print(f"amtdiag: {line}", file=sys.stderr)


def exit_code(diagnosis: Diagnosis, fail_on: str) -> int:
    """Return 1 where a finding is at or above the level `fail_on`, which may be `never`."""
    if fail_on == "never":
        return 0
    least = SEVERITIES.index(fail_on)
    return int(any(SEVERITIES.index(finding.severity) >= least for finding in diagnosis.findings))
