"""`amtdiag hello decode` and `amtdiag hello build`: a single message, without a capture around it."""

from __future__ import annotations

import argparse
import binascii
import os
import re
import sys

from amtdiag.cli.common import read_file
from amtdiag.errors import InputError, UsageError
from amtdiag.model import Hello
from amtdiag.protocols import hello as protocol

_FLAGS: dict[int | None, str] = {0: "not set", 1: "set"}
_HEX = re.compile(rb"(?:0x|[0-9a-fA-F\s:,-])+")
_CATALOGUE_PREFIX = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    decode = verbs.add_parser("decode", help="say what the bytes of a Hello mean")
    decode.add_argument(
        "source", metavar="HEX|FILE|-", help="hexadecimal text, a file of bytes or of such text, or -"
    )
    decode.add_argument("--json", action="store_true", help="as JSON")
    decode.set_defaults(run=run_decode)
    build = verbs.add_parser("build", help="write the bytes of a Hello to standard output")
    build.add_argument("--uuid", required=True, help="platform UUID, as text")
    build.add_argument("--pid", help="PID of a PSK Hello: 8 characters, with or without the dash")
    build.add_argument(
        "--digest",
        action="append",
        dest="digests",
        type=_digest,
        default=[],
        metavar="[ALG:]HEX",
        help="root digest of a PKI Hello (sha1, sha256, sha384; told by length otherwise); repeatable",
    )
    build.add_argument(
        "--root",
        action="append",
        dest="digests",
        type=_catalogued,
        metavar="NAME",
        help="SHA-256 digest of a catalogued root whose name contains NAME; repeatable",
    )
    build.add_argument("--retry", type=int, default=0, metavar="N", help="retry count (default 0)")
    build.add_argument("--flag", type=int, default=1, metavar="N", help="credentials flag (default 1)")
    build.set_defaults(run=run_build)


def run_decode(arguments: argparse.Namespace) -> int:
    """Decode one message."""
    data = _bytes_of(arguments.source)
    found = protocol.parse(data)
    if not isinstance(found, Hello):
        reason = f"{found.reason} (byte {found.offset})" if isinstance(found, protocol.NotHello) else "cut"
        raise InputError(f"not a Hello: {reason}")
    from amtdiag.trust.verdicts import judge

    judged = judge(found, _now()).digests
    if arguments.json:
        from amtdiag.report.formats.json import digest_json, dumps, message_json

        message = {**message_json(found), "hashes": [digest_json(digest) for digest in judged]}
        sys.stdout.write(dumps(message) + "\n")
        return 0
    rows = [
        ("type", f"{found.type} (version {found.version})"),
        ("UUID", found.uuid),
        ("retry count", found.retry_count),
        ("admin credentials", _FLAGS.get(found.admin_credentials, found.admin_credentials)),
        ("PID", found.pid and f"{found.pid[:4]}-{found.pid[4:]}"),
        ("digests", found.declared_digests),
    ]
    for label, value in rows:
        if value is not None:
            print(f"{label + ':':19}{value}")
    for verdict in judged:
        digest = verdict.digest
        name = f"  {verdict.name}" if verdict.name else ""
        print(f"{digest.index:4} {digest.algorithm:7} {digest.value.hex()}\n{'':13}{verdict.verdict}{name}")
    for problem in found.problems:
        print(f"problem: {problem}")
    return 0


def _now() -> int:
    from time import time_ns

    return time_ns()


def _bytes_of(source: str) -> bytes:
    """Return the bytes that the caller means: hexadecimal on the line, or a file of either kind."""
    # Not Path.exists: before Python 3.14 that raises for text longer than a file name may be.
    if source != "-" and not os.path.exists(source):  # noqa: PTH110
        if not _HEX.fullmatch(source.encode("utf-8", "replace")):
            raise UsageError(f"{source!r} is neither a file nor hexadecimal text")
        return _unhex(source.encode())
    data = read_file(source)
    return _unhex(data) if data and _HEX.fullmatch(data) else data


def _unhex(text: bytes) -> bytes:
    digits = re.sub(rb"[\s:,-]|0x", b"", text)
    try:
        return binascii.unhexlify(digits)
    except binascii.Error as error:
        raise UsageError("hexadecimal text needs two digits a byte") from error


def run_build(arguments: argparse.Namespace) -> int:
    """Build one message and write its bytes."""
    if sys.stdout.isatty():
        raise UsageError("the bytes of a Hello are no text: send them to a file or a pipe")
    version = protocol.VERSION_PSK if arguments.pid else protocol.VERSION_PKI
    try:
        message = protocol.build(
            uuid=arguments.uuid,
            version=version,
            retry_count=arguments.retry,
            admin_credentials=arguments.flag,
            pid=arguments.pid,
            digests=arguments.digests,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()
    return 0


def _digest(text: str) -> tuple[int, bytes]:
    name, _, digits = text.rpartition(":")
    value = _unhex(digits.encode("ascii", "replace"))
    for number, (algorithm, length) in protocol.ALGORITHMS.items():
        if length == len(value) and name.lower() in ("", algorithm):
            return number, value
    raise UsageError(f"{text!r}: no digest of a known algorithm")


def _catalogued(name: str) -> tuple[int, bytes]:
    from amtdiag.trust.catalogue import roots

    if len(name) < _CATALOGUE_PREFIX:
        raise UsageError(f"--root {name!r}: give at least {_CATALOGUE_PREFIX} characters of the name")
    found = [root for root in roots() if name.lower() in root.shown.lower()]
    if len(found) != 1:
        names = "; ".join(root.name for root in found[:4]) or "none"
        raise UsageError(f"--root {name!r} fits {len(found)} roots of the catalogue ({names})")
    return 2, bytes.fromhex(found[0].sha256)
