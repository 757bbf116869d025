"""From a certificate chain to its root's digests: orders, gaps, old and broken certificates, private keys."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from hypothesis import given, settings
from hypothesis import strategies as st
from making import make

from amtdiag.errors import UsageError
from amtdiag.trust.user_root import own_root

ROOT = make("Example Root")
MIDDLE = make("Example Issuing CA", ROOT)
LEAF = make("setup.example.com", MIDDLE)


def digests(der: bytes) -> frozenset[bytes]:
    return frozenset(make(der).digest() for make in (hashlib.sha1, hashlib.sha256, hashlib.sha384))


@pytest.mark.parametrize(
    "chain",
    [
        LEAF.pem + MIDDLE.pem + ROOT.pem,
        ROOT.pem + MIDDLE.pem + LEAF.pem,
        MIDDLE.pem + ROOT.pem + LEAF.pem + ROOT.pem,
        ROOT.pem,
        ROOT.der,
        b"Bag Attributes: x\r\n" + (LEAF.pem + MIDDLE.pem + ROOT.pem).replace(b"\n", b"\r\n"),
        ROOT.pem.replace(b" CERTIFICATE", b" X509 CERTIFICATE") + MIDDLE.pem,
    ],
    ids=["leaf-first", "root-first", "mixed", "root-alone", "der", "crlf", "x509"],
)
def test_the_root_of_a_chain(chain: bytes) -> None:
    assert own_root(chain) == ("Example Root", digests(ROOT.der))


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa", "ec", "ed25519"],
)
def test_kinds_of_keys(key: CertificateIssuerPrivateKeyTypes) -> None:
    root = make("Other Root", key=key)
    leaf = make("leaf", root)
    assert own_root(leaf.pem + root.pem) == ("Other Root", digests(root.der))


def refusal(chain: bytes) -> str:
    with pytest.raises(UsageError) as caught:
        own_root(chain)
    text = str(caught.value)
    assert text.isprintable(), "one line, safe to print"
    return text


def test_a_chain_without_its_root_names_the_issuer_that_is_missing() -> None:
    text = refusal(LEAF.pem + MIDDLE.pem)
    assert "no root" in text
    assert "Example Issuing CA, was issued by Example Root" in text


def test_an_unrelated_root_is_not_taken() -> None:
    assert "issued by Example Issuing CA" in refusal(LEAF.pem + make("Stray Root").pem)


def test_a_root_of_the_same_name_with_another_key_is_not_taken() -> None:
    other = make("Example Root")
    assert own_root(MIDDLE.pem + other.pem + ROOT.pem)[1] == digests(ROOT.der)
    assert "issued by Example Root" in refusal(MIDDLE.pem + other.pem)


def test_self_issued_but_not_self_signed() -> None:
    odd = make("Example Root", ROOT)  # its own name as issuer, another's signature
    assert "did not sign itself" in refusal(odd.pem)


def test_two_roots_over_one_chain() -> None:
    cross = make("Example Root", make("Older Root"), key=ROOT.key)
    older = make("Older Root")
    older_cross = make("Example Root", older, key=ROOT.key)
    assert own_root(MIDDLE.pem + cross.pem + ROOT.pem)[0] == "Example Root"
    assert "2 roots" in refusal(MIDDLE.pem + older_cross.pem + ROOT.pem + older.pem)


def test_a_store_of_roots_is_no_chain() -> None:
    text = refusal(b"".join(make(f"Root {number}").pem for number in range(5)))
    assert "5 roots and no chain" in text


@pytest.mark.parametrize(
    "chain",
    [b"", b"\x00" * 100, b"-----BEGIN CERTIFICATE-----", b"0", b"0\x82\xff\xff", b"\xd4\xc3\xb2\xa1"],
)
def test_no_certificate(chain: bytes) -> None:
    assert "certificate" in refusal(chain)


def test_broken_certificates() -> None:
    body = ROOT.pem.replace(b"\n", b"\n\x1b[31m")
    assert refusal(body).startswith("certificate 1 cannot be read")
    cut = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    assert refusal(cut).startswith("certificate 1 cannot be read")
    assert own_root(cut + MIDDLE.pem + ROOT.pem)[0] == "Example Root"


def test_a_private_key_is_ignored_and_never_shown() -> None:
    assert own_root(LEAF.key_pem + LEAF.pem + ROOT.key_pem + MIDDLE.pem + ROOT.pem)[0] == "Example Root"
    text = refusal(LEAF.key_pem)
    assert "no certificate" in text
    assert not any(line in text for line in LEAF.key_pem.decode().splitlines()[1:-1])
    assert refusal(LEAF.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )).startswith("certificate 1 cannot be read")  # fmt: skip


def test_a_hostile_name_is_made_safe() -> None:
    name, _ = own_root(make("\x1b[2JRoot\u202e\n" + "A" * 40).der)
    assert name.isprintable()
    assert name.startswith("\\x1b[2JRoot\\u202e\\x0a")


def test_too_many_certificates() -> None:
    chain = b"".join(
        b"-----BEGIN CERTIFICATE-----\n"
        + base64.b64encode(ROOT.der[:-1] + bytes([number]))  # the last byte is the signature's
        + b"\n-----END CERTIFICATE-----\n"
        for number in range(256)
    )
    assert "no chain" in refusal(chain)


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_old_certificates_of_openssl(digest: str, tmp_path: Path, need: Callable[[str], Path]) -> None:
    openssl = need("openssl")
    config = tmp_path / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name=name\n[name]\n")
    environment = {"OPENSSL_CONF": str(config), "PATH": "/usr/bin:/bin"}
    made = subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:1024", "-nodes", f"-{digest}", "-subj", "/O=Old Company",
         "-set_serial", "0", "-keyout", tmp_path / "key.pem", "-config", config],
        capture_output=True, check=False, env=environment,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"this openssl does not sign with {digest}")
    der = base64.b64decode(re.sub(rb"-----.*?-----|\s", b"", made.stdout))
    assert own_root(made.stdout) == ("Old Company", digests(der))
    trusted = subprocess.run(
        [openssl, "x509", "-trustout", "-addtrust", "serverAuth"],
        input=made.stdout, capture_output=True, check=True, env=environment,
    )  # fmt: skip
    assert b"TRUSTED" in trusted.stdout
    assert own_root(trusted.stdout) == ("Old Company", digests(der))


@settings(max_examples=150)
@given(st.binary(max_size=60), st.integers(0, len(ROOT.der) - 1), st.binary(min_size=1, max_size=4))
def test_noise_never_raises_anything_else(noise: bytes, at: int, patch: bytes) -> None:
    damaged = ROOT.der[:at] + patch + ROOT.der[at + len(patch) :]
    for chain in (noise, damaged, b"0" + noise, LEAF.pem + noise + MIDDLE.pem):
        try:
            said, found = own_root(chain)
        except UsageError as error:
            said, found = str(error), frozenset()
        assert said.isprintable()
        assert len(found) in (0, 3)
