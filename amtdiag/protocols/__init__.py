"""Bytes to meaning, without input or output: one protocol a file, each fact of it written here once."""
