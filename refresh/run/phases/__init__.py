"""A module for each phase of a run; phases that belong together share a module.

For each phase a function, named `step` if the module has only one, gives the order or operation. Another function
handles the answer.
"""
