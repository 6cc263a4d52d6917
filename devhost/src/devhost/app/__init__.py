"""The function app that is hosted: its settings, its functions, and how they are called."""
