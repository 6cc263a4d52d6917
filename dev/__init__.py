"""What `dev.py` does. For development only: nothing of it is deployed."""
