"""Every registered architecture: its parameters, and, small, that it is equivariant, trains, saves and loads."""

import inspect
from dataclasses import dataclass, field

import keras
import numpy as np
import pytest

from groco.groups import get_group
from groco.models import create_model, get_builder, list_models, p4cnn, planar_twin
from groco.models.registry import register_model, register_variants
from groco.models.twin import parameters
from groco.testing import assert_equivariant, equivariance_error
from tests.models.trained_like import randomise

# Those that papers or other libraries publish: Cohen & Welling 2016 (arXiv 1602.07576) and the authors' code for the
# first lines, in the papers' own form; He et al. 2015 as counted by every public ResNet for the planar large ones.
PUBLISHED = {
    "z2_allcnn": 1_372_254,
    "p4_allcnn": 1_371_006,
    "p4m_allcnn": 1_219_678,
    "resnet26": 7_236_046,
    "resnet44": 2_639_434,
    "p4m_resnet26": 7_173_110,
    "p4m_resnet44": 2_622_878,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "z2cnn": 21_750,
    "p4cnn": 24_680,
    "p4cnn_rp": 21_750,
}


@dataclass(frozen=True)
class Small:
    """A small version of an architecture.

    Attributes:
        group: under which it is equivariant, or its logits invariant; None for a net that is not.
        kwargs: of the builder.
        sizes: of the inputs that it takes, even, odd and unequal, where it takes them.
        output: as in `equivariance_error`.
    """

    name: str
    group: str | None
    kwargs: dict
    sizes: tuple
    output: str = "invariant"
    tolerance: float = field(default=1e-4)

    @property
    def ndim(self):
        return len(self.sizes[0])

    def build(self, **kwargs):
        return create_model(
            self.name, **{"input_shape": (*self.sizes[0], 2), "num_classes": 3, **self.kwargs, **kwargs}
        )

    def inputs(self, rng, size=None, batch=2):
        return rng.normal(size=(batch, *(size or self.sizes[0]), 2)).astype("float32")


RESNET = {"widths": (2, 3, 2), "depth": 8}
PLANE = ((8, 8), (9, 9), (12, 8))
UNET = {"width": 2, "depth": 3}
SMALL = [
    Small("z2_allcnn", None, {"widths": (3, 4)}, PLANE),
    Small("p4_allcnn", "P4", {"widths": (2, 3)}, PLANE),
    Small("p4m_allcnn", "P4M", {"widths": (2, 3)}, PLANE),
    Small("resnet20", None, RESNET, PLANE),
    Small("p4m_resnet20", "P4M", RESNET, PLANE),
    Small("p4m_resnet20", "P4", {**RESNET, "group": "P4", "pooling": "max"}, PLANE),
    Small("p4m_wide_resnet16_4", "P2MM", {"depth": 10, "widths": (2, 2, 3), "groups": ("P4M", "P4M", "P2MM")}, PLANE),
    Small("p4m_wide_resnet16_4", "P2", {"depth": 10, "widen": 1, "dropout": 0.3, "groups": ("P4M", "P4", "P2")}, PLANE),
    Small("wide_resnet16_4", None, {"depth": 10, "widths": (2, 3, 4)}, PLANE),
    Small("p4m_resnet18", "P4M", {"widths": (3, 3, 4, 4)}, ((32, 32), (64, 32))),
    Small("p4m_resnet50", "P4", {"widths": (2, 2, 2, 2), "group": "P4"}, ((32, 32),)),
    Small("resnet3d", None, {"widths": (2, 3)}, ((8, 8, 8),)),
    Small("o_resnet3d", "O", {"widths": (2, 3)}, ((8, 8, 8), (4, 8, 4))),
    Small("oh_resnet3d", "Oh", {"widths": (2, 3)}, ((4, 4, 4),)),
    Small("unet", None, UNET, ((8, 8), (4, 12)), "image"),
    Small("p4_unet", "P4", UNET, ((8, 8), (4, 12)), "image"),
    Small("p4m_unet", "P4M", {**UNET, "decoder": "upsampling", "pooling": "max"}, ((8, 8), (4, 12)), "image"),
    Small("p4m_unet", "P4M", {**UNET, "output": "signal", "dropout": 0.2}, ((8, 8), (4, 12)), "signal"),
    Small("unet3d", None, {"width": 2, "depth": 2}, ((4, 4, 4),), "image"),
    Small("o_unet3d", "O", {"width": 2, "depth": 2}, ((4, 4, 4), (2, 4, 6)), "image"),
    Small("oh_unet3d", "Oh", {"width": 2, "depth": 2}, ((4, 4, 4),), "image"),
    Small("d4h_unet3d", "D4h", {"width": 2, "depth": 2, "decoder": "upsampling"}, ((2, 4, 4),), "image"),
    Small("convnext", None, {"widths": (2, 3), "numbers": (1, 1)}, ((8, 8), (4, 12))),
    Small("p4_convnext", "P4", {"widths": (2, 3), "numbers": (1, 1), "kernel_size": 5}, ((8, 8), (4, 12))),
    Small("p4m_convnext", "P4M", {"widths": (2, 3), "numbers": (1, 1), "kernel_size": 3}, ((8, 8), (4, 12))),
    Small("densenet", None, {"growth": 3, "stages": 2}, ((8, 8),)),
    Small("p4_densenet", "P4", {"growth": 2, "stages": 2, "layers_per_stage": 2}, ((8, 8), (4, 12))),
    Small("p4m_densenet", "P4M", {"growth": 2, "stages": 2}, ((8, 8), (4, 12))),
]
small = pytest.mark.parametrize("small", SMALL, ids=lambda small: f"{small.name}-{small.group}")


def _family(name):
    builder = get_builder(name)
    return getattr(builder, "__wrapped__", builder)


def test_every_family_is_tested():
    tested = {_family(small.name) for small in SMALL}
    alone = {"z2cnn", "p4cnn", "p4cnn_rp"}  # in test_p4cnn.py
    assert {_family(name) for name in list_models() if name not in alone} == tested


@pytest.mark.parametrize("name", list_models())
def test_every_architecture_builds_and_has_the_published_parameters(name):
    builder = get_builder(name)
    in_form = {"form": "paper"} if "form" in inspect.signature(builder).parameters else {}
    model = builder(**in_form)
    assert model.name == name
    assert name not in PUBLISHED or parameters(model) == PUBLISHED[name]
    for layer in model.layers:
        registered = keras.saving.get_registered_name(type(layer))
        assert registered.startswith("groco>") or type(layer).__module__.startswith("keras.")
        assert not isinstance(layer, keras.layers.Lambda)


@small
def test_equivariance(small, rng):
    for size in small.sizes:
        model = _any_shape(small, rng, size)
        inputs = small.inputs(rng, size)
        first, second = _numpy(model(inputs))
        assert np.abs(first - second).max() > 1e-3 * np.abs(first).max(), "it sees nothing"
        measure = {"ndim": small.ndim, "output": small.output}
        if small.group is None:
            group = {2: "P4", 3: "O"}[small.ndim]
            assert equivariance_error(model, inputs, group, **measure) > 1e-3
        else:
            assert_equivariant(model, inputs, small.group, tolerance=small.tolerance, **measure)


def _any_shape(small, rng, size):
    """A function that calls a net made for the shape of its input: turned images have other shapes."""
    nets = {size: small.build(input_shape=(*size, 2))}
    randomise(nets[size], rng)

    def call(inputs):
        turned = tuple(inputs.shape[1:-1])
        if turned not in nets:
            nets[turned] = small.build(input_shape=(*turned, 2))
            nets[turned].set_weights(nets[size].get_weights())
        return nets[turned](inputs)

    return call


@small
def test_unknown_sizes(small, rng):
    """A net for unknown sizes has the weights, and computes the numbers, of one for known sizes."""
    known = small.build()
    randomise(known, rng)
    unknown = small.build(input_shape=(*(None,) * small.ndim, 2))
    unknown.set_weights(known.get_weights())
    inputs = small.inputs(rng)
    np.testing.assert_allclose(*(_numpy(model(inputs)) for model in (known, unknown)), atol=1e-4)


@small
def test_trains_saves_and_loads(small, rng, tmp_path):
    model = small.build(num_classes=4)
    inputs = small.inputs(rng, batch=4)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)  # one step is not worth compiling
    before = [np.array(w) for w in model.trainable_weights]
    targets = rng.normal(size=(4, *model.output_shape[1:])).astype("float32")
    if small.output != "invariant":
        targets = rng.normal(size=model(inputs).shape).astype("float32")
    model.fit(inputs, targets, batch_size=4, verbose=0)
    moved = []
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert np.isfinite(np.array(weight)).all()
        # A bias before batch normalisation has no gradient but rounding's, and may stay where it is.
        if not weight.path.endswith("bias"):
            moved.append(np.abs(np.array(weight) - old).max() > 0)
    assert np.mean(moved) > 0.9, "in nets this narrow a ReLU may be dead on all inputs, but not many"
    expected = _numpy(model(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(_numpy(loaded(inputs)), expected, atol=1e-5)


@small
def test_without_the_top_it_gives_features_on_the_group(small, rng):
    model = small.build(include_top=False)
    randomise(model, rng)
    kind = "signal" if len(model.output_shape) == small.ndim + 3 else "image"
    assert kind == "signal"
    if small.group:
        assert_equivariant(model, small.inputs(rng), small.group, ndim=small.ndim, output=kind, tolerance=1e-4)


def test_the_papers_form_is_not_equivariant(rng):
    """Its strides do not fit even sizes, and its classifier sees the orientations."""
    model = create_model("p4m_resnet20", input_shape=(8, 8, 2), **RESNET, form="paper")
    randomise(model, rng)
    inputs = rng.normal(size=(2, 8, 8, 2)).astype("float32")
    assert equivariance_error(model, inputs, "P4M", output="invariant") > 1e-3


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("p4m_resnet20", {"depth": 14}),
        ("p4_unet", {"depth": 3}),
        ("p4m_densenet", {}),
        ("oh_resnet3d", {"input_shape": (8, 8, 8, 1)}),
        ("p4m_convnext", {}),
    ],
)
def test_planar_twins_have_as_many_parameters(name, kwargs):
    twin, net = planar_twin(name, **kwargs), create_model(name, **kwargs)
    assert abs(parameters(twin) / parameters(net) - 1) < 0.05
    assert all(layer.group.order == 1 for layer in twin.layers if hasattr(layer, "group"))


def test_twins_of_nets_with_a_group_for_each_stage():
    kwargs = {"depth": 10, "widen": 2}
    twin, net = planar_twin("p4m_wide_resnet16_4", **kwargs), create_model("p4m_wide_resnet16_4", **kwargs)
    assert abs(parameters(twin) / parameters(net) - 1) < 0.05
    assert all(layer.group.order == 1 for layer in twin.layers if hasattr(layer, "group"))
    by_function = planar_twin(get_builder("p4m_wide_resnet16_4"), **kwargs)
    assert parameters(by_function) == parameters(twin)


def test_twins_need_a_group():
    with pytest.raises(ValueError, match="z2cnn has no group and width to change"):
        planar_twin("z2cnn")


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("p4m_resnet20", {"depth": 21}, "depth is 6n \\+ 2"),
        ("p4m_resnet20", {"widths": (2, 3)}, "widths are 3 positive ints"),
        ("p4m_resnet20", {"form": "exakt"}, "form is one of 'exact', 'paper', got 'exakt'"),
        ("p4m_resnet20", {"pooling": "sum"}, "pooling is one of"),
        ("p4m_resnet18", {"depth": 19}, "depth is 18, 34 or 50"),
        ("p4m_wide_resnet16_4", {"groups": ("P4", "P4M", "P4")}, "not a subgroup"),
        ("p4_unet", {"input_shape": (20, 16, 1)}, "multiples of 8.*nearest to 20 that work: 16 and 24"),
        ("p4_unet", {"input_shape": (16, 1)}, "input_shape is"),
        ("p4_unet", {"decoder": "bilinear"}, "decoder is one of"),
        ("o_unet3d", {"input_shape": (8, 8, 6, 1)}, "multiples of 4.*nearest to 6 that work: 4 and 8"),
        ("p4m_convnext", {"numbers": (1,)}, "one int for each stage"),
    ],
)
def test_wrong_arguments(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **kwargs)


def test_registry():
    assert list_models("p4m_resnet*") == sorted(f"p4m_resnet{n}" for n in (18, 20, 26, 32, 34, 44, 50, 56, 110))
    with pytest.raises(ValueError, match=r"no architecture 'p4cn'\. Close names: p4cnn"):
        create_model("p4cn")
    with pytest.raises(ValueError, match="registered already"):
        register_model(p4cnn)
    with pytest.raises(ValueError, match="p4cnn has no arguments colour"):
        register_variants(p4cnn, red_p4cnn={"colour": "red"})
    assert get_builder("p4cnn") is p4cnn
    signature = inspect.signature(get_builder("p4m_resnet26"))
    assert (signature.parameters["widths"].default, signature.parameters["depth"].default) == ((25, 50, 100), 26)
    assert get_group("P4M", 2).name == signature.parameters["group"].default


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)
