"""How an analysis and its records look in a notebook."""
