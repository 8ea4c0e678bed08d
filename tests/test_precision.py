"""Where outputs are compared, float32 is float32: no other policy, and no TF32."""

import keras
import pytest

from groco._precision import exact_float32, single_precision


def _settings():
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.tensor_float_32_execution_enabled()
    if backend == "jax":
        import jax

        return jax.config.jax_default_matmul_precision
    import torch

    if not hasattr(torch.backends.cudnn, "conv"):  # before 2.9
        return torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
    return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision


def test_no_tf32_and_as_before_after_it():
    before = _settings()
    with exact_float32():
        assert _settings() in (False, "highest", ("ieee", "ieee"))
    assert _settings() == before
    with pytest.raises(KeyError), exact_float32():
        raise KeyError
    assert _settings() == before


def test_policy():
    keras.config.set_floatx("float16")  # what all tests share sets it back
    keras.config.set_dtype_policy("mixed_bfloat16")
    with single_precision():
        assert keras.Input((1,)).dtype == "float32"
        assert keras.layers.Dense(1).compute_dtype == "float32"
        assert _settings() in (False, "highest", ("ieee", "ieee"))
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.floatx() == "float16"
