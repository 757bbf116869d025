"""Which roots AMT firmware trusts, and what can be said of a digest that a Hello carries."""
