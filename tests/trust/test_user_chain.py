"""The caller's own chain from PEM, DER and PKCS#12: order, passwords, what is no chain, nothing of keys."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st
from making import SERVER_AUTH, SETUP_OID, Made, make

from amtdiag.errors import UsageError
from amtdiag.trust.user_chain import own_chain

ROOT = make("Example Root")
MIDDLE = make("Example Issuing CA", ROOT)
LEAF = make("setup.example.org", MIDDLE, usages=[SERVER_AUTH, SETUP_OID])
CHAIN = (LEAF, MIDDLE, ROOT)
NAME = "setup.example.org"
SECRET = b"correct horse"


def ders(*made: Made) -> tuple[bytes, ...]:
    return tuple(one.der for one in made)


def pems(*made: Made) -> bytes:
    return b"".join(one.pem for one in made)


def refusal(data: bytes, password: Callable[[], bytes] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        own_chain(data, password)
    text = str(caught.value)
    assert text.isprintable(), "one line, safe to print"
    return text


@pytest.mark.parametrize("order", [(LEAF, MIDDLE, ROOT), (ROOT, MIDDLE, LEAF), (LEAF, ROOT, MIDDLE), (LEAF,)])
def test_pem_keeps_its_order(order: Sequence[Made]) -> None:
    chain, name = own_chain(LEAF.key_pem + pems(*order))
    assert (chain, name) == (ders(*order), NAME)


def test_der_is_a_chain_of_one() -> None:
    assert own_chain(LEAF.der) == (ders(LEAF), NAME)


def test_bytes_behind_the_certificate_are_no_part_of_it() -> None:
    assert own_chain(LEAF.der + b"\0\0")[0] == ders(LEAF)


def bag(others: Sequence[Made], password: bytes | None = SECRET) -> bytes:
    """A PKCS#12 file with the leaf and its key."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    key = LEAF.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificates = [one.certificate for one in others]
    return pkcs12.serialize_key_and_certificates(b"name", key, LEAF.certificate, certificates, encryption)


@pytest.mark.parametrize("others", [(MIDDLE, ROOT), (ROOT, MIDDLE)])
def test_pkcs12_comes_in_order(others: Sequence[Made]) -> None:
    assert own_chain(bag(others), lambda: SECRET) == (ders(*CHAIN), NAME)


def test_what_does_not_belong_to_the_chain_comes_last() -> None:
    stranger = make("Stranger")
    assert own_chain(bag([stranger, ROOT, MIDDLE]), lambda: SECRET)[0] == ders(*CHAIN, stranger)


def test_a_bag_without_a_password_asks_for_none() -> None:
    def never() -> bytes:
        raise AssertionError("asked")

    assert own_chain(bag([MIDDLE, ROOT], None), never)[0] == ders(*CHAIN)


def test_passwords() -> None:
    asked = []

    def ask() -> bytes:
        asked.append(1)
        return b"wrong"

    assert "password is wrong" in refusal(bag([ROOT]), ask)
    assert len(asked) == 1
    assert "needs a password" in refusal(bag([ROOT]))


@pytest.mark.parametrize("options", [[], ["-legacy"], ["-keypbe", "NONE", "-certpbe", "NONE"]])
def test_pfx_of_openssl(options: list[str], tmp_path: Path, need: Callable[[str], Path]) -> None:
    made = subprocess.run(
        [need("openssl"), "pkcs12", "-export", *options, "-passout", f"pass:{SECRET.decode()}"],
        input=LEAF.key_pem + pems(*CHAIN), capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"this openssl does not make PKCS#12 with {options}")
    assert own_chain(made.stdout, lambda: SECRET) == (ders(*CHAIN), NAME)
    assert "password" in refusal(made.stdout, lambda: b"wrong")


def test_nothing_of_the_key_is_kept() -> None:
    """Of the names that the reader binds, none is a key: it is dropped within one expression."""
    numbers = LEAF.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain, name = own_chain(bag([MIDDLE, ROOT]), lambda: SECRET)
    secret = numbers[40:60]
    assert secret not in b"".join(chain)
    assert secret.hex() not in name


@pytest.mark.parametrize(
    "data",
    [b"", b"text", LEAF.key_pem, b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", b"0",
     b"0\x80", b"\x30\x03\x02\x01\x03", b"\x30\x82\xff\xff\x02\x01\x03", LEAF.der[:200]],
)  # fmt: skip
def test_no_chain(data: bytes) -> None:
    assert refusal(data, lambda: b"")


def test_too_many_certificates() -> None:
    assert "no chain" in refusal(LEAF.pem * 201)


BAG = bag([MIDDLE, ROOT], None)


@settings(max_examples=150)
@given(
    data=st.sampled_from([BAG, LEAF.der, pems(*CHAIN)]),
    at=st.integers(0, len(BAG)),
    patch=st.binary(max_size=4),
    cut=st.integers(0, len(BAG)),
)
def test_noise_never_raises_anything_else(data: bytes, at: int, patch: bytes, cut: int) -> None:
    damaged = (data[:at] + patch + data[at + len(patch) :])[: cut or None]
    try:
        chain, said = own_chain(damaged, lambda: SECRET)
    except UsageError as error:
        chain, said = (), str(error)
    assert said.isprintable()
    assert said
    assert len(chain) <= len(CHAIN)
