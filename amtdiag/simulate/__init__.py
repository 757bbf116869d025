"""Captures whose truth is known beforehand, because a scenario wrote them.

``python -m amtdiag.simulate OUT_DIR [NAME ...]`` writes them; `amtdiag.simulate.write` does it for programs.
The packets are made with scapy and the TLS bytes with OpenSSL, never with the code of amtdiag that reads
them: a mistake made twice alike would not show.
"""
