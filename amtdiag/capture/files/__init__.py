"""Capture files: found, told apart by content, unpacked, and their records walked."""
