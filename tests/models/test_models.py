"""Every registered architecture: its parameters, and, small, that it is equivariant, trains, saves and loads."""

import inspect
from dataclasses import dataclass

import keras
import numpy as np
import pytest

import groco
from groco.groups import Group, get_group
from groco.models import (
    create_model,
    get_builder,
    list_models,
    macs,
    p4cnn,
    parameters,
    planar_twin,
    symmetry_group,
)
from groco.models.registry import register_model, register_variants
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
# Zagoruyko & Komodakis 2016 (arXiv 1605.07146, table 4), in millions.
PUBLISHED_MILLIONS = {"wide_resnet16_8": 11.0, "wide_resnet28_10": 36.5}
# Multiply-accumulates as torchvision states them for 224 x 224, in billions.
PUBLISHED_BILLIONS = {"resnet18": 1.814, "resnet34": 3.664, "resnet50": 4.089}


@dataclass(frozen=True)
class Small:
    """A small version of an architecture.

    Attributes:
        group: under which it is equivariant, or its logits invariant; None for a net that is not.
        kwargs: of the builder.
        sizes: of the inputs that it takes, even, odd and unequal, where it takes them.
    """

    name: str
    group: str | None
    kwargs: dict
    sizes: tuple

    @property
    def ndim(self):
        return len(self.sizes[0])

    def build(self, **kwargs):
        return create_model(
            self.name, **{"input_shape": (*self.sizes[0], 2), "num_classes": 3, **self.kwargs, **kwargs}
        )

    def inputs(self, rng, size=None, batch=2):
        return rng.normal(size=(batch, *(size or self.sizes[0]), 2)).astype("float32")


PLANE, MULTIPLES, VOLUME = ((8, 8), (9, 9), (12, 8)), ((8, 8), (4, 12)), ((4, 4, 4), (2, 4, 6))
RESNET = {"widths": (2, 3, 2), "depth": 8}
UNET = {"width": 2, "depth": 3}
# A small version of every family, and sizes that it takes; of what is registered, all that these leave different is
# tested. A new family needs a line here.
FAMILIES = {
    "allcnn_c": ({"widths": (2, 3)}, PLANE),
    "resnet": (RESNET, PLANE),
    "wide_resnet": ({"depth": 10, "widths": (2, 3, 4), "widen": 1}, PLANE),
    "large_resnet": ({"widths": (3, 3, 4, 4)}, ((32, 32), (31, 31))),
    "resnet3d": ({"widths": (2, 3)}, ((4, 4, 4), (4, 8, 8))),
    "unet": (UNET, MULTIPLES),
    "unet3d": ({"width": 2, "depth": 2}, VOLUME),
    # Two channels, normalised, are 1 and -1, and have no gradient.
    "convnext": ({"widths": (3, 4), "numbers": (1, 1), "kernel_size": 3}, MULTIPLES),
    "densenet": ({"growth": 2, "stages": 2}, MULTIPLES),
    "z2cnn": ({"width": 2}, ((28, 28),)),
    "p4cnn": ({"width": 2}, ((28, 28), (30, 28))),
    "p4cnn_rp": ({"width": 2}, ((28, 28),)),
    "separable_p4cnn": ({"width": 3}, ((28, 28),)),
}


def _family(name):
    """The builder's own name, and that of its nets for volumes."""
    builder = get_builder(name)
    family = getattr(builder, "__wrapped__", builder).__name__
    volumes = len(inspect.signature(builder).parameters["input_shape"].default) == 4
    return f"{family}3d" if volumes and not family.endswith("3d") else family


def _registered():
    """One small version of each registered architecture, without those that differ in what is made small."""
    found = {}
    for name in list_models():
        family = _family(name)
        kwargs, sizes = FAMILIES[family]
        defaults = {key: p.default for key, p in inspect.signature(get_builder(name)).parameters.items()}
        if family == "large_resnet" and defaults["depth"] == 34:
            kwargs = {**kwargs, "depth": 18}  # the same blocks, fewer
        left = {key: value for key, value in {**defaults, **kwargs}.items() if key != "name"}
        found.setdefault((family, repr(left)), Small(name, symmetry_name(name, **kwargs), kwargs, sizes))
    return list(found.values())


def symmetry_name(name, **kwargs):
    group = symmetry_group(name, **kwargs)
    return None if group is None else group.name


SMALL = _registered()
VARIANTS = [
    Small("o_resnet3d", "O", {"widths": (2, 3), "features": 5}, ((4, 4, 4),)),
    Small("p4m_resnet20", "P4", {**RESNET, "group": "P4", "pooling": "max"}, PLANE),
    Small("p4m_resnet20", "P4M", {**RESNET, "features": 5}, PLANE),
    Small("p4m_resnet20", "CMd", {**RESNET, "group": "CMd"}, ((8, 8), (12, 8))),
    Small("p4m_wide_resnet16_4", "P2MM", {"depth": 10, "widths": (2, 2, 3), "group": ("P4M", "P4M", "P2MM")}, PLANE),
    Small("p4m_wide_resnet16_4", "P2", {"depth": 10, "widen": 1, "dropout": 0.3, "group": ("P4M", "P4", "P2")}, PLANE),
    Small("p4m_wide_resnet16_4", "P4", {"depth": 10, "widths": (2, 2, 2), "group": "P4"}, PLANE),
    Small("p4m_unet", "P4M", {**UNET, "decoder": "upsampling", "pooling": "max"}, MULTIPLES),
    Small("p4m_unet", "P4M", {**UNET, "output": "signal", "dropout": 0.2, "skip_connections": False}, MULTIPLES),
    Small("d4h_unet3d", "D4h", {"width": 1, "depth": 2, "decoder": "upsampling"}, ((2, 4, 4),)),
    Small("p4_densenet", "P4", {"growth": 2, "stages": 2, "layers_per_stage": 2}, MULTIPLES),
    Small("p4_allcnn", "P4", {"widths": (2, 3), "pooling": "max"}, ((8, 8),)),
    Small("p4cnn", "P4", {"width": 2, "pooling": "avg"}, ((28, 28),)),
]
small = pytest.mark.parametrize("small", SMALL, ids=lambda small: f"{small.name}-{small.group}")
every = pytest.mark.parametrize("small", SMALL + VARIANTS, ids=lambda small: f"{small.name}-{small.group}")


@pytest.mark.parametrize("name", list_models())
def test_every_architecture_builds_and_has_the_published_parameters(name):
    builder = get_builder(name)
    model = builder()
    assert model.name == name
    if name in PUBLISHED:
        in_form = "form" in inspect.signature(builder).parameters
        assert parameters(builder(form="paper") if in_form else model) == PUBLISHED[name]
    assert name not in PUBLISHED_MILLIONS or round(parameters(model) / 1e6, 1) == PUBLISHED_MILLIONS[name]
    assert name not in PUBLISHED_BILLIONS or round(macs(model) / 1e9, 3) == PUBLISHED_BILLIONS[name]
    for layer in model.layers:
        registered = keras.saving.get_registered_name(type(layer))
        assert registered.startswith("groco>") or type(layer).__module__.startswith("keras.")
        assert not isinstance(layer, keras.layers.Lambda)
    _is_on_its_page(name, model)


def _is_on_its_page(name, model):
    """docs/models.md is up to date; its errors were measured when it was written."""
    from docs import write_models

    lines = [line for line in write_models.PAGE.read_text(encoding="utf-8").splitlines() if f"| `{name}` |" in line]
    assert len(lines) == 1, "write it anew: python -m docs.write_models"
    assert lines[0].startswith(write_models.row(name, model)), "write it anew: python -m docs.write_models"
    error = write_models.measured()[name]
    if symmetry_group(name) is not None:
        assert error.startswith("< 1e-"), "measure it: python -m docs.write_models --measure NAME"
        assert float(error.removeprefix("< ")) <= 1e-4
    else:
        assert error in ("planar", "restricted to P1")


@every
def test_equivariance(small, rng):
    for size in small.sizes if small.group else small.sizes[:1]:
        model = _any_shape(small, rng, size)
        inputs = small.inputs(rng, size)
        first, second = _numpy(model(inputs))
        assert np.abs(first - second).max() > 1e-3 * np.abs(first).max(), "it sees nothing"
        measure = {"ndim": small.ndim}
        if small.group is None:
            group = {2: "P4", 3: "O"}[small.ndim]
            assert equivariance_error(model, inputs, group, elements=[1], **measure) > 1e-3
        else:
            elements = None if size == small.sizes[0] else _generators(small.group, small.ndim)
            assert_equivariant(model, inputs, small.group, elements=elements, tolerance=1e-4, **measure)


def _generators(name, ndim):
    """A few elements from which all others follow, where another size of the input has shown all."""
    group, chosen = get_group(name, ndim), []
    for element in range(group.order):
        matrices = group.matrices[chosen] if chosen else group.matrices[:1]
        if not any((group.matrices[element] == m).all() for m in Group.from_generators(matrices).matrices):
            chosen.append(element)
    return chosen


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
    lines = []
    model.summary(print_fn=lines.append)
    assert f"{parameters(model):,}" in "\n".join(lines)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_allclose(_numpy(loaded(inputs)), expected, atol=1e-5)


@small
def test_without_the_top_it_gives_features_on_the_group(small, rng):
    model = small.build(include_top=False)
    randomise(model, rng)
    assert len(model.output_shape) == small.ndim + (2 if small.name in ("z2cnn", "p4cnn_rp") else 3)
    if small.group:
        assert_equivariant(model, small.inputs(rng), small.group, ndim=small.ndim, tolerance=1e-4)


def test_the_papers_form_is_not_equivariant(rng):
    """Its strides do not fit even sizes, and its classifier sees the orientations."""
    model = create_model("p4m_resnet20", input_shape=(8, 8, 2), **RESNET, form="paper")
    randomise(model, rng)
    inputs = rng.normal(size=(2, 8, 8, 2)).astype("float32")
    assert equivariance_error(model, inputs, "P4M", output="invariant") > 1e-3


def test_the_papers_form_is_padded_on_both_sides(rng):
    """By one point, as in the authors' code: windows are centred on the points that the shortcut takes."""
    model = create_model("p4m_resnet20", input_shape=(8, 8, 2), **RESNET, form="paper")
    before, after = (model.get_layer(f"stage2_block1_1_{part}") for part in ("conv_padding", "conv"))
    signal = rng.normal(size=(1, 8, 8, 8, RESNET["widths"][0])).astype("float32")
    every = groco.layers.GroupConv2D(after.filters, 3, group="P4M", padding="same", use_bias=after.use_bias)
    every.build(signal.shape)
    every.set_weights(after.get_weights())
    expected = keras.ops.convert_to_numpy(every(signal))[:, ::2, ::2]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(after(before(signal))), expected, atol=1e-5)


def test_the_papers_form_of_unknown_sizes(rng):
    kwargs = {**RESNET, "form": "paper"}
    model = create_model("p4m_resnet20", input_shape=(None, None, 2), **kwargs)
    known = create_model("p4m_resnet20", input_shape=(8, 12, 2), **kwargs)
    known.set_weights(model.get_weights())
    inputs = rng.normal(size=(2, 8, 12, 2)).astype("float32")
    np.testing.assert_allclose(model.predict(inputs, verbose=0), known.predict(inputs, verbose=0), atol=1e-5)


def test_half_a_channel_of_a_unet_is_a_whole_one_at_the_next_level():
    net = create_model("p4_unet", width=2.5, depth=3)
    assert [net.get_layer(f"down{level}_1_conv").filters for level in range(3)] == [3, 5, 10]
    assert net.get_layer("up0_2_conv").filters == 3


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("p4m_resnet20", {"depth": 14}),
        ("p4m_resnet20", {"depth": 14, "features": 64}),
        ("p4_unet", {"depth": 3}),
        ("p4m_densenet", {}),
        ("oh_resnet3d", {"input_shape": (8, 8, 8, 1)}),
        ("o_resnet3d", {"input_shape": (8, 8, 8, 1), "features": 64}),
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
        ("p4m_convnext", {"kernel_size": 4}, "kernel_size is odd where the group turns or mirrors, got 4"),
        ("p4m_resnet20", {"widths": (2, 3)}, "widths are 3 positive ints"),
        ("p4m_resnet20", {"form": "exakt"}, "form is one of 'exact', 'paper', got 'exakt'"),
        ("p4m_resnet20", {"pooling": "sum"}, "pooling is one of"),
        ("p4m_resnet20", {"features": 1.5}, "features is a positive int or None, got 1.5"),
        ("p4m_resnet18", {"depth": 19}, "depth is 18, 34 or 50"),
        ("p4m_wide_resnet16_4", {"group": ("P4", "P4M", "P4")}, "not a subgroup"),
        ("p4m_wide_resnet16_4", {"group": ("P4", "P4")}, "one group or three"),
        ("p4m_wide_resnet16_4", {"input_shape": (9, 8, 3)}, "exchanges height and width.*got 9 x 8"),
        ("p4m_resnet20", {"input_shape": (9, 11, 3)}, "all even or all odd before each of 2 halvings, got 9 x 11"),
        ("p4m_resnet20", {"input_shape": (None, 10, 3)}, "multiples of 4, got any x 10; the nearest to 10: 8 and 12"),
        ("p4m_densenet", {"input_shape": (90, 96, 3)}, "multiples of 32, got 90 x 96; the nearest to 90: 64 and 96"),
        ("p4m_convnext", {"input_shape": (30, 32, 3)}, "multiples of 8.*nearest to 30: 24 and 32"),
        ("o_resnet3d", {"input_shape": (7, 8, 8, 1)}, "multiples of 2"),
        ("o_resnet3d", {"input_shape": (8, 6, 6, 1)}, "'O' exchanges depth and height and width"),
        ("o_resnet3d", {"widths": ()}, "widths are"),
        ("o_resnet3d", {"features": 0}, "features is a positive int or None, got 0"),
        ("p4cnn", {"pooling": "sum"}, "pooling is one of 'max', 'avg', got 'sum'"),
        ("p4cnn", {"colour": 1}, "p4cnn has no argument colour; it has input_shape, num_classes"),
        ("p4_unet", {"input_shape": (20, 16, 1)}, "multiples of 8, got 20 x 16; the nearest to 20: 16 and 24"),
        ("p4_unet", {"input_shape": (16, 1)}, "input_shape is"),
        ("p4_unet", {"decoder": "bilinear"}, "decoder is one of"),
        ("p4m_resnet20", {"input_shape": (32, 32)}, r"p4m_resnet20: input_shape is \(height, width, channels\), got"),
        ("p4m_resnet20", {"input_shape": (8, 8, 8, 1)}, r"input_shape is \(height, width, channels\), got"),
        ("o_resnet3d", {"input_shape": (8, 8, 1)}, r"input_shape is \(depth, height, width, channels\), got"),
        ("p4cnn", {"input_shape": 28}, r"input_shape is \(height, width, channels\), got 28"),
        ("p4_unet", {"width": 0}, "width is a number of channels, got 0"),
        ("p4_unet", {"width": "8"}, "width is a number of channels, got '8'"),
        ("o_unet3d", {"input_shape": (8, 8, 6, 1)}, "multiples of 4.*nearest to 6: 4 and 8"),
        ("p4m_convnext", {"numbers": (1,)}, "one positive int for each stage"),
    ],
)
def test_wrong_arguments(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        create_model(name, **kwargs)


@pytest.mark.parametrize(
    ("name", "size", "wrong", "nearest"),
    [
        ("unet", (8, 16), (10, 16), "multiples of 4, got 10 x 16; the nearest to 10: 8 and 12"),
        ("p4_unet", (8, 16), (2, 16), "multiples of 4, got 2 x 16; the nearest to 2: 4"),
        ("p4m_resnet20", (8, 12), (9, 9), "multiples of 4, got 9 x 9; the nearest to 9: 8 and 12"),
        ("o_resnet3d", (4, 4, 8), (4, 4, 6), "multiples of 4, got 4 x 4 x 6; the nearest to 6: 4 and 8"),
    ],
)
def test_nets_for_unknown_sizes_say_which_they_take(name, size, wrong, nearest, rng):
    model = create_model(name, input_shape=(*(None,) * len(size), 1), **FAMILIES[_family(name)][0])
    model(rng.normal(size=(1, *size, 1)))
    with pytest.raises(ValueError, match=nearest):
        model(rng.normal(size=(1, *wrong, 1)))
    with pytest.raises(ValueError, match=nearest):
        model.predict(rng.normal(size=(1, *wrong, 1)), verbose=0)


def test_macs_are_those_of_the_plain_convolutions():
    """A planar layer by hand; a group layer costs |group| times its kernel at every point."""
    image = keras.Input((10, 12, 2))
    layer = keras.layers.Conv2D(5, 3, strides=2, padding="same")(image)
    assert macs(keras.Model(image, layer)) == 5 * 6 * 3 * 3 * 2 * 5
    x = groco.layers.GroupConv2D(4, 3, group="P4M")(image)
    lifted = 8 * 10 * 9 * 2 * 8 * 4
    assert macs(keras.Model(image, x)) == lifted
    y = groco.layers.GroupConv2D(3, 3, group="P4M", subgroup="P4", strides=1)(x)
    assert macs(keras.Model(image, y)) == lifted + 6 * 8 * 9 * (8 * 4) * (4 * 3)
    y = groco.layers.GroupConv2DTranspose(3, 2, strides=2, group="P4M")(x)
    assert macs(keras.Model(image, y)) == lifted + 8 * 10 * 4 * (8 * 4) * (8 * 3)
    y = groco.layers.DepthwiseGroupConv2D(3, group="P4M")(x)
    assert macs(keras.Model(image, y)) == lifted + 6 * 8 * 9 * 8 * 8 * 4
    fibre = groco.layers.GlobalGroupAveragePooling2D(group="P4M", subgroup="P4M")(x)
    y = keras.layers.Dense(7)(groco.layers.GroupDense(5, group="P4M")(fibre))
    assert macs(keras.Model(image, y)) == lifted + (8 * 4) * (8 * 5) + 8 * 5 * 7


@pytest.mark.parametrize("subgroup", ["P4", "P2", "P1"])
def test_macs_of_transposed_convolutions(subgroup):
    """An image is lifted to the whole group, a signal is read on the subgroup; as in the exported net."""
    image = keras.Input((4, 4, 3))
    signal = groco.layers.GroupLifting2D(group=subgroup)(image)
    order = get_group(subgroup, 2).order
    for inputs, expected in ((image, 16 * 9 * 3 * (4 * 2)), (signal, 16 * 9 * (order * 3) * (4 * 2))):
        outputs = groco.layers.GroupConv2DTranspose(2, 3, group="P4", subgroup=subgroup)(inputs)
        model = keras.Model(image, outputs)
        assert macs(model) == macs(groco.export_plain(model)) == expected


@pytest.mark.parametrize("factorization", ["depthwise", "gc", "g"])
def test_macs_of_separable_convolutions(factorization):
    image = keras.Input((6, 6, 2))
    x = groco.layers.GroupLifting2D(group="P4")(image)
    x = groco.layers.SeparableGroupConv2D(5, 3, group="P4", factorization=factorization)(x)
    expected = {
        "depthwise": 16 * (9 * 4 * 4 * 2) + 16 * (4 * 2) * (4 * 5),  # both where the output is
        "gc": 36 * (4 * 2) * (4 * 5) + 16 * 9 * 4 * 5,  # the pointwise one where the input is
        "g": 16 * 9 * (4 * 2) * (4 * 5),  # computed as one
    }
    assert macs(keras.Model(image, x)) == expected[factorization]


@pytest.mark.parametrize(
    ("name", "size", "kwargs"),
    [
        ("p4m_resnet20", (8, 8), RESNET),
        ("p4_unet", (8, 8), {"width": 1, "depth": 2}),
        ("o_unet3d", (2, 2, 2), {"width": 1, "depth": 2}),
    ],
)
def test_macs_are_those_of_the_exported_net(name, size, kwargs):
    model = create_model(name, input_shape=(*size, 1), **kwargs)
    assert macs(model) == macs(groco.export_plain(model))


def test_macs_of_calls():
    """A layer counts as often as it is called, on what it is called on; so does a model inside the model."""
    image, conv = keras.Input((8, 8, 3)), groco.layers.GroupConv2D(5, 3, group="P4")
    once = 6 * 6 * 9 * 3 * 20
    conv(keras.Input((28, 28, 3)))
    inside = keras.Model(image, conv(image))
    assert macs(inside) == once
    second = keras.Input((8, 8, 3))
    assert macs(keras.Model([image, second], conv(image) + conv(second))) == 2 * once
    assert macs(keras.Model([image, second], inside(image) + inside(second))) == 2 * once
    any_size = keras.Input((None, None, 3))
    inside = keras.Model(any_size, conv(any_size))
    with pytest.raises(ValueError, match=r"is built for inputs .*None.* and called on .*8, 8, 3.*, whose cost"):
        macs(keras.Model(image, inside(image)))


def test_macs_need_sizes():
    with pytest.raises(ValueError, match="unknown size"):
        macs(create_model("p4_unet", width=1, depth=1))


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
