"""Batch normalisation of whole group channels: the definition, exactly, in training and in inference."""

import keras
import numpy as np
import pytest

from groco.layers import GlobalGroupAveragePooling1D, GroupBatchNormalization, GroupLifting1D
from groco.testing import assert_equivariant
from tests.layers.contract import check_layer

EPSILON = 1e-3
# Images, signals on groups of the line, the plane and space, and rows.
SHAPES = [(6, 5), (6, 5, 3), (6, 5, 2, 3), (6, 5, 4, 8, 3), (4, 3, 2, 3, 4, 3)]
RANDOM = {
    "beta_initializer": "random_normal",
    "gamma_initializer": keras.initializers.RandomUniform(0.5, 2.0, seed=1),
    "moving_mean_initializer": "random_normal",
    "moving_variance_initializer": keras.initializers.RandomUniform(0.5, 2.0, seed=2),
}


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float64")


def _definition(inputs, layer, mean, variance):
    gamma = _numpy(layer.gamma) if layer.scale else 1.0
    beta = _numpy(layer.beta) if layer.center else 0.0
    return (inputs - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def _batch(rng, shape):
    return 3.0 + 2.0 * rng.normal(size=shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, True), (True, False), (False, False)])
def test_is_the_definition(shape, center, scale, rng):
    inputs = _batch(rng, shape)
    layer = GroupBatchNormalization(0.9, EPSILON, center=center, scale=scale, dtype="float64", **RANDOM)
    layer.build(shape)
    mean, variance = _numpy(layer.moving_mean), _numpy(layer.moving_variance)
    inference = _numpy(layer(inputs, training=False))
    np.testing.assert_allclose(inference, _definition(inputs, layer, mean, variance), atol=1e-10)
    axes = tuple(range(len(shape) - 1))
    training = _numpy(layer(inputs, training=True))
    expected = _definition(inputs, layer, inputs.mean(axes), inputs.var(axes))
    np.testing.assert_allclose(training, expected, atol=1e-10)
    np.testing.assert_allclose(_numpy(layer.moving_mean), 0.9 * mean + 0.1 * inputs.mean(axes), atol=1e-10)
    np.testing.assert_allclose(_numpy(layer.moving_variance), 0.9 * variance + 0.1 * inputs.var(axes), atol=1e-10)
    first = GroupBatchNormalization(
        0.9, EPSILON, center=center, scale=scale, dtype="float64", data_format="channels_first", **RANDOM
    )
    first.build((shape[0], shape[-1], *shape[1:-1]))
    first.set_weights(layer.get_weights())
    moved = _numpy(first(np.moveaxis(inputs, -1, 1), training=True))
    np.testing.assert_allclose(np.moveaxis(moved, 1, -1), expected, atol=1e-10)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("mean", "tolerance"), [(0.0, 2e-5), (1000.0, 1e-3)])
def test_statistics_keep_their_digits(data_format, mean, tolerance, rng):
    """Over as many values as a large layer has, where a plain sum in float32 is wrong in the fourth digit.

    Where the mean is a thousand deviations, E[x^2] - E[x]^2 has no right digit left.
    """
    inputs = (mean + _batch(rng, (64, 32, 32, 8, 3))).astype("float32")
    layer = GroupBatchNormalization(epsilon=EPSILON, data_format=data_format)
    if data_format == "channels_last":
        outputs = _numpy(layer(inputs, training=True))
    else:
        outputs = np.moveaxis(_numpy(layer(np.moveaxis(inputs, -1, 1), training=True)), 1, -1)
    exact = inputs.astype("float64")
    axes = (0, 1, 2, 3)
    expected = (exact - exact.mean(axes)) / np.sqrt(exact.var(axes) + EPSILON)
    np.testing.assert_allclose(outputs, expected, atol=tolerance)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only there the gradient is our own")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (False, False)])
@pytest.mark.parametrize("shape", [(16, 16, 16, 4, 3), (3, 5, 7, 8, 2), (128, 4, 1), (1, 1, 1, 4, 2)])
def test_gradient_on_torch(shape, center, scale, training, rng):
    import torch

    signal, weights = _batch(rng, shape), rng.normal(size=shape)
    gradients, start = [], None
    for dtype in ("float64", "float32"):
        layer = GroupBatchNormalization(epsilon=EPSILON, center=center, scale=scale, dtype=dtype, **RANDOM)
        layer.build(shape)
        start = layer.get_weights() if start is None else start
        layer.set_weights(start)
        inputs = torch.tensor(signal, dtype=getattr(torch, dtype), requires_grad=True)
        by = [inputs, *(w.value for w in layer.trainable_weights)]
        if dtype == "float64":
            mean, variance = layer.moving_mean.value, layer.moving_variance.value
            if training:
                axes = tuple(range(len(shape) - 1))
                mean, variance = inputs.mean(axes), inputs.var(axes, correction=0)
            outputs = (inputs - mean) / torch.sqrt(variance + EPSILON)
            outputs = outputs * layer.gamma.value if scale else outputs
            outputs = outputs + layer.beta.value if center else outputs
        else:
            outputs = layer(inputs, training=training)
        loss = (outputs * torch.tensor(weights, dtype=outputs.dtype)).sum()
        gradients.append([_numpy(g) for g in torch.autograd.grad(loss, by)])
    for exact, found in zip(*gradients, strict=True):
        np.testing.assert_allclose(found, exact, atol=1e-5 * max(1.0, np.abs(exact).max()))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only there the gradient is our own")
def test_second_derivatives_on_torch(rng):
    import torch

    from groco.layers.on_torch import joint_batch_norm

    rows = torch.tensor(_batch(rng, (6, 4)), requires_grad=True)
    gamma, beta = (torch.tensor(rng.normal(size=2), requires_grad=True) for _ in range(2))
    assert torch.autograd.gradgradcheck(lambda *args: joint_batch_norm(*args, EPSILON)[0], (rows, gamma, beta))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("sizes", [(6, 6), (5, 7)])
def test_equivariant_and_gradients_are_those_of_keras(training, sizes, rng):
    signal = _batch(rng, (3, *sizes, 8, 2)).astype("float32")
    layer = GroupBatchNormalization(**RANDOM)
    layer.build(signal.shape)
    assert_equivariant(lambda x: layer(x, training=training), signal, "P4M")
    ours, keras_own = (_trained(make, signal) for make in (GroupBatchNormalization, keras.layers.BatchNormalization))
    for weight, expected in zip(ours, keras_own, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-5)


def _trained(make, signal):
    keras.utils.set_random_seed(0)
    image = keras.Input(signal.shape[1:])
    features = make(**RANDOM)(keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(3))(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling3D()(keras.layers.Activation("elu")(features)))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(signal, np.arange(9.0).reshape(3, 3), epochs=2, batch_size=3, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("shape", [(6, 2, 3), (6, 5, 4, 3), (3, 4, 2, 6, 3)])
def test_channels_first(shape, rng):
    inputs = _batch(rng, (4, *shape)).astype("float32")
    first = GroupBatchNormalization(data_format="channels_first")
    last = GroupBatchNormalization(data_format="channels_last")
    outputs = _numpy(first(np.moveaxis(inputs, -1, 1), training=True))
    np.testing.assert_allclose(np.moveaxis(outputs, 1, -1), _numpy(last(inputs, training=True)), atol=1e-5)
    np.testing.assert_allclose(_numpy(first.moving_variance), _numpy(last.moving_variance), atol=1e-5)


def test_frozen_layer_keeps_its_statistics(rng):
    inputs = _batch(rng, (4, 5, 5, 4, 3)).astype("float32")
    layer = GroupBatchNormalization(trainable=False)
    np.testing.assert_array_equal(_numpy(layer(inputs, training=True)), _numpy(layer(inputs, training=False)))
    np.testing.assert_array_equal(_numpy(layer.moving_mean), 0.0)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_low_precision_does_not_overflow(dtype, rng):
    inputs = (1000.0 * rng.normal(size=(8, 6, 6, 8, 2))).astype("float32")
    layer = GroupBatchNormalization(dtype=dtype)
    outputs = layer(keras.ops.cast(inputs, layer.compute_dtype), training=True)
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    axes = (0, 1, 2, 3)
    values = _numpy(keras.ops.cast(outputs, "float32"))
    np.testing.assert_allclose(values, (inputs - inputs.mean(axes)) / inputs.std(axes), atol=0.05)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_contract(rank, tmp_path, monkeypatch):
    monkeypatch.setattr(GroupBatchNormalization, "rank", rank, raising=False)
    check_layer(
        GroupBatchNormalization,
        {"momentum": 0.9, "center": True},
        (*(5, 6, 4)[:rank], 2, 3),
        trainable_weights=2,
        other_weights=2,
        tmp_path=tmp_path,
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match="data_format is 'channels_last' or 'channels_first', got 'last'"):
        GroupBatchNormalization(data_format="last")
    with pytest.raises(ValueError, match="takes neither axis"):
        GroupBatchNormalization(axis=-1)
    for momentum in (-1, 0, 1, 1.5, float("nan"), [1, 2], None, True):
        with pytest.raises(ValueError, match=r"momentum is a float from 0 to 1, got .*data_format says it"):
            GroupBatchNormalization(momentum)


@pytest.mark.parametrize("training", [True, False])
def test_masked_steps_do_not_count(training, rng):
    """A mask of steps, as from in front of the lifting, is that of all elements; statistics are of what is left."""
    signal = (3 + rng.normal(size=(2, 6, 2, 3))).astype("float32")
    mask = np.array([[True] * 6, [True, True, False, True, False, False]])
    layer = GroupBatchNormalization()
    outputs = _numpy(layer(signal, training=training, mask=mask))
    left = signal[mask].reshape(-1, 3)
    mean, variance = (left.mean(axis=0), left.var(axis=0)) if training else (0.0, 1.0)
    np.testing.assert_allclose(outputs[mask], (signal[mask] - mean) / np.sqrt(variance + EPSILON), atol=1e-4)
    of_elements = np.repeat(mask[..., None], 2, axis=-1)
    np.testing.assert_allclose(_numpy(layer(signal, training=training, mask=of_elements)), outputs, atol=1e-6)
    first, values = GroupBatchNormalization(data_format="channels_first"), np.moveaxis(signal, -1, 1)
    found = _numpy(first(values, training=training, mask=mask))
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), outputs, atol=1e-5)
    image = signal[:, :, 0]
    for data_format, axis in (("channels_last", -1), ("channels_first", 1)):
        layer = GroupBatchNormalization(data_format=data_format)
        outputs = np.moveaxis(_numpy(layer(np.moveaxis(image, -1, axis), training=training, mask=mask)), axis, -1)
        mean, variance = (image[mask].mean(0), image[mask].var(0)) if training else (0.0, 1.0)
        np.testing.assert_allclose(outputs[mask], (image[mask] - mean) / np.sqrt(variance + EPSILON), atol=1e-4)


def test_masks_of_other_axes_are_refused(rng):
    with pytest.raises(ValueError, match=r"A mask has the axes of the signal but for channels and group, got \(2,\)"):
        GroupBatchNormalization()(np.zeros((2, 6, 2, 3), "float32"), training=True, mask=np.ones(2, bool))


def test_behind_masking_and_lifting(rng):
    inputs = keras.Input((6, 3))
    signal = GroupLifting1D(group="PM")(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, GlobalGroupAveragePooling1D(group="PM")(GroupBatchNormalization()(signal)))
    model.compile("sgd", "mse")
    steps = rng.normal(size=(2, 6, 3)).astype("float32")
    steps[1, 4:] = 0.0
    model.fit(steps, np.zeros((2, 3), "float32"), verbose=0)
    assert np.isfinite(model.predict(steps, verbose=0)).all()


class _Block(keras.layers.Layer):
    """Of which Keras finds out the output's shape by calling it, with sizes that stand for any."""

    def __init__(self):
        super().__init__()
        self.norm = GroupBatchNormalization()

    def call(self, inputs):
        return self.norm(inputs)


@pytest.mark.parametrize("shape", [(None, None, 3), (None, 4, 3), (None, None, 4, 3), (None, 3)])
def test_in_a_layer_for_images_and_signals_of_any_size(shape, rng):
    image = keras.Input(shape)
    model = keras.Model(image, _Block()(image))
    model.layers[-1].norm.set_weights([rng.uniform(1, 2, 3) for _ in range(4)])
    inputs = _batch(rng, (2, *(length or 5 for length in shape))).astype("float32")
    np.testing.assert_allclose(model.predict(inputs, verbose=0), _numpy(model.layers[-1].norm(inputs)), atol=1e-5)
