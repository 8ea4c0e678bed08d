"""Group convolutions: they are the definition, they are equivariant, and they refuse what cannot be."""

import keras
import numpy as np
import pytest

from groco import layers
from groco.groups import get_group, list_groups
from groco.layers import GroupConv1D, GroupConv2D, GroupConv2DTranspose, GroupConv3D
from groco.layers.padding import PADDINGS
from groco.testing import assert_equivariant, equivariance_error
from tests.layers import reference
from tests.layers.contract import check_layer

CONV = {1: GroupConv1D, 2: GroupConv2D, 3: GroupConv3D}
SIZES = {1: (7,), 2: (5, 7), 3: (3, 5, 4)}
PAIRS = [
    (ndim, group, subgroup.name)
    for ndim in (1, 2)
    for group in list_groups(ndim)
    for subgroup in get_group(group, ndim).subgroups
]
# In 3-D: every group as itself, and Oh onto one subgroup of each conjugacy class, which are all there are.
PAIRS_3D = [("Oh", family[-1].name) for family in get_group("Oh", 3).subgroup_classes]


def _random(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def _by_definition(layer, inputs, paddings):
    """What the layer should give, with its own kernel and the given paddings."""
    rank = layer.rank
    out = reference.group_conv(
        inputs,
        layer.kernel.numpy(),
        layer.group if inputs.ndim == rank + 3 else None,
        layer.subgroup,
        layer.strides,
        layer.dilation_rate,
        paddings,
    )
    return out + layer.bias.numpy()


@pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "group"])
@pytest.mark.parametrize(("ndim", "group", "subgroup"), PAIRS)
def test_is_the_definition(ndim, group, subgroup, lifting, rng):
    order = () if lifting else (get_group(group, ndim).order,)
    inputs = rng.normal(size=(2, *SIZES[ndim], *order, 2))
    layer = CONV[ndim](3, 3, group=group, subgroup=subgroup, bias_initializer="normal", dtype="float64")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, _by_definition(layer, inputs, [(0, 0)] * ndim), atol=1e-10)


@pytest.mark.parametrize(("group", "subgroup"), [("Oh", "Oh"), ("O", "D3_dhw"), ("D4h", "C2v_d_hw"), ("Td", "S4_h")])
@pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "group"])
def test_is_the_definition_in_3d(group, subgroup, lifting, rng):
    order = () if lifting else (get_group(group, 3).order,)
    inputs = rng.normal(size=(1, 3, 2, 4, *order, 2))
    layer = GroupConv3D(2, 2, group=group, subgroup=subgroup, bias_initializer="normal", dtype="float64")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, _by_definition(layer, inputs, [(0, 0)] * 3), atol=1e-10)


@pytest.mark.parametrize(
    ("kwargs", "size", "paddings"),
    [
        # (what is asked, height and width, what must be padded)
        ({"kernel_size": 3, "padding": "same"}, (5, 6), [(1, 1), (1, 1)]),
        ({"kernel_size": 2, "padding": "same_equiv"}, (5, 6), [(1, 1), (1, 1)]),
        ({"kernel_size": 3, "strides": 2, "padding": "same_equiv"}, (5, 7), [(1, 1), (1, 1)]),
        ({"kernel_size": 3, "strides": 2, "padding": "same"}, (5, 7), [(1, 1), (1, 1)]),
        ({"kernel_size": 3, "strides": 3, "padding": "valid_equiv"}, (6, 7), [(0, 0), (1, 1)]),
        ({"kernel_size": 2, "strides": 3, "padding": "valid_equiv"}, (6, 7), [(1, 1), (2, 2)]),
        ({"kernel_size": 2, "strides": 3, "padding": "same_equiv"}, (6, 7), [(1, 1), (2, 2)]),
        ({"kernel_size": 4, "strides": 2, "padding": "valid_equiv"}, (6, 8), [(0, 0), (0, 0)]),
        ({"kernel_size": 3, "dilation_rate": 2, "padding": "same"}, (6, 7), [(2, 2), (2, 2)]),
        ({"kernel_size": 2, "dilation_rate": 3, "padding": "same_equiv"}, (6, 7), [(2, 2), (2, 2)]),
        ({"kernel_size": 2, "dilation_rate": 2, "padding": "valid"}, (6, 7), [(0, 0), (0, 0)]),
    ],
)
def test_strides_dilation_and_padding_are_the_definition(kwargs, size, paddings, rng):
    inputs = rng.normal(size=(1, *size, 8, 2))
    layer = GroupConv2D(2, group="P4M", dtype="float64", bias_initializer="normal", **kwargs)
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    expected = _by_definition(layer, inputs, paddings)
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(outputs, expected, atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


def test_channel_groups_are_separate_convolutions(rng):
    """Keras' `groups` splits channels, not orientations."""
    inputs = rng.normal(size=(1, 5, 5, 4, 6))
    layer = GroupConv2D(4, 3, group="P4", groups=2, dtype="float64")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    kernel = layer.kernel.numpy()
    for part in range(2):
        single = GroupConv2D(2, 3, group="P4", dtype="float64")
        single.build((1, 5, 5, 4, 3))
        single.kernel.assign(kernel[..., 2 * part : 2 * part + 2])
        expected = keras.ops.convert_to_numpy(single(inputs[..., 3 * part : 3 * part + 3]))
        np.testing.assert_allclose(outputs[..., 2 * part : 2 * part + 2], expected, atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)
    lifting = GroupConv2D(4, 3, group="P4M", groups=3 - 1, dtype="float64")
    assert_equivariant(lifting, inputs[:, :, :, 0], tolerance=1e-10)


@pytest.mark.parametrize(("ndim", "group", "subgroup"), [*PAIRS, *[(3, *pair) for pair in PAIRS_3D]])
def test_equivariant_on_every_element(ndim, group, subgroup, rng):
    order = get_group(group, ndim).order
    lifting = CONV[ndim](2, 3, group=group, subgroup=subgroup)
    assert_equivariant(lifting, _random(rng, 1, *SIZES[ndim], 2))
    layer = CONV[ndim](2, 3, padding="same", group=group, subgroup=subgroup, bias_initializer="normal")
    assert_equivariant(layer, _random(rng, 1, *SIZES[ndim], order, 2))


@pytest.mark.parametrize("group", list_groups(3))
def test_every_group_of_space(group, rng):
    layer = GroupConv3D(1, 2, group=group, bias_initializer="normal")
    assert_equivariant(layer, _random(rng, 1, 2, 4, 3, layer.group.order, 1))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(6, 6), (7, 7), (8, 5)])
@pytest.mark.parametrize("group", ["P4", "P2MM", "CMd", "PMw", "P1"])
def test_equivariant_or_refused(padding, strides, kernel_size, size, group, rng):
    """Never a third outcome; and what is refused really is not equivariant."""
    kwargs = {"padding": padding, "strides": strides, "group": group, "bias_initializer": "normal"}
    inputs = _random(rng, 1, *size, 2)
    layer = GroupConv2D(2, kernel_size, **kwargs)
    try:
        layer(inputs)
    except ValueError as error:
        assert "What works" in str(error)
        layer = GroupConv2D(2, kernel_size, **kwargs, allow_non_equivariance=True)
        assert equivariance_error(layer, inputs) > 1e-2
    else:
        assert_equivariant(layer, inputs)


def test_refusals_are_as_rare_as_can_be():
    """The issue's exact choices at 32: kernel 2 or 4 with stride 2; a 3x3 stride-2 convolution needs 31 or 33."""
    for kernel, size, works in [(2, 32, True), (4, 32, True), (3, 32, False), (3, 31, True), (3, 33, True)]:
        layer = GroupConv2D(1, kernel, strides=2, padding="same_equiv", group="P4M")
        if works:
            layer.build((None, size, size, 1))
        else:
            with pytest.raises(ValueError, match="an input size of 31 or 33"):
                layer.build((None, size, size, 1))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "group"])
def test_contract(ndim, lifting, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    subgroup = {1: "PM", 2: "PMw", 3: "C2_hw"}[ndim]
    order = () if lifting else (get_group(group, ndim).order,)
    kwargs = {
        "filters": 2,
        "kernel_size": 3,
        "strides": 2,
        "padding": "same_equiv",
        "group": group,
        "subgroup": subgroup,
        "activation": "elu",
        "kernel_regularizer": "l2",
        "bias_constraint": "max_norm",
    }
    check_layer(CONV[ndim], kwargs, (*(5, 7, 5)[:ndim], *order, 2), trainable_weights=2, tmp_path=tmp_path)


def test_contract_without_bias_and_with_channel_groups(tmp_path):
    kwargs = {"filters": 4, "kernel_size": 2, "groups": 2, "group": "P4", "use_bias": False, "dilation_rate": 2}
    check_layer(GroupConv2D, kwargs, (6, 5, 4, 2), trainable_weights=1, tmp_path=tmp_path)


def test_used_like_conv2d(rng):
    """The trivial group gives Keras' own convolution: the same arguments, weights and numbers."""
    images = _random(rng, 2, 9, 8, 3)
    for kwargs in ({"padding": "same"}, {"padding": "valid", "strides": 2}, {"padding": "same", "strides": (2, 3)}):
        plain = keras.layers.Conv2D(4, (3, 2), activation="relu", **kwargs)
        ours = GroupConv2D(4, (3, 2), activation="relu", group="P1", **kwargs)
        expected = keras.ops.convert_to_numpy(plain(images))
        ours.build(images.shape)
        ours.set_weights(plain.get_weights())
        np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(images))[..., 0, :], expected, atol=1e-5)


def test_fan_in_is_the_true_one():
    """Issue: initialisers scaled by |G_in| k^d C_in."""
    layer = GroupConv2D(
        64, 3, group="P4M", kernel_initializer=keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
    )
    layer.build((None, 8, 8, 8, 32))
    assert np.std(layer.kernel.numpy()) == pytest.approx((8 * 9 * 32) ** -0.5, rel=0.02)
    variance_in = GroupConv2D(64, 3, group="P4M", kernel_initializer="he_normal")
    variance_in.build((None, 8, 8, 3))
    assert np.std(variance_in.kernel.numpy()) == pytest.approx((2 / (9 * 3)) ** 0.5, rel=0.1)


def test_parameters_and_shape():
    layer = GroupConv2D(10, 3, group="P4", subgroup="P2")
    layer.build((None, 8, 8, 4, 5))
    assert layer.kernel.shape == (3, 3, 4, 5, 10)
    assert layer.bias.shape == (10,)
    assert layer.compute_output_shape((None, 8, None, 4, 5)) == (None, 6, None, 2, 10)


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({}, (None, 8, 8), r"needs an image \(batch, height, width, channels\) or a signal on 'P4'.*got shape"),
        ({}, (None, 8, 8, 4, 3, 2), "got shape"),
        ({}, (None, 8, 8, 8, 3), "group axis of length 4.*got shape"),
        ({}, (None, 8, 8, None), "number of channels must be known"),
        ({}, (None, 2, 8, 3), "the height of the input is 2, smaller than the window of 3"),
        ({"group": "P4m"}, None, "Close names: P4M"),
        ({"group": "Oh"}, None, "There is one in 3-D"),
        ({"subgroup": "PMw"}, None, "not a subgroup of group='P4'; use one of P1, P2, P4"),
        ({"kernel_size": (3, 2)}, None, r"kernel_size=\(3, 2\) differs along axes that 'P4' exchanges"),
        ({"strides": (1, 2)}, None, "strides"),
        ({"dilation_rate": (1, 2)}, None, "dilation_rate"),
        ({"strides": 2, "dilation_rate": 2}, None, "cannot both be above 1"),
        ({"padding": "full"}, None, "padding is one of valid_equiv, same_equiv, valid, same"),
        ({"padding": "causal"}, None, "padding is one of"),
        ({"data_format": "channels"}, None, "data_format"),
        ({"filters": 0}, None, "filters is an int, at least 1, got 0"),
        ({"filters": (2, 2)}, None, r"filters is an int, at least 1, got \(2, 2\)"),
        ({"groups": 0.5}, None, "groups is an int, at least 1, got 0.5"),
        ({"filters": 4, "groups": 3}, None, "not a multiple of groups=3"),
        ({"groups": 2}, (None, 8, 8, 3), "the input has 3 channels, not a multiple of groups=2"),
        ({"kernel_size": 0}, None, "kernel_size"),
        ({"kernel_size": (3, 3, 3)}, None, "kernel_size is an int or 2 ints"),
        ({"padding": "same", "kernel_size": 2}, (None, 8, 8, 3), "What works: padding='same_equiv'"),
        ({"padding": "valid", "strides": 2}, (None, 8, 9, 3), "with height 8.*What works: an input size of 7 or 9"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    arguments = {"filters": 2, "kernel_size": 3, "group": "P4", "name": "tested", **kwargs}
    with pytest.raises(ValueError, match=message) as raised:
        GroupConv2D(**arguments).build(shape)
    assert "GroupConv2D (name='tested')" in str(raised.value)


def test_group_is_asked_for():
    with pytest.raises(TypeError, match=r"GroupConv2D \(name='own'\): it needs group=, .*'P4' for quarter turns"):
        GroupConv2D(2, 3, name="own")


def test_rectangular_kernels_where_the_group_allows(rng):
    layer = GroupConv2D(2, (3, 2), strides=(2, 1), group="P2MM")
    assert_equivariant(layer, _random(rng, 1, 7, 6, 2))


def test_sizes_learned_at_run_time(rng):
    """A model for any size is exact on the sizes that can be, and raises on the others instead of breaking."""
    image = keras.Input((None, None, 1))
    model = keras.Model(image, GroupConv2D(2, 3, strides=2, group="P4")(image))
    assert model.output_shape == (None, None, None, 4, 2)
    for size in ((7, 7), (9, 5)):
        assert_equivariant(model, _random(rng, 1, *size, 1), "P4")
    with pytest.raises(Exception, match="breaks equivariance"):
        model(_random(rng, 1, 8, 8, 1))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has graphs without sizes")
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_graphs_without_sizes(padding, strides, rng):
    import tensorflow as tf

    layer = GroupConv2D(2, 3, strides=strides, padding=padding, group="P4")
    layer.build((None, None, None, 1))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 1))])
    for size in ((5, 7), (6, 6), (7, 8), (8, 9)):
        inputs = _random(rng, 1, *size, 1)
        try:
            expected = layer(inputs)
        except ValueError:
            with pytest.raises(tf.errors.InvalidArgumentError, match="breaks equivariance"):
                graph(inputs)
        else:
            np.testing.assert_allclose(graph(inputs), expected, atol=1e-5)


class _ByShape(keras.initializers.HeNormal):
    """One of a user's, that needs the shape of the kernel."""

    def __call__(self, shape, dtype=None):
        height, width, *_ = shape
        return height / width * super().__call__(shape, dtype)


@pytest.mark.parametrize(
    "initializer",
    [
        keras.initializers.GlorotUniform(1),
        keras.initializers.HeNormal(1),
        keras.initializers.VarianceScaling(2.0, "fan_in", seed=1, input_axes=(0, 1), output_axes=(2,)),
        keras.initializers.RandomUniform(seed=1),
        keras.initializers.Orthogonal(seed=1),
        _ByShape(seed=1),
    ],
)
def test_initial_kernels_are_those_that_keras_draws(initializer):
    layer = GroupConv2D(5, 3, group="P4", kernel_initializer=initializer)
    layer.build((None, 8, 8, 4, 2))
    expected = initializer((3, 3, 4, 2, 5))
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (layer.kernel, expected)))


@pytest.mark.parametrize("cls", [GroupConv2D, GroupConv2DTranspose])
def test_activations_that_are_layers_see_the_format_of_the_layer(cls, rng):
    """Slopes are shared over points and elements as their axes say; functions see channels in the last axis."""
    signal = rng.normal(size=(2, 3, 6, 6, 4)).astype("float32")  # channels first
    slopes = keras.layers.PReLU(alpha_initializer="random_normal", shared_axes=[2, 3, 4])
    layer = cls(5, 3, padding="same", group="P4", data_format="channels_first", activation=slopes)
    assert_equivariant(layer, signal, tolerance=1e-5)
    assert slopes.alpha.shape == (5, 1, 1, 1)
    softmax = cls(5, 3, padding="same", group="P4", data_format="channels_first", activation="softmax")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(softmax(signal)).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("layer", [layers.GroupConv3D, layers.GroupConv3DTranspose, layers.DepthwiseGroupConv3D])
def test_softmax_of_volumes(layer, data_format, rng):
    """Which have more axes than TensorFlow's own softmax takes on a CPU."""
    filters = {} if layer is layers.DepthwiseGroupConv3D else {"filters": 3}
    made = layer(**filters, kernel_size=3, group="C4", activation="softmax", data_format=data_format)
    shape = (2, 4, 4, 4, 3) if data_format == "channels_last" else (2, 3, 4, 4, 4)
    volumes = rng.normal(size=shape).astype("float32")
    outputs = keras.ops.convert_to_numpy(made(volumes))
    made.activation = keras.activations.linear
    axis = -1 if data_format == "channels_last" else 1
    powers = np.exp(keras.ops.convert_to_numpy(made(volumes)))
    np.testing.assert_allclose(outputs, powers / powers.sum(axis, keepdims=True), atol=1e-5)
