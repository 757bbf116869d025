"""Captures whose truth is known beforehand, because a scenario wrote them.

``python -m scenarios OUT_DIR [NAME ...]`` writes them; `scenarios.write` does it for programs.
The packets are made with scapy and the TLS bytes with OpenSSL, never with the code of amtdiag that reads
them: a mistake made twice alike would not show.
"""
