"""A signal on another group of as many elements has the right shape, and is refused all the same."""

import keras
import numpy as np
import pytest

from groco.layers import (
    GlobalGroupMaxPooling2D,
    GroupBatchNormalization,
    GroupConv2D,
    GroupConv2DTranspose,
    GroupDense,
    GroupLifting2D,
    GroupMaxPooling2D,
    GroupUpSampling2D,
    GroupZeroPadding2D,
)

READERS = [
    GroupConv2D(2, 3, group="P2MM", padding="same", name="reader"),
    GroupConv2DTranspose(2, 3, group="P2MM", name="reader"),
    GroupMaxPooling2D(1, group="P2MM", name="reader"),
    GlobalGroupMaxPooling2D(group="P2MM", name="reader"),
    GroupZeroPadding2D(1, group="P2MM", name="reader"),
]


@pytest.fixture
def written():
    """A symbolic signal on P4."""
    return GroupConv2D(2, 3, group="P4", name="writer")(keras.Input((8, 8, 1)))


@pytest.mark.parametrize("reader", READERS, ids=lambda layer: type(layer).__name__)
def test_another_group_of_as_many_elements(reader, written):
    with pytest.raises(
        ValueError, match=r"name='reader'\): its input is a signal on 'P4', which 'writer' writes.*'P2MM'"
    ):
        reader(written)


def test_layers_between(written):
    block = keras.layers.ReLU()(GroupBatchNormalization()(written))
    model = keras.Sequential([keras.Input(block.shape[1:]), GroupMaxPooling2D(2, group="P4", name="inner")])
    ends = {
        "writer": keras.layers.Add()([block, keras.Input(block.shape[1:])]),
        "inner": keras.layers.Dropout(0.5)(model(block)),
    }
    for name, signal in ends.items():
        with pytest.raises(ValueError, match=f"which '{name}' writes"):
            GroupConv2D(2, 1, group="C2MM")(signal)
        GroupConv2D(2, 1, group="P4")(signal)


def test_in_a_sequential_model():
    with pytest.raises(ValueError, match=r"a signal on 'P4'.*reads one on 'C2MM'"):
        keras.Sequential([keras.Input((8, 8, 1)), GroupConv2D(2, 3, group="P4"), GroupConv2D(2, 3, group="C2MM")])


def test_what_nobody_can_tell(written):
    """The user's own layers may bring it onto the other group; so may who says that it need not be equivariant."""
    GroupConv2D(2, 1, group="P2MM")(keras.layers.Lambda(lambda x: x)(written))
    GroupConv2D(2, 1, group="P2MM", allow_non_equivariance=True)(written)
    GroupConv2D(2, 1, group="P2MM")(np.zeros((1, 4, 4, 4, 1), "float32"))
    image = GroupUpSampling2D(2, group="P4")(GroupZeroPadding2D(1, group="P4")(keras.Input((4, 4, 1))))
    GroupConv2D(2, 3, group="P2MM")(image)
    GroupLifting2D(group="P2MM")(image)
    fibre = GlobalGroupMaxPooling2D(group="P4M", subgroup="P4")(GroupConv2D(2, 1, group="P4M")(keras.Input((4, 4, 1))))
    GroupDense(2, group="P4")(fibre)
    GroupDense(2, group="C4", ndim=3)(fibre)


def test_who_allows_it_may_save_it(written):
    """So may a layer that could not break equivariance otherwise."""
    options = {"group": "P2MM", "allow_non_equivariance": True}
    direct = keras.Model(written._keras_history.operation.input, GlobalGroupMaxPooling2D(**options)(written))
    assert keras.Model.from_config(direct.get_config()).layers[-1].allow_non_equivariance
    assert "allow_non_equivariance" not in GlobalGroupMaxPooling2D(group="P4").get_config()
