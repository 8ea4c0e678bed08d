"""Padding and cropping of borders: numpy's, equivariant or refused."""

import itertools

import keras
import numpy as np
import pytest

from groco.groups import get_group, list_groups
from groco.layers.zero_padding import (
    GroupCropping1D,
    GroupCropping2D,
    GroupCropping3D,
    GroupZeroPadding1D,
    GroupZeroPadding2D,
    GroupZeroPadding3D,
)
from groco.testing import assert_equivariant, equivariance_error
from tests.layers.contract import check_layer

LAYERS = {
    ("padding", 1): GroupZeroPadding1D,
    ("padding", 2): GroupZeroPadding2D,
    ("padding", 3): GroupZeroPadding3D,
    ("cropping", 1): GroupCropping1D,
    ("cropping", 2): GroupCropping2D,
    ("cropping", 3): GroupCropping3D,
}
SIZES = {1: (5,), 2: (5, 6), 3: (3, 4, 5)}
kinds = pytest.mark.parametrize("kind", ["padding", "cropping"])
images_or_signals = pytest.mark.parametrize("image", [True, False], ids=["image", "signal"])


def _input(rng, ndim, group, image=False, sizes=None):
    order = () if image else (get_group(group, ndim).order,)
    return rng.normal(size=(2, *(sizes or SIZES[ndim]), *order, 2)).astype("float32")


def by_definition(kind, inputs, pairs):
    ndim = len(pairs)
    if kind == "padding":
        return np.pad(inputs, [(0, 0), *pairs, *[(0, 0)] * (inputs.ndim - ndim - 1)])
    for axis, (before, after) in enumerate(pairs, start=1):
        inputs = np.take(inputs, range(before, inputs.shape[axis] - after), axis=axis)
    return inputs


@kinds
@images_or_signals
@pytest.mark.parametrize(
    ("ndim", "amounts", "pairs"),
    [
        (1, 2, [(2, 2)]),
        (1, (1, 2), [(1, 2)]),
        (1, ((0, 2),), [(0, 2)]),
        (1, (1,), [(1, 1)]),
        (2, 1, [(1, 1), (1, 1)]),
        (2, (0, 2), [(0, 0), (2, 2)]),
        (2, ((1, 2), (3, 0)), [(1, 2), (3, 0)]),
        (2, [[0, 1], 2], [(0, 1), (2, 2)]),
        (3, 1, [(1, 1), (1, 1), (1, 1)]),
        (3, (1, 0, 2), [(1, 1), (0, 0), (2, 2)]),
        (3, ((1, 0), (0, 2), (2, 1)), [(1, 0), (0, 2), (2, 1)]),
    ],
)
def test_arguments_are_those_of_keras(kind, ndim, amounts, pairs, image, rng):
    inputs = _input(rng, ndim, "P1", image)
    layer = LAYERS[kind, ndim](amounts, group="P1")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_array_equal(outputs, by_definition(kind, inputs, pairs))
    assert getattr(layer, kind) == tuple(pairs)
    name = {"padding": "ZeroPadding", "cropping": "Cropping"}[kind]
    if image and amounts not in [((0, 2),), (1,)]:
        plain = getattr(keras.layers, f"{name}{ndim}D")(amounts)
        np.testing.assert_array_equal(outputs, keras.ops.convert_to_numpy(plain(inputs)))


@kinds
@images_or_signals
@pytest.mark.parametrize(("ndim", "group"), [(ndim, group) for ndim in (1, 2) for group in list_groups(ndim)])
def test_equivariant_or_refused(kind, ndim, group, image, rng):
    """All amounts of 0 and 2: what is not refused is exact, and what is refused is not."""
    inputs = _input(rng, ndim, group, image, sizes=(5, 5)[:ndim])
    accepted = 0
    for pairs in itertools.product(itertools.product((0, 2), repeat=2), repeat=ndim):
        layer = LAYERS[kind, ndim](pairs, group=group, allow_non_equivariance=True)
        error = equivariance_error(layer, inputs)
        try:
            LAYERS[kind, ndim](pairs, group=group)
        except ValueError as refusal:
            assert "What works" in str(refusal)
            assert error > 1e-2, pairs
        else:
            assert error == 0, pairs
            accepted += 1
    free = {"P1": 2 * ndim, "PMh": 3, "PMw": 3, "CMd": 2, "CMa": 2, "P2": 2, "P2MM": 2}  # borders not mapped on others
    assert accepted == 2 ** free.get(group, 1)


@kinds
@pytest.mark.parametrize("group", list_groups(3))
def test_every_group_of_space(kind, group, rng):
    layer = LAYERS[kind, 3](1, group=group)
    assert_equivariant(layer, _input(rng, 3, group)[:1], tolerance=0)


@kinds
@images_or_signals
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_contract(kind, image, ndim, tmp_path):
    group = {1: "PM", 2: "P2MM", 3: "C4"}[ndim]
    pairs = {1: ((1, 1),), 2: ((1, 1), (2, 2)), 3: ((0, 2), (1, 1), (1, 1))}[ndim]
    order = () if image else (get_group(group, ndim).order,)
    shape = (*(5, 6, 5)[:ndim], *order, 2)
    check_layer(LAYERS[kind, ndim], {kind: pairs, "group": group}, shape, trainable_weights=0, tmp_path=tmp_path)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has graphs without sizes")
@kinds
def test_graphs_without_sizes(kind, rng):
    import tensorflow as tf

    layer = LAYERS[kind, 2](((1, 1), (0, 2)), group="PMh")
    layer.build((None, None, None, 2, 2))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 2, 2))])
    for size in ((5, 5), (4, 3)):
        inputs = _input(rng, 2, "PMh", sizes=size)
        np.testing.assert_array_equal(graph(inputs), layer(inputs))


@pytest.mark.parametrize(
    ("kind", "amounts", "group", "shape", "message"),
    [
        ("padding", -1, "P1", None, "padding is an int, 2 ints, or 2 pairs .* none below 0, got -1"),
        ("padding", (1, 1, 1), "P1", None, "got \\(1, 1, 1\\)"),
        ("padding", ((1, 1, 1), 1), "P1", None, "padding is an int"),
        ("padding", 0.5, "P1", None, "padding is an int"),
        ("padding", ((0, 1), (0, 1)), "P2MM", None, "What works: as much before as after along height; as much"),
        ("padding", (1, 2), "P4", None, "element R changes the amounts along the height.*the same along height, width"),
        ("cropping", ((0, 1), 1), "PMw", None, None),
        ("cropping", 1, "P4", (None, 8, 8), "got shape"),
        ("cropping", 1, "P4", (None, 8, 8, 2, 3), "group axis of length 4"),
        ("cropping", (1, 2), "P2", (None, 8, 4, 2, 3), "leaves nothing of the input's width, 4; crop less"),
    ],
)
def test_errors_name_the_layer_and_the_fix(kind, amounts, group, shape, message):
    def build():
        layer = LAYERS[kind, 2](amounts, group=group, name="tested")
        if shape is not None:
            layer.build(shape)

    if message is None:
        return build()
    with pytest.raises(ValueError, match=message) as raised:
        build()
    assert f"{LAYERS[kind, 2].__name__} (name='tested')" in str(raised.value)


def test_sizes_that_are_too_small_when_called(rng):
    image = keras.Input((None, None, 1))
    model = keras.Model(image, GroupCropping2D(2, group="P4")(image))
    assert model(np.ones((1, 5, 6, 1), "float32")).shape == (1, 1, 2, 1)
    with pytest.raises(Exception, match="leaves nothing"):
        model(np.ones((1, 4, 6, 1), "float32"))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_defaults_are_those_of_keras(rank):
    for name, argument in (("ZeroPadding", "padding"), ("Cropping", "cropping")):
        ours = LAYERS[argument, rank](group=("PM", "P4", "O")[rank - 1])
        expected = getattr(getattr(keras.layers, f"{name}{rank}D")(), argument)
        assert getattr(ours, argument) == ((expected,) if rank == 1 else expected)
