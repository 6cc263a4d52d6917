"""The values of the azd environment, whether azd runs a hook or a person runs a script."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

MARK = "APP_URL"
"""An output of the deployment: if it is set, azd has passed its values."""


def parse(text: str) -> dict[str, str]:
    """The values in the output of `azd env get-values`: NAME="VALUE" lines, with quotes escaped by backslashes."""
    values = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator:
            if value.startswith('"') and value.endswith('"') and len(value) > 1:
                value = value[1:-1].replace('\\"', '"')
            values[name.strip()] = value
    return values


def values(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the process. If azd has set nothing (a person runs the script), also the values of azd."""
    azd = shutil.which("azd")
    if environ.get(MARK) or azd is None:
        return dict(environ)
    done = subprocess.run([azd, "env", "get-values"], capture_output=True, text=True, check=False)  # noqa: S603
    return {**(parse(done.stdout) if done.returncode == 0 else {}), **environ}
