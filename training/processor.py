"""What training on a CPU depends on beyond the net: the processor's instructions, and how memory is given back."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

import keras

# Any of these, as Linux names them, multiplies in bfloat16: AMX, AVX-512, AVX, and ARM's.
_BFLOAT16 = {"amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16"}
# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def hardware() -> str:
    """What a run was made on, in words."""
    return ", ".join([f"{os.cpu_count()} cores", platform.machine(), *instructions()])


def instructions() -> list[str]:
    """The names of the instructions that tell processors apart in speed."""
    mine = features()
    known = {"AVX-512": {"avx512f"}, "AMX": {"amx_tile"}, "bfloat16": _BFLOAT16}
    return [name for name, flags in known.items() if flags & mine]


def features(path: str | Path = "/proc/cpuinfo") -> set[str]:
    """The instruction sets of this processor as Linux names them; none where the system does not say."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.lower().startswith(("flags", "features")) for word in line.split()[2:]}


def warn_of_slow_bfloat16(precision: str) -> None:
    """Says so if a run in bfloat16 is on a processor that has to imitate it."""
    known = features()
    if "bfloat16" in precision and known and not known & _BFLOAT16 and _computes_on_cpu():
        print(
            f"training: this processor has no instructions for bfloat16, {precision} may take several times as long "
            "as --set precision=float32.",
            file=sys.stderr,
        )


def _computes_on_cpu() -> bool:
    return "cpu" in str(keras.ops.zeros(()).device).lower()


def keep_freed_memory() -> None:
    """Lets glibc keep what a batch has freed for the next one, instead of having it mapped and cleared again.

    Tensors of megabytes otherwise go back to the system with every batch: a quarter of the time of p4m_resnet20 on two
    cores, 128 images of CIFAR-10 at a time. Does nothing where there is no glibc.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 256 * 2**20)
