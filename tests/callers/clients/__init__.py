"""Clients that keep to the documented rules of those who call us: what they send, wait for, retry, take for failed."""
