"""Keras' own layers on signals on a group: each row of docs/keras_layers.md holds, and the page is what is measured."""

import keras
import numpy as np
import pytest

from docs.write_keras_layers import (
    ABSENT,
    CHANNELS,
    EXACT,
    GROUPS,
    PAGE,
    ROWS,
    SIZES,
    UNEQUAL_SIZES,
    YES,
    function,
    make,
    measure,
    page,
    random_signal,
    verdict,
)
from groco.groups import act, get_group
from groco.testing import assert_equivariant


def _select(keep):
    return [
        pytest.param(row, ndim, id=f"{row.code(ndim)}{row.then}-{ndim}D")
        for row in ROWS
        for ndim in GROUPS
        if row.outcome(ndim) != ABSENT and keep(row, ndim)
    ]


def _works_at_once(row, ndim):
    """XLA, where it is needed, would compile anew for each test and each turned shape; the verdict is enough."""
    return row.outcome(ndim) == YES and ndim not in row.xla


present = pytest.mark.parametrize(("row", "ndim"), _select(lambda row, ndim: True))


def _of_training(training):
    return pytest.mark.parametrize(
        ("row", "ndim"), _select(lambda row, ndim: row.training == training and _works_at_once(row, ndim))
    )


@present
def test_verdict(row, ndim):
    assert verdict(row, ndim) == row.outcome(ndim)


@pytest.mark.parametrize(("row", "ndim"), _select(_works_at_once))
def test_unequal_sizes(row, ndim):
    assert measure(row, ndim, UNEQUAL_SIZES[ndim]) <= EXACT


@_of_training("exact")
def test_exact_in_training(row, ndim):
    assert measure(row, ndim, training=True) <= EXACT


@_of_training("given the draw")
def test_exact_given_the_draw(row, ndim):
    """One draw for a whole group channel: the same seed gives the same draw for a turned input."""
    group, signal = get_group(GROUPS[ndim], ndim), random_signal(ndim, SIZES[ndim])
    axes = tuple(range(1, ndim + 1))

    def apply(inputs):
        keras.utils.set_random_seed(3)
        layer = make(row, ndim, SIZES[ndim])
        return keras.ops.convert_to_numpy(function(row, ndim, layer, training=True)(inputs))

    outputs = apply(signal)
    dropped = (outputs == 0).all(axis=tuple(range(1, ndim + 2)))
    assert dropped.any()
    assert not dropped.all()
    for element in range(group.order):
        turned = np.ascontiguousarray(act(group, element, signal, axes, ndim + 1))
        np.testing.assert_allclose(apply(turned), act(group, element, outputs, axes, ndim + 1), atol=1e-6)


def _deviation(call, ndim: int, order: int) -> float:
    """How far mean and variance of the output at each position and element are from those of all, in standard errors.

    The input is the same everywhere, so a layer whose law does not depend on the place gives the same everywhere.
    """
    batch, sizes = 512, (2,) * ndim
    outputs = keras.ops.convert_to_numpy(call(np.ones((batch, *sizes, order, CHANNELS), dtype="float32")))
    values = np.moveaxis(outputs, 0, -2).reshape(-1, batch * CHANNELS)
    deviations = []
    for statistic in (values, (values - values.mean()) ** 2):
        standard_error = statistic.std() / np.sqrt(values.shape[1])
        deviations.append(np.abs(statistic.mean(axis=1) - statistic.mean()).max() / standard_error)
    return max(deviations)


@_of_training("in distribution")
def test_same_distribution_everywhere_in_training(row, ndim):
    call = function(row, ndim, make(row, ndim, SIZES[ndim]), training=True)
    signal = random_signal(ndim, SIZES[ndim])
    assert np.abs(keras.ops.convert_to_numpy(call(signal)) - signal).max() > 0.1  # there is noise
    assert _deviation(call, ndim, get_group(GROUPS[ndim], ndim).order) < 6


def test_a_distribution_that_differs_between_orientations_is_found():
    dropout = keras.layers.Dropout(0.5)

    def on_one_orientation(signal):
        first = dropout(signal[:, :, :, :1], training=True)
        return keras.ops.concatenate([first, signal[:, :, :, 1:]], axis=3)

    assert _deviation(on_one_orientation, 2, 8) > 6


@pytest.mark.parametrize("ndim", GROUPS)
def test_weights_are_random(ndim):
    """No weight of a row is left as it was initialised, so that what holds does not hold for that alone."""
    for row in ROWS:
        if _works_at_once(row, ndim):
            for weight in make(row, ndim, SIZES[ndim]).weights:
                assert keras.ops.convert_to_numpy(weight).std() > 0, weight.path


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.BatchNormalization(axis=1),
        keras.layers.LayerNormalization(axis=1),
        keras.layers.GroupNormalization(2, axis=1),
    ],
    ids=lambda layer: layer.name,
)
def test_channels_first(layer, rng):
    if keras.backend.backend() == "torch" and isinstance(layer, keras.layers.LayerNormalization):
        pytest.skip("Keras' LayerNormalization takes the last axis only")
    signal = rng.normal(size=(2, 4, 5, 6, 8)).astype("float32")
    layer.build(signal.shape)
    layer.set_weights([rng.uniform(0.5, 2.0, size=weight.shape) for weight in layer.weights])
    assert_equivariant(layer, signal, "P4M", data_format="channels_first")


def test_int8_is_quantised():
    row = next(row for row in ROWS if "int8" in row.then)
    layer = make(row, 2, SIZES[2])
    assert keras.backend.standardize_dtype(layer._kernel.dtype) == "int8"


def test_page_is_what_the_script_writes():
    assert PAGE.read_text() == page(), "run python -m docs.write_keras_layers"
