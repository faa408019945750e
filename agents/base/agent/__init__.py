"""A plain coding agent: one loop, a shell, and an editor that writes whole files."""
