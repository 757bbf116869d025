"""What a device's web server is asked and answers: HTTP, WS-Management and the older SOAP interface (EOI).

`http_session.read_web` reads both sides of a connection, in the clear or decrypted. No input or output.
"""

from amtdiag.protocols.protocol import ConversationReader, Port, Protocol, ReaderContext


def _reader(context: ReaderContext) -> ConversationReader:
    # Imported late: its patterns take longer to make than a small capture takes to read.
    from amtdiag.protocols.web.http_session import WebReader

    return WebReader(context)


PROTOCOL = Protocol(
    "web",
    "HTTP",
    ports=(
        Port("web", 16992, "tcp", "device", "AMT web server and WS-Management"),
        Port("web", 16993, "tcp", "device", "the same over TLS", tls=True, clear=False),
        Port("web", 664, "tcp", "device", "DASH over TLS", tls=True, clear=False),
    ),
    conversation=_reader,
)
