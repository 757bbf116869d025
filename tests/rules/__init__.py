"""Tests of the rules: `test_registry` for all of them, and a file for each module of rules."""
