"""What code made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commit() -> str | None:
    """The commit of the checkout, with "-dirty" behind it if code was changed since; None outside of one."""
    head, top = _git("rev-parse", "HEAD"), _git("rev-parse", "--show-toplevel")
    if head is None or top is None or Path(top).resolve() != ROOT.resolve():
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "groco", "training", ":!training/results")
    return head + ("" if changed == "" else "-dirty")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
