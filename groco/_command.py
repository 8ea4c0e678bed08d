"""Whether Python was started as the `groco` command, of which --help, list and info do not wait for Keras.

Any other program imports the whole package with `import groco`, which makes its layers known to Keras.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def _is_command() -> bool:
    by_module = sys.orig_argv[1:3] in (["-m", "groco"], ["-m", "groco.cli"])
    return by_module or Path(next(iter(sys.argv), "")).stem == "groco"


light = _is_command()


def import_everything() -> None:
    """What `import groco` does in other programs."""
    global light
    if light:
        light = False
        for package in ("groco.pretrained", "groco"):
            if package in sys.modules:
                importlib.reload(sys.modules[package])
