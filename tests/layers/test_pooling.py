"""Pooling over windows and cosets: it is the definition, equivariant or refused, for max and mean."""

import keras
import numpy as np
import pytest

from groco import layers
from groco.groups import get_group, list_groups
from groco.layers import GroupMaxPooling1D
from groco.layers.padding import PADDINGS
from groco.testing import assert_equivariant, equivariance_error
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS, PAIRS_3D, SIZES

POOL = {
    (kind, ndim): getattr(layers, f"Group{kind}Pooling{ndim}D") for kind in ("Max", "Average") for ndim in (1, 2, 3)
}
GLOBAL = {
    (kind, ndim): getattr(layers, f"GlobalGroup{kind}Pooling{ndim}D")
    for kind in ("Max", "Average")
    for ndim in (1, 2, 3)
}
REDUCE = {"Max": np.nanmax, "Average": np.nanmean}
kinds = pytest.mark.parametrize("kind", ["Max", "Average"])
pairs = pytest.mark.parametrize(("ndim", "group", "subgroup"), [*PAIRS, *[(3, *pair) for pair in PAIRS_3D]])


def _signal(rng, ndim, group, sizes=None):
    # Below zero as well as above: zeros from padding would show in a maximum.
    return rng.normal(size=(2, *(sizes or SIZES[ndim]), get_group(group, ndim).order, 2)) - 2.0


@kinds
@pairs
def test_is_the_definition_and_equivariant(kind, ndim, group, subgroup, rng):
    signal = _signal(rng, ndim, group)
    layer = POOL[kind, ndim](3, 2, padding="same_equiv", group=group, subgroup=subgroup, dtype="float64")
    sizes = SIZES[ndim] if ndim < 3 else (3, 5, 3)
    signal = _signal(rng, ndim, group, sizes)
    mirrored = get_group(subgroup, ndim).mirrored_axes
    paddings = [(1, 1) if size % 2 else (0, 1) for size in sizes]
    assert all(size % 2 or not mirror for size, mirror in zip(sizes, mirrored, strict=True))
    expected = reference.group_pool(
        signal, REDUCE[kind], layer.pool_size, layer.strides, layer.group, layer.subgroup, paddings
    )
    outputs = keras.ops.convert_to_numpy(layer(signal))
    np.testing.assert_allclose(outputs, expected, atol=1e-10, rtol=1e-10)
    assert_equivariant(layer, signal, tolerance=1e-10)


@kinds
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("pool_size", "strides"), [(1, 1), (2, None), (3, None), (2, 1), (3, 2), (2, 3), (4, 2)])
@pytest.mark.parametrize("size", [(6, 6), (7, 7), (6, 9)])
@pytest.mark.parametrize("group", ["PMh", "CMa"])
def test_equivariant_or_refused(kind, padding, pool_size, strides, size, group, rng):
    kwargs = {"pool_size": pool_size, "strides": strides, "padding": padding, "group": group}
    signal = _signal(rng, 2, group, size)
    layer = POOL[kind, 2](**kwargs)
    try:
        layer(signal)
    except ValueError as error:
        if "nothing but padding" in str(error):
            assert strides is not None
            assert strides > pool_size
            return
        assert "What works" in str(error)
        layer = POOL[kind, 2](**kwargs, allow_non_equivariance=True)
        assert equivariance_error(layer, signal) > 1e-2
    else:
        assert_equivariant(layer, signal)
        assert np.isfinite(keras.ops.convert_to_numpy(layer(signal))).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras' own fails on integers elsewhere")
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_the_maximum_of_integers(dtype, rng):
    signal = rng.integers(0 if dtype == "uint8" else -9, 9, (1, 5, 4, 4, 2)).astype(dtype)
    layer = layers.GroupMaxPooling2D(3, 1, padding="same", group="P4", subgroup="P2")
    outputs = keras.ops.convert_to_numpy(layer(signal))
    assert outputs.dtype == dtype
    np.testing.assert_array_equal(outputs, keras.ops.convert_to_numpy(layer(signal.astype("float32"))))


@kinds
@pytest.mark.parametrize("group", list_groups(3))
def test_every_group_of_space(kind, group, rng):
    assert_equivariant(POOL[kind, 3](2, group=group), _signal(rng, 3, group, (2, 4, 6)))


@kinds
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_contract(kind, ndim, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    subgroup = {1: "P1", 2: "PMw", 3: "C2_hw"}[ndim]
    kwargs = {"pool_size": 3, "strides": 2, "padding": "same_equiv", "group": group, "subgroup": subgroup}
    shape = (*(5, 7, 5)[:ndim], get_group(group, ndim).order, 2)
    check_layer(POOL[kind, ndim], kwargs, shape, trainable_weights=0, tmp_path=tmp_path)


@kinds
def test_contract_of_dropping_the_group_axis(kind, tmp_path):
    kwargs = {"pool_size": 1, "group": "P4", "subgroup": "P1", "keepdims": False}
    check_layer(POOL[kind, 2], kwargs, (4, 5, 4, 2), trainable_weights=0, tmp_path=tmp_path)


@kinds
def test_the_group_axis_can_be_dropped(kind, rng):
    signal = _signal(rng, 2, "P4M")
    layer = POOL[kind, 2](1, group="P4M", subgroup="P1", keepdims=False)
    expected = REDUCE[kind](signal, axis=-2)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(signal)), expected, atol=1e-5)
    assert_equivariant(layer, signal, "P4M", output="image")


def test_a_nonnormal_subgroup_in_the_middle_of_a_net(rng):
    """One mirror inside P4M: pooled onto it, and convolved on it, the net is equivariant to it."""
    image = keras.Input((9, 8, 1))
    signal = layers.GroupConv2D(3, 3, group="P4M", activation="relu")(image)
    signal = layers.GroupMaxPooling2D(1, group="P4M", subgroup="PMh")(signal)
    signal = layers.GroupConv2D(3, 3, group="PMh")(signal)
    model = keras.Model(image, signal)
    assert_equivariant(model, rng.normal(size=(2, 9, 8, 1)).astype("float32"), "PMh", tolerance=1e-5)


@kinds
@pairs
def test_global_pooling(kind, ndim, group, subgroup, rng):
    signal = _signal(rng, ndim, group)
    group, subgroup = get_group(group, ndim), get_group(subgroup, ndim)
    whole = GLOBAL[kind, ndim](group=group, dtype="float64")
    outputs = keras.ops.convert_to_numpy(whole(signal))
    np.testing.assert_allclose(outputs, REDUCE[kind](signal, axis=tuple(range(1, ndim + 2))), rtol=1e-10)
    assert_equivariant(whole, signal, group, output="invariant", tolerance=1e-10)
    onto = GLOBAL[kind, ndim](group=group, subgroup=subgroup, dtype="float64")
    sizes = signal.shape[1 : ndim + 1]
    pooled = reference.group_pool(signal, REDUCE[kind], sizes, sizes, group, subgroup, [(0, 0)] * ndim)
    expected = pooled.reshape(len(signal), subgroup.order, -1)
    expected = expected if subgroup.order > 1 else expected[:, 0]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(onto(signal)), expected, rtol=1e-10)
    if subgroup.order > 1:
        assert_equivariant(onto, signal, subgroup, output="fibre", tolerance=1e-10)


@kinds
@pytest.mark.parametrize(
    ("ndim", "keepdims", "whole"),
    [(2, True, True), (2, True, False), (2, False, True), (2, False, False), (1, False, False), (3, True, False)],
)
def test_contract_of_global_pooling(kind, ndim, keepdims, whole, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    subgroup = {1: "PM", 2: "P4", 3: "C2_hw"}[ndim]
    kwargs = {"group": group, "keepdims": keepdims, **({} if whole else {"subgroup": subgroup})}
    shape = (*(3, 4, 5)[:ndim], get_group(group, ndim).order, 2)
    check_layer(GLOBAL[kind, ndim], kwargs, shape, trainable_weights=0, tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({}, (None, 8, 8, 3), "signal on 'P4'.*put a lifting convolution before it"),
        ({}, (None, 8, 8, 8, 3), "group axis of length 4"),
        ({}, (None, 8, 3), "got shape"),
        ({"subgroup": "P4M"}, None, "not a subgroup of group='P4'"),
        ({"keepdims": False}, None, "pool onto the trivial subgroup 'P1'"),
        ({"pool_size": (2, 3)}, None, "pool_size"),
        ({"pool_size": (2, 3), "subgroup": "P1", "keepdims": False}, None, "pool_size=.* that 'P4' exchanges"),
        ({"subgroup": "P1", "keepdims": False}, (None, 7, 7, 4, 3), "breaks equivariance to 'P4' with height 7"),
        ({"strides": (2, 1)}, None, "strides"),
        ({"padding": "causal"}, None, "padding is one of"),
        ({"pool_size": 2}, (None, 7, 8, 4, 3), "with height 7, window 2.*an input size of 6 or 8"),
        ({"pool_size": 2, "strides": 3}, (None, 6, 6, 4, 3), None),
        ({"pool_size": 2, "strides": 5}, (None, 11, 11, 4, 3), "nothing but padding"),
        ({"pool_size": 2, "strides": 3}, (None, None, None, 4, 3), "nothing but padding"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    def build():
        layers.GroupMaxPooling2D(**{"group": "P4", "name": "tested", **kwargs}).build(shape)

    if message is None:
        return build()
    with pytest.raises(ValueError, match=message) as raised:
        build()
    assert "GroupMaxPooling2D (name='tested')" in str(raised.value)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("subgroup", ["P1", "PM"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_mean_of_what_is_not_masked(data_format, subgroup, keepdims, rng):
    """As Keras' mean of sequences; what the masked steps hold does not matter."""
    signal = rng.normal(size=(2, 5, 2, 3)).astype("float32")
    mask = np.array([[True] * 5, [True, False, True, False, False]])
    signal[1, 1] = np.nan
    layer = GLOBAL["Average", 1](group="PM", subgroup=subgroup, keepdims=keepdims, data_format=data_format)
    whole = [_numpy(layer(_in_format(part, data_format))) for part in (signal[:1], signal[1:, [0, 2]])]
    outputs = layer(_in_format(signal, data_format), mask=mask)
    np.testing.assert_allclose(_numpy(outputs), np.concatenate(whole), atol=1e-6)
    plain = keras.layers.GlobalAveragePooling1D()(signal.mean(axis=2), mask=mask)
    if subgroup == "P1" and not keepdims:
        np.testing.assert_allclose(_numpy(outputs), _numpy(plain), atol=1e-6)
    assert layer.supports_masking
    assert layer.compute_mask(signal, mask) is None


def _in_format(signal, data_format):
    return signal if data_format == "channels_last" else np.moveaxis(signal, -1, 1)


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("group", ["PM", "P1"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("stride", range(1, 6))
@pytest.mark.parametrize("pool", range(1, 4))
def test_unknown_sizes_are_refused_only_where_a_size_would_be(pool, stride, padding, group):
    """That is taken otherwise: with windows of nothing but padding."""
    layer = GroupMaxPooling1D(pool, stride, padding, group=group)
    channels = layer.group.order, 2

    def refused(size):
        try:
            layer.compute_output_shape((None, size, *channels))
        except ValueError as error:
            return "nothing but padding" in str(error)
        return False

    assert refused(None) == any(map(refused, range(1, 40)))


@kinds
def test_windows_of_nothing_but_padding_are_refused_in_calls_too(kind, rng):
    """A size learned since the layer was built may need more padding than that with which it was built."""
    layer = POOL[kind, 1](1, strides=3, group="PM")
    assert np.isfinite(keras.ops.convert_to_numpy(layer(_signal(rng, 1, "PM", (7,))))).all()
    with pytest.raises(ValueError, match="nothing but padding"):
        layer(_signal(rng, 1, "PM", (8,)))


def test_global_pooling_of_an_image_is_refused():
    with pytest.raises(ValueError, match=r"GlobalGroupMaxPooling2D.*signal on 'P4'"):
        layers.GlobalGroupMaxPooling2D(group="P4").build((None, 8, 8, 3))
