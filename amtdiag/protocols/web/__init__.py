"""What is spoken to a device's web server and beside it: HTTP, WS-Management, SOAP (EOI), redirection, APF.

`talk.read_web` reads both sides of an HTTP connection, `redirection.read_redirection` and `apf.read_apf` the
other two; all take assembled streams, whether they came in the clear or were decrypted. No input or output.
"""
