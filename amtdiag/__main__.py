"""`python -m amtdiag`."""

from amtdiag.cli.main import entry

entry()
