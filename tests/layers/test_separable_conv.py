"""Separable group convolutions: ordinary group convolutions whose kernel is composed of the factors."""

import keras
import numpy as np
import pytest

from groco.groups import get_group
from groco.layers import GlobalGroupMaxPooling2D, GroupConv1D, GroupConv2D, GroupConv3D, GroupMaxPooling2D
from groco.layers.depthwise_conv import DepthwiseGroupConv2D
from groco.layers.padding import PADDINGS
from groco.layers.separable_conv import (
    FACTORIZATIONS,
    SeparableGroupConv1D,
    SeparableGroupConv2D,
    SeparableGroupConv3D,
)
from groco.testing import assert_equivariant, equivariance_error
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS, PAIRS_3D, SIZES

SEPARABLE = {1: SeparableGroupConv1D, 2: SeparableGroupConv2D, 3: SeparableGroupConv3D}
CONV = {1: GroupConv1D, 2: GroupConv2D, 3: GroupConv3D}
lifting_or_not = pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "group"])
factorizations = pytest.mark.parametrize("factorization", FACTORIZATIONS)


def _random(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def _composed_kernel(layer, group):
    """K(y, h, c, o) by the formulas of the docstring, in loops; without h where `group` is None."""
    size, subgroup = layer.kernel_size, layer.subgroup
    depthwise = layer.depthwise_kernel.numpy()
    if layer.pointwise_kernel is None:
        return depthwise
    pointwise = layer.pointwise_kernel.numpy().reshape(layer.pointwise_kernel.shape[layer.rank :])
    if layer.factorization in ("g", "gc"):  # S, (*size, channels or 1, filters), times P, (|group|, channels, filters)
        spatial = depthwise if group is None else np.expand_dims(depthwise, layer.rank)
        return spatial * pointwise
    channels = pointwise.shape[1] // layer.depth_multiplier
    pointwise = pointwise.reshape(subgroup.order, channels, layer.depth_multiplier, layer.filters)
    kernel = np.zeros((*depthwise.shape[:-1], layer.filters))
    for t, matrix in enumerate(subgroup.matrices):
        for y in np.ndindex(*size):
            source = depthwise[reference.kernel_point(matrix, y, size)]
            if group is not None:
                source = source[[reference.find(group, matrix.T @ h) for h in group.matrices]]
            kernel[y] += np.einsum("...cm,cmo->...co", source, pointwise[t])
    return kernel


def by_definition(layer, inputs, paddings):
    group = layer.group if inputs.ndim == layer.rank + 3 else None
    kernel = _composed_kernel(layer, group)
    out = reference.group_conv(inputs, kernel, group, layer.subgroup, layer.strides, layer.dilation_rate, paddings)
    return out + (layer.bias.numpy() if layer.use_bias else 0.0)


@factorizations
@lifting_or_not
@pytest.mark.parametrize(("ndim", "group", "subgroup"), PAIRS)
def test_is_the_definition_and_equivariant(ndim, group, subgroup, lifting, factorization, rng):
    order = () if lifting else (get_group(group, ndim).order,)
    inputs = rng.normal(size=(1, *SIZES[ndim], *order, 2))
    kwargs = {"factorization": factorization, "depth_multiplier": 2 if factorization == "depthwise" else 1}
    layer = SEPARABLE[ndim](3, 3, group=group, subgroup=subgroup, bias_initializer="normal", dtype="float64", **kwargs)
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    assert outputs.shape[-2:] == (layer.subgroup.order, 3)
    np.testing.assert_allclose(outputs, by_definition(layer, inputs, [(0, 0)] * ndim), atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


@factorizations
@lifting_or_not
@pytest.mark.parametrize(("group", "subgroup"), [("O", "D3_dhw"), ("D4h", "C2v_d_hw"), ("Td", "S4_h"), ("C1", "C1")])
def test_is_the_definition_in_3d(group, subgroup, lifting, factorization, rng):
    order = () if lifting else (get_group(group, 3).order,)
    inputs = rng.normal(size=(1, 3, 2, 4, *order, 2))
    layer = SeparableGroupConv3D(
        2, 2, group=group, subgroup=subgroup, factorization=factorization, bias_initializer="normal", dtype="float64"
    )
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, by_definition(layer, inputs, [(0, 0)] * 3), atol=1e-10)


@factorizations
@pytest.mark.parametrize(("group", "subgroup"), PAIRS_3D[::3] + PAIRS_3D[-1:])
def test_equivariant_on_every_element_in_3d(group, subgroup, factorization, rng):
    layer = SeparableGroupConv3D(
        2, 3, group=group, subgroup=subgroup, factorization=factorization, bias_initializer="normal"
    )
    assert_equivariant(layer, _random(rng, 1, *SIZES[3], layer.group.order, 2))


@factorizations
@lifting_or_not
@pytest.mark.parametrize(
    ("ndim", "group", "subgroup"),
    [(1, "PM", "PM"), (2, "P4M", "P4M"), (2, "P4M", "CMd"), (2, "P4", "P1"), (3, "O", "O"), (3, "Oh", "C3_dhw")],
)
def test_is_the_group_conv_with_the_composed_kernel(ndim, group, subgroup, lifting, factorization, rng):
    order = () if lifting else (get_group(group, ndim).order,)
    inputs = rng.normal(size=(2, *SIZES[ndim], *order, 2))
    kwargs = {"kernel_size": 3, "padding": "same", "group": group, "subgroup": subgroup, "dtype": "float64"}
    layer = SEPARABLE[ndim](3, factorization=factorization, bias_initializer="normal", **kwargs)
    dense = CONV[ndim](3, **kwargs)
    layer.build(inputs.shape)
    dense.build(inputs.shape)
    dense.set_weights([_composed_kernel(layer, None if lifting else layer.group), layer.bias.numpy()])
    np.testing.assert_allclose(*[keras.ops.convert_to_numpy(call(inputs)) for call in (layer, dense)], atol=1e-10)


@lifting_or_not
def test_default_is_a_depthwise_and_a_pointwise_layer(lifting, rng):
    inputs = _random(rng, 1, 6, 7, *(() if lifting else (8,)), 3)
    whole = SeparableGroupConv2D(5, 3, depth_multiplier=2, group="P4M", subgroup="P4", bias_initializer="normal")
    depthwise = DepthwiseGroupConv2D(3, depth_multiplier=2, use_bias=False, group="P4M", subgroup="P4")
    pointwise = GroupConv2D(5, 1, group="P4")
    expected = pointwise(depthwise(inputs))
    whole.build(inputs.shape)
    whole.set_weights([*depthwise.get_weights(), *pointwise.get_weights()])
    np.testing.assert_allclose(*[keras.ops.convert_to_numpy(out) for out in (whole(inputs), expected)], atol=1e-5)


@factorizations
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
def test_strides_dilation_and_padding_are_the_definition(kwargs, size, paddings, factorization, rng):
    kwargs = {"group": "P4M", **kwargs}
    inputs = rng.normal(size=(1, *size, get_group(kwargs["group"], 2).order, 2))
    layer = SeparableGroupConv2D(2, **kwargs, factorization=factorization, dtype="float64", bias_initializer="normal")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, by_definition(layer, inputs, paddings), atol=1e-10)
    assert_equivariant(layer, inputs, tolerance=1e-10)


@factorizations
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("kernel_size", "strides"), [(2, 1), (2, 2), (3, 2), (3, 3)])
@pytest.mark.parametrize(("size", "group"), [((6, 6), "P4"), ((8, 5), "CMd"), ((8, 5), "PMw")])
def test_equivariant_or_refused(padding, kernel_size, strides, size, group, factorization, rng):
    kwargs = {"padding": padding, "strides": strides, "group": group, "factorization": factorization}
    inputs = _random(rng, 1, *size, 2)
    layer = SeparableGroupConv2D(2, kernel_size, **kwargs)
    try:
        layer(inputs)
    except ValueError as error:
        assert "What works" in str(error)
        layer = SeparableGroupConv2D(2, kernel_size, **kwargs, allow_non_equivariance=True)
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
def test_used_like_separable_conv(ndim, kwargs, lifting, rng):
    """The trivial group gives Keras' own layer: the same arguments, weights and numbers."""
    images = _random(rng, 2, *(9, 8)[:ndim], 3)
    plain = getattr(keras.layers, f"SeparableConv{ndim}D")(4, (3, 2)[:ndim], bias_initializer="normal", **kwargs)
    ours = SEPARABLE[ndim](4, (3, 2)[:ndim], group="P1", **kwargs)
    expected = keras.ops.convert_to_numpy(plain(images))
    inputs = images if lifting else np.expand_dims(images, -2)
    ours.build(inputs.shape)
    ours.set_weights([w.reshape(v.shape) for w, v in zip(plain.get_weights(), ours.weights, strict=True)])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(inputs))[..., 0, :], expected, atol=1e-5)
    assert [w.name for w in ours.weights] == [w.name for w in plain.weights]


@pytest.mark.parametrize(
    ("factorization", "shape", "parameters"),
    [
        # k = 3, channels C = 5, filters O = 7, P4M (8 elements) onto P4 (4); multiplier M = 2 where there is one
        ("depthwise", (9, 9, 8, 5), 9 * 8 * 5 * 2 + 4 * 10 * 7),  # k^2 |G| C M + |H| C M O
        ("depthwise", (9, 9, 5), 9 * 5 * 2 + 4 * 10 * 7),  # k^2 C M + |H| C M O
        ("gc", (9, 9, 8, 5), 9 * 7 + 8 * 5 * 7),  # k^2 O + |G| C O
        ("gc", (9, 9, 5), 9 * 7 + 5 * 7),  # k^2 O + C O
        ("g", (9, 9, 8, 5), 9 * 5 * 7 + 8 * 5 * 7),  # k^2 C O + |G| C O
        ("g", (9, 9, 5), 9 * 5 * 7),  # k^2 C O
    ],
)
def test_parameters(factorization, shape, parameters):
    multiplier = 2 if factorization == "depthwise" else 1
    layer = SeparableGroupConv2D(
        7, 3, depth_multiplier=multiplier, factorization=factorization, group="P4M", subgroup="P4"
    )
    layer.build((None, *shape))
    assert layer.count_params() == parameters + 7
    assert layer.compute_output_shape((None, *shape)) == (None, 7, 7, 4, 7)


def test_parameters_of_the_paper():
    """The gc-separable net of width 30 on rotated digits has 24.6k (Lengyel & van Gemert 2021, arXiv 2106.04914).

    That is the reading in which a gc-separable layer has k^2 O + |G| C O weights and a bias of O, the first layer is an
    ordinary lifting convolution, and the 4x4 layer has as many filters as the others, with a linear classifier on top.
    """
    width = 30
    image = keras.Input((28, 28, 1))
    features = GroupConv2D(width, 3, group="P4")(image)
    for kernel_size in (3, 3, 3, 3, 3, 4):
        features = keras.layers.ReLU()(keras.layers.BatchNormalization()(features))
        features = SeparableGroupConv2D(width, kernel_size, group="P4", factorization="gc")(features)
        if features.shape[1] == 24:
            features = GroupMaxPooling2D(2, group="P4")(features)
    features = keras.layers.ReLU()(keras.layers.BatchNormalization()(features))
    outputs = keras.layers.Dense(10)(GlobalGroupMaxPooling2D(group="P4")(features))
    model = keras.Model(image, outputs)
    assert features.shape[1:] == (1, 1, 4, width)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 24_640


@factorizations
@pytest.mark.parametrize(("ndim", "lifting"), [(1, False), (2, True), (2, False), (3, False)])
def test_contract(ndim, lifting, factorization, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    subgroup = {1: "PM", 2: "PMw", 3: "C2_hw"}[ndim]
    order = () if lifting else (get_group(group, ndim).order,)
    kwargs = {
        "filters": 2,
        "kernel_size": 3,
        "strides": 2,
        "padding": "same_equiv",
        "factorization": factorization,
        "depth_multiplier": 2 if factorization == "depthwise" else 1,
        "group": group,
        "subgroup": subgroup,
        "activation": "elu",
        "depthwise_initializer": "he_normal",
        "pointwise_regularizer": "l2",
        "bias_constraint": "max_norm",
    }
    weights = 2 if lifting and factorization == "g" else 3
    check_layer(SEPARABLE[ndim], kwargs, (*(5, 7, 5)[:ndim], *order, 2), trainable_weights=weights, tmp_path=tmp_path)


@factorizations
def test_contract_without_bias_and_with_dilation(factorization, tmp_path):
    kwargs = {
        "filters": 4,
        "kernel_size": 2,
        "group": "P4",
        "use_bias": False,
        "dilation_rate": 2,
        "factorization": factorization,
    }
    check_layer(SeparableGroupConv2D, kwargs, (6, 5, 4, 2), trainable_weights=2, tmp_path=tmp_path)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has graphs without sizes")
@factorizations
@pytest.mark.parametrize("strides", [2, (1, 2)])
def test_graphs_without_sizes(strides, factorization, rng):
    import tensorflow as tf

    layer = SeparableGroupConv2D(3, 3, strides=strides, factorization=factorization, group="P2MM")
    layer.build((None, None, None, 4, 2))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4, 2))])
    for size in ((5, 7), (7, 9)):
        inputs = _random(rng, 2, *size, 4, 2)
        np.testing.assert_allclose(graph(inputs), layer(inputs), atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="breaks equivariance"):
        graph(_random(rng, 1, 7, 6, 4, 2))


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({}, (None, 8, 8), r"needs an image \(batch, height, width, channels\) or a signal on 'P4'.*got shape"),
        ({}, (None, 8, 8, 8, 3), "group axis of length 4.*got shape"),
        ({}, (None, 8, 8, None), "number of channels must be known"),
        ({}, (None, 2, 8, 3), "the height of the input is 2, smaller than the window of 3"),
        ({"factorization": "full"}, None, "factorization is one of depthwise, gc, g, got 'full'"),
        ({"factorization": "gc", "depth_multiplier": 2}, None, "depth_multiplier=2 needs factorization='depthwise'"),
        ({"factorization": "g", "depth_multiplier": 2}, None, "use depth_multiplier=1"),
        ({"filters": 0}, None, "filters"),
        ({"depth_multiplier": 0}, None, "depth_multiplier"),
        ({"group": "P4m"}, None, "Close names: P4M"),
        ({"subgroup": "PMw"}, None, "not a subgroup of group='P4'; use one of P1, P2, P4"),
        ({"kernel_size": (3, 2)}, None, r"kernel_size=\(3, 2\) differs along axes that 'P4' exchanges"),
        ({"strides": 2, "dilation_rate": 2}, None, "cannot both be above 1"),
        ({"padding": "causal"}, None, "padding is one of valid_equiv, same_equiv, valid, same"),
        ({"padding": "same", "kernel_size": 2}, (None, 8, 8, 3), "What works: padding='same_equiv'"),
        ({"padding": "valid", "strides": 2}, (None, 8, 9, 3), "with height 8.*What works: an input size of 7 or 9"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    arguments = {"filters": 2, "kernel_size": 3, "group": "P4", "name": "tested", **kwargs}
    with pytest.raises(ValueError, match=message) as raised:
        SeparableGroupConv2D(**arguments).build(shape)
    assert "SeparableGroupConv2D (name='tested')" in str(raised.value)


def test_group_is_asked_for():
    with pytest.raises(
        TypeError, match=r"SeparableGroupConv2D \(name='own'\): it needs group=, .*'P4' for quarter turns"
    ):
        SeparableGroupConv2D(2, 3, name="own")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only its graphs have unknown sizes")
@factorizations
def test_graphs_without_channels(factorization, rng):
    """A data set may know the rank of its images alone; the layers are built and know the rest."""
    import tensorflow as tf

    model = keras.Sequential(
        [
            SeparableGroupConv2D(4, 3, group="P4", factorization=factorization),
            DepthwiseGroupConv2D(3, group="P4", depth_multiplier=2),
            GroupConv2D(4, 1, group="P4", groups=2),
        ]
    )
    images = rng.normal(size=(2, 9, 9, 3)).astype("float32")
    expected = model(images)
    graph = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, None))])
    np.testing.assert_allclose(graph(images), expected, atol=1e-5)
