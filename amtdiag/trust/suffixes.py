"""Whether the names of a certificate fit the DNS suffix of a device.

The common name has to end in the suffix (Intel's guide). From AMT 2.6 on the last two labels are enough for
.com and .net (Intel's forum, 2007); later reports expect that in general. What wildcards do is written in a
paper of Intel's that could not be read.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

_MAX_NAMED = 4
_INTERNAL = frozenset({"corp", "home", "internal", "intranet", "lan", "local", "private"})
"""Top-level names that no public CA issues for: Intel KB 000100444, and RFC 6762, appendix G."""
_TWO_LABELS = frozenset({"com", "net"})


class Fit(NamedTuple):
    """How the names of a certificate fit the suffixes of a device."""

    kind: Literal["full", "last-two", "doubtful", "none"]
    why: str = ""


def is_internal(suffix: str) -> bool:
    """True for a suffix below a top-level name of internal networks."""
    return _labels(suffix)[-1] in _INTERNAL


def shown_names(names: Sequence[str]) -> str:
    """Name some."""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


@lru_cache(maxsize=1024)
def fit_of(common_names: tuple[str, ...], hosts: tuple[str, ...], suffixes: tuple[str, ...]) -> Fit:
    """Return the best fit of any name with any suffix."""
    plain = [name for name in common_names if not name.startswith("*.")]
    wild = [name.removeprefix("*.") for name in common_names if name.startswith("*.")]
    if _fits(plain, suffixes, _ends_in):
        return Fit("full")
    if _fits(plain, [suffix for suffix in suffixes if _labels(suffix)[-1] in _TWO_LABELS], _shares_two):
        why = "only the last two labels agree, which from AMT 2.6 on (not in 3.0) is enough for .com and .net"
        return Fit("last-two", why)
    if _fits(plain, suffixes, _shares_two):
        why = "only the last two labels agree: documented for .com and .net, reported for other domains too"
        return Fit("doubtful", why)
    if _fits(wild, suffixes, _ends_in) or _fits(wild, suffixes, _shares_two):
        return Fit("doubtful", "which releases accept a wildcard is not documented; a full name is safe")
    if _fits([host.removeprefix("*.") for host in hosts], suffixes, _ends_in):
        why = "only an alternative name fits, and Intel's documents speak of the common name alone"
        return Fit("doubtful", why)
    return Fit("none")


def _labels(name: str) -> list[str]:
    return name.casefold().rstrip(".").split(".")


def _ends_in(name: list[str], suffix: list[str]) -> bool:
    return bool(suffix[0]) and name[-len(suffix) :] == suffix


def _shares_two(name: list[str], suffix: list[str]) -> bool:
    return min(len(name), len(suffix)) > 1 and name[-2:] == suffix[-2:]


def _fits(
    names: Sequence[str], suffixes: Sequence[str], test: Callable[[list[str], list[str]], bool]
) -> bool:
    return any(test(_labels(name), _labels(suffix)) for name in names for suffix in suffixes)
