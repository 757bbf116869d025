"""Both sides of a TLS conversation together: how the handshake went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from amtdiag.model.tls import (
    CertificateRequest,
    Certificates,
    Missing,
    TlsAlert,
    TlsConversation,
    TlsMessage,
)
from amtdiag.protocols.protocol import Field
from amtdiag.protocols.tls import handshake, messages
from amtdiag.protocols.tls.alerts import ClearAlert, clear_alerts, hidden_alerts
from amtdiag.protocols.tls.constants import (
    APPLICATION,
    BEFORE_13_ONLY,
    CERTIFICATE,
    CERTIFICATE_REQUEST,
    CERTIFICATE_VERIFY,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    HANDSHAKE,
    HELLO_RETRY_REQUEST,
    MESSAGES,
    RENEGOTIATION_INFO,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    is_13,
)
from amtdiag.protocols.tls.endpoint_stream import EndpointStream
from amtdiag.protocols.tls.handshake import Lost, Raw
from amtdiag.protocols.tls.messages import ClientHello, Malformed, ServerHello
from amtdiag.protocols.tls.records import HEADER
from amtdiag.protocols.tls.suites import SIGNALS, Family, family
from amtdiag.reassembly.stream import Assembled
from amtdiag.safetext import safe

_BEHIND_CERTIFICATE = frozenset({SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, SERVER_HELLO_DONE})

FIELDS = {
    TlsConversation: (
        Field("finished", "flag", "ChangeCipherSpec of both sides"),
        Field("alert_by", "word", "sender of the alert that ends the handshake"),
        Field("alert", "number", "AlertDescription (RFC 8446, 6)"),
        Field("version", "number", "ServerHello: version"),
        Field("client_version", "number", "ClientHello: client_version"),
        Field("client_versions", "number", "ClientHello: extension 43, supported_versions"),
        Field("suite", "number", "ServerHello: cipher_suite"),
        Field("suites", "number", "ClientHello: cipher_suites"),
        Field("server_name", "name", "ClientHello: extension 0, server_name"),
        Field("renegotiation_info", "flag", "ServerHello: extension 65281 (RFC 5746)"),
        Field("resumed", "flag", "session_id of both hellos, or extension 41"),
        Field("client_chain", "certificate", "Certificate of the client"),
        Field("server_chain", "certificate", "Certificate of the server"),
        Field("certificate_request", "certificate", "CertificateRequest"),
        Field(
            "psk_identity", "secret", "ClientKeyExchange (RFC 4279, 2), or extension 41 of the ClientHello"
        ),
        Field("psk_hint", "secret", "ServerKeyExchange (RFC 4279, 2)"),
        Field("alerts", "number", "alerts in the clear"),
        Field("hidden_alerts", "flag", "encrypted alerts: that they are there"),
        Field("messages", "word", "handshake messages in the clear: their names"),
        Field("missing", "word", "handshake messages that were not captured"),
        Field("client_changed", "flag", "ChangeCipherSpec of the client"),
        Field("server_changed", "flag", "ChangeCipherSpec of the server"),
        Field("client_finished", "flag", "encrypted handshake record of the client"),
        Field("server_finished", "flag", "encrypted handshake record of the server"),
        Field("certificates_hidden", "flag", "certificates are encrypted (RFC 8446)"),
        Field("retry_requested", "flag", "HelloRetryRequest (RFC 8446, 4.1.4)"),
        Field("notes", "word", "limits that were hit, bytes that are not what they should be"),
    )
}


def read(client_stream: Assembled, server_stream: Assembled, files: Sequence[str]) -> TlsConversation | None:
    """Return how far a conversation came; None where neither side begins with TLS."""
    client, server = (
        EndpointStream("client", client_stream, files),
        EndpointStream("server", server_stream, files),
    )
    if client.found is None and server.found is None:
        return None
    client.read(client.change)
    server.read(server.change)
    conversation = _Conversation(client, server)
    if conversation.is_13:
        for side in (client, server):
            if side.has_changed:
                side.read(len(side.records))
        conversation = _Conversation(client, server)
    return conversation.result()


class _Conversation:
    """Facts of both sides, each read once."""

    def __init__(self, client: EndpointStream, server: EndpointStream) -> None:
        self.client, self.server = client, server
        self.sides = (client, server)
        self.notes = [f"{side.who}: {side.note}" for side in self.sides if side.note]
        self.notes += [
            f"{side.who}: no TLS record at offset {side.found.stopped:,}"
            for side in self.sides
            if side.found and side.found.stopped is not None
        ]
        self.client_hello = self._client_hello()
        hellos = self._server_hellos()
        self.retry = next((hello for hello in hellos if hello.is_retry), None)
        self.server_hello = next((hello for hello in hellos if not hello.is_retry), None)
        chosen = self.server_hello or self.retry
        self.version = chosen.version if chosen else None
        self.is_13 = self._version_13()
        self.family = self._family()

    def _client_hello(self) -> ClientHello | None:
        raw = self.client.of(CLIENT_HELLO)
        if raw is None:
            return None
        pull = messages.pull_old_client_hello if raw.old_format else messages.pull_client_hello
        hello = pull(raw.body)
        if isinstance(hello, Malformed):
            self._complain(self.client, raw, hello)
            return None
        return hello

    def _server_hellos(self) -> list[ServerHello]:
        found = []
        for raw in self.server.raw():
            if raw.kind == SERVER_HELLO:
                hello = messages.pull_server_hello(raw.body)
                if isinstance(hello, Malformed):
                    self._complain(self.server, raw, hello)
                else:
                    found.append(hello)
        return found

    def _complain(self, side: EndpointStream, raw: Raw, malformed: Malformed) -> None:
        self.notes.append(
            f"{side.who}: {MESSAGES[raw.kind]} cannot be read from byte {malformed.offset:,} of its body on"
        )

    def _version_13(self) -> bool | None:
        """Whether this is TLS 1.3, by the server's hello, by what is in the clear, or by what is offered."""
        if self.version is not None:
            return is_13(self.version)
        if any(part.kind in BEFORE_13_ONLY for side in self.sides for part in side.raw()):
            return False
        hello = self.client_hello
        if hello is not None and not any(map(is_13, hello.versions)):
            return False
        return None

    def _family(self) -> Family | None:
        """What the chosen suite authenticates with; or all that are offered."""
        if self.server_hello is not None:
            return family(self.server_hello.suite)
        offered = self.client_hello.suites if self.client_hello else ()
        families = {family(suite) for suite in offered if suite not in SIGNALS}
        return families.pop() if len(families) == 1 else None

    # ---------------------------------------------------------------------------- the outcome

    def result(self) -> TlsConversation:
        """Put it all into one record."""
        hello, chosen = self.client_hello, self.server_hello
        alerts = self._alerts()
        final = next(((side, alert) for side, alert in alerts if alert.is_final), None)
        changed = {side.who: self._changed(side) for side in self.sides}
        resumed = self._resumed()
        return TlsConversation(
            finished=self._finished(changed["client"], changed["server"], final is not None),
            alert_by=final[0].who if final else None,
            alert=final[1].description if final else None,
            version=self.version,
            client_version=hello.version if hello else None,
            client_versions=hello.versions if hello else (),
            suite=chosen.suite if chosen else None,
            suites=hello.suites if hello else (),
            server_name=safe(hello.server_name) if hello and hello.server_name is not None else None,
            renegotiation_info=RENEGOTIATION_INFO in chosen.extensions if chosen and not self.is_13 else None,
            resumed=resumed,
            client_chain=self._chain(self.client),
            server_chain=self._chain(self.server),
            certificate_request=self._request(),
            psk_identity=self._psk(self.client, CLIENT_KEY_EXCHANGE) or self._psk_13(),
            psk_hint=self._psk(self.server, SERVER_KEY_EXCHANGE),
            alerts=tuple(
                TlsAlert(
                    side.who,
                    alert.level,
                    alert.description,
                    side.time(alert.record.end),
                    side.evidence(alert.record.start - HEADER, alert.record.end),
                )
                for side, alert in alerts
            ),
            hidden_alerts=tuple(
                alert for side in self.sides for alert in hidden_alerts(side, is_13=self.is_13)
            ),
            messages=self._messages(),
            missing=tuple(
                missing for side in self.sides for missing in self._missing(side, changed[side.who], resumed)
            ),
            client_changed=changed["client"],
            server_changed=changed["server"],
            client_finished=self._sent_finished(self.client, changed["client"]),
            server_finished=self._sent_finished(self.server, changed["server"]),
            certificates_hidden=bool(self.is_13) and not resumed,
            retry_requested=self.retry is not None,
            notes=tuple(self.notes),
        )

    def _finished(self, client: bool | None, server: bool | None, failed: bool) -> bool | None:
        if self.is_13:
            return None
        if client and server:
            return True
        return False if failed or client is False or server is False else None

    def _changed(self, side: EndpointStream) -> bool | None:
        """True where a side changed to encryption; None where bytes that tell are missing."""
        if self.is_13:
            return None
        if side.has_changed:
            return True if self.is_13 is False else None
        if side.found is None:
            return False if side.is_whole else None
        if side.found.breaks or side.found.stopped is not None:
            # Up to TLS 1.2 data is only sent when the handshake is over.
            return True if side.has_data and self.is_13 is False else None
        return False

    def _sent_finished(self, side: EndpointStream, changed: bool | None) -> bool | None:
        """True where an encrypted handshake message followed the change."""
        if not changed or side.found is None:
            return changed
        if not side.has_changed:
            return True
        after = side.change + 1
        if any(gap.before == after for gap in side.found.breaks):
            return True if side.has_data else None
        return after < len(side.records) and side.records[after].kind == HANDSHAKE

    def _resumed(self) -> bool | None:
        hello, chosen = self.client_hello, self.server_hello
        if self.is_13:
            return messages.resumes_13(chosen) if chosen else None
        if any(part.kind in BEFORE_13_ONLY for side in self.sides for part in side.parts):
            return False
        if chosen is None:
            return None
        if hello is not None and chosen.session_id and chosen.session_id == hello.session_id:
            return True
        nothing_lost = not any(isinstance(part, Lost) for part in self.server.parts)
        return True if self.server.has_changed and nothing_lost else None

    # ---------------------------------------------------------------------------- what was shown

    def _chain(self, side: EndpointStream) -> Certificates | None:
        """The certificates of a side; of a message that is not there as a whole, the first ones."""
        part = next((part for part in side.parts if part.kind == CERTIFICATE), None)
        if part is None or self.is_13:
            return None
        evidence = side.evidence(part.start, part.end)
        if isinstance(part, Lost):
            known = messages.pull_first_certificates(part.body)
            return Certificates(known, complete=False, evidence=evidence) if known else None
        found = messages.pull_certificates(part.body)
        if isinstance(found, Malformed):
            self._complain(side, part, found)
            known = messages.pull_first_certificates(part.body)
            return Certificates(known, complete=False, evidence=evidence) if known else None
        limit = messages.MAX_CERTIFICATES
        if len(found) > limit:
            self.notes.append(f"{side.who}: {len(found):,} certificates, of which {limit} are kept")
        return Certificates(found[:limit], complete=len(found) <= limit, evidence=evidence)

    def _request(self) -> CertificateRequest | None:
        raw = self.server.of(CERTIFICATE_REQUEST)
        if raw is None or self.is_13:
            return None
        found = messages.pull_request(raw.body, self.version)
        if isinstance(found, Malformed):
            self._complain(self.server, raw, found)
            return None
        evidence = self.server.evidence(raw.start, raw.end)
        return CertificateRequest(found.types, found.algorithms, found.total, found.names, evidence)

    def _psk(self, side: EndpointStream, kind: int) -> str | None:
        raw = side.of(kind)
        if raw is None or self.family not in ("psk", "rsa-psk"):
            return None
        found = messages.pull_psk(raw.body)
        if isinstance(found, Malformed):
            self._complain(side, raw, found)
            return None
        return safe(found)

    def _psk_13(self) -> str | None:
        """The key that a ClientHello of TLS 1.3 offers, unless the server chose to do without."""
        offered = self.client_hello.psk_identity if self.client_hello else None
        chosen = self.server_hello
        if offered is None or (chosen is not None and not (self.is_13 and messages.resumes_13(chosen))):
            return None
        return safe(offered)

    def _messages(self) -> tuple[TlsMessage, ...]:
        """The messages of both sides by time, those of each side in their order."""
        found: list[tuple[int, int, TlsMessage]] = []
        for side in self.sides:
            latest = (0, 0)
            for raw in side.raw():
                ts = side.time(raw.end)
                # Where times are equal, the order of a handshake decides.
                latest = max(latest, (ts, handshake.rank(raw.kind, from_client=side is self.client)))
                name = MESSAGES[raw.kind]
                if raw.kind == SERVER_HELLO and messages.is_retry(raw.body):
                    name = HELLO_RETRY_REQUEST
                found.append((*latest, TlsMessage(side.who, name, ts, side.evidence(raw.start, raw.end))))
        found.sort(key=lambda entry: entry[:2])
        return tuple(message for _, _, message in found)

    def _alerts(self) -> list[tuple[EndpointStream, ClearAlert]]:
        """The alerts of both sides by time; of two at one time, the server's first."""
        found = [
            (side.time(alert.record.end), side, alert)
            for side in (self.server, self.client)
            for alert in clear_alerts(side, is_13=self.is_13)
        ]
        found.sort(key=lambda entry: entry[0])
        return [(side, alert) for _, side, alert in found]

    # ---------------------------------------------------------------------------- what is missing

    def _missing(self, side: EndpointStream, changed: bool | None, resumed: bool | None) -> Iterator[Missing]:
        data = next((record.start for record in side.records if record.kind == APPLICATION), None)
        for at, part in enumerate(side.parts):
            if not isinstance(part, Lost):
                continue
            if part.kind is not None:
                names: list[str | None] = [MESSAGES.get(part.kind)]
            elif self._is_over(side, at) or (data is not None and part.start >= data):
                continue
            else:
                names = [MESSAGES[kind] for kind in self._inferred(side, at, changed, resumed)] or [None]
            before, after = side.around(part)
            for name in names:
                yield Missing(name, side.who, max(part.bytes, 1), before, after)

    def _is_over(self, side: EndpointStream, at: int) -> bool:
        """True where TLS 1.3 leaves this side nothing more to send in the clear."""
        if not self.is_13:
            return False
        if side is self.server:
            return self.server_hello is not None
        hellos = sum(part.kind == CLIENT_HELLO for part in side.parts[:at])
        return hellos > (self.retry is not None)

    def _inferred(
        self, side: EndpointStream, at: int, changed: bool | None, resumed: bool | None
    ) -> Iterator[int]:
        """Yield the messages that must lie in a place where nothing can be read, by those around it."""
        before = {part.kind for part in side.parts[:at]}
        after = {part.kind for part in side.parts[at + 1 :]}
        kinds = before | after
        is_first = not before and not side.parts[at].start
        if None in kinds:  # in which of two places it lies is not known
            if is_first and side is self.client:
                yield CLIENT_HELLO
            return
        if side is self.client:
            if is_first:
                yield CLIENT_HELLO
            if self.is_13 is not False:
                return
            came_on = bool(changed) or bool(after & {CLIENT_KEY_EXCHANGE, CERTIFICATE_VERIFY})
            asked = self.server.of(CERTIFICATE_REQUEST) is not None
            if asked and came_on and CERTIFICATE not in kinds and CLIENT_KEY_EXCHANGE not in before:
                yield CERTIFICATE
            sent = bool(changed) or CERTIFICATE_VERIFY in after
            if resumed is False and sent and CLIENT_KEY_EXCHANGE not in kinds:
                yield CLIENT_KEY_EXCHANGE
            return
        if is_first and (after & BEFORE_13_ONLY or (changed and SERVER_HELLO not in after)):
            yield SERVER_HELLO
        if self.is_13 is not False:
            return
        shows = self.family in ("certificate", "rsa-psk") or CERTIFICATE_REQUEST in after
        if shows and CERTIFICATE not in kinds and before <= {SERVER_HELLO} and after & _BEHIND_CERTIFICATE:
            yield CERTIFICATE
        answered = self.client.of(CLIENT_KEY_EXCHANGE) is not None
        if answered and SERVER_HELLO_DONE not in kinds:
            yield SERVER_HELLO_DONE
