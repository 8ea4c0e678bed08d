"""The groups are groups, all of them are there, and their tables are right."""

import copy
import itertools
import pickle

import numpy as np
import pytest

from groco.groups import Group, get_group, list_groups

ALL = [get_group(name, ndim) for ndim in (1, 2, 3) for name in list_groups(ndim)]
LARGEST = {1: "PM", 2: "P4M", 3: "Oh"}

# fmt: off
FROZEN_O = [
    [1, 2, 3], [1, -3, 2], [1, -2, -3], [1, 3, -2],
    [-1, 2, -3], [-1, 3, 2], [-1, -2, 3], [-1, -3, -2],
    [3, 1, 2], [3, -2, 1], [3, -1, -2], [3, 2, -1],
    [-3, 1, -2], [-3, 2, 1], [-3, -1, 2], [-3, -2, -1],
    [2, 1, -3], [2, 3, 1], [2, -1, 3], [2, -3, -1],
    [-2, 1, 3], [-2, -3, 1], [-2, -1, -3], [-2, 3, -1],
]
# fmt: on

every_group = pytest.mark.parametrize("group", ALL, ids=[f"{group.ndim}d-{group.name}" for group in ALL])


def test_all_groups_of_the_grid_are_there():
    assert [len(list_groups(ndim)) for ndim in (1, 2, 3)] == [2, 10, 98]
    assert list_groups(1) == ["P1", "PM"]
    assert set(list_groups(2)) == {"P1", "P2", "PMh", "PMw", "CMd", "CMa", "P2MM", "C2MM", "P4", "P4M"}


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_largest_group_is_all_signed_permutations(ndim):
    expected = set()
    for permutation in itertools.permutations(range(ndim)):
        for signs in itertools.product([1, -1], repeat=ndim):
            expected.add((np.diag(signs) @ np.eye(ndim, dtype=int)[list(permutation)]).astype(np.int8).tobytes())
    assert {matrix.tobytes() for matrix in get_group(LARGEST[ndim], ndim).matrices} == expected


def test_known_sizes_of_the_lattice_of_oh():
    oh = get_group("Oh", 3)
    assert len(oh.subgroups) == 98
    assert len(oh.subgroup_classes) == 33
    assert len(oh.conjugacy_classes) == 10
    assert len(get_group("P4M", 2).subgroup_classes) == 8
    assert len(get_group("P4M", 2).conjugacy_classes) == 5
    # The published orders of the Schoenflies groups.
    orders = {"Oh": 48, "O": 24, "Td": 24, "Th": 24, "D4h": 16, "T": 12, "D4": 8, "C4h": 8, "D2d": 8, "C4": 4, "Ci": 2}
    assert {name: get_group(name, 3).order for name in orders} == orders


def test_frozen_order_of_the_elements():
    """Weights depend on it: e R R2 R3 F RF R2F R3F, R the quarter turn and F the flip of the width axis."""
    turn, flip = np.array([[0, -1], [1, 0]]), np.diag([1, -1])
    expected = [np.linalg.matrix_power(turn, k) @ np.linalg.matrix_power(flip, f) for f in (0, 1) for k in range(4)]
    np.testing.assert_array_equal(get_group("P4M", 2).matrices, expected)
    np.testing.assert_array_equal(get_group("P4", 2).matrices, expected[:4])
    assert get_group("P4M", 2).element_names == ("e", "R", "R2", "R3", "F", "RF", "R2F", "R3F")
    rotations = np.linalg.det(get_group("Oh", 3).matrices) > 0
    assert rotations.tolist() == [True] * 24 + [False] * 24


def test_frozen_order_of_oh_does_not_change():
    """The order of the 48 elements, as the images of the point (1, 2, 3); a change would break published weights."""
    images = get_group("Oh", 3).matrices.astype(int) @ np.array([1, 2, 3])
    assert images[:24].tolist() == FROZEN_O
    np.testing.assert_array_equal(images[24:], -images[:24])


@every_group
def test_axioms(group):
    identity = np.arange(group.order)
    np.testing.assert_array_equal(group.product[0], identity)
    np.testing.assert_array_equal(group.product[:, 0], identity)
    np.testing.assert_array_equal(group.product[identity, group.inverse], 0)
    np.testing.assert_array_equal(group.product[group.inverse, identity], 0)
    left = group.product[group.product[:, :, None], identity]
    right = group.product[identity[:, None, None], group.product]
    np.testing.assert_array_equal(left, right)


@every_group
def test_tables_are_those_of_the_matrices(group):
    for i, j in itertools.product(range(group.order), repeat=2):
        np.testing.assert_array_equal(group.matrices[i] @ group.matrices[j], group.matrices[group.product[i, j]])
    np.testing.assert_array_equal(group.matrices[0], np.eye(group.ndim))
    np.testing.assert_array_equal(np.swapaxes(group.matrices, 1, 2), group.matrices[group.inverse])


@every_group
def test_subgroups_obey_lagrange_and_are_complete(group):
    for subgroup in group.subgroups:
        assert group.order % subgroup.order == 0
        np.testing.assert_array_equal(group.matrices[group.positions(subgroup)], subgroup.matrices)
        assert np.all(np.diff(group.positions(subgroup)) > 0), "a subgroup keeps its parent's order"
    # Whatever two elements generate is in the list: a closed family that holds all cyclic groups and all joins.
    names = {subgroup.name for subgroup in group.subgroups}
    for i, j in itertools.combinations_with_replacement(range(group.order), 2):
        assert Group.from_generators(group.matrices[[i, j]]).name in names


@every_group
def test_cosets(group):
    for subgroup in group.subgroups:
        members = group.positions(subgroup)
        index = group.order // subgroup.order
        for cosets, of in (
            (group.left_cosets(subgroup), lambda g, members=members: group.product[g, members]),
            (group.right_cosets(subgroup), lambda g, members=members: group.product[members, g]),
        ):
            assert cosets.shape == (index, subgroup.order)
            assert sorted(cosets.ravel().tolist()) == list(range(group.order))
            for coset in cosets:
                assert set(of(coset[0]).tolist()) == set(coset.tolist())
        np.testing.assert_array_equal(group.transversal(subgroup), group.right_cosets(subgroup).min(axis=1))
        regions = group.pooling_regions(subgroup)
        assert sorted(regions.ravel().tolist()) == list(range(group.order))
        for h, element in enumerate(members):
            np.testing.assert_array_equal(regions[h], group.product[element, regions[0]])


@every_group
def test_normal_subgroups(group):
    for subgroup in group.subgroups:
        members = set(group.positions(subgroup).tolist())
        conjugates = [
            {group.product[group.product[g, h], group.inverse[g]] for h in members} for g in range(group.order)
        ]
        assert group.is_normal(subgroup) == all(conjugate == members for conjugate in conjugates)


def test_a_mirror_in_p4m_is_not_normal():
    p4m = get_group("P4M", 2)
    assert not p4m.is_normal(get_group("PMw", 2))
    assert p4m.is_normal(get_group("P2", 2))


@every_group
def test_conjugacy_classes(group):
    classes = group.conjugacy_classes
    assert sorted(itertools.chain(*classes)) == list(range(group.order))
    for members in classes:
        assert group.order % len(members) == 0
        matrices = group.matrices[list(members)].astype(int)
        assert len(set(np.trace(matrices, axis1=1, axis2=2).tolist())) == 1
    conjugate = [group.subgroups.index(h) for family in group.subgroup_classes for h in family]
    assert sorted(conjugate) == list(range(len(group.subgroups)))


@every_group
def test_axes(group):
    for axis in range(group.ndim):
        assert group.mirrored_axes[axis] == any(-1 in matrix[axis] for matrix in group.matrices)
        orbit = next(orbit for orbit in group.axis_orbits if axis in orbit)
        images = {int(np.flatnonzero(matrix[:, axis])[0]) for matrix in group.matrices}
        assert images == set(orbit)


@every_group
def test_one_object_per_group(group):
    assert get_group(group.name, group.ndim) is group
    assert get_group(group, group.ndim) is group
    assert Group.from_generators(group.matrices) is group
    assert pickle.loads(pickle.dumps(group)) is group
    assert copy.deepcopy(group) is group
    assert len(group) == group.order


def test_names_tell_the_axis():
    assert get_group("D4h_d", 3) is get_group("D4h", 3)
    assert get_group("P1", 3) is get_group("C1", 3)
    np.testing.assert_array_equal(get_group("C4", 3).matrices[:, 0, 0], 1)
    np.testing.assert_array_equal(get_group("C4_w", 3).matrices[:, 2, 2], 1)
    np.testing.assert_array_equal(get_group("PMh", 2).matrices[1], np.diag([-1, 1]))
    np.testing.assert_array_equal(get_group("PMw", 2).matrices[1], np.diag([1, -1]))
    np.testing.assert_array_equal(get_group("CMd", 2).matrices[1], [[0, 1], [1, 0]])
    np.testing.assert_array_equal(get_group("CMa", 2).matrices[1], [[0, -1], [-1, 0]])
    direction = np.array([1, 1, -1])
    for matrix in get_group("C3_dh-w", 3).matrices:
        np.testing.assert_array_equal(matrix @ direction, direction)


def test_tables_are_read_only():
    group = get_group("P4", 2)
    for table in (group.product, group.inverse, group.matrices):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


@pytest.mark.parametrize(
    ("name", "ndim", "message"),
    [
        ("p4m", 2, "Close names: P4M"),
        ("D4", 2, "There is one in 3-D"),
        ("P4", 3, "There is one in 2-D"),
        (None, 2, "There is no 2-D group None"),
        (["P4"], 2, "There is no 2-D group .* Close names: P4"),
        ("", 1, "gives all 2"),
        ("P4", 4, "1, 2 and 3 dimensions, got ndim=4"),
        (get_group("P4", 2), 3, "3-dimensional group is needed"),
    ],
)
def test_unknown_names(name, ndim, message):
    with pytest.raises(ValueError, match=message):
        get_group(name, ndim)


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([], "at least one matrix"),
        ([[[1, 1], [0, 1]]], "signed permutation matrix"),
        ([[[0.5, 0], [0, 1]]], "signed permutation matrix"),
        ([[[1]], [[1, 0], [0, 1]]], "one size"),
        ([[1, 0]], "square matrices"),
        ([np.eye(4)], "1, 2 and 3 dimensions"),
    ],
)
def test_bad_generators(generators, message):
    with pytest.raises(ValueError, match=message):
        Group.from_generators(generators)


def test_elements_that_are_no_group():
    with pytest.raises(ValueError, match="do not form a group"):
        Group(2, [0, 1])
    with pytest.raises(ValueError, match="is not a subgroup"):
        get_group("P4", 2).positions(get_group("PMw", 2))
