"""The ordinary convolution: the numbers are those of a loop, also for strides that reach no further window."""

import keras
import numpy as np
import pytest

from groco.layers import GroupConv3D
from groco.layers.convolve import convolve


def _by_definition(inputs, kernel, strides):
    size = kernel.shape[:-2]
    counts = [(n - k) // s + 1 for n, k, s in zip(inputs.shape[1:], size, strides, strict=False)]
    out = np.zeros((len(inputs), *counts, kernel.shape[-1]))
    for x in np.ndindex(*counts):
        window = tuple(slice(i * s, i * s + k) for i, s, k in zip(x, strides, size, strict=True))
        out[(slice(None), *x)] = np.tensordot(inputs[(slice(None), *window)], kernel, axes=len(size) + 1)
    return out


@pytest.mark.parametrize(
    ("sizes", "kernel_size", "strides"),
    [
        ((7,), (3,), (2,)),
        ((4,), (4,), (4,)),
        ((5, 9), (3, 3), (3, 2)),  # one window along the height, and a rest
        ((6, 7), (1, 1), (3, 2)),
        ((6, 7), (1, 3), (4, 2)),
        ((4, 4), (4, 4), (1, 5)),
        ((4, 3, 5), (2, 3, 1), (3, 3, 2)),
        ((2, 2, 2), (2, 2, 2), (2, 2, 2)),
    ],
)
def test_is_the_definition(sizes, kernel_size, strides, rng):
    inputs, kernel = rng.normal(size=(2, *sizes, 3)), rng.normal(size=(*kernel_size, 3, 2))
    outputs = keras.ops.convert_to_numpy(convolve(inputs, keras.ops.convert_to_tensor(kernel), strides))
    np.testing.assert_allclose(outputs, _by_definition(inputs, kernel, strides), atol=1e-10)


@pytest.mark.parametrize("channels", [8, 16, 24])
@pytest.mark.parametrize(("rank", "size"), [(1, 4), (1, 16), (2, 4), (2, 6), (3, 4)])
def test_one_window_in_bfloat16(rank, size, channels, rng):
    """TensorFlow's own is wrong in the first digit here, on CPUs for which oneDNN has bfloat16."""
    inputs, kernel = (
        keras.ops.cast(values, "bfloat16")
        for values in (
            rng.normal(-2, size=(1, *(size,) * rank, channels)),
            rng.uniform(size=(*(size,) * rank, channels, 2)),
        )
    )
    outputs = convolve(inputs, kernel, (size,) * rank)
    exact = [keras.ops.convert_to_numpy(keras.ops.cast(values, "float64")) for values in (inputs, kernel)]
    expected = _by_definition(*exact, (size,) * rank)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float64")), expected, rtol=2e-2)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 6), (4, 3), (6, 4)])
def test_sizes_not_known_when_it_is_traced(sizes, rng):
    image = keras.Input((None, None, 2))
    kernel = rng.normal(size=(3, 1, 2, 2)).astype("float32")
    outputs = keras.layers.Lambda(
        lambda x: convolve(x, keras.ops.convert_to_tensor(kernel), (3, 2)), output_shape=(None, None, 2)
    )(image)
    model = keras.Model(image, outputs)
    inputs = rng.normal(size=(1, *sizes, 2)).astype("float32")
    expected = _by_definition(inputs, kernel, (3, 2))
    np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize("known", [True, False], ids=["sizes-known", "sizes-unknown"])
@pytest.mark.parametrize(
    ("sizes", "kernel_size", "dilation_rate"),
    [
        ((2, 2, 2), 3, 1),
        ((2, 1, 4), 3, 1),
        ((4, 4, 4), 5, 1),
        ((4, 3, 4), 3, 2),
        ((4, 1, 5), (1, 3, 3), 1),
        ((5, 6, 4), 3, 1),
    ],
)
def test_gradient_by_the_kernel_in_bfloat16(sizes, kernel_size, dilation_rate, known, rng):
    """TensorFlow's own is anything here, on CPUs for which oneDNN has bfloat16, where it pads in 3-D."""
    inputs = rng.normal(size=(4, *sizes, 4)).astype("float32")
    moved = []
    for policy in ("float32", *["mixed_bfloat16"] * 5):  # what was in the memory may have been right
        keras.utils.set_random_seed(0)
        layer = GroupConv3D(
            2,
            kernel_size,
            group="C2",
            padding="same",
            dilation_rate=dilation_rate,
            implementation="dense",
            dtype=policy,
        )
        image = keras.Input((*sizes, 4) if known else (None, None, None, 4))
        model = keras.Model(image, layer(image))
        before = keras.ops.convert_to_numpy(layer.kernel)
        model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
        outputs = np.ones((4, *sizes, *model.output_shape[-2:]), "float32")
        model.fit(inputs, outputs, batch_size=4, verbose=0)
        moved.append(keras.ops.convert_to_numpy(layer.kernel) - before)
    expected = moved.pop(0)
    for values in moved:
        np.testing.assert_allclose(values, expected, atol=0.05 * np.abs(expected).max())


class _Offset(keras.layers.Layer):
    def build(self, shape):
        self.offset = self.add_weight(shape=shape[1:], initializer="zeros")

    def call(self, inputs):
        return inputs + self.offset


@pytest.mark.parametrize("known", [True, False], ids=["sizes-known", "sizes-unknown"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("sizes", "strides"), [((7,), (2,)), ((6, 7), (3, 2)), ((5, 6), (1, 4)), ((5, 4, 3), (2, 3, 1)), ((8, 8), (2, 2))]
)
def test_gradient_by_the_inputs_of_single_points_with_strides(sizes, strides, policy, known, rng):
    kernel = rng.normal(size=(*(1,) * len(sizes), 3, 2)).astype("float32")
    points = (0, *(slice(None, None, stride) for stride in strides))
    offset = _Offset(dtype="float32")
    image = keras.Input((*sizes, 3))
    start = offset(image) if known else keras.Input((*(None,) * len(sizes), 3))
    outputs = keras.layers.Lambda(
        lambda x: convolve(x, keras.ops.cast(kernel, x.dtype), strides), output_shape=(*(None,) * len(sizes), 2)
    )(keras.layers.Identity(dtype=policy)(start))
    outputs = keras.layers.Identity(dtype="float32")(outputs)
    if not known:
        outputs = keras.Model(start, outputs)(offset(image))
    model = keras.Model(image, outputs)
    model.compile(keras.optimizers.SGD(1.0), lambda wanted, given: keras.ops.sum(wanted * given, axis=-1))
    wanted = rng.normal(size=(1, *(-(-n // s) for n, s in zip(sizes, strides, strict=True)), 2)).astype("float32")
    weights = wanted.size / 2  # Keras takes the mean over all points
    model.fit(np.zeros((1, *sizes, 3), "float32"), wanted, verbose=0)
    expected = np.zeros((1, *sizes, 3))
    expected[points] = -wanted[0] @ kernel.reshape(3, 2).T / weights
    tolerance = 1e-5 if policy == "float32" else 0.02 * np.abs(expected).max()
    np.testing.assert_allclose(keras.ops.convert_to_numpy(offset.offset), expected[0], atol=tolerance)
