"""`dev.py run`: the app at work, with callers whose reported outcomes are checked against Power BI."""
