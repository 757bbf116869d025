"""The root certificates whose digests the simulated devices carry.

A table of its own, copied from published lists and certificates and not read from the catalogue that judges
Hellos: a wrong row there must not make itself right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

ALGORITHMS = {"sha1": 1, "sha256": 2, "sha384": 3}
"""The algorithm's number in a Hello."""


@dataclass(frozen=True, slots=True)
class ListedRoot:
    """A root certificate by the digests of its DER bytes, in hex; empty where no device here sends it."""

    name: str
    sha1: str
    sha256: str

    def digest(self, algorithm: str) -> bytes:
        """The digest as it stands in a Hello."""
        return bytes.fromhex(self.sha1 if algorithm == "sha1" else self.sha256)


MODERN: tuple[ListedRoot, ...] = (
    ListedRoot(
        "Go Daddy Class 2 CA",
        "2796bae63f1801e277261ba0d77770028f20eee4",
        "c3846bf24b9e93ca64274c0ec67c1ecc5e024ffcacd2d74019350e81fe546ae4",
    ),
    ListedRoot(
        "Go Daddy Root CA-G2",
        "",
        "45140b3247eb9cc8c5b4f0d7b53091f73292089e6e5a63e2749dd3aca9198eda",
    ),
    ListedRoot(
        "Comodo AAA CA",
        "d1eb23a46d17d68fd92564c2f1f1601764d8e349",
        "d7a7a0fb5d7e2731d771e9484ebcdef71d5f0c3e0a2948782bc83ee0ea699ef4",
    ),
    ListedRoot(
        "Starfield Class 2 CA",
        "ad7e1c28b064ef8f6003402014c3d0e3370eb58a",
        "1465fa205397b876faa6f0a9958e5590e40fcc7faa4fb7c2c8677521fb5fb658",
    ),
    ListedRoot(
        "Starfield Root CA-G2",
        "",
        "2ce1cb0bf9d2f9e102993fbe215152c3b2dd0cabde1c68e5319b839154dbb7f5",
    ),
    ListedRoot(
        "VeriSign Class 3 Primary CA-G5",
        "4eb6d578499b1ccf5f581ead56be3d9b6744a5e5",
        "9acfab7e43c8d880d06b262a94deeee4b4659989c3d0caf19baf6405e41ab7df",
    ),
    ListedRoot(
        "Baltimore CyberTrust Root",
        "d4de20d05e66fc53fe1a50882c78db2852cae474",
        "16af57a9f676b0ab126095aa5ebadef22ab31119d644ac95cd4b93dbf3f26aeb",
    ),
    ListedRoot(
        "Cybertrust Global Root",
        "5f43e5b1bff8788cac1cc7ca4a9ac6222bcc34c6",
        "960adf0063e96356750c2965dd0a0867da0b9cbd6e77714aeafb2349ab393da3",
    ),
    ListedRoot(
        "Verizon Global Root",
        "912198eef23dcac40939312fee97dd560bae49b1",
        "68ad50909b04363c605ef13581a939ff2c96372e3f12325b0a6861e1d59f6603",
    ),
    ListedRoot(
        "Entrust.net CA (2048)",
        "503006091d97d4f5ae39f7cbe7927d7d652d3431",
        "6dc47172e01cbcb0bf62580d895fe2b8ac9ad4f873801e0c10b9c837d21eb177",
    ),
    ListedRoot(
        "Entrust Root CA",
        "b31eb1b740e36c8402dadc37d44df5d4674952f9",
        "73c176434f1bc6d5adf45b0e76e727287c8de57616c1e6e6141a2b2cbc7d8e4c",
    ),
    ListedRoot(
        "Entrust Root CA-G2",
        "",
        "43df5774b03e7fef5fe40d931a7bedf1bb2e6b42738c4e6d3841103d3aa7f339",
    ),
    ListedRoot(
        "VeriSign Universal Root CA",
        "3679ca35668772304d30a5fb873b0fa77bb70d54",
        "2399561127a57125de8cefea610ddf2fa078b5c8067f4e828290bfb860e84b3c",
    ),
    ListedRoot(
        "affirmTrust Premium",
        "",
        "70a73f7f376b60074248904534b11482d5bf0e698ecc498df52577ebf2e93b9a",
    ),
    ListedRoot(
        "DigiCert Global Root CA",
        "",
        "4348a0e9444c78cb265e058d5e8944b4d84f9662bd26db257f8934a443c70161",
    ),
    ListedRoot(
        "DigiCert Global Root G2",
        "",
        "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f",
    ),
    ListedRoot(
        "DigiCert Global Root G3",
        "",
        "31ad6648f8104138c738f39ea4320133393e3a18cc02296ef97c2ac9ef6731d0",
    ),
    ListedRoot(
        "DigiCert Trusted Root G4",
        "",
        "552f7bdcf1a7af9e6ce672017f4f12abf77240c78e761ac203d1d9d20ac89988",
    ),
    ListedRoot(
        "GlobalSign Root CA - R3",
        "",
        "cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b",
    ),
    ListedRoot(
        "GlobalSign ECC Root CA - R5",
        "",
        "179fbc148a3dd00fd24ea13458cc43bfa7f59c8182d783a513f6ebec100c8924",
    ),
    ListedRoot(
        "GlobalSign Root CA - R6",
        "",
        "2cabeafe37d06ca22aba7391c0033d25982952c453647349763a3ab5ad6ccf69",
    ),
    ListedRoot(
        "VeriSign Class 3 Primary CA-G3",
        "132d0d45534b6997cdb2d5c339e25576609b5cc6",
        "eb04cf5eb1f39afa762f2bb120f296cba520c1b97db1589565b81cb9a17b7244",
    ),
    ListedRoot(
        "DigiCert TLS RSA4096 Root G5",
        "",
        "371a00dc0533b3721a7eeb40e8419e70799d2b0a0f2c1d80693165f7cec4ad75",
    ),
    ListedRoot(
        "GlobalSign Root R46",
        "",
        "4fa3126d8d3a11d1c4855a4f807cbad6cf919d3a5a88b03bea2c6372d93c40c9",
    ),
)
"""24 roots, as many as firmware of today sends. The first 22 are known from AMT devices; the last two are
current roots of the same authorities. Baltimore and Cybertrust Global have expired, as in real devices."""

OLD: tuple[ListedRoot, ...] = (
    ListedRoot(
        "VeriSign Class 3 Primary CA-G1",
        "742c3192e607e424eb4549542be1bbc53e6174e2",
        "",
    ),
    ListedRoot(
        "VeriSign Class 3 Primary CA-G3",
        "132d0d45534b6997cdb2d5c339e25576609b5cc6",
        "",
    ),
    ListedRoot(
        "Go Daddy Class 2 CA",
        "2796bae63f1801e277261ba0d77770028f20eee4",
        "",
    ),
    ListedRoot(
        "Comodo AAA CA",
        "d1eb23a46d17d68fd92564c2f1f1601764d8e349",
        "",
    ),
    ListedRoot(
        "Starfield Class 2 CA",
        "ad7e1c28b064ef8f6003402014c3d0e3370eb58a",
        "",
    ),
    ListedRoot(
        "VeriSign Class 3 Primary CA-G2",
        "85371ca6e550143dce2803471bde3a09e8f8770f",
        "",
    ),
    ListedRoot(
        "VeriSign Class 3 Primary CA-G1.5",
        "a1db6393916f17e4185509400415c70240b0ae6b",
        "",
    ),
    ListedRoot(
        "VeriSign Class 3 Primary CA-G5",
        "4eb6d578499b1ccf5f581ead56be3d9b6744a5e5",
        "",
    ),
    ListedRoot(
        "GTE CyberTrust Global Root",
        "97817950d81c9670cc34d809cf794431367ef474",
        "",
    ),
    ListedRoot(
        "Baltimore CyberTrust Root",
        "d4de20d05e66fc53fe1a50882c78db2852cae474",
        "",
    ),
    ListedRoot(
        "Cybertrust Global Root",
        "5f43e5b1bff8788cac1cc7ca4a9ac6222bcc34c6",
        "",
    ),
    ListedRoot(
        "Verizon Global Root",
        "912198eef23dcac40939312fee97dd560bae49b1",
        "",
    ),
    ListedRoot(
        "Entrust.net CA (2048)",
        "503006091d97d4f5ae39f7cbe7927d7d652d3431",
        "",
    ),
    ListedRoot(
        "Entrust Root CA",
        "b31eb1b740e36c8402dadc37d44df5d4674952f9",
        "",
    ),
    ListedRoot(
        "VeriSign Universal Root CA",
        "3679ca35668772304d30a5fb873b0fa77bb70d54",
        "",
    ),
)
"""15 roots of an ME 8.0 image. Four of them have 1024-bit keys; GTE, Baltimore and Cybertrust Global have
expired."""

_PLANTED = b"a root that nobody in this company remembers adding"
PLANTED = ListedRoot(
    "planted", hashlib.sha1(_PLANTED, usedforsecurity=False).hexdigest(), hashlib.sha256(_PLANTED).hexdigest()
)
"""The digest of no certificate at all: no catalogue can name it."""

ZERO = ListedRoot("zero", "00" * 20, "00" * 32)
"""An entry whose digest was never filled in."""
