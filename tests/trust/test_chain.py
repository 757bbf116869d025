"""Each rule about provisioning chains: where it has to speak, and where by a hair it must not.

Certificates come from cryptography and, with the algorithms of old, from the openssl program, which is also
the judge of what verifies. Real roots come from certifi.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from making import CLIENT_AUTH, NOW, SERVER_AUTH, SETUP_OID, SETUP_UNIT, Made, make

from amtdiag.times import SECOND
from amtdiag.trust import root_policy
from amtdiag.trust.catalogue import by_digest, roots
from amtdiag.trust.certificates import Certificate, read_certificate
from amtdiag.trust.chain import RULES, judge, sentence
from amtdiag.trust.chain_path import MAX_CERTIFICATES, study
from amtdiag.trust.releases import PSK, consistent_with, refuses_old, stated
from amtdiag.trust.rule import ChainContext, RuleResult, Verdict
from amtdiag.trust.suffixes import fit_of

WHEN = round(NOW.timestamp()) * SECOND + 1
FIT = (SERVER_AUTH, SETUP_OID)
NAME = "setup.example.org"
ROOT = make("Example Root")
MIDDLE = make("Example Issuing CA", ROOT)
LEAF = make(NAME, MIDDLE, usages=FIT)
OTHER = make("Other Root")
NAMESAKE = make("Example Root")
"""Another key under the same name."""
ALL_RULES = {rule.id for rule in RULES}
NEW, OLD, OPEN = stated("16.1"), stated("14.0"), "AMT 15 or later"


def digest(one: Made | bytes) -> bytes:
    return hashlib.sha256(one if isinstance(one, bytes) else one.der).digest()


KNOWN = ChainContext(WHEN, ("example.org",), frozenset({digest(ROOT), b"\1" * 32}), digests_complete=True)


def results(*chain: Made | bytes, **changes: Any) -> dict[str, list[RuleResult]]:
    """What each rule says."""
    found: dict[str, list[RuleResult]] = {rule: [] for rule in ALL_RULES}
    context = KNOWN._replace(**changes)
    for one in judge([one if isinstance(one, bytes) else one.der for one in chain], context):
        assert sentence(one).isprintable()
        found[one.rule].append(one)
    return found


def objections(*chain: Made | bytes, **changes: Any) -> list[tuple[str, Verdict, str | None, int | None]]:
    """What does not hold."""
    return [
        (one.rule, one.outcome, one.catalogue, one.position)
        for found in results(*chain, **changes).values()
        for one in found
        if one.outcome != "holds"
    ]


def leaf(name: str | Sequence[str] = NAME, **changes: Any) -> Made:
    return make(name, MIDDLE, **{"usages": FIT, **changes})


def under(one: Made) -> tuple[Made, Made, Made]:
    return one, MIDDLE, ROOT


def test_a_good_chain_holds_by_every_rule() -> None:
    found = results(LEAF, MIDDLE, ROOT, release=NEW)
    assert {rule: [one.outcome for one in said] for rule, said in found.items()} == {
        rule: ["holds"] for rule in ALL_RULES
    }


# ------------------------------------------------------------------------------------------------------- leaf


@pytest.mark.parametrize(
    ("changes", "rule", "row", "says"),
    [
        ({"usages": [SERVER_AUTH]}, "setup-mark", "F24", "no OU"),
        ({"usages": [SERVER_AUTH, SETUP_OID[:-1] + "1"]}, "setup-mark", "F24", "remote console"),
        ({"usages": [SERVER_AUTH, SETUP_OID[:-1] + "2"]}, "setup-mark", "F24", "local console"),
        ({"usages": [SERVER_AUTH], "units": [SETUP_UNIT.upper()]}, "setup-mark", "F24", "lower case matter"),
        ({"usages": [SERVER_AUTH], "units": [SETUP_UNIT + " "]}, "setup-mark", "F24", "letter for letter"),
        ({"usages": [CLIENT_AUTH, SETUP_OID]}, "server-auth", "F25", "client authentication"),
    ],
)
def test_marks_that_are_missing(changes: dict[str, Any], rule: str, row: str, says: str) -> None:
    chain = under(leaf(**changes))
    assert objections(*chain) == [(rule, "broken", row, 1)]
    assert says in sentence(results(*chain)[rule][0])


@pytest.mark.parametrize(
    "changes",
    [
        {"usages": [SERVER_AUTH], "units": [SETUP_UNIT]},
        {"usages": [SERVER_AUTH], "units": ["IT", SETUP_UNIT]},
        {"usages": [CLIENT_AUTH, SETUP_OID, SERVER_AUTH]},
    ],
)
def test_marks_that_suffice(changes: dict[str, Any]) -> None:
    assert objections(*under(leaf(**changes))) == []


@pytest.mark.parametrize(
    "changes",
    [{"usages": [CLIENT_AUTH], "units": [SETUP_UNIT]}, {"usages": ["2.5.29.37.0", SETUP_OID]}],
)
def test_what_the_documents_leave_open_about_server_authentication(changes: dict[str, Any]) -> None:
    (said,) = results(*under(leaf(**changes)))["server-auth"]
    assert (said.outcome, said.severity) == ("unknown", "warning")


@pytest.mark.parametrize(
    ("names", "suffixes", "outcome", "row"),
    [
        ([NAME], ("example.org",), "holds", "F22"),
        (["Setup.EXAMPLE.org."], ("example.ORG",), "holds", "F22"),
        (["example.org"], ("example.org",), "holds", "F22"),
        (["a.b.example.org"], ("example.org",), "holds", "F22"),
        ([NAME], ("another.net", "example.org"), "holds", "F22"),
        (["x.another.net", NAME], ("example.org",), "holds", "F22"),
        (["setup.example.com"], ("berlin.example.com",), "holds", "F22"),
        (["setup.example.net"], ("berlin.example.net",), "holds", "F22"),
        (["setup.corp"], ("corp",), "holds", "F22"),
        (["setup.example.org"], ("berlin.example.org",), "unknown", "F22"),
        (["a.co.uk"], ("b.co.uk",), "unknown", "F22"),
        (["*.example.org"], ("example.org",), "unknown", "F22"),
        (["*.example.org"], ("another.net",), "broken", "F22"),
        (["myexample.org"], ("example.org",), "broken", "F22"),
        (["setup.example.com"], ("example.org",), "broken", "F22"),
        (["example.org"], ("org.example",), "broken", "F22"),
        (["com"], ("example.com",), "broken", "F22"),
        ([], ("example.org",), "broken", "F22"),
        ([NAME], None, "unknown", "F22"),
        ([NAME], (), "unknown", "F22"),
    ],
)
def test_domains(names: list[str], suffixes: tuple[str, ...] | None, outcome: Verdict, row: str) -> None:
    (said,) = results(*under(leaf(names)), suffixes=suffixes)["suffix"]
    assert (said.outcome, said.catalogue, said.position) == (outcome, row, 1)
    assert (
        said.severity == {"holds": "error", "broken": "error", "unknown": "warning"}[outcome] or not suffixes
    )


def test_an_alternative_name_alone_is_no_proof() -> None:
    (said,) = results(*under(leaf("setup.example.net", hosts=[NAME])))["suffix"]
    assert (said.outcome, said.severity) == ("unknown", "warning")
    assert "common name alone" in said.why


def test_two_labels_say_where_they_come_from() -> None:
    assert "2.6" in fit_of(("a.example.com",), (), ("b.example.com",)).why
    assert "reported" in fit_of(("a.example.org",), (), ("b.example.org",)).why


@given(st.text(max_size=30), st.text(max_size=30))
def test_names_and_suffixes_of_all_kinds(name: str, suffix: str) -> None:
    kind = fit_of((name,), (), (suffix,)).kind
    assert (kind == "full") == (
        not name.startswith("*.")
        and suffix.casefold().rstrip(".").split(".")[0] != ""
        and f".{name}".casefold().rstrip(".").endswith("." + suffix.casefold().rstrip("."))
    )


def test_no_public_authority_issues_for_an_internal_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root of the test is put into the catalogue: nobody here has the key of a real one."""
    chain = under(LEAF)
    monkeypatch.setattr(root_policy, "by_digest", lambda: {digest(ROOT): roots()[0]})
    for suffix in ("office.local", "office.corp", "office.lan"):
        (said,) = results(*chain, suffixes=(suffix,))["suffix"]
        assert (said.outcome, said.catalogue) == ("broken", "F23")
        assert "public domain" in said.remedy
    assert results(*chain, suffixes=("office.example",))["suffix"][0].catalogue == "F22"
    monkeypatch.undo()
    assert results(*chain, suffixes=("office.local",))["suffix"][0].catalogue == "F22", "one's own CA could"


# ------------------------------------------------------------------------------------------------------ links


CROSS = make("Example Root", OTHER, key=ROOT.key)


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ((LEAF,), [("chain-complete", "broken", "F26", 1), ("root-listed", "unknown", "F19", None)]),
        ((LEAF, MIDDLE), [("chain-complete", "broken", "F26", 2), ("root-listed", "unknown", "F19", None)]),
        (
            (LEAF, ROOT),
            [
                ("chain-complete", "broken", "F26", 1),
                ("chain-order", "unknown", "F27", 1),
                ("root-listed", "unknown", "F19", None),
            ],
        ),
        ((LEAF, ROOT, MIDDLE), [("chain-order", "broken", "F27", 1)]),
        ((ROOT, MIDDLE, LEAF), [("chain-order", "broken", "F27", 1)]),
        ((MIDDLE, LEAF, ROOT), [("chain-order", "broken", "F27", 1)]),
        ((LEAF, MIDDLE, MIDDLE, ROOT), [("chain-order", "broken", "F27", 2)]),
        ((LEAF, MIDDLE, ROOT, ROOT), [("chain-order", "broken", "F27", 3)]),
        ((LEAF, MIDDLE, ROOT, OTHER), [("chain-order", "broken", "F27", 3)]),
        ((LEAF, MIDDLE, CROSS, OTHER), [("root-listed", "broken", "F19", 4)]),
        ((LEAF, MIDDLE, CROSS, ROOT), [("chain-order", "broken", "F27", 3)]),
        ((), [("chain-complete", "broken", "F26", None)]),
    ],
)  # fmt: skip
def test_chains_of_other_shapes(chain: tuple[Made, ...], expected: list[object]) -> None:
    found = objections(*chain)
    if not chain:  # nothing to judge: the rest is unknown
        assert {one[1] for one in found if one not in expected} == {"unknown"}
    else:
        assert sorted(found, key=str) == sorted(expected, key=str)


def test_a_signature_of_another_key_of_the_same_name() -> None:
    chain = (LEAF, MIDDLE, NAMESAKE)
    assert objections(*chain, digests=frozenset({digest(NAMESAKE)})) == [
        ("chain-signatures", "broken", None, 2)
    ]


def test_a_self_signed_leaf_is_its_own_root() -> None:
    alone = make(NAME, usages=FIT)
    assert objections(alone, digests=frozenset({digest(alone)})) == []


def test_one_that_names_itself_but_did_not_sign_itself_is_no_root() -> None:
    odd = make("Example Root", NAMESAKE)
    (said,) = results(odd)["chain-complete"]
    assert said.outcome == "broken"
    assert "did not sign itself" in said.got


@pytest.mark.parametrize("chain", [(LEAF, MIDDLE), (LEAF,), ()])
def test_of_a_chain_that_is_not_whole_nothing_is_missing(chain: tuple[Made, ...]) -> None:
    found = objections(*chain, chain_complete=False)
    assert found
    assert {one[1] for one in found} == {"unknown"}


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()),
     ed25519.Ed25519PrivateKey.generate()],
)  # fmt: skip
def test_kinds_of_keys(key: Any) -> None:
    root = make("Root", key=key)
    assert objections(
        make(NAME, root, usages=FIT), root, digests=frozenset({digest(root)}), release=NEW
    ) == []  # fmt: skip


def test_names_are_compared_without_case_and_kind_of_string() -> None:
    middle = make("EXAMPLE  issuing ca", ROOT, key=MIDDLE.key)
    assert objections(LEAF, middle, ROOT) == []


# ------------------------------------------------------------------------------------------------------- root


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384"])
def test_a_root_is_listed_by_any_digest(algorithm: str) -> None:
    listed = frozenset({hashlib.new(algorithm, ROOT.der).digest()})
    assert objections(LEAF, MIDDLE, ROOT, digests=listed) == []


def test_a_root_that_is_not_listed() -> None:
    chain = (LEAF, MIDDLE, ROOT)
    assert objections(*chain, digests=frozenset({b"\1" * 32})) == [("root-listed", "broken", "F19", 3)]
    assert objections(*chain, digests=frozenset({digest(MIDDLE)}))[0][2] == "F29", "beyond a listed one"
    lost = objections(*chain, digests=frozenset({b"\1" * 32}), digests_complete=False)
    assert lost == [("root-listed", "unknown", "F19", 3)]
    assert objections(*chain, digests=None) == [("root-listed", "unknown", "F19", None)]


def listed(name: str) -> frozenset[bytes]:
    return frozenset({bytes.fromhex(next(root for root in roots() if root.name == name).sha256)})


G2 = "Go Daddy Root Certificate Authority - G2"
ENTRUST = "Entrust.net Certification Authority (2048)"


@pytest.mark.parametrize(
    ("names", "in_list", "row"),
    [
        ([G2, "Go Daddy Class 2 Certification Authority"], G2, "F29"),
        ([ENTRUST], f"{ENTRUST} (2029 re-issue)", "F29"),
        (["DigiCert Global Root CA"], "DigiCert Global Root G2", "F29"),
        (["USERTrust RSA Certification Authority"], "AAA Certificate Services", "F29"),
        (["Starfield Class 2"], G2, "F19"),
        (["Company Root"], G2, "F19"),
    ],
)
def test_another_root_of_the_same_authority(names: list[str], in_list: str, row: str) -> None:
    chain = [make(names[-1])]
    for name in [*reversed(names[:-1]), "Issuing CA"]:
        chain.append(make(name, chain[-1]))
    chain.append(make(NAME, chain[-1], usages=FIT))
    (said,) = results(*reversed(chain), digests=listed(in_list))["root-listed"]
    assert (said.outcome, said.catalogue) == ("broken", row)
    assert (in_list in said.why) == (row == "F29")


def real_roots() -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one has the serial number zero
        return x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())


def test_real_roots_are_as_the_catalogue_has_them() -> None:
    seen = 0
    for one in real_roots():
        der = one.public_bytes(Encoding.DER)
        facts = read_certificate(der)
        assert isinstance(facts, Certificate)
        assert facts.is_root
        root = by_digest().get(facts.digests[1])
        found = results(der, digests=frozenset({facts.digests[1]}), release=NEW)
        assert [one.outcome for one in found["root-listed"]] == ["holds"]
        assert [one.outcome for one in found["chain-complete"]] == ["holds"]
        if root is None:
            continue
        seen += 1
        assert [digest.hex() for digest in facts.digests] == [root.sha1, root.sha256, root.sha384]
        assert facts.key == f"{root.key_algorithm} {root.key_bits}"
        assert root.signature_algorithm.lower().replace("-", "").find(facts.signature_hash or "-") >= 0
        old = [*found["key-size"], *found["signature-algorithm"]]
        assert root.is_weak == any(one.outcome == "broken" for one in old), root.name
    assert seen >= 8


# -------------------------------------------------------------------------------------------------------- age


@pytest.mark.parametrize(
    ("begins", "ends", "outcome"),
    [
        (timedelta(), timedelta(days=1), "holds"),
        (timedelta(days=-9), timedelta(), "holds"),
        (timedelta(seconds=1), timedelta(days=1), "broken"),
        (timedelta(days=-9), timedelta(seconds=-1), "broken"),
    ],
)
def test_dates(begins: timedelta, ends: timedelta, outcome: Verdict) -> None:
    (said,) = results(*under(leaf(begins=NOW + begins, ends=NOW + ends)))["dates"]
    assert (said.outcome, said.severity, said.catalogue) == (outcome, "warning", "F28")
    assert "not documented" in said.why or outcome == "holds"


SMALL = make("Small Root", key=rsa.generate_private_key(65537, 1024))


@pytest.mark.parametrize(("release", "outcome"), [(NEW, "broken"), (OPEN, "unknown"), (OLD, "holds")])
def test_small_keys(release: str, outcome: Verdict) -> None:
    one = make(NAME, SMALL, usages=FIT)
    (said,) = results(one, SMALL, digests=frozenset({digest(SMALL)}), release=release)["key-size"]
    assert (said.outcome, said.position, said.catalogue) == (outcome, 2, "F21")
    assert "1024" in said.got


@pytest.mark.parametrize(
    ("release", "applies"),
    [
        (stated("16.0"), "yes"), (stated("16.1.25.1865"), "yes"), (stated("21.0"), "yes"),
        (stated("15.0.35.2039"), "maybe"), (stated("14.1.70"), "no"), (stated("9.5"), "no"), (PSK, "no"),
        (None, "maybe"), ("AMT 15 or later", "maybe"), (stated("not a number"), "maybe"),
        ("AMT 12.0.32 or later, or 11.8.65 or later", "maybe"), ("AMT 11.0 to 11.8.6x", "no"),
    ],
)  # fmt: skip
def test_which_releases_refuse_what_is_old(release: str | None, applies: str) -> None:
    assert refuses_old(release) == applies


def test_a_list_without_a_hint_leaves_it_open() -> None:
    assert refuses_old(consistent_with([])) == "maybe"


@pytest.fixture(scope="module")
def old_chains(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[bytes]]:
    """Chains of openssl, leaf and root, signed with a hash of old."""
    from conftest import need_tool

    openssl = need_tool("openssl")

    def made(algorithm: str) -> list[bytes]:
        folder = tmp_path_factory.mktemp(algorithm)
        (folder / "cnf").write_text(
            "[req]\ndistinguished_name=name\n[name]\n[ca]\nbasicConstraints=CA:TRUE\n"
            f"[leaf]\nextendedKeyUsage=serverAuth,{SETUP_OID}\n"
        )
        environment = {"OPENSSL_CONF": str(folder / "cnf"), "PATH": "/usr/bin:/bin"}
        new = ["-newkey", "rsa:2048", "-nodes", f"-{algorithm}"]
        for words in (
            ["req", "-x509", *new, "-subj", "/CN=Old Root", "-extensions", "ca", "-keyout", "root.key",
             "-out", "root.pem"],
            ["req", *new, "-subj", f"/CN={NAME}", "-keyout", "leaf.key", "-out", "leaf.csr"],
            ["x509", "-req", f"-{algorithm}", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root.key",
             "-CAcreateserial", "-extfile", "cnf", "-extensions", "leaf", "-out", "leaf.pem"],
        ):  # fmt: skip
            subprocess.run([openssl, *words], check=True, capture_output=True, cwd=folder, env=environment)
        read = x509.load_pem_x509_certificate
        return [
            read((folder / f"{one}.pem").read_bytes()).public_bytes(Encoding.DER) for one in ("leaf", "root")
        ]

    return made


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_old_signatures(algorithm: str, old_chains: Callable[[str], list[bytes]]) -> None:
    chain = old_chains(algorithm)
    facts = read_certificate(chain[0])
    assert isinstance(facts, Certificate)
    here = {"when": facts.not_before, "digests": frozenset({digest(chain[1])})}
    old, signed = ([one.outcome for one in results(*chain, **here, release=NEW)[rule]]
                   for rule in ("signature-algorithm", "chain-signatures"))  # fmt: skip
    assert old == ["broken", "broken"]
    assert signed == ["holds"] or (signed == ["unknown"] and algorithm == "md5"), "not every library has MD5"
    assert results(*chain, **here, release=OLD)["signature-algorithm"][0].outcome == "holds"
    doubts = results(*chain, **here, release=OPEN)["signature-algorithm"]
    assert {(one.outcome, one.severity) for one in doubts} == {("unknown", "warning")}
    forged = chain[0][:-1] + bytes([chain[0][-1] ^ 1])
    (said,) = results(forged, chain[1], **here)["chain-signatures"]
    assert (said.outcome, said.position) == ("broken" if signed == ["holds"] else "unknown", 1)


MD5, MD2, NOTHING = (bytes.fromhex(f"06092a864886f70d0101{one}") for one in ("04", "02", "7f"))


@pytest.mark.parametrize(("number", "outcome"), [(MD2, "broken"), (NOTHING, "unknown")])
def test_what_cannot_be_verified_is_no_bad_signature(
    number: bytes, outcome: Verdict, old_chains: Callable[[str], list[bytes]]
) -> None:
    chain = [der.replace(MD5, number) for der in old_chains("md5")]
    found = results(*chain, digests=frozenset({digest(chain[1])}), release=NEW)
    assert [(one.outcome, one.severity) for one in found["chain-signatures"]] == [("unknown", "info")]
    assert "cannot be verified" in found["chain-signatures"][0].why
    assert {one.outcome for one in found["signature-algorithm"]} == {outcome}
    assert [one.outcome for one in found["root-listed"]] == ["holds"]


# ----------------------------------------------------------------------------------------------------- oracle

POOL: dict[str, Made] = {
    "leaf": LEAF,
    "middle": MIDDLE,
    "root": ROOT,
    "namesake": NAMESAKE,
    "cross": CROSS,
    "other": OTHER,
}
ISSUERS = {
    "leaf": {"middle"}, "middle": {"root", "namesake", "cross"}, "cross": {"other"}, "root": set(),
    "namesake": set(), "other": set(),
}  # fmt: skip
"""By name, as AMT's order goes."""


@pytest.fixture(scope="module")
def openssl_says(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Made]], bool]:
    """Whether `openssl verify` builds a chain from the first certificate to a root among the others."""
    from conftest import need_tool

    openssl = need_tool("openssl")
    folder = tmp_path_factory.mktemp("verify")

    def verify(chain: Sequence[Made]) -> bool:
        trusted = [one for one in chain if one in (ROOT, NAMESAKE, OTHER)]
        for name, content in (("leaf", chain[:1]), ("trusted", trusted), ("rest", chain[1:])):
            (folder / name).write_bytes(b"".join(one.pem for one in content))
        words: list[str | Path] = ["-no_check_time", "-no-CApath", "-no-CAstore"]
        for option, name in (("-trusted", "trusted"), ("-untrusted", "rest")):
            if (folder / name).stat().st_size:
                words += [option, folder / name]
        if not trusted:
            words += ["-no-CAfile"]
        return not subprocess.run(
            [openssl, "verify", *words, folder / "leaf"], capture_output=True, check=False
        ).returncode

    return verify


@settings(max_examples=60)
@given(names=st.lists(st.sampled_from(sorted(set(POOL) - {"leaf"})), max_size=5))
def test_openssl_agrees_on_random_chains(
    names: list[str], openssl_says: Callable[[Sequence[Made]], bool]
) -> None:
    order = ["leaf", *names]
    chain = [POOL[name] for name in order]
    found = results(*chain)
    complete = all(one.outcome == "holds" for one in found["chain-complete"])
    signed = all(one.outcome == "holds" for one in found["chain-signatures"])
    assert (complete and signed) == openssl_says(chain), order
    in_order = all(upper in ISSUERS[lower] for lower, upper in pairwise(order))
    assert any(one.outcome == "holds" for one in found["chain-order"]) == in_order, order


# ----------------------------------------------------------------------------------------------------- limits


def test_a_certificate_that_cannot_be_read() -> None:
    found = objections(LEAF, b"\x30\x03\x02\x01\x00", ROOT)
    assert ("chain-readable", "unknown", None, 2) in found
    assert {one[1] for one in found} == {"unknown"}
    assert "certificate 2" in sentence(results(LEAF, b"", ROOT)["chain-readable"][0]).lower()


def test_extensions_that_cannot_be_read() -> None:
    usage = bytes.fromhex("0603551d25")  # 2.5.29.37, then OCTET STRING, SEQUENCE
    at = LEAF.der.index(usage) + len(usage)
    broken = LEAF.der[: at + 2] + b"\x31" + LEAF.der[at + 3 :]  # SET in place of SEQUENCE
    found = objections(broken, MIDDLE, ROOT)
    assert {one[0] for one in found} == {"chain-readable", "setup-mark", "server-auth", "chain-signatures"}
    assert {one[1] for one in found if one[0] != "chain-signatures"} == {"unknown"}


def test_a_chain_without_end() -> None:
    found = results(LEAF, MIDDLE, *[OTHER] * 5000)
    assert found["chain-complete"][0].outcome == "unknown"
    assert len(study(tuple(one.der for one in [LEAF] * MAX_CERTIFICATES), whole=True).path) == 1


def test_text_of_certificates_is_made_safe_and_short() -> None:
    evil = make(["\x1b[2J" + "A" * 40 + "\u202e"] * 60, MIDDLE, usages=[f"1.2.{n}" for n in range(500)])
    for said in results(*under(evil)).values():
        assert all(len(sentence(one)) < 2000 for one in said)


@settings(max_examples=300)
@given(
    which=st.sampled_from([LEAF, MIDDLE, ROOT]),
    at=st.integers(0, 400),
    patch=st.binary(min_size=1, max_size=6),
    cut=st.integers(0, 700),
)
def test_damaged_certificates_never_raise(which: Made, at: int, patch: bytes, cut: int) -> None:
    damaged = (which.der[:at] + patch + which.der[at + len(patch) :])[: cut or None]
    found = results(*(damaged if one is which else one for one in (LEAF, MIDDLE, ROOT)))
    assert all(found.values()), "every rule has something to say"


def test_a_chain_is_read_and_verified_once() -> None:
    chain = [one.der for one in (LEAF, MIDDLE, ROOT)]
    study.cache_clear()
    for number in range(2000):
        copies = [bytes(bytearray(der)) for der in chain]  # each device's own, as packets bring them
        context = KNOWN._replace(when=WHEN + number, suffixes=(f"s{number}.example.org",))
        assert len(judge(copies, context)) == len(RULES)
    assert study.cache_info().misses == 1


def test_every_rule_says_what_it_is() -> None:
    for rule in RULES:
        assert rule.title[0].isupper()
        assert rule.remedy.endswith(".")
        assert len(rule.source) > 5
        assert re.fullmatch(r"F\d\d", rule.catalogue or "F00")
