"""Depthwise group convolutions: they are the definition channel by channel, and Keras' own for the trivial group."""

import keras
import numpy as np
import pytest

from groco.groups import get_group
from groco.layers import GroupConv2D
from groco.layers.depthwise_conv import (
    DepthwiseGroupConv1D,
    DepthwiseGroupConv2D,
    DepthwiseGroupConv3D,
    channelwise_conv,
    depthwise_conv,
)
from groco.layers.padding import PADDINGS
from groco.testing import assert_equivariant, equivariance_error
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS, PAIRS_3D, SIZES

DEPTHWISE = {1: DepthwiseGroupConv1D, 2: DepthwiseGroupConv2D, 3: DepthwiseGroupConv3D}
lifting_or_not = pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "group"])


def _random(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def by_definition(layer, inputs, paddings):
    """The group convolution of each channel by itself, one after the other: c, m is c * depth_multiplier + m."""
    kernel = layer.kernel.numpy()
    group = layer.group if inputs.ndim == layer.rank + 3 else None
    out = [
        reference.group_conv(
            inputs[..., c : c + 1],
            kernel[..., c : c + 1, :],
            group,
            layer.subgroup,
            layer.strides,
            layer.dilation_rate,
            paddings,
        )
        for c in range(inputs.shape[-1])
    ]
    return np.concatenate(out, axis=-1) + (layer.bias.numpy() if layer.use_bias else 0.0)


@lifting_or_not
@pytest.mark.parametrize(("ndim", "group", "subgroup"), PAIRS)
def test_is_the_definition_and_equivariant(ndim, group, subgroup, lifting, rng):
    order = () if lifting else (get_group(group, ndim).order,)
    inputs = rng.normal(size=(2, *SIZES[ndim], *order, 3))
    kwargs = {"depth_multiplier": 2, "group": group, "subgroup": subgroup, "bias_initializer": "normal"}
    layer = DEPTHWISE[ndim](3, **kwargs, dtype="float64")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    assert outputs.shape[-2:] == (layer.subgroup.order, 6)
    np.testing.assert_allclose(outputs, by_definition(layer, inputs, [(0, 0)] * ndim), atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


@lifting_or_not
@pytest.mark.parametrize(("group", "subgroup"), [("Oh", "D3_dhw"), ("Td", "S4_h"), ("D4h", "C2v_d_hw"), ("C1", "C1")])
def test_is_the_definition_in_3d(group, subgroup, lifting, rng):
    order = () if lifting else (get_group(group, 3).order,)
    inputs = rng.normal(size=(1, 3, 2, 4, *order, 3))
    layer = DepthwiseGroupConv3D(2, group=group, subgroup=subgroup, bias_initializer="normal", dtype="float64")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, by_definition(layer, inputs, [(0, 0)] * 3), atol=1e-10)


@pytest.mark.parametrize(("group", "subgroup"), PAIRS_3D)
def test_equivariant_on_every_element_in_3d(group, subgroup, rng):
    layer = DepthwiseGroupConv3D(3, group=group, subgroup=subgroup, bias_initializer="normal")
    assert_equivariant(layer, _random(rng, 1, *SIZES[3], layer.group.order, 2))


@pytest.mark.parametrize(
    ("kwargs", "size", "paddings"),
    [
        # (what is asked, height and width, what must be padded)
        ({"kernel_size": 3, "padding": "same"}, (5, 6), [(1, 1), (1, 1)]),
        ({"kernel_size": 2, "padding": "same_equiv"}, (5, 6), [(1, 1), (1, 1)]),
        ({"kernel_size": 3, "strides": 2, "padding": "same_equiv"}, (5, 7), [(1, 1), (1, 1)]),
        ({"kernel_size": 3, "strides": 3, "padding": "valid_equiv"}, (6, 7), [(0, 0), (1, 1)]),
        ({"kernel_size": 4, "strides": 2, "padding": "valid_equiv"}, (6, 8), [(0, 0), (0, 0)]),
        ({"kernel_size": 3, "dilation_rate": 2, "padding": "same"}, (6, 7), [(2, 2), (2, 2)]),
        ({"kernel_size": 2, "dilation_rate": 2, "padding": "valid"}, (6, 7), [(0, 0), (0, 0)]),
        ({"kernel_size": (3, 2), "strides": (2, 1), "group": "P2MM"}, (7, 6), [(0, 0), (0, 0)]),
    ],
)
@lifting_or_not
def test_strides_dilation_and_padding_are_the_definition(kwargs, size, paddings, lifting, rng):
    kwargs = {"group": "P4M", **kwargs}
    order = () if lifting else (get_group(kwargs["group"], 2).order,)
    inputs = rng.normal(size=(1, *size, *order, 2))
    layer = DepthwiseGroupConv2D(**kwargs, dtype="float64", bias_initializer="normal")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, by_definition(layer, inputs, paddings), atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


@pytest.mark.parametrize("group", ["C1", "D2h"])
def test_strides_in_3d_are_the_definition(group, rng):
    """Unequal strides, and dilation, in more dimensions than TensorFlow has a depthwise convolution for."""
    for kwargs in ({"strides": (1, 2, 3)}, {"dilation_rate": (2, 1, 2)}):
        layer = DepthwiseGroupConv3D((2, 3, 1), **kwargs, padding="valid", group=group, dtype="float64")
        inputs = rng.normal(size=(1, 4, 5, 4, layer.group.order, 2))
        outputs = keras.ops.convert_to_numpy(layer(inputs))
        np.testing.assert_allclose(outputs, by_definition(layer, inputs, [(0, 0)] * 3), atol=1e-10)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [2, 3])
@pytest.mark.parametrize("size", [(6, 6), (8, 5)])
@pytest.mark.parametrize("group", ["P4", "P2MM", "CMd", "PMw"])
def test_equivariant_or_refused(padding, strides, kernel_size, size, group, rng):
    kwargs = {"padding": padding, "strides": strides, "group": group, "bias_initializer": "normal"}
    inputs = _random(rng, 1, *size, 2)
    layer = DepthwiseGroupConv2D(kernel_size, **kwargs)
    try:
        layer(inputs)
    except ValueError as error:
        assert "What works" in str(error)
        layer = DepthwiseGroupConv2D(kernel_size, **kwargs, allow_non_equivariance=True)
        assert equivariance_error(layer, inputs) > 1e-2
    else:
        assert_equivariant(layer, inputs)


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"padding": "same"},
        {"padding": "valid", "strides": 2},
        {"padding": "same", "dilation_rate": 2},
        {"depth_multiplier": 3, "padding": "valid", "activation": "relu"},
    ],
)
@lifting_or_not
def test_used_like_depthwise_conv(ndim, kwargs, lifting, rng):
    """The trivial group gives Keras' own layer: the same arguments, weights and numbers."""
    images = _random(rng, 2, *(9, 8)[:ndim], 3)
    plain = getattr(keras.layers, f"DepthwiseConv{ndim}D")((3, 2)[:ndim], bias_initializer="normal", **kwargs)
    ours = DEPTHWISE[ndim]((3, 2)[:ndim], group="P1", **kwargs)
    expected = keras.ops.convert_to_numpy(plain(images))
    inputs = images if lifting else np.expand_dims(images, -2)
    ours.build(inputs.shape)
    ours.set_weights([w.reshape(v.shape) for w, v in zip(plain.get_weights(), ours.weights, strict=True)])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(inputs))[..., 0, :], expected, atol=1e-5)
    assert [w.name for w in ours.weights] == [w.name for w in plain.weights]


@lifting_or_not
def test_is_a_group_conv_with_as_many_groups_as_channels(lifting, rng):
    inputs = rng.normal(size=(1, 5, 6, *(() if lifting else (8,)), 3))
    ours = DepthwiseGroupConv2D(3, depth_multiplier=2, group="P4M", subgroup="P4", dtype="float64")
    grouped = GroupConv2D(6, 3, groups=3, group="P4M", subgroup="P4", dtype="float64")
    expected = keras.ops.convert_to_numpy(grouped(inputs))
    ours.build(inputs.shape)
    ours.set_weights([w.reshape(v.shape) for w, v in zip(grouped.get_weights(), ours.weights, strict=True)])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(inputs)), expected, atol=1e-10)


@pytest.mark.parametrize("channels", [1, 32, 33, 70])
def test_channels_in_blocks(channels, rng):
    """More channels than one dense convolution takes, the last block full or not."""
    inputs = rng.normal(size=(1, 3, 4, 4, channels))
    layer = DepthwiseGroupConv2D(2, group="P4", dtype="float64")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, by_definition(layer, inputs, [(0, 0)] * 2), atol=1e-10)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_two_ways_to_convolve_channels_agree(rank, rng):
    strides = (1, 2, 1)[:rank]
    inputs, kernel = rng.normal(size=(2, *(5, 6, 4)[:rank], 3)), rng.normal(size=(*(3, 2, 2)[:rank], 3, 2))
    one = depthwise_conv(inputs, kernel, strides, "valid", (1,) * rank)
    inputs, kernel = (keras.ops.convert_to_tensor(np.expand_dims(a, -2 - i)) for i, a in enumerate((inputs, kernel)))
    other = channelwise_conv(inputs, kernel, strides, "valid", (1,) * rank)
    np.testing.assert_allclose(*[keras.ops.convert_to_numpy(out) for out in (one, other)], atol=1e-10)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@lifting_or_not
def test_contract(ndim, lifting, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    subgroup = {1: "PM", 2: "PMw", 3: "C2_hw"}[ndim]
    order = () if lifting else (get_group(group, ndim).order,)
    kwargs = {
        "kernel_size": 3,
        "strides": 2,
        "padding": "same_equiv",
        "depth_multiplier": 2,
        "group": group,
        "subgroup": subgroup,
        "activation": "elu",
        "depthwise_regularizer": "l2",
        "bias_constraint": "max_norm",
    }
    check_layer(DEPTHWISE[ndim], kwargs, (*(5, 7, 5)[:ndim], *order, 2), trainable_weights=2, tmp_path=tmp_path)


def test_contract_without_bias_and_with_dilation(tmp_path):
    kwargs = {"kernel_size": 2, "group": "P4", "use_bias": False, "dilation_rate": 2}
    check_layer(DepthwiseGroupConv2D, kwargs, (6, 5, 4, 2), trainable_weights=1, tmp_path=tmp_path)


def test_parameters_and_shape():
    layer = DepthwiseGroupConv2D(3, depth_multiplier=2, group="P4", subgroup="P2")
    layer.build((None, 8, 8, 4, 5))
    assert layer.kernel.shape == (3, 3, 4, 5, 2)
    assert layer.bias.shape == (10,)
    assert layer.compute_output_shape((None, 8, None, 4, 5)) == (None, 6, None, 2, 10)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has graphs without sizes")
@pytest.mark.parametrize("strides", [1, 2, (1, 2)])
@lifting_or_not
def test_graphs_without_sizes(strides, lifting, rng):
    import tensorflow as tf

    order = () if lifting else (4,)
    layer = DepthwiseGroupConv2D(3, strides=strides, group="P2MM")
    layer.build((None, None, None, *order, 2))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, *order, 2))])
    for size in ((5, 7), (7, 9)):
        inputs = _random(rng, 2, *size, *order, 2)
        np.testing.assert_allclose(graph(inputs), layer(inputs), atol=1e-5)
    if strides == 2:
        with pytest.raises(tf.errors.InvalidArgumentError, match="breaks equivariance"):
            graph(_random(rng, 1, 6, 7, *order, 2))


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({}, (None, 8, 8), r"needs an image \(batch, height, width, channels\) or a signal on 'P4'.*got shape"),
        ({}, (None, 8, 8, 8, 3), "group axis of length 4.*got shape"),
        ({}, (None, 8, 8, None), "number of channels must be known"),
        ({}, (None, 2, 8, 3), "the height of the input is 2, smaller than the window of 3"),
        ({"group": "P4m"}, None, "Close names: P4M"),
        ({"subgroup": "PMw"}, None, "not a subgroup of group='P4'; use one of P1, P2, P4"),
        ({"kernel_size": (3, 2)}, None, r"kernel_size=\(3, 2\) differs along axes that 'P4' exchanges"),
        ({"strides": (1, 2)}, None, "strides"),
        ({"dilation_rate": (1, 2)}, None, "dilation_rate"),
        ({"strides": 2, "dilation_rate": 2}, None, "cannot both be above 1"),
        ({"padding": "causal"}, None, "padding is one of valid_equiv, same_equiv, valid, same"),
        ({"data_format": "channels"}, None, "data_format"),
        ({"depth_multiplier": 0}, None, "depth_multiplier is an int, at least 1, got 0"),
        ({"depth_multiplier": 1.5}, None, "depth_multiplier"),
        ({"kernel_size": 0}, None, "kernel_size"),
        ({"padding": "same", "kernel_size": 2}, (None, 8, 8, 3), "What works: padding='same_equiv'"),
        ({"padding": "valid", "strides": 2}, (None, 8, 9, 3), "with height 8.*What works: an input size of 7 or 9"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    arguments = {"kernel_size": 3, "group": "P4", "name": "tested", **kwargs}
    with pytest.raises(ValueError, match=message) as raised:
        DepthwiseGroupConv2D(**arguments).build(shape)
    assert "DepthwiseGroupConv2D (name='tested')" in str(raised.value)


def test_group_is_asked_for():
    with pytest.raises(
        TypeError, match=r"DepthwiseGroupConv2D \(name='own'\): it needs group=, .*'P4' for quarter turns"
    ):
        DepthwiseGroupConv2D(3, name="own")
