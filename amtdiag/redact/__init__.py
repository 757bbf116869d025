"""Captures made fit to be passed on: `amtdiag redact`."""
