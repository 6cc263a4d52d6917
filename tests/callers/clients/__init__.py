"""Clients that implement the documented rules of the calling services: sending, waiting, retrying, failing."""
