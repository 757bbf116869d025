"""Interfaces: packets as they come, the kernel's filter, the ring that keeps them."""
