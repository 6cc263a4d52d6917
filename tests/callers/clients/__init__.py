"""Clients that implement the documented rules of the calling services: how they send, wait, retry and fail."""
