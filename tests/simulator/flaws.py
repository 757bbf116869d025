"""Chains as provisioning servers show them, right and with a flaw each, made as they are needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from making import SERVER_AUTH, SETUP_OID, SETUP_UNIT, Made, make

DOMAIN = "corp.example"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
FIT = (SERVER_AUTH, SETUP_OID)


class Chains:
    """Chains of a CA that the devices list; each way to spoil one is a method."""

    def __init__(self) -> None:
        self.root = make("Office Root", begins=NOW - DAY, ends=NOW + 90 * DAY)
        self.issuing = self._make("Office Issuing CA", self.root)

    @staticmethod
    def _make(name: str, issuer: Made | None = None, **more: Any) -> Made:
        return make(name, issuer, **{"begins": NOW - DAY, "ends": NOW + 30 * DAY, **more})

    def _leaf(self, name: str = f"provisionserver.{DOMAIN}", **more: Any) -> Made:
        return self._make(name, self.issuing, **{"usages": FIT, **more})

    def good(self) -> list[Made]:
        return [self._leaf(), self.issuing, self.root]

    def by_unit(self) -> list[Made]:
        return [self._leaf(usages=(SERVER_AUTH,), units=(SETUP_UNIT,)), self.issuing, self.root]

    def of_foreign_root(self) -> list[Made]:
        other = self._make("Another Root")
        return [self._make(f"provisionserver.{DOMAIN}", other, usages=FIT), other]

    def of_another_domain(self) -> list[Made]:
        return [self._leaf("provisionserver.another.example"), self.issuing, self.root]

    def for_the_web(self) -> list[Made]:
        return [self._leaf(usages=(SERVER_AUTH,)), self.issuing, self.root]

    def without_server_auth(self) -> list[Made]:
        return [self._leaf(usages=(SETUP_OID,)), self.issuing, self.root]

    def expired(self) -> list[Made]:
        return [self._leaf(begins=NOW - 60 * DAY, ends=NOW - 2 * DAY), self.issuing, self.root]

    def small_key(self) -> list[Made]:
        return [self._leaf(key=rsa.generate_private_key(65537, 1024)), self.issuing, self.root]

    def disordered(self) -> list[Made]:
        return [self._leaf(), self.root, self.issuing]

    def leaf_only(self) -> list[Made]:
        return [self._leaf()]

    def of_a_namesake(self) -> list[Made]:
        """The root's name, and another key."""
        return [*self.good()[:2], self._make("Office Root")]
