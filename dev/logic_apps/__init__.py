"""The Logic Apps definitions in integrations/logic_apps: how they are written, and a linter for them and for yours.

`python -m dev.logic_apps.write` writes the files, `python -m dev.logic_apps.lint PATH...` checks files and
folders.
"""
