#!/usr/bin/env python3
"""The commands for working on this project: `python3 dev.py --help`.

Needs Python 3.11 or newer and nothing else. Creates `.venv` on the first run and continues inside it.
"""

import sys

from dev.launch import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
