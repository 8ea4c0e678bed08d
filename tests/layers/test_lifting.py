"""Lifting without weights: the image on each element."""

import keras
import numpy as np
import pytest

from groco.groups import get_group, list_groups
from groco.layers.conv import GroupConv2D
from groco.layers.lifting import GroupLifting1D, GroupLifting2D, GroupLifting3D
from groco.testing import assert_equivariant
from tests.layers.contract import check_layer

LIFTING = {1: GroupLifting1D, 2: GroupLifting2D, 3: GroupLifting3D}
SIZES = {1: (4,), 2: (3, 4), 3: (3, 2, 4)}


@pytest.mark.parametrize(("ndim", "group"), [(ndim, group) for ndim in (1, 2, 3) for group in list_groups(ndim)])
def test_the_same_image_on_each_element(ndim, group, rng):
    image = rng.normal(size=(2, *SIZES[ndim], 3)).astype("float32")
    layer = LIFTING[ndim](group=group)
    outputs = keras.ops.convert_to_numpy(layer(image))
    assert outputs.shape == (*image.shape[:-1], get_group(group, ndim).order, 3)
    for element in range(layer.group.order):
        np.testing.assert_array_equal(outputs[..., element, :], image)
    assert_equivariant(layer, image, tolerance=0)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_contract(ndim, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    check_layer(LIFTING[ndim], {"group": group}, (*(3, 4, 5)[:ndim], 2), trainable_weights=0, tmp_path=tmp_path)


def test_an_image_joined_with_a_signal(rng):
    image = keras.Input((None, None, 1))
    signal = GroupConv2D(2, 3, padding="same", group="P4M", activation="tanh")(image)
    joined = keras.layers.Concatenate()([signal, GroupLifting2D(group="P4M")(image)])
    assert joined.shape == (None, None, None, 8, 3)
    model = keras.Model(image, GroupConv2D(2, 3, group="P4M", subgroup="PMw")(joined))
    assert_equivariant(model, rng.normal(size=(1, 5, 6, 1)).astype("float32"), "PMw")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 8, 8, 4, 3), "lifts images, of rank 4, got shape .* leave the lifting out"),
        ((None, 8, 8), "got shape"),
        ((None, 8, 8, None), "number of channels must be known"),
    ],
)
def test_errors_name_the_layer_and_the_fix(shape, message):
    with pytest.raises(ValueError, match=message) as raised:
        GroupLifting2D(group="P4", name="tested").build(shape)
    assert "GroupLifting2D (name='tested')" in str(raised.value)
