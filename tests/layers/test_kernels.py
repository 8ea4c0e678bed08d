"""The kernel of the ordinary convolution that a group convolution is, and its gradient."""

import keras
import numpy as np
import pytest

from groco import layers
from groco.groups import get_group
from groco.kernels import expand_kernel, kernel_rows

BACKEND = keras.backend.backend()
CASES = {  # of a kernel: size, group of the input, group of the output, channels, filters, groups of channels
    "lifting": ((3, 3), None, "P4M", 2, 3, 1),
    "P4": ((3, 3), "P4", "P4", 2, 3, 1),
    "P4M, even": ((4, 4), "P4M", "P4M", 1, 2, 1),
    "unequal sizes": ((2, 3), "P2MM", "P2MM", 2, 2, 1),
    "subgroup": ((3, 3), "P4M", "P4", 2, 4, 2),
    "groups of channels": ((1, 1), "P4", "P4", 2, 6, 3),
    "line": ((5,), "PM", "PM", 2, 2, 1),
    "many filters": ((3, 3), "P4M", "P4M", 3, 16, 1),
    "many filters of a lifting": ((3, 3), None, "P4", 2, 24, 1),
    "many filters in groups": ((2, 2), "P4M", "P4", 2, 36, 2),
    "many filters in space": ((1, 2, 2), "D4", "D4", 1, 16, 1),
    "space": ((2, 2, 2), "O", "D4", 1, 2, 1),
}


def _case(case):
    size, group_in, group_out, channels, filters, groups = CASES[case]
    group_in, group_out = (None if name is None else get_group(name, len(size)) for name in (group_in, group_out))
    axes = () if group_in is None else (group_in.order,)
    return (*size, *axes, channels, filters), (group_in, group_out, groups)


def _numbers(tensor):
    return keras.ops.convert_to_numpy(keras.ops.stop_gradient(tensor))


def _gradient(function, kernel):
    """Of the scalar `function(kernel)`, and its value."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        kernel = tf.constant(kernel)
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            value = function(kernel)
        return tape.gradient(value, kernel)
    if BACKEND == "jax":
        import jax

        return jax.grad(function)(kernel)
    import torch

    if not torch.is_tensor(kernel):
        kernel = torch.tensor(kernel, requires_grad=True)
    return torch.autograd.grad(function(kernel), kernel, create_graph=True)[0]


@pytest.mark.parametrize("case", CASES)
def test_gradient_adds_what_each_row_has_become(case, rng):
    shape, options = _case(case)
    kernel = rng.normal(size=shape).astype("float32")
    weights = rng.normal(size=expand_kernel(kernel, *options).shape).astype("float32")
    factors = keras.ops.convert_to_tensor(weights)
    gradient = _gradient(lambda kernel: keras.ops.sum(expand_kernel(kernel, *options) * factors), kernel)

    group_in, group_out, groups = options
    size, (channels, filters) = shape[: group_out.ndim], shape[-2:]
    by_row = weights.reshape(-1, channels, groups, group_out.order, filters // groups).transpose(0, 3, 1, 2, 4)
    expected = np.zeros((np.prod(shape[:-2]), channels * filters), "float32")
    np.add.at(expected, kernel_rows(size, group_in, group_out), by_row.reshape(-1, channels * filters))
    np.testing.assert_allclose(_numbers(gradient), expected.reshape(shape), atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_gradient_can_be_differentiated(case, rng):
    """Of the sum of cubes the gradient is 3 |G| k^2, that of its squares 36 |G|^2 k^3."""
    shape, options = _case(case)
    kernel = rng.normal(size=shape).astype("float32")

    def squares(kernel):
        gradient = _gradient(lambda kernel: keras.ops.sum(expand_kernel(kernel, *options) ** 3), kernel)
        return keras.ops.sum(gradient**2)

    expected = 36 * options[1].order ** 2 * kernel**3
    np.testing.assert_allclose(_numbers(_gradient(squares, kernel)), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
class TestOnTensorFlow:
    def test_a_saved_model_can_be_trained(self, tmp_path, rng):
        import tensorflow as tf

        model = keras.Sequential(
            [keras.Input((6, 6, 1)), layers.GroupConv2D(2, 3, group="P4"), layers.GroupConv2D(2, 3, group="P4")]
        )
        images = rng.normal(size=(2, 6, 6, 1)).astype("float32")
        model.export(tmp_path / "model", verbose=False)
        saved = tf.saved_model.load(tmp_path / "model")
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(images) ** 2)
        gradients = tape.gradient(total, [variable.value for variable in model.trainable_variables])
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(saved.serve(images) ** 2)
        for first, second in zip(gradients, tape.gradient(total, list(saved.trainable_variables)), strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4)

    def test_gradients_of_each_example(self, rng):
        import tensorflow as tf

        layer = layers.GroupConv2D(2, 3, group="P4", implementation="dense")
        signals = tf.constant(rng.normal(size=(3, 5, 5, 4, 2)).astype("float32"))
        layer.build(signals.shape)

        def gradient(signal):
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(layer(signal[None]) ** 2)
            return tape.gradient(total, layer.kernel.value)

        together = tf.vectorized_map(gradient, signals)
        for signal, one in zip(signals, together, strict=True):
            np.testing.assert_allclose(gradient(signal), one, rtol=1e-3, atol=1e-3)
