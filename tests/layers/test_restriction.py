"""Restriction to a subgroup: every value is kept, where the subgroup's action looks for it."""

import keras
import numpy as np
import pytest

from groco.groups import get_group
from groco.layers.conv import GroupConv1D, GroupConv2D, GroupConv3D
from groco.layers.pooling import GroupMaxPooling2D
from groco.layers.restriction import GroupRestriction1D, GroupRestriction2D, GroupRestriction3D
from groco.testing import assert_equivariant
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS, PAIRS_3D

RESTRICTION = {1: GroupRestriction1D, 2: GroupRestriction2D, 3: GroupRestriction3D}
CONV = {1: GroupConv1D, 2: GroupConv2D, 3: GroupConv3D}
SIZES = {1: (4,), 2: (3, 4), 3: (3, 2, 4)}
pairs = pytest.mark.parametrize(("ndim", "group", "subgroup"), [*PAIRS, *[(3, *pair) for pair in PAIRS_3D]])


def _signal(rng, ndim, group):
    return rng.normal(size=(2, *SIZES[ndim], get_group(group, ndim).order, 3))


def by_definition(signal, group, subgroup):
    """out(x, h, (t, c)) = f(x, h t, c), t the first elements of the cosets H t."""
    transversal, seen = [], []
    for matrix in group.matrices:
        if not any(np.array_equal(matrix, other) for other in seen):
            transversal.append(matrix)
            seen.extend(h @ matrix for h in subgroup.matrices)
    return np.stack(
        [
            np.concatenate([signal[..., reference.find(group, h @ t), :] for t in transversal], axis=-1)
            for h in subgroup.matrices
        ],
        axis=-2,
    )


@pairs
def test_is_the_definition_and_equivariant(ndim, group, subgroup, rng):
    signal = _signal(rng, ndim, group)
    layer = RESTRICTION[ndim](group=group, subgroup=subgroup, dtype="float64")
    outputs = keras.ops.convert_to_numpy(layer(signal))
    np.testing.assert_array_equal(outputs, by_definition(signal, layer.group, layer.subgroup))
    assert_equivariant(layer, signal, tolerance=0)


@pairs
def test_nothing_is_lost(ndim, group, subgroup, rng):
    signal = np.arange(2.0 * np.prod(SIZES[ndim]) * get_group(group, ndim).order).reshape(2, *SIZES[ndim], -1, 1)
    outputs = keras.ops.convert_to_numpy(RESTRICTION[ndim](group=group, subgroup=subgroup, dtype="float64")(signal))
    np.testing.assert_array_equal(np.sort(outputs.ravel()), signal.ravel())


@pytest.mark.parametrize("subgroup", ["P1", "P2", "PMh", "PMw", "CMd", "CMa", "P2MM", "C2MM", "P4", "P4M"])
def test_maximum_over_cosets_is_that_over_the_new_channels(subgroup, rng):
    signal = _signal(rng, 2, "P4M")
    restricted = keras.ops.convert_to_numpy(GroupRestriction2D(group="P4M", subgroup=subgroup, dtype="float64")(signal))
    pooled = GroupMaxPooling2D(1, group="P4M", subgroup=subgroup, dtype="float64")(signal)
    maxima = restricted.reshape(*restricted.shape[:-1], -1, 3).max(axis=-2)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(pooled), maxima)


@pytest.mark.parametrize(
    ("ndim", "group", "subgroup"),
    [(1, "PM", "P1"), (2, "P4M", "PMw"), (2, "P4M", "CMd"), (2, "P4", "P2"), (3, "Oh", "C2v_d_hw"), (3, "D4", "C2_h")],
)
def test_convolutions_of_both_groups_in_one_net(ndim, group, subgroup, rng):
    image = keras.Input((*(None,) * ndim, 2))
    signal = CONV[ndim](2, 3, padding="same", group=group, activation="tanh")(image)
    signal = RESTRICTION[ndim](group=group, subgroup=subgroup)(signal)
    index = get_group(group, ndim).order // get_group(subgroup, ndim).order
    assert signal.shape[-1] == 2 * index
    model = keras.Model(image, CONV[ndim](2, 3, padding="same", group=subgroup, bias_initializer="normal")(signal))
    inputs = rng.normal(size=(1, *SIZES[ndim], 2)).astype("float32")
    assert_equivariant(model, inputs, get_group(subgroup, ndim))


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_contract(ndim, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    subgroup = {1: "P1", 2: "PMw", 3: "C2_hw"}[ndim]
    shape = (*(3, 4, 5)[:ndim], get_group(group, ndim).order, 2)
    kwargs = {"group": group, "subgroup": subgroup}
    check_layer(RESTRICTION[ndim], kwargs, shape, trainable_weights=0, tmp_path=tmp_path)


def test_contract_of_the_whole_group(tmp_path):
    kwargs = {"group": "P4", "subgroup": "P4"}
    check_layer(GroupRestriction2D, kwargs, (3, 4, 4, 2), trainable_weights=0, tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({"subgroup": "P4M"}, None, "not a subgroup of group='P4'; use one of P1, P2, P4"),
        ({}, (None, 8, 8, 3), "signal on 'P4'.*put a lifting convolution before it"),
        ({}, (None, 8, 8, 8, 3), "group axis of length 4"),
        ({}, (None, 8, 8, 4, None), "number of channels must be known"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    with pytest.raises(ValueError, match=message) as raised:
        GroupRestriction2D(**{"group": "P4", "subgroup": "P2", "name": "tested", **kwargs}).build(shape)
    assert "GroupRestriction2D (name='tested')" in str(raised.value)


def test_subgroup_is_asked_for():
    with pytest.raises(TypeError, match=r"GroupRestriction2D \(name='own'\): it needs subgroup="):
        GroupRestriction2D(group="P4", name="own")
