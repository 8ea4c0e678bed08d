"""Computing in float32 as such, where what is computed is compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Products and convolutions of float32 in full: GPUs otherwise round what is multiplied to 10 bits (TF32)."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)
    elif backend == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    elif backend == "torch":
        import torch

        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        settings: list[tuple[Any, str, Any]] = [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
        if hasattr(cudnn, "conv"):  # of PyTorch 2.9; it does not want the two mixed
            settings = [(matmul, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
        found = [getattr(place, name) for place, name, _ in settings]
        try:
            for place, name, value in settings:
                setattr(place, name, value)
            yield
        finally:
            for (place, name, _), before in zip(settings, found, strict=True):
                setattr(place, name, before)
    else:
        yield


@contextlib.contextmanager
def single_precision() -> Iterator[None]:
    """What is built and computed is float32, in full, whatever Keras is set to."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        with exact_float32():
            yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
