"""Whether a device accepts a provisioning chain, by the rules that are documented: one class a rule.

A rule says what it got, what it expected, and how sure that is: `holds`, `broken`, or `unknown` with the
reason. What AMT does beyond these rules is not documented: a chain that breaks none may still be refused.
Sources: Intel's AMT guide (acquiring a certificate; chains for host-based configuration; root hashes; remote
configuration), Intel KB 000090051 and 000100444, and the issues that each rule names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from amtdiag.trust.age_policy import IsInTime, KeyIsLongEnough, SignatureIsModern
from amtdiag.trust.chain_path import MAX_CERTIFICATES, study
from amtdiag.trust.leaf_policy import FitsSuffix, HasServerAuth, HasSetupMark
from amtdiag.trust.link_policy import CanBeRead, IsComplete, IsInOrder, SignaturesHold
from amtdiag.trust.root_policy import RootIsListed
from amtdiag.trust.rule import ChainContext, ChainRule, ContextRule, PolicyRule, RuleResult

_CHAIN_RULES: tuple[ChainRule, ...] = (
    CanBeRead(),
    HasSetupMark(),
    HasServerAuth(),
    IsComplete(),
    IsInOrder(),
    SignaturesHold(),
)
_DEVICE_RULES: tuple[ContextRule, ...] = (
    FitsSuffix(),
    RootIsListed(),
    SignatureIsModern(),
    KeyIsLongEnough(),
    IsInTime(),
)
RULES: tuple[PolicyRule, ...] = (*_CHAIN_RULES, *_DEVICE_RULES)
"""Every rule, in the order of the results of `judge`."""
BY_ID = {rule.id: rule for rule in RULES}


def judge(chain: Sequence[bytes], context: ChainContext) -> tuple[RuleResult, ...]:
    """Judge a chain (DER, in the order in which it is sent) by every rule. Never raises."""
    looked_at = tuple(chain[:MAX_CERTIFICATES])
    whole = context.chain_complete and len(chain) <= MAX_CERTIFICATES
    studied = study(looked_at, whole)
    bound = (result for rule in _DEVICE_RULES for result in rule.look(studied, context))
    return (*_of_the_chain(looked_at, whole), *bound)


@lru_cache(maxsize=64)
def _of_the_chain(chain: tuple[bytes, ...], whole: bool) -> tuple[RuleResult, ...]:
    """What is the same for all devices."""
    return tuple(result for rule in _CHAIN_RULES for result in rule.look(study(chain, whole)))


def sentence(result: RuleResult) -> str:
    """Return a result in a sentence or two, for a reader who does not see the rule's name."""
    got = result.got[:1].upper() + result.got[1:]
    words = {
        "broken": f"{BY_ID[result.rule].title}: {result.got}. Expected: {result.expected}.",
        "unknown": f"{got}. Expected: {result.expected}.",
        "holds": f"{got}.",
    }[result.outcome]
    return f"{words} {result.why[:1].upper()}{result.why[1:]}." if result.why else words
