#!/usr/bin/env python3
"""Draws docs/architecture-picture.svg from docs/architecture-picture.dot: `python3 infra/picture.py`.

graphviz-pure (requirements-dev.txt) draws the same picture on every platform, and includes its fonts. The picture
contains a hash of its source, so that a test can check that it is up to date.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "docs" / "architecture-picture.dot"
PICTURE = ROOT / "docs" / "architecture-picture.svg"
COMMAND = "python3 infra/picture.py"


def mark() -> str:
    """The comment in the picture that names its source."""
    digest = hashlib.sha256(SOURCE.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
    return f"<!-- drawn by {COMMAND} from {SOURCE.name}, sha256 {digest} -->"


def up_to_date() -> bool:
    """True if the picture was drawn from the present source."""
    return mark() in PICTURE.read_text("utf-8")


def program() -> str | None:
    """The path of graphviz-pure in the environment of this process; None if it is not installed."""
    return shutil.which("graphviz-pure", path=str(Path(sys.executable).parent))


def draw(dot: str) -> str:
    """The picture. Raises CalledProcessError if the source cannot be drawn."""
    done = subprocess.run([dot, "-Tsvg", str(SOURCE)], capture_output=True, text=True, check=True)  # noqa: S603
    head, separator, rest = done.stdout.partition("<svg")
    return f"{head}{mark()}\n{separator}{rest}"


def main() -> int:
    """Returns 0; otherwise 1, with the reason on stderr."""
    dot = program()
    if dot is None:
        print("graphviz-pure is not installed: python3 -m pip install graphviz-pure", file=sys.stderr)
        return 1
    try:
        PICTURE.write_text(draw(dot), "utf-8", newline="\n")
    except subprocess.CalledProcessError as problem:
        print(problem.stderr, file=sys.stderr)
        return 1
    print(f"Wrote {PICTURE.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
