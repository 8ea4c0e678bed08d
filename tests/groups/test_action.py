"""Groups act on signals of any kind, and the action is a homomorphism."""

import keras
import numpy as np
import pytest

from groco.groups import act, get_group, list_groups

ALL = [get_group(name, ndim) for ndim in (1, 2, 3) for name in list_groups(ndim)]
every_group = pytest.mark.parametrize("group", ALL, ids=[f"{group.ndim}d-{group.name}" for group in ALL])
SIZES = (3, 4, 2)


def test_quarter_turn_and_flip_are_those_of_numpy(rng):
    image = rng.normal(size=(3, 4))
    p4m = get_group("P4M", 2)
    for k in range(4):
        np.testing.assert_array_equal(act(p4m, k, image, (0, 1)), np.rot90(image, k))
        np.testing.assert_array_equal(act(p4m, 4 + k, image, (0, 1)), np.rot90(image[:, ::-1], k))


@every_group
def test_points_go_where_the_matrix_sends_them(group):
    """(g f)(x) = f(g^-1 x), coordinates counted from the centre."""
    sizes = np.array(SIZES[: group.ndim])
    values = np.arange(sizes.prod()).reshape(sizes)
    for element, matrix in enumerate(group.matrices):
        turned = act(group, element, values, range(group.ndim))
        for point in np.ndindex(*values.shape):
            centred = 2 * np.array(point) - (sizes - 1)
            image = (matrix @ centred + np.array(turned.shape) - 1) // 2
            assert turned[tuple(image)] == values[point]


@every_group
def test_homomorphism_on_grid_and_group(group, rng):
    signal = rng.normal(size=(2, *SIZES[: group.ndim], group.order, 2))
    axes = range(1, group.ndim + 1)
    turned = [act(group, g, signal, axes, group_axis=-2) for g in range(group.order)]
    np.testing.assert_array_equal(turned[0], signal)
    some = range(group.order) if group.order <= 16 else rng.integers(group.order, size=6)
    for g in some:
        for h in some:
            twice = act(group, g, turned[h], axes, group_axis=-2)
            np.testing.assert_array_equal(twice, turned[group.product[g, h]])


@every_group
def test_values_on_the_group_are_permuted_from_the_left(group):
    """The value at h goes to g h."""
    labels = np.arange(group.order).reshape((1,) * group.ndim + (group.order,))
    for g in range(group.order):
        turned = act(group, g, labels, range(group.ndim), group_axis=-1).ravel()
        for h in range(group.order):
            assert turned[group.product[g, h]] == h


def test_a_subgroup_acts_on_signals_of_the_whole_group(rng):
    p4m, p4 = get_group("P4M", 2), get_group("P4", 2)
    signal = rng.normal(size=(1, 3, 3, 8, 1))
    within = p4m.positions(p4)
    for element in range(4):
        np.testing.assert_array_equal(
            act(p4, element, signal, (1, 2), group_axis=3, signal_group=p4m),
            act(p4m, within[element], signal, (1, 2), group_axis=3),
        )


def test_tensors_as_arrays(rng):
    group = get_group("P4M", 2)
    signal = rng.normal(size=(1, 2, 3, 8, 2)).astype("float32")
    for element in range(group.order):
        tensor = act(group, element, keras.ops.convert_to_tensor(signal), (1, 2), group_axis=3)
        expected = act(group, element, signal, (1, 2), group_axis=3)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensor), expected)


def test_axes_that_do_not_fit(rng):
    group = get_group("P4", 2)
    with pytest.raises(ValueError, match="acts on 2 spatial axes"):
        act(group, 1, rng.normal(size=(3, 3)), (0,))
    with pytest.raises(ValueError, match="4 values along the group axis"):
        act(group, 1, rng.normal(size=(3, 3, 5)), (0, 1), group_axis=2)
