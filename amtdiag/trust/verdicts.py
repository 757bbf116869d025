"""What each digest of a Hello is worth, judged by the catalogue of built-in roots and the capture's time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from amtdiag.model import Digest, Hello, JudgedDigest, Judgement
from amtdiag.protocols.hello import ALGORITHMS
from amtdiag.times import clock
from amtdiag.trust.catalogue import CatalogueRoot, by_digest
from amtdiag.trust.releases import PSK, consistent_with

MALFORMED = "malformed"
ZERO = "all-zero"
UNKNOWN = "unknown"
DUPLICATE = "duplicate"
EXPIRED = "expired"
WEAK = "weak"
UNUSABLE = "unusable-on-me16"
NAMED = "named"

VERDICTS: dict[str, str] = {
    MALFORMED: "algorithm and length do not belong together, or the digest is empty",
    ZERO: "every byte is zero",
    UNKNOWN: "no catalogue names it: user- or OEM-added, or planted",
    DUPLICATE: "the same digest stands earlier in the list",
    EXPIRED: "the root had expired when the capture was taken",
    WEAK: "1024-bit key, or signed with MD2, MD5 or SHA-1",
    UNUSABLE: "refused from ME 15.0-H and 16.0 on: SHA-1, or RSA below 2048 bits",
    NAMED: "a root that the catalogue names, and nothing against it",
}
"""The vocabulary, gravest first."""

_DAY = 86_400_000_000_000


_NO_LIST = Judgement((), {}, PSK)


def judge(hello: Hello, ts: int) -> Judgement:
    """Judge the digests of a Hello that was captured at `ts`."""
    return _NO_LIST if hello.type == "psk" else _judge(hello.digests, ts // _DAY)


@lru_cache(maxsize=1024)
def _judge(digests: tuple[Digest, ...], day: int) -> Judgement:
    """Judge a list; devices of one firmware share theirs, so that this is done once a list and day."""
    known, date = by_digest(), clock(day * _DAY)[: len("2026-11-23")]
    seen: set[bytes] = set()
    judged = []
    for digest in digests:
        root = known.get(digest.value)
        verdicts = _verdicts(digest, root, date, digest.value in seen)
        seen.add(digest.value)
        judged.append(JudgedDigest(digest, root.name if root else None, verdicts[0], verdicts))
    by_verdict: dict[str, tuple[JudgedDigest, ...]] = {}
    for judged_digest in judged:
        for verdict in judged_digest.verdicts:
            by_verdict[verdict] = (*by_verdict.get(verdict, ()), judged_digest)
    return Judgement(tuple(judged), by_verdict, consistent_with(judged))


def _verdicts(digest: Digest, root: CatalogueRoot | None, date: str, repeated: bool) -> tuple[str, ...]:
    """Return what holds of a digest, gravest first."""
    found = []
    malformed = ALGORITHMS.get(digest.algorithm_id) != (digest.algorithm, len(digest.value))
    zero = not any(digest.value)
    weak = root is not None and root.is_weak
    if malformed:
        found.append(MALFORMED)
    if zero and digest.value:
        found.append(ZERO)
    if root is None and not zero and not malformed:
        found.append(UNKNOWN)
    if repeated:
        found.append(DUPLICATE)
    if root is not None and root.not_after < date:
        found.append(EXPIRED)
    if weak:
        found.append(WEAK)
    if weak or digest.algorithm == "sha1":
        found.append(UNUSABLE)
    return tuple(found) or (NAMED,)


def carries(digests: Sequence[JudgedDigest], wanted: frozenset[bytes]) -> bool:
    """True where one of the digests is one of `wanted`."""
    return any(judged.digest.value in wanted for judged in digests)
