"""Files that a URL names: object stores, web servers and whatever else fsspec has a driver for.

Only what the caller named is ever opened; no URL comes from a capture.
"""

from __future__ import annotations

import re
from typing import IO, Any

from amtdiag.errors import MissingToolError
from amtdiag.safetext import safe

_SCHEME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789+.-")
_SECRETS = r"(?<=://)[^/@]*@|\?.*"
"""A password, or the signature in a query."""
_URL_CHARACTERS = 4096
_REASON_CHARACTERS = 300


def is_url(name: str) -> bool:
    """Tell a URL from a path."""
    scheme, colon, _ = name.partition("://")
    return colon != "" and len(scheme) > 1 and scheme[0].isalpha() and _SCHEME.issuperset(scheme.lower())


def label_of(url: str) -> str:
    """Return the URL as it is shown: without what may be secret in it."""
    return safe(re.sub(_SECRETS, "", url, flags=re.DOTALL), _URL_CHARACTERS)


def expand(url: str, most: int) -> list[str]:
    """Return the URLs that a ``*`` stands for, up to `most` and one more. Raises `OSError`."""
    if "*" not in url:
        return [url]
    system, path = _system(url)
    try:
        found = sorted(system.glob(path))[: most + 1]
        return [str(system.unstrip_protocol(name)) for name in found]
    except Exception as error:
        raise _failure(error, url) from error


def size_of(url: str) -> int | None:
    """Return the bytes of the file, None where the other side does not say. Raises `OSError`."""
    system, path = _system(url)
    try:
        size = system.size(path)
    except Exception as error:
        raise _failure(error, url) from error
    return size if isinstance(size, int) else None


class UrlFile:
    """A file that is read through fsspec. Whatever goes wrong is an `OSError`."""

    def __init__(self, url: str) -> None:
        system, path = _system(url)
        self._url = url
        try:
            self._file: IO[bytes] = system.open(path, "rb")
        except Exception as error:
            raise _failure(error, url) from error

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, empty at the end."""
        try:
            return self._file.read(size)
        except Exception as error:
            raise _failure(error, self._url) from error

    def close(self) -> None:
        """Close the connection behind it."""
        self._file.close()


def _system(url: str) -> tuple[Any, str]:
    """Return the driver for a URL, and what it calls the file."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingToolError("a URL takes fsspec: pip install 'amtdiag[cluster]'") from error
    try:
        system, path = url_to_fs(url)
    except Exception as error:
        raise _failure(error, url) from error
    return system, path


def _failure(error: Exception, url: str) -> OSError:
    """Return any driver's error as one of ours: of one line, and without secrets."""
    text = str(error).replace(url, label_of(url)).partition("\n")[0]
    return OSError(safe(f"{type(error).__name__}: {text}", _REASON_CHARACTERS))
