"""Wireshark at the side of amtdiag: a dissector for its users, annotated captures, packets for notebooks."""
