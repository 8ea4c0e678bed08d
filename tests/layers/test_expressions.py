"""Sizes that an export on JAX or PyTorch only learns later: the layer's numbers on each, or an error; never others."""

import keras
import numpy as np
import pytest

from groco import layers

BACKEND = keras.backend.backend()
pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="which has tensors for them, and checks those")

CONV = {"filters": 2, "kernel_size": 3, "group": "P4"}
DEPENDS = [  # for sizes of which nothing is known
    (layers.GroupConv2D, {**CONV, "strides": 3}),
    (layers.GroupConv2D, {**CONV, "strides": 2}),
    (layers.GroupConv2D, {**CONV, "kernel_size": 5, "strides": 3, "padding": "same_equiv"}),
    (layers.GroupConv2D, {**CONV, "strides": 2, "padding": "same_equiv", "subgroup": "P1"}),
    (layers.GroupConv2D, {**CONV, "kernel_size": 1, "strides": 2, "implementation": "fourier"}),
    (layers.DepthwiseGroupConv2D, {"kernel_size": 3, "strides": 2, "group": "P4"}),
    (layers.GroupMaxPooling2D, {"pool_size": 2, "group": "P4"}),
    (layers.GroupMaxPooling2D, {"pool_size": 3, "group": "P4"}),
    (layers.GroupAveragePooling2D, {"pool_size": 2, "group": "P4"}),
    (layers.GroupBlurPooling2D, {"pool_size": 3, "strides": 2, "group": "P4"}),
    (layers.GroupUpSampling2D, {"target_size": 6, "group": "P4"}),
]
ANY = [
    (layers.GroupConv2D, {**CONV, "padding": "same_equiv"}),
    (layers.GroupConv2D, {**CONV, "strides": 2, "padding": "valid", "allow_non_equivariance": True}),
    (layers.GroupMaxPooling2D, {"pool_size": 2, "padding": "valid", "allow_non_equivariance": True, "group": "P4"}),
    (layers.GroupConv2DTranspose, {**CONV, "strides": 2}),
    (layers.GroupUpSampling2D, {"size": 3, "interpolation": "bilinear", "group": "P4"}),
    (layers.GroupBatchNormalization, {}),
]
MULTIPLES = [  # of 4
    (layers.GroupMaxPooling2D, {"pool_size": 2, "group": "P4"}),
    (layers.GroupBlurPooling2D, {"pool_size": 4, "strides": 2, "padding": "same_equiv", "group": "P4"}),
    (layers.GroupConv2D, {**CONV, "kernel_size": 4, "strides": 4, "padding": "same_equiv"}),
    (layers.GroupConv2D, {**CONV, "kernel_size": 2, "strides": 2}),
]


def _exported(layer, sizes):
    """Of a layer on signals of P4 with 3 channels, on JAX."""
    import jax
    from jax import export

    shape = export.symbolic_shape(f"b, {sizes}, 4, 3")
    return export.export(jax.jit(lambda signal: layer(signal)))(jax.ShapeDtypeStruct(shape, "float32")).call


def _check_exported(layer, symbols, all_sizes, rng):
    """An exported layer computes the layer's numbers on each of the sizes."""
    layer.build((None, None, None, 4, 3))
    call = _exported(layer, symbols)
    for sizes in all_sizes:
        signal = rng.normal(size=(2, *sizes, 4, 3)).astype("float32")
        np.testing.assert_allclose(call(signal), layer(signal), atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="PyTorch decides by guards")
@pytest.mark.parametrize(("layer", "kwargs"), DEPENDS)
def test_what_depends_on_the_size_is_refused(layer, kwargs):
    made = layer(**kwargs, name="tested")
    made.build((None, None, None, 4, 3))
    with pytest.raises(ValueError, match=r"(?s)\(name='tested'\).* depends on the height, which is not known here"):
        _exported(made, "h, w")


@pytest.mark.skipif(BACKEND != "jax", reason="PyTorch decides by guards")
@pytest.mark.parametrize(("layer", "kwargs"), ANY)
def test_what_does_not_is_right_for_any(layer, kwargs, rng):
    _check_exported(layer(**kwargs), "h, w", ((7, 7), (8, 11), (12, 8)), rng)


@pytest.mark.skipif(BACKEND != "jax", reason="PyTorch decides by guards")
@pytest.mark.parametrize(("layer", "kwargs"), MULTIPLES)
def test_a_size_that_is_said_to_be_a_multiple(layer, kwargs, rng):
    _check_exported(layer(**kwargs), "4*h, 4*w", ((8, 8), (4, 12)), rng)


@pytest.mark.skipif(BACKEND != "jax", reason="PyTorch decides by guards")
def test_a_size_that_is_said_to_be_odd_is_refused_where_it_breaks_equivariance():
    made = layers.GroupMaxPooling2D(2, group="P4")
    made.build((None, None, None, 4, 3))
    with pytest.raises(ValueError, match="breaks equivariance to 'P4' with height, window 2"):
        _exported(made, "2*h + 1, 2*w + 1")


@pytest.mark.skipif(BACKEND != "torch", reason="JAX: above")
@pytest.mark.parametrize(("layer", "kwargs"), [*ANY[:4], *MULTIPLES[:1], *DEPENDS[:2], DEPENDS[-1]])
def test_of_pytorch(layer, kwargs, rng):
    """Its export is right on all sizes that it takes, or names what it would have to know of them."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = made

        def forward(self, signal):
            return self.layer(signal)

    made = layer(**kwargs)
    made.build((None, None, None, 4, 3))
    sizes = {1: torch.export.Dim("h", min=6, max=64), 2: torch.export.Dim("w", min=6, max=64)}
    traced = 8 if layer is layers.GroupMaxPooling2D else 13 if (layer, kwargs) in DEPENDS else 12
    example = torch.tensor(rng.normal(size=(2, traced, traced, 4, 3)).astype("float32"))
    try:
        call = torch.export.export(Net(), (example,), dynamic_shapes=(sizes,), strict=False).module()
    except Exception as error:
        assert (layer, kwargs) in [*DEPENDS, *MULTIPLES], error
        return
    for height, width in ((7, 7), (8, 11), (12, 8), (13, 13)):
        signal = torch.tensor(rng.normal(size=(2, height, width, 4, 3)).astype("float32"))
        np.testing.assert_allclose(call(signal).detach(), made(signal).detach(), atol=1e-5)
