"""The rule that a device lists the root of the chain, and what its list has instead."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from amtdiag.trust.catalogue import CatalogueRoot, by_digest
from amtdiag.trust.chain_path import Studied
from amtdiag.trust.rule import ChainContext, ContextRule, RuleResult
from amtdiag.trust.suffixes import shown_names


class RootIsListed(ContextRule):
    """The root's digest is in the device's list."""

    id = "root-listed"
    title = "The root of the chain is not in the device's list"
    catalogue = "F19"
    expected = "a root whose digest is in the list of the device's Hello"
    remedy = (
        "Use a chain whose root this firmware lists (`amtdiag roots`), add the digest in MEBx or with a USB "
        "file, or update the firmware."
    )
    source = "Intel's AMT guide, remote configuration; issues MeshCentral 4901 and 3855"
    _rebuild: ClassVar[str] = (
        "The chain was built to another root of the same CA, as operating systems do with cross-signed "
        "certificates: build it to the root that the device lists, with the CA's certificates for it, and "
        "send no certificate beyond that root."
    )
    _cross_source: ClassVar[str] = "Symantec's article on re-chaining G5; issues MeshCentral 4901 and 2805"

    def look(self, chain: Studied, context: ChainContext) -> Iterator[RuleResult]:
        """By digest: two Entrust.net roots share name and key, and are not the same."""
        digests = context.digests
        if digests is None:
            yield self.unseen("the device's list is not known", "no Hello with digests was seen", "its Hello")
            return
        top = chain.top
        if top is None or not chain.has_root:
            yield self.unseen("the chain has no root to look for", "", "the chain with its root")
            return
        place = chain.path[-1]
        got = f"the root, {chain.named(place)}, SHA-256 {top.digests[1].hex()[:16]}"
        if not digests.isdisjoint(top.digests):
            yield self.result("holds", f"{got}, is listed", place=place)
        elif not context.digests_complete:
            why = "the digest list is not whole in this capture"
            yield self.unseen(f"{got}, is not among {len(digests)} digests", why, "its whole Hello", place)
        else:
            got += f", is not among its {len(digests)} digests"
            other = _same_authority(chain, digests)
            if other:
                yield self.result(
                    "broken", got, place=place, catalogue="F29", why=other, remedy=self._rebuild
                )._replace(source=self._cross_source)
            else:
                yield self.result("broken", got, place=place)


def is_public(chain: Studied) -> bool:
    """True where the chain ends in a root of the catalogue, which no private CA is in."""
    top = chain.top
    return top is not None and top.digests[1] in by_digest()


_AUTHORITIES: tuple[tuple[str, ...], ...] = (
    ("go daddy",),
    ("starfield",),
    ("verisign",),
    ("digicert",),
    ("globalsign",),
    ("entrust",),
    ("aaa certificate", "addtrust", "comodo", "sectigo", "usertrust"),
)
"""How the names of roots of one CA begin; Comodo, now Sectigo, has the roots of AddTrust and USERTrust."""


@lru_cache(maxsize=1024)
def _listed(digests: frozenset[bytes]) -> tuple[CatalogueRoot, ...]:
    """Return the roots of the catalogue that a list holds, the strong ones first."""
    found = {root.name: root for digest in digests if (root := by_digest().get(digest)) is not None}
    return tuple(sorted(found.values(), key=lambda root: (root.is_weak, root.name)))


@lru_cache(maxsize=1024)
def _same_authority(chain: Studied, digests: frozenset[bytes]) -> str:
    """Say which root of the same CA the list has instead; nothing where there is none.

    A certificate on the way up that is listed itself, or bears the name of a listed root, is where the chain
    should have ended; else a root of the CA that the name of the chain's root points at.
    """
    for place in chain.path[:-1]:
        one = chain.at(place)
        if not digests.isdisjoint(one.digests):
            return f"{chain.named(place)} is itself in the list, and the chain goes on beyond it"
    listed = _listed(digests)
    for place in reversed(chain.path[1:]):
        name = chain.at(place).name.casefold()
        for root in listed:
            if _stem(root) == name:
                return f"the list has another certificate of {chain.at(place).name}: {root.shown}"
    top = chain.at(chain.path[-1]).name.casefold()
    for beginnings in _AUTHORITIES:
        if top.startswith(beginnings):
            roots = [root.shown for root in listed if root.name.casefold().startswith(beginnings)]
            if roots:
                return f"the list has a root that by its name is of the same CA: {shown_names(roots)}"
    return ""


def _stem(root: CatalogueRoot) -> str:
    """The name in the certificate: the catalogue adds which re-issue it is, and a generation."""
    return root.name.casefold().split(" (2019 ")[0].split(" (2029 ")[0]
