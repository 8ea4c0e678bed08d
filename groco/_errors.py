"""What others' errors say, fit for a message of ours."""

from __future__ import annotations

import re


def one_line(error: Exception) -> str:
    """All that it says, in one line and without the colours of a terminal."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
