"""Upsampling: it is the definition, equivariant or refused, for factors and for given sizes."""

import itertools

import keras
import numpy as np
import pytest

from groco.groups import get_group, list_groups
from groco.layers.conv import GroupConv2D
from groco.layers.pooling import GroupMaxPooling2D
from groco.layers.upsampling import GroupUpSampling1D, GroupUpSampling2D, GroupUpSampling3D
from groco.testing import assert_equivariant, equivariance_error
from tests.layers.contract import check_layer

UPSAMPLING = {1: GroupUpSampling1D, 2: GroupUpSampling2D, 3: GroupUpSampling3D}
SIZES = {1: (5,), 2: (3, 4), 3: (2, 3, 4)}
GROUPS = [(ndim, group) for ndim in (1, 2) for group in list_groups(ndim)]
GROUPS += [(3, group) for group in ("C1", "Ci", "C2_hw", "D4", "D3_dhw", "Td", "Oh")]
interpolations = pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
images_or_signals = pytest.mark.parametrize("image", [True, False], ids=["image", "signal"])


def _input(rng, ndim, group, sizes=None, image=False):
    order = () if image else (get_group(group, ndim).order,)
    return rng.normal(size=(2, *(sizes or SIZES[ndim]), *order, 2))


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _by_definition(signal, targets, interpolation):
    """Each new point one by one: its centre's place among the old centres, and the points around it."""
    ndim = len(targets)
    out = np.zeros((signal.shape[0], *targets, *signal.shape[ndim + 1 :]))
    for new in np.ndindex(*targets):
        corners = []
        for i, size, target in zip(new, signal.shape[1:], targets, strict=False):
            place = (i + 0.5) * size / target - 0.5
            if interpolation == "nearest":
                corners.append([(round(place), 1.0)])
            else:
                place = min(max(place, 0.0), size - 1.0)
                low = min(int(place), max(size - 2, 0))
                corners.append([(low, 1 - (place - low)), (min(low + 1, size - 1), place - low)])
        for corner in itertools.product(*corners):
            weight = np.prod([w for _, w in corner])
            out[(slice(None), *new)] += weight * signal[(slice(None), *[point for point, _ in corner])]
    return out


@interpolations
@images_or_signals
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("ndim", "group"), GROUPS)
def test_is_the_definition_and_equivariant(ndim, group, size, image, interpolation, rng):
    inputs = _input(rng, ndim, group, image=image)
    layer = UPSAMPLING[ndim](size, interpolation=interpolation, group=group, dtype="float64")
    expected = _by_definition(inputs, [size * n for n in SIZES[ndim]], interpolation)
    np.testing.assert_allclose(_numpy(layer(inputs)), expected, atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


@interpolations
@pytest.mark.parametrize("group", ["P1", "P4M", "CMa"])
@pytest.mark.parametrize("target", [1, 3, 4, 6, 7, 8])
@pytest.mark.parametrize("size", [(5, 5), (4, 6), (8, 1)])
def test_given_sizes_are_exact_or_refused(size, target, group, interpolation, rng):
    signal = _input(rng, 2, group, size)
    kwargs = {"target_size": target, "interpolation": interpolation, "group": group, "dtype": "float64"}
    try:
        outputs = GroupUpSampling2D(**kwargs)(signal)
    except ValueError as error:
        assert interpolation == "nearest"
        assert "What works" in str(error)
        layer = GroupUpSampling2D(**kwargs, allow_non_equivariance=True)
        assert layer(signal).shape == (2, target, target, *signal.shape[3:])
        assert equivariance_error(layer, signal) > 1e-2
    else:
        assert_equivariant(GroupUpSampling2D(**kwargs), signal, tolerance=1e-10)
        if interpolation == "bilinear" or all((2 * i + 1) * n % (2 * target) for n in size for i in range(target)):
            expected = _by_definition(signal, (target, target), interpolation)
            np.testing.assert_allclose(_numpy(outputs), expected, atol=1e-10)


@pytest.mark.parametrize("ndim", [1, 3])
@interpolations
def test_given_sizes_in_other_dimensions(ndim, interpolation, rng):
    group = {1: "PM", 3: "D4"}[ndim]
    signal = _input(rng, ndim, group)
    target = {1: (7,), 3: (6, 8, 8)}[ndim]
    layer = UPSAMPLING[ndim](target_size=target, interpolation=interpolation, group=group, dtype="float64")
    np.testing.assert_allclose(_numpy(layer(signal)), _by_definition(signal, target, interpolation), atol=1e-10)
    assert_equivariant(layer, signal, tolerance=1e-10)


def test_unequal_factors_and_targets_where_the_group_allows(rng):
    signal = _input(rng, 2, "P2MM", (3, 5))
    for kwargs in ({"size": (2, 3)}, {"target_size": (6, 11)}, {"size": (3, 1), "interpolation": "bilinear"}):
        assert_equivariant(GroupUpSampling2D(group="P2MM", **kwargs), signal)
    squares = _input(rng, 2, "P4", (4, 4))
    for kwargs in ({"size": (2, 3)}, {"target_size": (8, 12)}):
        with pytest.raises(ValueError, match="differs along axes that 'P4' exchanges"):
            GroupUpSampling2D(group="P4", **kwargs)
        broken = GroupUpSampling2D(group="P4", allow_non_equivariance=True, **kwargs)
        assert equivariance_error(broken, squares) == np.inf


@interpolations
def test_used_like_keras(interpolation, rng):
    image = rng.normal(size=(2, 5, 4, 3)).astype("float32")
    for size in (2, (3, 2)):
        plain = keras.layers.UpSampling2D(size, interpolation=interpolation)
        ours = GroupUpSampling2D(size, interpolation=interpolation, group="P2MM")
        np.testing.assert_allclose(_numpy(ours(image)), _numpy(plain(image)), atol=1e-5)


def test_linear_has_a_name_in_each_dimension(rng):
    for ndim, name in ((1, "linear"), (2, "bilinear"), (3, "trilinear")):
        layer = UPSAMPLING[ndim](interpolation=name, group="P1")
        assert layer.get_config()["interpolation"] == "bilinear"


def test_long_signals(rng):
    """Indices must not overflow: (2 target)(size) is above 2^32 here."""
    signal = np.arange(70_000.0).reshape(1, -1, 1, 1)
    for interpolation in ("nearest", "bilinear"):
        layer = GroupUpSampling1D(target_size=140_000, interpolation=interpolation, group="P1", dtype="float64")
        outputs = _numpy(layer(signal)).ravel()
        assert np.abs(outputs - np.repeat(signal.ravel(), 2)).max() <= 0.25


@interpolations
@pytest.mark.parametrize("given", [True, False], ids=["target_size", "size"])
@pytest.mark.parametrize(("ndim", "image"), [(1, False), (2, False), (3, False), (2, True)])
def test_contract(image, given, ndim, interpolation, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    sizes = (3, 5, 3)[:ndim]
    order = () if image else (get_group(group, ndim).order,)
    kwargs = {"interpolation": interpolation, "group": group, **({"target_size": 7} if given else {"size": 2})}
    check_layer(UPSAMPLING[ndim], kwargs, (*sizes, *order, 2), trainable_weights=0, tmp_path=tmp_path)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has graphs without sizes")
@interpolations
@pytest.mark.parametrize("kwargs", [{"size": 2}, {"size": (3, 1)}, {"target_size": 6}, {"target_size": (12, 5)}])
def test_graphs_without_sizes(kwargs, interpolation, rng):
    import tensorflow as tf

    layer = GroupUpSampling2D(interpolation=interpolation, group="P2MM", dtype="float64", **kwargs)
    layer.build((None, None, None, 4, 2))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4, 2), "float64")])
    for size in ((5, 3), (6, 2), (4, 3)):
        inputs = _input(rng, 2, "P2MM", size)
        try:
            expected = layer(inputs)
        except ValueError:
            with pytest.raises(tf.errors.InvalidArgumentError, match="breaks equivariance"):
                graph(inputs)
        else:
            np.testing.assert_allclose(graph(inputs), expected, atol=1e-10)


@interpolations
def test_a_net_down_and_up_for_any_size(interpolation, rng):
    """As in a U-Net: pooled, upsampled and joined with what was before, sizes unknown when the net is made."""
    image = keras.Input((None, None, 1))
    fine = GroupConv2D(2, 3, padding="same", group="P4M", activation="tanh")(image)
    coarse = GroupMaxPooling2D(2, group="P4M")(fine)
    up = GroupUpSampling2D(2, interpolation=interpolation, group="P4M")(coarse)
    joined = keras.layers.Concatenate()([fine, up])
    model = keras.Model(image, GroupConv2D(2, 3, padding="same", group="P4M")(joined))
    assert model.output_shape == (None, None, None, 8, 2)
    for size in ((8, 8), (4, 6)):
        inputs = rng.normal(size=(1, *size, 1)).astype("float32")
        assert_equivariant(model, inputs, "P4M", tolerance=1e-5)
        np.testing.assert_allclose(model.predict(inputs, verbose=0), _numpy(model(inputs)), atol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({}, (None, 8, 8), r"needs an image .* or a signal on 'P4'.*got shape"),
        ({}, (None, 8, 8, 8, 3), "group axis of length 4"),
        ({"size": 0}, None, "size is an int or 2 ints, at least 1"),
        ({"size": 1.5}, None, "size is an int"),
        ({"target_size": (4, 4, 4)}, None, "target_size is an int or 2 ints"),
        ({"interpolation": "bicubic"}, None, "interpolation is one of nearest, linear, bilinear, trilinear"),
        ({"target_size": 6}, (None, 4, 4, 3), "with height 4, target_size 6.*What works: a target_size of 4 or 8"),
        ({"target_size": 6}, (None, 3, 4, 3), "with width 4, target_size 6.*interpolation='bilinear'"),
        ({"target_size": 7}, (None, 5, 3, 3), None),
        ({"target_size": 6, "interpolation": "bilinear"}, (None, 4, 4, 3), None),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    def build():
        GroupUpSampling2D(**{"group": "P4", "name": "tested", **kwargs}).build(shape)

    if message is None:
        return build()
    with pytest.raises(ValueError, match=message) as raised:
        build()
    assert "GroupUpSampling2D (name='tested')" in str(raised.value)


def test_whole_numbers(rng):
    """As in `keras.layers.UpSampling2D`, linear interpolation makes floats of them."""
    signal = rng.integers(9, size=(2, 4, 4, 4, 3))
    layer = GroupUpSampling2D(2, interpolation="bilinear", group="P4")
    found, expected = (keras.ops.convert_to_numpy(layer(values)) for values in (signal, signal.astype("float32")))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
