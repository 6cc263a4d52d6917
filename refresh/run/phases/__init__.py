"""One module for each phase of a run: `step` gives the order or operation, a second function handles the answer."""
