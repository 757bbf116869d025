"""Provisioning chains with a flaw each, as servers really show them."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable
from functools import lru_cache

from amtdiag.simulator.certificates import (
    CLIENT_AUTH,
    SERVER_AUTH,
    SETUP_OID,
    SETUP_UNIT,
    Authority,
    Identity,
    Wish,
    authority,
    certify,
    identity,
)

_FIT = (SERVER_AUTH, CLIENT_AUTH, SETUP_OID)
_REMOTE_CONSOLE = "2.16.840.1.113741.1.2.1"
"""The neighbour of the provisioning OID: for consoles, not for provisioning."""
_LONG_AGO = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
_NOT_YET = datetime.datetime(2026, 9, 1, tzinfo=datetime.UTC)


@lru_cache(maxsize=1)
def issuing() -> Authority:
    """The CA between the root and the leaves."""
    return certify(Wish("Sample Issuing CA", days=1800), authority())


@lru_cache(maxsize=1)
def foreign() -> Authority:
    """The root of another CA, which no device here lists."""
    return certify(Wish("Another Root", days=3650))


@lru_cache(maxsize=1)
def old_root() -> Authority:
    """A root with a SHA-1 signature."""
    return certify(Wish("Sample Root of 2008", days=9000, sha1=True))


def _leaf(suffix: str, usages: tuple[str, ...] = _FIT, **changes: object) -> Authority:
    wish = Wish(f"provisionserver.{suffix}", usages=usages, **changes)  # type: ignore[arg-type]
    return certify(wish, issuing())


def good(suffix: str) -> Identity:
    """Leaf, issuing CA, root."""
    return identity(_leaf(suffix), issuing(), authority())


def by_unit(suffix: str) -> Identity:
    """Marked by its OU instead of the OID."""
    return identity(_leaf(suffix, (SERVER_AUTH, CLIENT_AUTH), unit=SETUP_UNIT), issuing(), authority())


def web_certificate(suffix: str) -> Identity:
    """An ordinary certificate for a web server."""
    return identity(_leaf(suffix, (SERVER_AUTH, CLIENT_AUTH)), issuing(), authority())


def console_oid(suffix: str) -> Identity:
    """The OID of the remote console."""
    return identity(_leaf(suffix, (SERVER_AUTH, CLIENT_AUTH, _REMOTE_CONSOLE)), issuing(), authority())


def without_server_auth(suffix: str) -> Identity:
    """The OID is there, server authentication is not."""
    return identity(_leaf(suffix, (CLIENT_AUTH, SETUP_OID)), issuing(), authority())


def forged(suffix: str) -> Identity:
    """The leaf names the issuing CA, and its signature is not that CA's."""
    made = good(suffix)
    head, _, rest = made.chain.partition(b"-----END CERTIFICATE-----\n")
    der = base64.b64decode(head.partition(b"-----BEGIN CERTIFICATE-----\n")[2])
    leaf = base64.encodebytes(der[:-20] + bytes(20))
    return Identity(b"", b"-----BEGIN CERTIFICATE-----\n" + leaf + b"-----END CERTIFICATE-----\n" + rest)


def leaf_only(suffix: str) -> Identity:
    """A PFX into which only the certificate itself went."""
    return identity(_leaf(suffix))


def without_root(suffix: str) -> Identity:
    """As web servers do it."""
    return identity(_leaf(suffix), issuing())


def disordered(suffix: str) -> Identity:
    """The root before the issuing CA."""
    return identity(_leaf(suffix), authority(), issuing())


def expired(suffix: str) -> Identity:
    """It ended in 2025."""
    return identity(_leaf(suffix, begins=_LONG_AGO), issuing(), authority())


def not_yet_valid(suffix: str) -> Identity:
    """It begins half a year after the capture."""
    return identity(_leaf(suffix, begins=_NOT_YET), issuing(), authority())


def of_another_domain(_suffix: str) -> Identity:
    """Bought for another domain."""
    return identity(_leaf("another.example"), issuing(), authority())


def wildcard(suffix: str) -> Identity:
    """A wildcard certificate of the right domain."""
    leaf = certify(Wish(f"*.{suffix}", usages=_FIT), issuing())
    return identity(leaf, issuing(), authority())


def with_sha1(suffix: str) -> Identity:
    """The leaf has a SHA-1 signature."""
    return identity(_leaf(suffix, sha1=True), issuing(), authority())


def with_sha1_root(suffix: str) -> Identity:
    """Only the root has a SHA-1 signature."""
    leaf = certify(Wish(f"provisionserver.{suffix}", usages=_FIT), old_root())
    return identity(leaf, old_root())


def with_small_key(suffix: str) -> Identity:
    """RSA with 1024 bits."""
    return identity(_leaf(suffix, bits=1024), issuing(), authority())


def of_foreign_root(suffix: str) -> Identity:
    """All is well but that the device does not know the root."""
    leaf = certify(Wish(f"provisionserver.{suffix}", usages=_FIT), foreign())
    return identity(leaf, foreign())


Chain = Callable[[str], Identity]
