"""What code made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commit() -> str | None:
    """The commit of the checkout, with "-dirty" behind it if files were changed since; None outside of one."""
    head = _git("rev-parse", "HEAD")
    if head is None or _git("rev-parse", "--show-toplevel") != str(ROOT.resolve()):
        return None
    return head + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
