"""What can go wrong for the person at the keyboard, each with its exit code and one line to print."""

from __future__ import annotations


class AmtdiagError(Exception):
    """Base of all errors that end a run. `str(error)` is one line, fit for a terminal."""

    exit_code = 1


class UsageError(AmtdiagError):
    """The call asks for something that makes no sense."""

    exit_code = 2


class InputError(AmtdiagError):
    """An input could not be read as a capture at all."""

    exit_code = 3


class MissingToolError(AmtdiagError):
    """A program, library or privilege that this call needs is not there."""

    exit_code = 4
