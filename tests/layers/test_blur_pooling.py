"""Blur pooling: it is the definition, equivariant or refused, and shifts change it less than plain subsampling."""

import itertools
import math

import keras
import numpy as np
import pytest

from groco.groups import get_group, list_groups
from groco.layers.blur_pooling import GroupBlurPooling1D, GroupBlurPooling2D, GroupBlurPooling3D
from groco.layers.conv import GroupConv2D
from groco.layers.padding import PADDINGS
from groco.layers.pooling import GroupMaxPooling2D
from groco.testing import assert_equivariant, equivariance_error
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS

BLUR = {1: GroupBlurPooling1D, 2: GroupBlurPooling2D, 3: GroupBlurPooling3D}
SIZES = {1: (7,), 2: (5, 7), 3: (3, 5, 3)}


def _input(rng, ndim, group, sizes=None):
    order = (get_group(group, ndim).order,)
    # A mean far from zero: zeros from padding would darken the border.
    return rng.normal(size=(2, *(sizes or SIZES[ndim]), *order, 2)) + 5.0


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def by_definition(inputs, filter_size, strides, paddings):
    """The mean with weights from Pascal's triangle of the points of each window that are inside the image."""
    ndim = len(filter_size)
    sizes = inputs.shape[1 : ndim + 1]
    counts = [(n + sum(pair) - k) // s + 1 for n, k, s, pair in zip(sizes, filter_size, strides, paddings, strict=True)]
    out = np.zeros((inputs.shape[0], *counts, *inputs.shape[ndim + 1 :]))
    for x in itertools.product(*[range(count) for count in counts]):
        total = 0.0
        for y in np.ndindex(*filter_size):
            at = [x[a] * strides[a] + y[a] - paddings[a][0] for a in range(ndim)]
            if all(0 <= i < n for i, n in zip(at, sizes, strict=True)):
                weight = math.prod(math.comb(k - 1, i) for k, i in zip(filter_size, y, strict=True))
                out[(slice(None), *x)] += weight * inputs[(slice(None), *at)]
                total += weight
        out[(slice(None), *x)] /= total
    return out


@pytest.mark.parametrize(
    ("kwargs", "size", "paddings"),
    [
        # (what is asked, height and width, what must be padded)
        ({}, (6, 8), [(0, 0), (0, 0)]),
        ({"padding": "same"}, (6, 8), [(1, 1), (1, 1)]),
        ({"pool_size": 2}, (6, 8), [(0, 0), (0, 0)]),
        ({"pool_size": 3, "padding": "same"}, (5, 7), [(1, 1), (1, 1)]),
        ({"pool_size": 5, "padding": "same_equiv"}, (5, 7), [(2, 2), (2, 2)]),
        ({"pool_size": 3, "strides": 1, "padding": "same"}, (5, 6), [(1, 1), (1, 1)]),
        ({"pool_size": 3, "strides": 3}, (6, 7), [(0, 0), (1, 1)]),
        ({"pool_size": 1}, (5, 7), [(0, 0), (0, 0)]),
        ({"pool_size": 1, "strides": 1}, (5, 7), [(0, 0), (0, 0)]),
        ({"pool_size": 7, "padding": "same"}, (5, 3), [(3, 3), (3, 3)]),
    ],
)
def test_is_the_definition(kwargs, size, paddings, rng):
    inputs = _input(rng, 2, "P4M", size)
    layer = GroupBlurPooling2D(group="P4M", dtype="float64", **kwargs)
    np.testing.assert_allclose(
        _numpy(layer(inputs)), by_definition(inputs, layer.pool_size, layer.strides, paddings), atol=1e-10
    )
    assert_equivariant(layer, inputs, tolerance=1e-10)


@pytest.mark.parametrize("ndim", [1, 3])
def test_is_the_definition_in_other_dimensions(ndim, rng):
    group = {1: "PM", 3: "D4"}[ndim]
    inputs = _input(rng, ndim, group)
    layer = BLUR[ndim](3, padding="same", group=group, dtype="float64")
    expected = by_definition(inputs, layer.pool_size, layer.strides, [(1, 1)] * ndim)
    np.testing.assert_allclose(_numpy(layer(inputs)), expected, atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


def test_rectangular_filters_where_the_group_allows(rng):
    inputs = _input(rng, 2, "P2MM", (6, 7))
    layer = GroupBlurPooling2D((2, 3), (2, 1), group="P2MM", dtype="float64")
    expected = by_definition(inputs, (2, 3), (2, 1), [(0, 0), (0, 0)])
    np.testing.assert_allclose(_numpy(layer(inputs)), expected, atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


@pytest.mark.parametrize(("ndim", "group", "subgroup"), [*PAIRS, (3, "Oh", "C2v_d_hw"), (3, "Td", "S4_h")])
def test_mean_over_cosets(ndim, group, subgroup, rng):
    inputs = _input(rng, ndim, group, {1: (7,), 2: (5, 7), 3: (3, 5, 3)}[ndim])
    layer = BLUR[ndim](3, group=group, subgroup=subgroup, dtype="float64")
    # Even and odd sizes without a mirror would need other paddings than these.
    blurred = by_definition(inputs, layer.pool_size, layer.strides, [(0, 0)] * ndim)
    on_group, on_subgroup = get_group(group, ndim), get_group(subgroup, ndim)
    expected = reference.group_pool(
        blurred, np.nanmean, (1,) * ndim, (1,) * ndim, on_group, on_subgroup, [(0, 0)] * ndim
    )
    np.testing.assert_allclose(_numpy(layer(inputs)), expected, atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("pool_size", "strides"), [(2, 2), (3, 2), (4, 2), (3, 1), (4, 1), (4, 3)])
@pytest.mark.parametrize("size", [(6, 6), (7, 7), (6, 9)])
@pytest.mark.parametrize("group", ["P4M", "PMh"])
def test_equivariant_or_refused(padding, pool_size, strides, size, group, rng):
    kwargs = {"pool_size": pool_size, "strides": strides, "padding": padding, "group": group}
    inputs = _input(rng, 2, group, size) - 5.0
    try:
        GroupBlurPooling2D(**kwargs)(inputs)
    except ValueError as error:
        assert "What works" in str(error)
        layer = GroupBlurPooling2D(**kwargs, allow_non_equivariance=True)
        assert equivariance_error(layer, inputs) > 1e-2
    else:
        assert_equivariant(GroupBlurPooling2D(**kwargs), inputs)


@pytest.mark.parametrize("group", list_groups(3))
def test_every_group_of_space(group, rng):
    assert_equivariant(GroupBlurPooling3D(2, group=group), _input(rng, 3, group, (2, 4, 2))[:1])


def test_padding_does_not_darken_the_border():
    for pool_size, size in ((2, 6), (3, 7), (4, 6), (5, 7)):
        layer = GroupBlurPooling2D(pool_size, padding="same_equiv", group="P4M")
        np.testing.assert_allclose(_numpy(layer(np.ones((1, size, size, 8, 1), "float32"))), 1.0, atol=1e-6)


def test_shifts_change_it_less_than_plain_subsampling(rng):
    """What it is for (Zhang 2019): a checkerboard, which aliases, is gone whatever the shift."""
    board = (np.indices((8, 8)).sum(axis=0) % 2)[None, :, :, None, None].astype("float32")
    board = np.repeat(board, 8, axis=3)
    blur = GroupBlurPooling2D(4, group="P4M")
    plain = GroupBlurPooling2D(1, group="P1")
    np.testing.assert_allclose(_numpy(blur(board)), 0.5, atol=1e-6)
    np.testing.assert_allclose(_numpy(blur(np.roll(board, 1, axis=1))), 0.5, atol=1e-6)
    assert np.ptp([_numpy(plain(part)) for part in (board[:, :, :, :1], np.roll(board, 1, axis=1)[:, :, :, :1])]) == 1.0


def test_the_recipes_of_the_docstring(rng):
    """Max pooling without stride and then blur; a size of 32 is 31 in between, which an odd filter fits."""
    image = keras.Input((None, None, 1))
    signal = GroupConv2D(2, 3, padding="same", group="P4M", activation="relu")(image)
    signal = GroupMaxPooling2D(2, strides=1, group="P4M")(signal)
    model = keras.Model(image, GroupBlurPooling2D(3, padding="same", group="P4M")(signal))
    inputs = rng.normal(size=(1, 32, 8, 1)).astype("float32")
    assert model(inputs).shape == (1, 16, 4, 8, 2)
    assert_equivariant(model, inputs, "P4M")
    with pytest.raises(Exception, match="breaks equivariance"):
        model(inputs[:, :31])


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_contract(ndim, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    order = (get_group(group, ndim).order,)
    subgroup = {"subgroup": {1: "P1", 2: "PMw", 3: "C2_hw"}[ndim]}
    kwargs = {"pool_size": 3, "padding": "same_equiv", "group": group, **subgroup}
    check_layer(BLUR[ndim], kwargs, (*(5, 7, 5)[:ndim], *order, 2), trainable_weights=0, tmp_path=tmp_path)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has graphs without sizes")
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("pool_size", [3, 4])
def test_graphs_without_sizes(padding, pool_size, rng):
    import tensorflow as tf

    layer = GroupBlurPooling2D(pool_size, padding=padding, group="P4", dtype="float64")
    layer.build((None, None, None, 4, 2))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4, 2), "float64")])
    for size in ((5, 7), (6, 6), (7, 8)):
        inputs = _input(rng, 2, "P4", size)
        try:
            expected = layer(inputs)
        except ValueError:
            with pytest.raises(tf.errors.InvalidArgumentError, match="breaks equivariance"):
                graph(inputs)
        else:
            np.testing.assert_allclose(graph(inputs), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({"subgroup": "P1"}, (None, 8, 8, 3), "signal on 'P4'.*put a lifting convolution before it"),
        ({}, (None, 8, 8, 8, 3), "group axis of length 4"),
        ({"pool_size": (2, 3)}, None, "pool_size"),
        ({"strides": (2, 1)}, None, "strides"),
        ({"padding": "reflect"}, None, "padding is one of"),
        ({}, (None, 7, 8, 4, 3), "with height 7, window 4.*an input size of 6 or 8"),
        ({"pool_size": 3}, (None, 8, 8, 4, 3), "with height 8, window 3.*an input size of 7 or 9"),
        ({"pool_size": 2, "strides": 5}, (None, 11, 11, 4, 3), "nothing but padding"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    with pytest.raises(ValueError, match=message) as raised:
        GroupBlurPooling2D(**{"group": "P4", "name": "tested", **kwargs}).build(shape)
    assert "GroupBlurPooling2D (name='tested')" in str(raised.value)
