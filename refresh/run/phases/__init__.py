"""A module for each phase of a run; phases that belong together share a module.

For each phase, a function returns the order or operation; it is named `step` if it is the only such function of its
module. Another function handles the answer.
"""
