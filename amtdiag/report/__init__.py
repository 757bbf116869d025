"""The faces of a diagnosis: terminal, JSON, tables, charts. Each takes it and adds nothing."""
