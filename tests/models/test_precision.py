"""Nets in mixed_bfloat16: they compute nearly the same, stay equivariant to that precision, and train."""

import keras
import numpy as np

from groco.testing import equivariance_error
from tests.models.test_data_format import nets
from tests.models.trained_like import randomise

TOLERANCE = 0.05  # of the largest output; a number of bfloat16 has 8 bits, and these nets have up to 10 layers


@nets
def test_outputs_and_equivariance(net, rng):
    precise = net.build()
    randomise(precise, rng)
    inputs = net.inputs(rng)
    expected = _numpy(precise(inputs))
    keras.config.set_dtype_policy("mixed_bfloat16")  # what all tests share sets it back
    model = net.build()
    model.set_weights(precise.get_weights())
    outputs = _numpy(model(inputs))
    assert outputs.shape == expected.shape
    assert not np.array_equal(outputs, expected), "it was computed in float32"
    np.testing.assert_allclose(outputs, expected, atol=TOLERANCE * np.abs(expected).max())
    if net.group is not None:
        assert equivariance_error(model, inputs, net.group, ndim=net.ndim) < TOLERANCE


@nets
def test_a_step_of_training(net, rng):
    """Weights stay in float32, and kernels move."""
    keras.config.set_dtype_policy("mixed_bfloat16")  # what all tests share sets it back
    model = net.build(num_classes=4)
    inputs = net.inputs(rng, batch=4)
    targets = rng.normal(size=model(inputs).shape).astype("float32")
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    before = [_numpy(weight) for weight in model.trainable_weights]
    model.fit(inputs, targets, batch_size=4, verbose=0)
    after = [_numpy(weight) for weight in model.trainable_weights]
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in model.trainable_weights} == {"float32"}
    assert all(np.isfinite(weight).all() for weight in after)
    moved = [
        (new != old).any()
        for weight, old, new in zip(model.trainable_weights, before, after, strict=True)
        if "kernel" in weight.path
    ]
    assert np.mean(moved) > 0.9, "in nets this narrow a ReLU may be dead on all inputs, but not many"


def _numpy(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
