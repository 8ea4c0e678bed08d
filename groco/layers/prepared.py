"""What layers make of their kernels, kept from one inference to the next where the backend runs eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


class Prepared:
    """What a layer makes of its kernels, by a name for each.

    What is kept is valid as long as the kernel has the numbers that it was made of, with which it is compared, so that
    no way to change weights is missed. That is a small part of the work: an expanded kernel has |G| times the numbers.
    Nothing is kept where gradients are wanted, where something is traced or compiled, and on a GPU, for whose numbers
    one has to wait.
    """

    def __init__(self):
        self._made = {}

    def __call__(self, kernel, make: Callable[[Any], Any], name: str):
        """`make(kernel)`, kept by its name."""
        kernel = self._tensor_of(kernel)
        if self._is_recorded() or not self._is_at_hand(kernel):
            self._made.pop(name, None)
            return make(kernel)
        source, result = self._made.get(name, (None, None))
        if source is None or source.dtype != kernel.dtype or not self._is_equal(source, kernel):
            result = make(kernel)
            self._keep(name, kernel, result)
        return result

    def _keep(self, name: str, kernel, result) -> None:
        """Keeps what is made, with what it was made of: a copy, where numbers of that may change in their place."""
        self._made[name] = kernel, result

    def _tensor_of(self, kernel):
        return ops.convert_to_tensor(kernel)

    def _is_recorded(self) -> bool:
        """Whether operations are recorded for gradients."""
        raise NotImplementedError

    def _is_at_hand(self, kernel) -> bool:
        """Whether it has numbers, in the memory of the processor."""
        raise NotImplementedError

    def _is_equal(self, source, kernel) -> bool:
        raise NotImplementedError

    def __reduce__(self):
        return type(self), ()  # what is kept is no part of a copy


class _PreparedOnTensorFlow(Prepared):
    def _tensor_of(self, kernel):
        import tensorflow as tf

        return tf.convert_to_tensor(kernel)  # Keras leaves a variable as it is

    def _is_recorded(self) -> bool:
        try:
            from tensorflow.python.eager import record  # nothing public tells whether a tape records
        except ImportError:
            return True
        return record.could_possibly_record()

    def _is_at_hand(self, kernel) -> bool:
        import tensorflow as tf

        return not tf.inside_function() and not tf.is_symbolic_tensor(kernel) and "CPU" in kernel.device

    def _is_equal(self, source, kernel) -> bool:
        import tensorflow as tf

        return source.shape == kernel.shape and bool(tf.reduce_all(tf.equal(source, kernel)))


class _PreparedOnJax(Prepared):
    def _is_recorded(self) -> bool:
        return False  # what is differentiated is traced

    def _is_at_hand(self, kernel) -> bool:
        import jax

        if isinstance(kernel, jax.core.Tracer):
            return False
        devices = kernel.devices()
        return len(devices) == 1 and next(iter(devices)).platform == "cpu"

    def _is_equal(self, source, kernel) -> bool:
        return np.array_equal(source, kernel)

    def _keep(self, name: str, kernel, result) -> None:
        import jax

        made = jax.tree.leaves(result)
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in made)  # of jax.jit of a model
        # An array of JAX may be the memory of the one of NumPy's that it was made of, which others write into.
        if not traced and not any(np.may_share_memory(leaf, kernel) for leaf in made):
            super()._keep(name, np.array(kernel), result)


class _PreparedOnTorch(Prepared):
    def _is_recorded(self) -> bool:
        import torch

        return torch.is_grad_enabled()

    def _is_at_hand(self, kernel) -> bool:
        import torch
        from torch.autograd.forward_ad import unpack_dual
        from torch.utils._python_dispatch import _get_current_dispatch_mode  # of FakeTensorMode, make_fx and the like

        if type(kernel) not in (torch.Tensor, torch.nn.Parameter) or kernel.device.type != "cpu":
            return False
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"):
            return False
        if _get_current_dispatch_mode() is not None or unpack_dual(kernel).tangent is not None:
            return False
        try:
            return kernel.data_ptr() != 0
        except RuntimeError:  # it stands for others, as in torch.func.vmap
            return False

    def _is_equal(self, source, kernel) -> bool:
        import torch

        return torch.equal(source, kernel)

    def _keep(self, name: str, kernel, result) -> None:
        storage = kernel.untyped_storage().data_ptr()
        if all(leaf.untyped_storage().data_ptr() != storage for leaf in keras.tree.flatten(result)):
            super()._keep(name, kernel.clone(), result)


_OF_BACKENDS = {"tensorflow": _PreparedOnTensorFlow, "jax": _PreparedOnJax, "torch": _PreparedOnTorch}


def prepared() -> Prepared | None:
    """A new one for the backend; None on a backend that is not known."""
    cls = _OF_BACKENDS.get(keras.backend.backend())
    return None if cls is None else cls()
