"""The process that trains: its instructions for bfloat16, how it gives memory back, what shapes it compiles for."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import keras

from groco._hardware import BFLOAT16, accelerator, features

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def warn_of_slow_precision(precision: str) -> None:
    """Says so if a run is in 16 bits that its processor has to imitate."""
    if accelerator() is not None:
        return
    known = features()
    if precision.endswith("bfloat16") and known and not known & BFLOAT16:
        problem = "this processor has no instructions for bfloat16, "
    elif precision in ("float16", "mixed_float16"):
        problem = "float16 is for GPUs, on a CPU "
    else:
        return
    print(f"training: {problem}{precision} may take several times as long as --set precision=float32.", file=sys.stderr)


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


@contextlib.contextmanager
def fixed_shapes(jit_compile: bool | str) -> Iterator[None]:
    """Has PyTorch compile for each shape that comes; for shapes left open its compiler fails on signals on a group."""
    if jit_compile is not True or keras.backend.backend() != "torch":
        yield
        return
    import torch._dynamo

    with torch._dynamo.config.patch(automatic_dynamic_shapes=False):
        yield
