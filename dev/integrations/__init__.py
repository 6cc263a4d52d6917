"""`dev.py integrations`: writes the files that callers import. Each kind of file has one source here."""
