"""The profiles of Hypothesis, for the tests of the devhost and of the app: each conftest.py calls `register`."""

from hypothesis import settings


def register() -> None:
    """Selects the profile `checks`. The option --hypothesis-profile selects a different one.

    No profile has a deadline: on a loaded machine, an example can take long for reasons that have nothing to do with
    the code.
    """
    settings.register_profile("checks", deadline=None, max_examples=50, print_blob=True)
    # with CI set, Hypothesis by default tries the same examples in each run
    settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True, derandomize=False)
    settings.load_profile("checks")
