"""The process that trains: its instructions for bfloat16, how it gives memory back, and what it never imports."""

from __future__ import annotations

import ctypes
import importlib.abc
import importlib.machinery
import sys

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


def leave_out_tensorflow() -> None:
    """Makes this process as one where TensorFlow is not installed, unless it is the backend or imported already.

    Keras imports it wherever it can, to seed it and to ask of what is saved whether it is one of its shapes, and so
    does TensorBoard. To be called in a process of one's own only: Keras remembers what it found.
    """
    if keras.backend.backend() != "tensorflow":
        sys.meta_path.insert(0, _NoTensorFlow())


class _NoTensorFlow(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds TensorFlow, and cannot load it. None in sys.modules would do, if tensorflow-datasets did not look there."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name == "tensorflow" else None

    def create_module(self, spec):
        raise ModuleNotFoundError("TensorFlow is left out, which is not the backend.", name=spec.name)

    def exec_module(self, module):
        raise NotImplementedError
