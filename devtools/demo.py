"""`dev.py run`: not there yet."""


def run(workspace: str | None, dataset: str | None, cloud: str) -> int:
    """Says that the demo is not there yet."""
    print("The demo is not there yet.")
    return 1
