"""The caller's own provisioning chain: whether each device would accept it, as far as that can be told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import Evidence, Finding, Unknown
from amtdiag.rules.base import DeviceRule, discovery_filter, flow_filter, frames, rule
from amtdiag.rules.roots import latest_list

if TYPE_CHECKING:
    from amtdiag.trust.rule import ChainContext, RuleResult

_MAX_SENTENCES = 3
_ROW_OF_A_ROOT_TRIED, _ROW_OF_A_ROOT = "F19", "F18"
"""The catalogue tells apart whether a server has shown such a chain, or has none to show."""


def context_of(device: DeviceEvidence) -> ChainContext:
    """Return what is known of a device that is shown a chain: suffix, digests, release, time."""
    from amtdiag.trust.rule import ChainContext

    record = latest_list(device)
    return ChainContext(
        when=record.event.ts if record else device.device.last_seen,
        suffixes=_suffixes(device),
        digests=frozenset(result.digest.value for result in record.digests) if record else None,
        digests_complete=record is not None and record.event.hello.complete,
        release=device.device.firmware,
    )


def _suffixes(device: DeviceEvidence) -> tuple[str, ...] | None:
    """The domains that DHCP gave last, of each version; None where that was not seen."""
    last = {ack.version: ack.domain for ack in device.acks if ack.domain or ack.whole}
    return tuple(dict.fromkeys(filter(None, last.values()))) if last else None


@lru_cache(maxsize=16)
def _judged(chain: tuple[bytes, ...], context: ChainContext) -> tuple[RuleResult, ...]:
    """Judge once for the rules here, which come to a device one after the other."""
    from amtdiag.trust.chain import judge

    return judge(chain, context)


class _OwnChain(DeviceRule):
    """A rule about the chain of --cert."""

    option = "chain"
    source = (
        "Intel's AMT guide on certificates, chains, root hashes and remote configuration; Intel KB 000090051 "
        "and 000100444"
    )

    def judged(self, device: DeviceEvidence) -> Sequence[RuleResult]:
        """What each rule about chains says; nothing where no chain is given, or none is of use.

        A PSK device asks for no certificate, and one that is not on its way to a server for none now.
        """
        hello = device.last_hello
        on_its_way = device.hellos or device.attempts or device.lookups
        if (
            not self.options.chain
            or device.prospect
            or not on_its_way
            or (hello and hello.hello.type == "psk")
        ):
            return ()
        return _judged(self.options.chain, context_of(device))

    def report(self, device: DeviceEvidence, results: Sequence[RuleResult], beginning: str) -> Finding:
        """Return one finding about several results, the first of which gives row and remedy."""
        from amtdiag.trust.chain import sentence

        first, row = results[0], results[0].catalogue
        words = " ".join(sentence(result) for result in results[:_MAX_SENTENCES])
        more = f" And {len(results) - _MAX_SENTENCES} more." if len(results) > _MAX_SENTENCES else ""
        evidence = _evidence(device, {result.rule for result in results})
        shown = f" ({frames(evidence)})" if evidence else ""
        record = latest_list(device)
        return self.finding(
            device,
            f"{beginning}{shown}: {words}{more}",
            evidence,
            flow_filter(record.event.ends) if record else discovery_filter(device),
            times=[record.event.ts if record else device.device.last_seen],
            severity="warning"
            if device.device.mode.name == "operational" and self.severity == "error"
            else None,
            catalogue=_ROW_OF_A_ROOT if row == _ROW_OF_A_ROOT_TRIED else row,
            remedy=first.remedy,
        )

    @property
    def chain_name(self) -> str:
        """The name of the caller's certificate."""
        return self.options.chain_name or "your certificate"


def _evidence(device: DeviceEvidence, rules: set[str]) -> list[Evidence]:
    """The Hello with the list, and the lease where its domain is what matters."""
    record = latest_list(device)
    lease = device.acks[-1].evidence if device.acks and "suffix" in rules else ()
    return [*(record.event.evidence if record else ()), *lease]


def _is_fatal(result: RuleResult) -> bool:
    return result.outcome == "broken" and result.severity == "error"


def _is_doubt(result: RuleResult) -> bool:
    return result.outcome != "holds" and result.severity == "warning"


@rule
class OwnChainRefused(_OwnChain):
    """The caller's provisioning chain breaks a rule by which the device accepts chains."""

    id = "own-chain-refused"
    precedence = 210
    title = "The device would refuse your certificate"
    label = "your certificate"
    basis = "inferred"
    remedy = "What to do depends on the rule that is broken; the finding says it."
    example = (("lease", -9), ("hello", 0))
    near_miss = (("lease", -9), ("hello", 0, {"digests": ("the sample root",)}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Only with --cert: usages, OU, domain, chain, signatures, root and algorithms, for this device."""
        broken = [result for result in self.judged(device) if _is_fatal(result)]
        if broken:
            yield self.report(device, broken, f"{self.chain_name} does not fit this device")


@rule
class OwnChainDoubtful(_OwnChain):
    """Something in the caller's provisioning chain is refused by some devices, or not documented."""

    id = "own-chain-doubtful"
    precedence = 740
    title = "The device may refuse your certificate"
    severity = "warning"
    basis = "inferred"
    confidence = "low"
    remedy = "What to do depends on what is in doubt; the finding says it."
    example = (
        ("lease", -9, {"domain": "a.example.com"}),
        ("hello", 400 * 86_400, {"digests": ("the sample root",)}),
    )
    near_miss = (("lease", -9, {"domain": "a.example.com"}), ("hello", 0, {"digests": ("the sample root",)}))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Only with --cert: dates, wildcards, domains that match in part, SHA-1 where the release is open."""
        doubts = [result for result in self.judged(device) if _is_doubt(result)]
        if doubts:
            yield self.report(device, doubts, f"{self.chain_name} is in doubt for this device")


@rule
class OwnChainFits(_OwnChain):
    """No documented rule speaks against the caller's provisioning chain for this device."""

    id = "own-chain-fits"
    precedence = 750
    title = "Your certificate fits the device"
    severity = "info"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "Nothing to do. Should the device refuse it all the same, look in MEBx for another PKI DNS suffix, "
        "and for an inactive digest: neither is visible in a capture."
    )
    example = (("lease", -9), ("hello", 0, {"digests": ("the sample root",)}))
    near_miss = (("lease", -9), ("hello", 0))

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Only with --cert, and only where every rule holds; else it says what cannot be told."""
        results = self.judged(device)
        unseen = [result for result in results if result.outcome == "unknown" and not _is_doubt(result)]
        if any(map(_is_fatal, results)):
            return
        if unseen:
            yield Unknown(
                f"whether the device accepts {self.chain_name}",
                "; ".join(f"{result.got}: {result.why}" if result.why else result.got for result in unseen),
                device.id,
                ", and ".join(dict.fromkeys(result.remedy for result in unseen)),
            )
        elif results and not any(map(_is_doubt, results)):
            by_rule = {result.rule: result for result in results}
            words = "; ".join(by_rule[rule].got for rule in ("root-listed", "suffix"))
            evidence = _evidence(device, set(by_rule))
            yield self.finding(
                device,
                f"{self.chain_name} breaks none of {len(by_rule)} rules ({frames(evidence)}): {words}.",
                evidence,
                discovery_filter(device),
                times=[device.device.last_seen],
            )
