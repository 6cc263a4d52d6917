"""`dev.py run`: a demo of the app, with callers. The outcome of each is checked with Power BI's own records."""
