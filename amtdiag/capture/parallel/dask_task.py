"""One file, read on a worker of a cluster: the order comes as bytes, and so does the answer.

An answer says who read (version and kernel), then has the messages that a worker process would send: `PART`s
and a `LAST` one, or `FAILED`, or `TOO_MUCH`. Whatever comes back is checked before it is used.
"""

from io import BytesIO
from typing import NamedTuple

from amtdiag._version import __version__
from amtdiag.capture.files.inputs import Input
from amtdiag.capture.parallel.wire import Kind, Part, receive, send, unpack_file, unpack_setup
from amtdiag.capture.parallel.worker import Scout
from amtdiag.capture.prefilter.kernel import sieve_for
from amtdiag.errors import InputError, MissingToolError
from amtdiag.safetext import safe

MAGIC = b"amtdiag answer 1\n"
MAX_BYTES = 64 << 20
"""Of one answer: memory of the worker until it is fetched. A file that needs more is read by the scan."""
_IDENTITY_BYTES = 100
_PROBLEM_CHARACTERS = 500


class _TooMuchError(Exception):
    pass


def identity(kernel: str) -> bytes:
    """Return what both sides must have in common: kernels differ in which conversations share a bit."""
    return f"amtdiag {__version__}, kernel {kernel}\n".encode()


def read_file(setup: bytes, order: bytes) -> bytes:
    """Read the file that was ordered, as `worker.serve` does, and return the answer."""
    head = MAGIC + identity("?")
    out = BytesIO()

    def send_part(part: Part, kind: Kind = Kind.PART) -> None:
        send(out, kind, part.to_bytes())
        if out.tell() > MAX_BYTES:
            raise _TooMuchError

    try:
        interest, limits, seed = unpack_setup(setup)
        sieve, kernel = sieve_for(interest, seed)
        head = MAGIC + identity(kernel)
        out.write(head)
        known, carried = unpack_file(order)
        scout = Scout(Input.again(known, limits), interest, limits, sieve, carried, send_part)
        send_part(scout.run(), Kind.LAST)
    except _TooMuchError:
        return head + _message(Kind.TOO_MUCH)
    except Exception as error:
        return head + _message(Kind.FAILED, f"{type(error).__name__}: {error}".encode(errors="replace"))
    return out.getvalue()


def _message(kind: Kind, body: bytes = b"") -> bytes:
    out = BytesIO()
    send(out, kind, body)
    return out.getvalue()


class Answer(NamedTuple):
    """What came back about a file."""

    parts: tuple[bytes, ...] = ()
    problem: str | None = None
    """Why it could not be read there."""
    too_much: bool = False
    """More of it matters than fits into an answer."""


def unpack_answer(data: object, kernel: str) -> Answer:
    """Read what a worker says that it found; `kernel` is the one in use here.

    Raises `MissingToolError` where it has another amtdiag than this one. An answer that is none is a problem.
    """
    if not isinstance(data, bytes) or not data.startswith(MAGIC):
        return Answer(problem="what the worker sent is no answer")
    if len(data) > MAX_BYTES + _IDENTITY_BYTES:
        return Answer(problem="the worker's answer is too long")
    stream = BytesIO(data)
    stream.seek(len(MAGIC))
    theirs, ours = stream.readline(_IDENTITY_BYTES), identity(kernel)
    if theirs != ours:
        raise MissingToolError(
            f"a worker of the cluster has {safe(theirs.strip().decode(errors='replace'), _IDENTITY_BYTES)}, "
            f"and here is {ours.strip().decode()}: install the same everywhere"
        )
    try:
        return _read_messages(stream)
    except (ValueError, InputError) as error:  # a kind that there is not, for one
        return Answer(problem=f"the worker's answer is damaged: {safe(str(error), _PROBLEM_CHARACTERS)}")


def _read_messages(stream: BytesIO) -> Answer:
    parts: list[bytes] = []
    while (message := receive(stream)) is not None:
        kind, body = message
        if kind == Kind.FAILED:
            return Answer(problem=safe(body.decode(errors="replace"), _PROBLEM_CHARACTERS))
        if kind == Kind.TOO_MUCH:
            return Answer(too_much=True)
        if kind not in (Kind.PART, Kind.LAST):
            break
        parts.append(body)
        if kind == Kind.LAST:
            if stream.read(1):
                break
            return Answer(tuple(parts))
    raise InputError("it ends in the middle of the file")
