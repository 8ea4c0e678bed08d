"""The backend alone: a process that does not import TensorFlow where it is not the backend."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys

import keras


def leave_out_tensorflow() -> None:
    """Makes this process as one where TensorFlow is not installed, unless it is the backend or imported already.

    Keras imports it wherever it can, to seed it and to ask of what is saved whether it is one of its shapes, and so
    does TensorBoard: seconds and memory. To be called in a process of one's own only: Keras remembers what it found.
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
