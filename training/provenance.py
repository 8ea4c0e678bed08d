"""What code made a result: the commit, and the versions of the packages that compute."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path

import keras
import numpy as np

import groco

ROOT = Path(__file__).parents[1]


def commit() -> str | None:
    """The commit of the checkout, with "-dirty" behind it if files were changed since; None outside of one."""
    head = _git("rev-parse", "HEAD")
    if head is None or _git("rev-parse", "--show-toplevel") != str(ROOT.resolve()):
        return None
    return head + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")


def versions() -> dict[str, str]:
    """The versions of groco, Keras, its backend and NumPy."""
    backend = keras.backend.backend()
    return {
        "groco": groco.__version__,
        "keras": keras.__version__,
        backend: importlib.import_module(backend).__version__,
        "numpy": np.__version__,
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
