"""The Logic Apps definitions in integrations/logic_apps: how they are written, and a linter for them and for yours.

`python -m devtools.logic_apps.write` writes the files, `python -m devtools.logic_apps.lint PATH...` checks files and
folders.
"""
