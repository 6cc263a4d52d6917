"""One module for each phase of a run: what it asks for (`step`), and what the answer leads to."""
