"""TCP put back in order: bytes with the frames they came in, or a gap that says what is missing."""
