"""The hosted function app: its settings, its functions, and how they are called."""
