"""The nets for rotated MNIST: the papers' parameters, and invariance with trained-like weights."""

import numpy as np
import pytest

from groco.models import create_model, p4cnn, p4cnn_rp, z2cnn
from groco.testing import assert_equivariant, equivariance_error
from tests.models.trained_like import randomise

# The group under which each net's logits are invariant; the planar one is not.
INVARIANCE = {"z2cnn": None, "p4cnn": "P4", "p4cnn_rp": "P4", "p4mcnn": "P4M", "p4cnn_g": "P4", "p4cnn_gc": "P4"}
SIZE = 28


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, SIZE, SIZE, 1)).astype("float32")


@pytest.mark.parametrize(("builder", "parameters"), [(z2cnn, 21_750), (p4cnn, 24_680), (p4cnn_rp, 21_750)])
def test_parameters_are_the_papers(builder, parameters):
    """Cohen & Welling 2016, table 1 and the authors' code."""
    assert sum(int(np.prod(w.shape)) for w in builder().trainable_weights) == parameters


def test_parameters_of_the_others():
    """The gc-separable net has the 24.6 thousand of Lengyel & van Gemert 2021; the others are near that."""
    for name, parameters in {"p4cnn_gc": 24_640, "p4cnn_g": 25_255, "p4mcnn": 26_799}.items():
        assert sum(int(np.prod(w.shape)) for w in create_model(name).trainable_weights) == parameters


@pytest.mark.parametrize("name", list(INVARIANCE))
def test_invariance(name, images, rng):
    model = create_model(name)
    randomise(model, rng)
    assert model.output_shape == (None, 10)
    if INVARIANCE[name] is None:
        assert equivariance_error(model, images, "P4") > 1e-2
    else:
        assert_equivariant(model, images, INVARIANCE[name], tolerance=1e-4)
        if INVARIANCE[name] == "P4":
            assert equivariance_error(model, images, "P4M") > 1e-3, "mirrored digits are other digits"


@pytest.mark.parametrize("group", ["P1", "PMw", "CMd", "P2MM", "P4M"])
@pytest.mark.parametrize("name", ["p4cnn", "p4cnn_rp"])
def test_any_group(name, group, images, rng):
    model = create_model(name, group=group, width=4)
    randomise(model, rng)
    assert_equivariant(model, images, group, ndim=2, tolerance=1e-4)


@pytest.mark.parametrize("name", ["p4cnn", "p4cnn_rp"])
def test_features_are_equivariant(name, images, rng):
    model = create_model(name, include_top=False)
    randomise(model, rng)
    assert_equivariant(model, images, "P4", tolerance=1e-4)


@pytest.mark.parametrize("name", list(INVARIANCE))
def test_any_size(name, rng):
    model = create_model(name, input_shape=(None, None, 2), num_classes=3)
    randomise(model, rng)
    for size in ((28, 28), (32, 30)):
        images = rng.normal(size=(1, *size, 2)).astype("float32")
        assert model(images).shape == (1, 3)
        if INVARIANCE[name]:
            assert_equivariant(model, images, INVARIANCE[name], tolerance=1e-4)
    if INVARIANCE[name]:
        with pytest.raises(Exception, match="breaks equivariance"):
            model(rng.normal(size=(1, 31, 31, 2)).astype("float32"))
        with pytest.raises(ValueError, match=r"pool2.*breaks equivariance"):
            create_model(name, input_shape=(29, 29, 1))
