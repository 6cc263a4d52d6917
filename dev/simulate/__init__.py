"""`dev.py simulate`: many simulated days of the app, played in parallel."""
