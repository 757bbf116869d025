"""An AMT device that really talks: it says Hello to a provisioning server, and is called back.

A provisioning server can so be tested without hardware. From the bottom: `scenarios` is the table of what a
device can do, `plan` one run as data, `chainrules` what the device asks of a chain; `lookup`, `rmcp` and
`wsman` are messages; `door`, `tlsend` and `pskend` take the server's connections; `run` has the clock.

None of it reads captures, and nothing of it is shared with what does: AMT's rules are written here anew.
"""
