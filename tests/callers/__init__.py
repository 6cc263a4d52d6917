"""Callers of the app, one small client for each kind, driven by the files that we ship."""
