"""Dense layers on the point group: they are the definition, and equivariant."""

import keras
import numpy as np
import pytest

from groco.groups import get_group, list_groups
from groco.layers.conv import GroupConv2D
from groco.layers.dense import GroupDense
from groco.layers.global_pooling import GlobalGroupAveragePooling1D, GlobalGroupAveragePooling2D
from groco.layers.lifting import GroupLifting1D
from groco.testing import assert_equivariant
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS, PAIRS_3D


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def by_definition(fibre, kernel, group, subgroup):
    """out(g) = sum over h of f(h) k(g^-1 h), the elements as matrices."""
    out = np.zeros((*fibre.shape[:-2], subgroup.order, kernel.shape[-1]))
    for g, matrix in enumerate(subgroup.matrices):
        for h, other in enumerate(group.matrices):
            out[..., g, :] += fibre[..., h, :] @ kernel[reference.find(group, matrix.T @ other)]
    return out


def _permuted(fibre, on, group, element):
    """(g f)(h) = f(g^-1 h), f on the group `on`, g in `group`."""
    source = [reference.find(on, group.matrices[element].T @ h) for h in on.matrices]
    return fibre[..., source, :]


@pytest.mark.parametrize(("ndim", "group", "subgroup"), [*PAIRS, *[(3, *pair) for pair in PAIRS_3D]])
def test_is_the_definition_and_equivariant(ndim, group, subgroup, rng):
    group, subgroup = get_group(group, ndim), get_group(subgroup, ndim)
    fibre = rng.normal(size=(2, group.order, 3))
    layer = GroupDense(4, group=group, subgroup=subgroup, bias_initializer="normal", dtype="float64")
    outputs = _numpy(layer(fibre))
    expected = by_definition(fibre, _numpy(layer.kernel), group, subgroup) + _numpy(layer.bias)
    np.testing.assert_allclose(outputs, expected, atol=1e-10)
    for element in range(subgroup.order):
        turned = _numpy(layer(_permuted(fibre, group, subgroup, element)))
        np.testing.assert_allclose(turned, _permuted(outputs, subgroup, subgroup, element), atol=1e-10)


@pytest.mark.parametrize("group", list_groups(3))
def test_every_group_of_space(group, rng):
    group = get_group(group, 3)
    fibre = rng.normal(size=(1, group.order, 2))
    layer = GroupDense(2, group=group, activation="sigmoid", dtype="float64")
    outputs = _numpy(layer(fibre))
    for element in range(group.order):
        turned = _numpy(layer(_permuted(fibre, group, group, element)))
        np.testing.assert_allclose(turned, _permuted(outputs, group, group, element), atol=1e-10)


@pytest.mark.parametrize("subgroup", ["P4M", "PMw", "CMd", "P4"])
def test_on_a_grid_it_is_the_convolution_of_size_1(subgroup, rng):
    signal = rng.normal(size=(2, 3, 4, 8, 2))
    layer = GroupDense(3, group="P4M", subgroup=subgroup, bias_initializer="normal", dtype="float64")
    conv = GroupConv2D(3, 1, group="P4M", subgroup=subgroup, dtype="float64")
    conv.build(signal.shape)
    layer.build(signal.shape)
    conv.kernel.assign(layer.kernel[None, None])
    conv.bias.assign(layer.bias)
    np.testing.assert_allclose(_numpy(layer(signal)), _numpy(conv(signal)), atol=1e-10)
    assert_equivariant(layer, signal, tolerance=1e-10)


def test_the_head_of_a_net(rng):
    """The grid is pooled, the group is not: a fibre, and after a coset pooling an invariant."""
    image = keras.Input((None, None, 1))
    signal = GroupConv2D(3, 3, group="P4M", activation="relu")(image)
    fibre = GlobalGroupAveragePooling2D(group="P4M", subgroup="P4M")(signal)
    fibre = GroupDense(5, activation="relu", group="P4M")(fibre)
    fibre = GroupDense(4, group="P4M", subgroup="PMw", bias_initializer="normal")(fibre)
    model = keras.Model(image, fibre)
    assert model.output_shape == (None, 2, 4)
    inputs = rng.normal(size=(2, 6, 5, 1)).astype("float32")
    assert_equivariant(model, inputs, "PMw", output_group="PMw")
    invariant = keras.Model(image, keras.ops.max(fibre, axis=1))
    assert_equivariant(invariant, inputs, "PMw", output="invariant")


def test_of_the_trivial_group_it_is_keras_own(rng):
    features = rng.normal(size=(3, 1, 5)).astype("float32")
    plain = keras.layers.Dense(4, activation="relu", bias_initializer="normal")
    expected = _numpy(plain(features))
    layer = GroupDense(4, activation="relu", group="P1", ndim=2)
    layer.build(features.shape)
    layer.set_weights([weights.reshape(w.shape) for weights, w in zip(plain.get_weights(), layer.weights, strict=True)])
    np.testing.assert_allclose(_numpy(layer(features)), expected, atol=1e-5)


@pytest.mark.parametrize("leading", [(), (3,)])
@pytest.mark.parametrize(("group", "subgroup", "ndim"), [("PM", "P1", 1), ("P4M", "PMw", 2), ("D4", "C2_hw", 3)])
def test_contract(group, subgroup, ndim, leading, tmp_path):
    kwargs = {
        "units": 3,
        "group": group,
        "subgroup": subgroup,
        "ndim": ndim,
        "activation": "sigmoid",
        "kernel_regularizer": "l2",
        "bias_constraint": "max_norm",
    }
    shape = (*leading, get_group(group, ndim).order, 2)
    check_layer(GroupDense, kwargs, shape, trainable_weights=2, sizes_may_be_unknown=False, tmp_path=tmp_path)


def test_contract_without_bias(tmp_path):
    kwargs = {"units": 3, "group": "P4", "use_bias": False}
    check_layer(GroupDense, kwargs, (4, 2), trainable_weights=1, sizes_may_be_unknown=False, tmp_path=tmp_path)


def test_masks_are_passed_on_where_they_fit():
    """Of steps always; one of the group's elements as well only if they are all kept."""
    signal, fibre = np.zeros((2, 3, 4, 2)), np.zeros((2, 4, 2))
    of_steps, of_elements = keras.ops.ones((2, 3), "bool"), keras.ops.ones((2, 4), "bool")
    whole, part = GroupDense(3, group="P4"), GroupDense(3, group="P4", subgroup="P2")
    assert whole.compute_mask(signal, of_steps) is of_steps
    assert part.compute_mask(signal, of_steps) is of_steps
    assert whole.compute_mask(fibre, of_elements) is of_elements
    assert part.compute_mask(fibre, of_elements) is None


def test_a_mask_goes_through_to_the_pooling(rng):
    steps = rng.normal(size=(2, 5, 2)).astype("float32")
    steps[0, 3:] = 0.0
    sequence = keras.Input((5, 2))
    signal = GroupLifting1D(group="PM")(keras.layers.Masking()(sequence))
    dense = GroupDense(3, group="PM", bias_initializer="normal")
    model = keras.Model(sequence, GlobalGroupAveragePooling1D(group="PM")(dense(signal)))
    fibres = dense(np.stack([steps[0, :3]] * 2, axis=1))
    np.testing.assert_allclose(_numpy(model(steps))[0], _numpy(fibres).mean(axis=(0, 1)), atol=1e-6)


def test_leading_sizes_may_be_unknown(rng):
    inputs = rng.normal(size=(2, 3, 5, 4, 2)).astype("float32")
    for data_format, moved in (("channels_last", inputs), ("channels_first", np.moveaxis(inputs, -1, 1))):
        features = keras.Input(tuple(n if n in (4, 2) else None for n in moved.shape[1:]))
        layer = GroupDense(3, group="P4", subgroup="P2", data_format=data_format)
        model = keras.Model(features, layer(features))
        expected = _numpy(layer(moved))
        assert expected.shape == layer.compute_output_shape(moved.shape)
        np.testing.assert_allclose(model.predict(moved, verbose=0), expected, atol=1e-5)


def test_parameters_and_fan_in():
    layer = GroupDense(64, group="P4M", kernel_initializer=keras.initializers.VarianceScaling(1.0, "fan_in"))
    layer.build((None, 8, 64))
    assert layer.kernel.shape == (8, 64, 64)
    assert layer.bias.shape == (64,)
    assert np.std(_numpy(layer.kernel)) == pytest.approx((8 * 64) ** -0.5, rel=0.02)
    assert layer.compute_output_shape((None, None, 8, 64)) == (None, None, 8, 64)


def test_the_dimension_is_that_of_the_group():
    assert GroupDense(2, group="P4").ndim == 2
    assert GroupDense(2, group="PM").ndim == 1
    assert GroupDense(2, group="Oh", subgroup="C1").ndim == 3
    assert GroupDense(2, group=get_group("P1", 1)).ndim == 1
    assert GroupDense(2, group=get_group("P1", 1)).get_config()["ndim"] == 1


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        (
            {},
            (None, 8),
            r"signal on 'P4' \(batch, ..., 4, channels\), got shape \(None, 8\).*keras.layers.Dense",
        ),
        ({}, (None, 8, 3), "group axis of length 4.*got shape"),
        ({"data_format": "channels_first"}, (None, 4, 3), r"\(batch, channels, ..., 4\), got shape"),
        ({}, (None, 4, None), "number of channels must be known"),
        ({"units": 0}, None, "units is an int, at least 1, got 0"),
        ({"group": "P1"}, None, "there is a group 'P1' in 1-D, 2-D, 3-D; use ndim"),
        ({"group": "P5"}, None, "there is a group 'P5' in no dimension"),
        ({"ndim": 3}, None, "There is one in 2-D"),
        ({"ndim": 4}, None, "ndim is 1, 2 or 3, got 4"),
        ({"subgroup": "PMw"}, None, "not a subgroup of group='P4'; use one of P1, P2, P4"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    with pytest.raises(ValueError, match=message) as raised:
        GroupDense(**{"units": 2, "group": "P4", "name": "tested", **kwargs}).build(shape)
    assert "GroupDense (name='tested')" in str(raised.value)


def test_whole_numbers(rng):
    """As in `keras.layers.Dense`."""
    fibres = rng.integers(9, size=(2, 4, 3))
    layer = GroupDense(5, group="P4", ndim=2)
    np.testing.assert_allclose(_numpy(layer(fibres)), _numpy(layer(fibres.astype("float32"))), rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="which has gradients of other kinds")
@pytest.mark.parametrize("implementation", ["dense", "fourier"])
def test_the_gradient_is_an_ordinary_tensor(implementation, rng):
    import tensorflow as tf

    layer = GroupDense(5, group="P4", ndim=2, implementation=implementation)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(rng.normal(size=(2, 4, 3)).astype("float32")) ** 2)
    assert isinstance(tape.gradient(total, layer.kernel.value), tf.Tensor)
