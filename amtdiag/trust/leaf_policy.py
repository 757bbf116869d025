"""Rules about the leaf: how it is marked as a provisioning certificate, and for which domain it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from amtdiag.trust.certificates import Certificate
from amtdiag.trust.chain_path import Studied
from amtdiag.trust.root_policy import is_public
from amtdiag.trust.rule import WHOLE_CHAIN, ChainContext, ChainRule, ContextRule, RuleResult
from amtdiag.trust.suffixes import fit_of, is_internal, shown_names

SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
ANY_USAGE = "2.5.29.37.0"
SETUP_OID = "2.16.840.1.113741.1.2.3"
SETUP_UNIT = "Intel(R) Client Setup Certificate"
_USAGES = {
    SERVER_AUTH: "server authentication",
    "1.3.6.1.5.5.7.3.2": "client authentication",
    ANY_USAGE: "any usage",
    SETUP_OID: "AMT provisioning",
    "2.16.840.1.113741.1.2.1": "AMT remote console, the neighbour of the right one",
    "2.16.840.1.113741.1.2.2": "AMT local console, the neighbour of the right one",
}
_MAX_NAMED = 4
_NO_LEAF = "there is no leaf to look at"


class HasSetupMark(ChainRule):
    """The leaf is marked as a provisioning certificate, by OID or by OU."""

    id = "setup-mark"
    title = "The certificate is not marked for AMT provisioning"
    catalogue = "F24"
    expected = f"the extended key usage {SETUP_OID}, or the OU {SETUP_UNIT}, letter for letter"
    remedy = (
        f"Have the certificate issued with the extended key usage {SETUP_OID} beside server authentication, "
        f'or with exactly the OU "{SETUP_UNIT}"; look whether the CA left out or changed it.'
    )
    source = "Intel's AMT guide, acquiring a certificate; Intel KB 000100444"

    def look(self, chain: Studied) -> Iterator[RuleResult]:
        """OID or OU of the leaf; the neighbours of the OID and another spelling of the OU are named."""
        leaf = chain.leaf_certificate
        if leaf is None:
            yield self.unseen(_NO_LEAF, "it is not there, or cannot be read", WHOLE_CHAIN)
            return
        place, one = chain.leaf, leaf
        if SETUP_UNIT in one.units:
            yield self.result("holds", f"{chain.named(place)} has the OU {SETUP_UNIT}", place=place)
        elif SETUP_OID in one.usages:
            yield self.result("holds", f"{chain.named(place)} has the usage {SETUP_OID}", place=place)
        elif one.unread_extensions:
            got = f"the usages of {chain.named(place)} cannot be read"
            yield self.unseen(got, one.unread_extensions, self.remedy, place)
        else:
            got = f"{chain.named(place)} has {_usages(one)} and {_units(one)}"
            close = any(unit.casefold() == SETUP_UNIT.casefold() for unit in one.units)
            why = "upper and lower case matter in the OU" if close else ""
            yield self.result("broken", got, place=place, why=why)


class HasServerAuth(ChainRule):
    """The leaf may be used for server authentication."""

    id = "server-auth"
    title = "The certificate lacks server authentication"
    catalogue = "F25"
    expected = f"the extended key usage {SERVER_AUTH} (server authentication)"
    remedy = "Correct the template: server authentication has to stand beside the provisioning OID."
    source = "Intel's AMT guide, acquiring a certificate"

    def look(self, chain: Studied) -> Iterator[RuleResult]:
        """The extended key usage of the leaf."""
        leaf = chain.leaf_certificate
        if leaf is None:
            yield self.unseen(_NO_LEAF, "it is not there, or cannot be read", WHOLE_CHAIN)
            return
        got = f"{chain.named(chain.leaf)} has {_usages(leaf)}"
        if SERVER_AUTH in leaf.usages:
            yield self.result("holds", got, place=chain.leaf)
        elif leaf.unread_extensions:
            yield self.unseen("its usages cannot be read", leaf.unread_extensions, self.remedy, chain.leaf)
        elif ANY_USAGE in leaf.usages:
            yield self.doubtful(got, "whether firmware takes that for it is not documented", chain.leaf)
        elif SETUP_UNIT in leaf.units and SETUP_OID not in leaf.usages:
            why = "whether the OU alone is enough without it, Intel's guide leaves open"
            yield self.doubtful(got, why, chain.leaf)
        else:
            yield self.result("broken", got, place=chain.leaf)


class FitsSuffix(ContextRule):
    """The domain of the leaf's common name is the device's."""

    id = "suffix"
    title = "The certificate is for another domain than the device's"
    catalogue = "F22"
    expected = "a common name that ends in the device's DNS suffix"
    remedy = (
        "Bring in line DHCP option 15, the PKI DNS suffix in MEBx, and the domain in the common name of the "
        "certificate."
    )
    source = (
        "Intel's AMT guide, remote configuration; a 2007 answer of Intel's forum on the last two labels; "
        "issues deployment 534 and rps 2590"
    )
    _internal_remedy: ClassVar[str] = (
        "No public CA issues for such a domain: let option 15 give a public domain of yours, set that as PKI "
        "DNS suffix in MEBx, or use a CA of your own whose root digest is added to the device."
    )

    def look(self, chain: Studied, context: ChainContext) -> Iterator[RuleResult]:
        """The common name against what DHCP gave the device; a suffix set in MEBx cannot be seen."""
        leaf = chain.leaf_certificate
        if leaf is None:
            yield self.unseen(_NO_LEAF, "it is not there, or cannot be read", WHOLE_CHAIN)
            return
        got = f"{chain.named(chain.leaf)} is for {shown_names(leaf.common_names) or 'no common name'}"
        if not context.suffixes:
            why = "no DHCP for this device is in the capture" if context.suffixes is None else (
                "DHCP gave it none (option 15); it may have one from MEBx"
            )  # fmt: skip
            yield self.unseen(
                f"{got}, and the device's suffix is not known", why, "its DHCP lease", chain.leaf
            )
            return
        got += f", and the device is in {shown_names(context.suffixes)}"
        fit = fit_of(leaf.common_names, leaf.hosts, context.suffixes)
        if fit.kind == "full":
            yield self.result("holds", got, place=chain.leaf)
        elif fit.kind == "last-two":
            yield self.result("holds", got, place=chain.leaf, why=fit.why)
        elif fit.kind == "doubtful":
            yield self.doubtful(got, fit.why, chain.leaf)
        elif any(map(is_internal, context.suffixes)) and is_public(chain):
            yield self.result("broken", got, place=chain.leaf, catalogue="F23", remedy=self._internal_remedy)
        else:
            why = "a PKI DNS suffix in MEBx, which no capture shows, would count instead"
            yield self.result("broken", got, place=chain.leaf, why=why)


def _usages(certificate: Certificate) -> str:
    named = [f"{usage} ({_USAGES[usage]})" if usage in _USAGES else usage for usage in certificate.usages]
    more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
    return f"the usages {', '.join(named[:_MAX_NAMED])}{more}" if named else "no extended key usage"


def _units(certificate: Certificate) -> str:
    return f"the OU {shown_names(certificate.units)}" if certificate.units else "no OU"
