"""What a run is made on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

# Any of these, as Linux names them, multiplies in bfloat16: AMX, AVX-512, AVX, and ARM's.
BFLOAT16 = {"amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16"}


def hardware() -> str:
    """The cores that the process may use, the machine, and the instructions that tell processors apart in speed."""
    number = cores()
    return ", ".join([f"{number} core{'s' if number > 1 else ''}", platform.machine(), *instructions()])


def cores() -> int:
    """How many cores the process may use, where the system says; else how many there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def instructions() -> list[str]:
    """The names of the instructions that tell processors apart in speed."""
    mine = features()
    known = {"AVX-512": {"avx512f"}, "AMX": {"amx_tile"}, "bfloat16": BFLOAT16}
    return [name for name, flags in known.items() if flags & mine]


def features(path: str | Path = "/proc/cpuinfo") -> set[str]:
    """The instruction sets of this processor as Linux names them; none where the system does not say."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.lower().startswith(("flags", "features")) for word in line.split()[2:]}
