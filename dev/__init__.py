"""The commands of `dev.py`. For development only: nothing in this package is deployed."""
