"""What training depends on beyond the net: instructions for bfloat16, TensorFloat-32, how memory is given back."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import keras

from groco._hardware import BFLOAT16, accelerator, features

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def warn_of_slow_bfloat16(precision: str) -> None:
    """Says so if a run in bfloat16 is on a processor that has to imitate it."""
    known = features()
    if "bfloat16" in precision and known and not known & BFLOAT16 and accelerator() is None:
        print(
            f"training: this processor has no instructions for bfloat16, {precision} may take several times as long "
            "as --set precision=float32.",
            file=sys.stderr,
        )


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Has float32 convolutions and products computed in float32: GPUs by default take ten bits of each number.

    What is measured so is what the net gives on a CPU, up to rounding in the last bits.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    elif backend == "tensorflow":
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)
    elif backend == "torch":
        import torch

        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    else:
        yield


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
