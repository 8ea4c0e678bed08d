"""The measure itself: it sees what is broken, and knows what each output is."""

import keras
import numpy as np
import pytest
from keras import ops

from groco.groups import get_group
from groco.layers import (
    GlobalGroupAveragePooling2D,
    GlobalGroupMaxPooling2D,
    GroupConv1D,
    GroupConv2D,
    GroupDense,
    GroupMaxPooling2D,
)
from groco.testing import assert_equivariant, equivariance_error, equivariance_errors


@pytest.fixture
def image(rng):
    return rng.normal(size=(2, 8, 6, 1)).astype("float32")


def test_a_planar_convolution_is_not_equivariant(image):
    plain = keras.layers.Conv2D(3, 3)
    errors = equivariance_errors(plain, image, "P4M")
    assert list(errors) == ["e", "R", "R2", "R3", "F", "RF", "R2F", "R3F"]
    assert errors["e"] == 0
    assert all(error > 0.1 for name, error in errors.items() if name != "e")
    with pytest.raises(AssertionError, match=r"not equivariant.*7 of 8 elements \(R: "):
        assert_equivariant(plain, image, "P4M")


def test_one_broken_element_is_found(image):
    """A layer equivariant to rotations only, tested on the mirrors."""
    layer = GroupConv2D(2, 3, group="P4M", subgroup="P4")
    assert equivariance_error(layer, image) < 1e-6
    planar = keras.Sequential([GroupConv2D(2, 3, group="P4"), GlobalGroupMaxPooling2D(group="P4")])
    assert equivariance_error(planar, image, "P4") < 1e-5
    errors = equivariance_errors(planar, image, "P4M")
    assert max(errors[name] for name in ("e", "R", "R2", "R3")) < 1e-5
    assert min(errors[name] for name in ("F", "RF", "R2F", "R3F")) > 1e-3


def test_flatten_after_the_group_axis_is_not_invariant(image):
    model = keras.Sequential([GroupConv2D(2, 3, group="P4"), keras.layers.Flatten(), keras.layers.Dense(3)])
    assert equivariance_error(model, image[:, :6], "P4") > 0.1


@pytest.mark.parametrize("keepdims", [False, True])
def test_layers_that_pool_the_group_away_are_tested_on_all_of_it(keepdims, rng):
    class Broken(GlobalGroupMaxPooling2D):
        def call(self, inputs):
            corner = inputs[:, :1, :1, :1] if self.keepdims else inputs[:, 0, 0, 0]
            return super().call(inputs) + corner

    signal = rng.normal(size=(2, 8, 6, 8, 2)).astype("float32")
    errors = equivariance_errors(Broken(group="P4M", keepdims=keepdims), signal)
    assert list(errors) == list(get_group("P4M", 2).element_names)
    assert all(error > 0.01 for name, error in errors.items() if name != "e")
    assert_equivariant(GlobalGroupMaxPooling2D(group="P4M", keepdims=keepdims), signal)


def test_images_pooled_from_signals_are_tested_on_the_whole_group(rng):
    signal = rng.normal(size=(2, 8, 6, 8, 2)).astype("float32")
    layer = GroupMaxPooling2D(2, group="P4M", subgroup="P1", keepdims=False)
    errors = equivariance_errors(layer, signal)
    assert len(errors) == 8
    assert max(errors.values()) < 1e-6
    # Its windows have to fit the whole group: 9 points of stride 2 are not mapped onto themselves.
    odd = np.pad(signal, ((0, 0), (0, 1), (0, 1), (0, 0), (0, 0)))
    with pytest.raises(ValueError, match="breaks equivariance to 'P4M' with height 9"):
        layer(odd)
    careless = GroupMaxPooling2D(2, group="P4M", subgroup="P1", keepdims=False, allow_non_equivariance=True)
    assert equivariance_error(careless, odd) > 1e-2
    assert list(equivariance_errors(GroupConv2D(2, 3, group="P4M", subgroup="P1"), signal)) == ["e"]


def test_what_a_model_ends_in_tells_what_its_outputs_are(image):
    image = image[:, :6]

    def model(*layers):
        inputs = keras.Input((6, 6, 1))
        outputs = GroupConv2D(2, 3, group="P4M")(inputs)
        for layer in layers:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)

    fibre = model(GlobalGroupAveragePooling2D(group="P4M", subgroup="P4"), keras.layers.ReLU())
    assert_equivariant(fibre, image, "P4")
    with pytest.raises(ValueError, match="are on 'P4', on which 'P4M' does not act; give that group"):
        equivariance_errors(fibre, image, "P4M")
    assert_equivariant(model(GlobalGroupMaxPooling2D(group="P4M", keepdims=True)), image, "P4M")
    pool = GlobalGroupMaxPooling2D(group="P4M", subgroup="P4M")
    assert_equivariant(model(pool, GroupDense(3, group="P4M", ndim=2)), image, "P4M")
    assert_equivariant(model(pool, keras.layers.Dense(3)), image, "P4M", output="fibre")  # nobody can tell
    assert_equivariant(model(pool, keras.layers.Flatten()), image, "P1")  # the model's layers are in 2-D


def test_outputs_of_other_shapes_and_values_are_errors(image):
    assert equivariance_error(lambda x: x[:, :4], image, "P4") == np.inf
    assert equivariance_error(lambda x: x * np.nan, image, "P4") == np.inf


def test_one_output_is_compared(image):
    with pytest.raises(ValueError, match="2 outputs; compare one after the other"):
        equivariance_errors(lambda x: [x, x], image, "P4", ndim=2)


def test_there_is_something_to_compare(image):
    layer = GroupConv2D(2, 3, group="P4")
    with pytest.raises(ValueError, match=r"inputs of shape \(0, 8, 6, 1\) have no values"):
        assert_equivariant(layer, image[:0])
    with pytest.raises(ValueError, match="elements of P4, 0 to 3, got none"):
        assert_equivariant(layer, image, elements=[])


def test_outputs_that_are_all_zero_show_nothing(image):
    with pytest.warns(UserWarning, match="All outputs of dead are 0, which shows nothing"):
        assert_equivariant(keras.layers.Conv2D(3, 3, kernel_initializer="zeros", name="dead"), image, "P4M")


def test_a_model_of_one_size_cannot_be_turned(image):
    inputs = keras.Input(image.shape[1:])
    model = keras.Model(inputs, GroupConv2D(2, 3, group="P4", name="conv")(inputs), name="fixed")
    with pytest.raises(
        ValueError, match=r"fixed takes inputs of shape \(2, 8, 6, 1\), but not of \(2, 6, 8, 1\), which R "
    ):
        assert_equivariant(model, image, "P4")
    assert_equivariant(model, image, "P4", elements=[0, 2])
    assert_equivariant(model, ops.convert_to_tensor(image), "P4", elements=[0, 2])


def test_elements_and_tolerance(image):
    plain = keras.layers.Conv2D(3, 3)
    assert list(equivariance_errors(plain, image, "P4", elements=[0, 2])) == ["e", "R2"]
    assert_equivariant(plain, image, "P4", elements=[0])
    assert_equivariant(plain, image, "P4", tolerance=10)


def test_signals_on_a_larger_group_need_its_name(rng):
    signal = rng.normal(size=(1, 5, 5, 8, 2)).astype("float32")
    pool = GroupMaxPooling2D(1, group="P4M", subgroup="P4")
    model = keras.Sequential([pool])
    assert_equivariant(model, signal, "P4", input_group="P4M")
    with pytest.raises(ValueError, match="4 values along the group axis"):
        equivariance_error(model, signal, "P4")


def test_the_dimension_must_be_clear(rng):
    sequence = rng.normal(size=(1, 8, 2)).astype("float32")
    with pytest.raises(ValueError, match="in 1-D, 2-D, 3-D; give ndim"):
        equivariance_error(lambda x: x, sequence, "P1")
    with pytest.raises(ValueError, match="in no dimension"):
        equivariance_error(lambda x: x, sequence, "P5")
    with pytest.raises(ValueError, match="Say which group acts"):
        equivariance_error(lambda x: x, sequence)
    with pytest.raises(ValueError, match="got shape"):
        equivariance_error(lambda x: x, sequence, "P4")
    with pytest.raises(ValueError, match="output is"):
        equivariance_error(lambda x: x, sequence, "PM", output="picture")
    assert equivariance_error(lambda x: x, sequence, get_group("PM", 1)) == 0
    assert equivariance_error(GroupConv1D(2, 3, group="PM"), sequence) < 1e-6


def test_channels_first(rng):
    image = rng.normal(size=(2, 3, 8, 6)).astype("float32")
    layer = GroupConv2D(2, 3, group="P4M", data_format="channels_first", bias_initializer="normal")
    assert_equivariant(layer, image)
    assert_equivariant(keras.Sequential([layer]), image, "P4M", data_format="channels_first")


@pytest.mark.parametrize(("ndim", "group"), [(1, "PM"), (2, "P4M"), (3, "T")])
def test_fibres(ndim, group, rng):
    fibre = rng.normal(size=(2, get_group(group, ndim).order, 3)).astype("float32")
    dense = GroupDense(4, group=group, ndim=ndim, bias_initializer="normal")
    assert_equivariant(dense, fibre, input="fibre")
    assert_equivariant(keras.Sequential([dense]), fibre, group, ndim=ndim, input="fibre")
    planar = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
    assert equivariance_error(planar, fibre, group, ndim=ndim, input="fibre") > 0.1
    if ndim > 1:
        assert_equivariant(dense, fibre)


def test_inputs_of_another_kind_than_told(rng):
    fibre = rng.normal(size=(2, 8, 3)).astype("float32")
    for kind in ("signal", "picture"):
        with pytest.raises(ValueError, match=f"input.*{kind}"):
            equivariance_error(GroupDense(4, group="P4M"), fibre, input=kind)
