"""What holds for every layer of `groco.layers`: a new one is tested by being there."""

import inspect
import re

import keras
import numpy as np
import pytest

from groco import layers
from groco.groups import get_group

GROUPS = {1: "PM", 2: "P4", 3: "D4"}
NOT_SUBGROUPS = {1: None, 2: "PMh", 3: "Oh"}
UNKNOWN = {1: "PN", 2: "P4m", 3: "oh"}
KERNEL = {"kernel_size": 3}
# The arguments without default, besides the group.
ARGUMENTS = {
    "GroupConv": {"filters": 2, **KERNEL},
    "GroupConvTranspose": {"filters": 2, **KERNEL},
    "DepthwiseGroupConv": KERNEL,
    "SeparableGroupConv": {"filters": 2, **KERNEL},
    "GroupDense": {"units": 2},
    "GroupRestriction": {"subgroup": {1: "P1", 2: "P2", 3: "C4"}},
}
# Ours with arguments that Keras' layer of that name does not have at all, or not in that place.
OTHER_ARGUMENTS = {"GroupBlurPooling", "GroupLifting", "GroupRestriction", "GroupBatchNormalization"}
IMAGES_ONLY = {"GroupLifting"}
IMAGES_AND_SIGNALS = {"GroupUpSampling", "GroupZeroPadding", "GroupCropping"}  # without weights
# Which argument must be equal along axes that the group exchanges.
SQUARE = {"Conv": "kernel_size", "Pooling": "pool_size", "UpSampling": "size", "Padding": "padding", "Crop": "cropping"}


def _family(name: str) -> str:
    return re.sub(r"[123]D", "", name)


def _rank(name: str) -> int:
    found = re.search(r"([123])D", name)
    return int(found[1]) if found else 2


ALL = [name for name in layers.__all__ if name != "GroupBatchNormalization"]
every = pytest.mark.parametrize("name", ALL)


def _arguments(name, **changed):
    rank = _rank(name)
    arguments = {key: value[rank] if isinstance(value, dict) else value for key, value in _given(name).items()}
    return {"group": GROUPS[rank], "name": "tested", **arguments, **changed}


def _given(name):
    return ARGUMENTS.get(_family(name), {})


def _make(name, **changed):
    return getattr(layers, name)(**_arguments(name, **changed))


def _shape(name, order=None):
    rank = _rank(name)
    if _family(name) in IMAGES_ONLY:
        return (2, *(6, 8, 4)[:rank], 3)
    return (2, *(6, 8, 4)[:rank], order or get_group(GROUPS[rank], rank).order, 3)


def _refused(name, call, *words):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    message = str(raised.value)
    assert message.startswith(f"{name} (name='tested'): ")
    for word in words:
        assert word in message, message


def _parameters(cls):
    return {key: p for key, p in inspect.signature(cls.__init__).parameters.items() if key not in ("self", "kwargs")}


@pytest.mark.parametrize("name", layers.__all__)
def test_nothing_is_lost_in_the_config(name):
    layer = _make(name) if name in ALL else layers.GroupBatchNormalization(name="tested")
    config = layer.get_config()
    lacking = set(_parameters(type(layer))) - set(config)
    assert not lacking
    assert type(layer).from_config(config).get_config() == config


@pytest.mark.parametrize("name", [name for name in layers.__all__ if _family(name) not in OTHER_ARGUMENTS])
def test_arguments_are_those_of_keras_in_their_order(name):
    positional = [key for key, p in _parameters(getattr(layers, name)).items() if p.kind != p.KEYWORD_ONLY]
    of_keras = _parameters(_of_keras(name))
    wanted = [key for key in of_keras if key in positional]
    assert [key for key in positional if key in of_keras] == wanted
    assert set(of_keras) - set(positional) <= {"name", "lora_rank", "lora_alpha", "quantization_config"}
    assert set(positional) - set(of_keras) <= {"data_format", "dilation_rate", "interpolation"}
    defaults = {key: p.default for key, p in _parameters(getattr(layers, name)).items()}
    for key, parameter in of_keras.items():
        if key in defaults and key not in ("padding", "cropping") and parameter.default is not parameter.empty:
            assert defaults[key] in (parameter.default, _one(parameter.default)), key


def _of_keras(name):
    """Keras' layer of that name; where there is none in 3-D, and where it has another order there, that of 2-D."""
    plain = name.replace("Group", "")
    return getattr(keras.layers, plain.replace("3D", "2D") if "Conv3D" in plain else plain)


def _one(value):
    """2 for (2, 2)."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


@every
def test_wrong_ranks_are_refused(name):
    shape = _shape(name)
    group = GROUPS[_rank(name)]
    short = shape[:2] if name == "GroupDense" else shape[: _rank(name) + 1]
    for wrong in (short, *([] if name == "GroupDense" else [(*shape, 3, 3)])):
        _refused(name, lambda wrong=wrong: _make(name).build(wrong), f"got shape {wrong}", f"signal on '{group}'")


@every
def test_the_wrong_length_of_the_group_axis_is_refused(name):
    wrong = _shape(name, order=3)
    if _family(name) in IMAGES_ONLY:
        wrong = (*wrong[:-1], 3, wrong[-1])
    layer = _make(name)
    words = (f"a group axis of length {layer.input_group.order}", f"got shape {wrong}")
    _refused(name, lambda: layer.build(wrong), *words, "use the group that the layer before writes")


@every
def test_unknown_groups_are_refused(name):
    rank = _rank(name)
    ndim = {"ndim": rank} if name == "GroupDense" else {}
    _refused(name, lambda: _make(name, group=UNKNOWN[rank], **ndim), "There is no", "Close names: ", "list_groups")


@pytest.mark.parametrize("name", [name for name in ALL if "subgroup" in _parameters(getattr(layers, name))])
def test_other_groups_than_subgroups_are_refused(name):
    rank = _rank(name)
    if NOT_SUBGROUPS[rank] is None:  # the line has one group and its trivial subgroup
        _refused(name, lambda: _make(name, group="P1", subgroup="PM"), "not a subgroup of group='P1'; use one of P1")
        return
    subgroup, group = NOT_SUBGROUPS[rank], GROUPS[rank]
    _refused(name, lambda: _make(name, subgroup=subgroup), f"not a subgroup of group='{group}'; use one of ")


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        (name, argument)
        for name in ALL
        for part, argument in SQUARE.items()
        if part in name and not name.startswith("Global") and _rank(name) > 1
    ],
)
def test_what_is_not_square_is_refused_where_axes_are_exchanged(name, argument):
    unequal = (2, 3) if _rank(name) == 2 else (2, 2, 3)
    words = ("breaks equivariance", "What works: ", "the same along")  # of pairs, before and after
    if argument not in ("padding", "cropping"):
        words = (f"{argument}={unequal} differs along axes", "make it equal")
    _refused(name, lambda: _make(name, **{argument: unequal}), *words)


@every
def test_inputs_need_not_be_square(name):
    """A quarter turn makes (h, w) of (w, h): no layer needs them to be equal (equivariance: test_properties.py)."""
    layer, shape = _make(name), _shape(name)
    layer.build(shape)
    assert tuple(layer(np.zeros(shape, "float32")).shape) == layer.compute_output_shape(shape)


@every
def test_numpy_integers_and_lists_are_taken(name):
    for key, value in _arguments(name).items():
        if key in ("kernel_size", "filters", "units"):
            config = _make(name, **{key: np.int64(value)}).get_config()
            assert config == _make(name, **{key: value}).get_config()
    if "kernel_size" in _arguments(name):
        assert _make(name, kernel_size=[3] * _rank(name)).kernel_size == (3,) * _rank(name)


@every
def test_what_is_built_takes_other_channels_only_without_weights(name):
    layer, shape = _make(name), _shape(name)
    layer.build(shape)
    other_channels = (*shape[:-1], shape[-1] + 1)
    if not layer.weights:
        assert tuple(layer(np.zeros(other_channels, "float32")).shape) == layer.compute_output_shape(other_channels)
        return
    words = (f"it was built for inputs of shape {shape}", f"got shape {other_channels}", "use a new layer")
    _refused(name, lambda: layer(np.zeros(other_channels, "float32")), *words)


@every
def test_what_is_built_takes_no_other_rank_or_group(name):
    layer, shape = _make(name), _shape(name)
    layer.build(shape)
    other_rank = (*shape[:-1], 2, 3, shape[-1])
    words = () if name == "GroupDense" else (f"signal on '{GROUPS[_rank(name)]}'",)
    _refused(name, lambda: layer(np.zeros(other_rank, "float32")), f"got shape {other_rank}", *words)
    if _family(name) not in IMAGES_ONLY:
        wrong = _shape(name, order=3)
        _refused(name, lambda: layer(np.zeros(wrong, "float32")), "use the group that the layer before writes")


@pytest.mark.parametrize("name", [name for name in ALL if _family(name) in IMAGES_AND_SIGNALS])
def test_what_changes_the_grid_alone_takes_images_and_signals(name, rng):
    """One after the other, whichever comes first, and in one model."""
    signal = rng.normal(size=_shape(name)).astype("float32")
    image = signal[..., 0, :]
    for first, second in ((signal, image), (image, signal)):
        layer = _make(name)
        layer(first)
        np.testing.assert_array_equal(layer(second), _make(name)(second))
    inputs = [keras.Input(values.shape[1:]) for values in (signal, image)]
    layer = _make(name)
    model = keras.Model(inputs, [layer(values) for values in inputs])
    for output, values in zip(model([signal, image]), (signal, image), strict=True):
        np.testing.assert_array_equal(output, _make(name)(values))


def test_the_group_layers_and_no_others_are_public():
    for name in layers.__all__:
        cls = getattr(layers, name)
        assert cls.__doc__
        assert keras.saving.get_registered_name(cls) == f"groco>{name}"
