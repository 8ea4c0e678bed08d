"""A point group of the grid with its tables."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np

from groco.groups._holohedry import holohedry
from groco.groups._names import name_of


class Group:
    """A finite group of symmetries of the 1-, 2- or 3-dimensional grid that keep the origin fixed.

    Elements are signed permutation matrices that act on the coordinates `(w,)`, `(h, w)` or `(d, h, w)`. They are
    numbered from 0, the identity; the order is frozen, and that of a subgroup is the order of its elements in the
    largest group (`PM`, `P4M`, `Oh`). Groups are made by `groco.groups.get_group` and `Group.from_generators`, once
    each: two groups with the same elements are the same object. Every table is computed when it is first asked for.

    Attributes:
        name: wallpaper name in 1-D and 2-D (`"P4M"`), Schoenflies symbol with its axis in 3-D (`"D4h"`, `"C3_dhw"`).
        ndim: dimension of the grid.
        order: number of elements.

    Example:

    >>> from groco.groups import get_group
    >>> p4m = get_group("P4M", ndim=2)
    >>> p4m.element_names
    ('e', 'R', 'R2', 'R3', 'F', 'RF', 'R2F', 'R3F')
    >>> [subgroup.name for subgroup in p4m.subgroups if subgroup.order == 4]
    ['P4', 'P2MM', 'C2MM']
    """

    ndim: int
    name: str
    _indices: tuple[int, ...]  # the elements' positions in the largest group, ascending

    def __new__(cls, ndim: int, indices: Iterable[int]):
        return _intern(ndim, tuple(sorted(indices)))

    @classmethod
    def from_generators(cls, generators) -> Group:
        """The smallest group that contains the given signed permutation matrices.

        Args:
            generators: a sequence of (ndim, ndim) integer matrices, at least one (the identity will do).

        Raises:
            ValueError: if a matrix is not a signed permutation matrix of 1, 2 or 3 dimensions, or their sizes differ.

        Example:

        >>> Group.from_generators([[[0, -1], [1, 0]]]).name
        'P4'
        """
        matrices = [np.asarray(generator) for generator in generators]
        if not matrices:
            raise ValueError("Group.from_generators needs at least one matrix, for instance the identity.")
        ndim = matrices[0].shape[0] if matrices[0].ndim == 2 else 0
        if any(matrix.shape != (ndim, ndim) for matrix in matrices):
            raise ValueError(
                "Group.from_generators needs square matrices of one size, "
                f"got shapes {[matrix.shape for matrix in matrices]}."
            )
        full = holohedry(ndim)
        return cls(ndim, full.closure(full.find(matrix) for matrix in matrices))

    @property
    def order(self) -> int:
        return len(self._indices)

    def __len__(self) -> int:
        return self.order

    def __repr__(self) -> str:
        return f"Group({self.name!r}, ndim={self.ndim}, order={self.order})"

    def __reduce__(self):
        return (Group, (self.ndim, self._indices))

    def __copy__(self) -> Group:
        return self

    def __deepcopy__(self, memo) -> Group:
        return self

    # -- elements ------------------------------------------------------------------------------------------------

    @functools.cached_property
    def matrices(self) -> np.ndarray:
        """(order, ndim, ndim) int8, the identity first."""
        return _frozen(holohedry(self.ndim).matrices[list(self._indices)])

    @functools.cached_property
    def element_names(self) -> tuple[str, ...]:
        """Each element as a word in the generators of the largest group: in 2-D, R a quarter turn and F a flip."""
        return tuple(holohedry(self.ndim).words[i] for i in self._indices)

    @functools.cached_property
    def product(self) -> np.ndarray:
        """(order, order): `product[i, j]` is the index of element i times element j (j acts first)."""
        table = holohedry(self.ndim).product[np.ix_(self._indices, self._indices)]
        return _frozen(np.searchsorted(self._indices, table))

    @functools.cached_property
    def inverse(self) -> np.ndarray:
        """(order,): the index of the inverse of each element."""
        return _frozen(np.searchsorted(self._indices, holohedry(self.ndim).inverse[list(self._indices)]))

    @functools.cached_property
    def conjugacy_classes(self) -> tuple[tuple[int, ...], ...]:
        """The elements' indices, in classes `{g h g^-1 : g in the group}`."""
        conjugates = self.product[self.product, self.inverse[:, None]]  # [g, h] -> g h g^-1
        return tuple(sorted({tuple(sorted(set(conjugates[:, h].tolist()))) for h in range(self.order)}))

    # -- subgroups and cosets ------------------------------------------------------------------------------------

    @functools.cached_property
    def subgroups(self) -> tuple[Group, ...]:
        """All subgroups, the trivial group and the group itself included, from small to large."""
        full = holohedry(self.ndim)
        cyclic = {full.closure([i]) for i in self._indices}
        found = set(cyclic)
        frontier = cyclic
        while frontier:
            frontier = {full.closure(h + c) for h in frontier for c in cyclic if not set(c) <= set(h)} - found
            found |= frontier
        return tuple(Group(self.ndim, h) for h in sorted(found, key=lambda h: (len(h), h)))

    @functools.cached_property
    def subgroup_classes(self) -> tuple[tuple[Group, ...], ...]:
        """The subgroups in classes conjugate within this group."""
        full = holohedry(self.ndim)
        classes: dict[frozenset, list[Group]] = {}
        for subgroup in self.subgroups:
            elements = np.array(subgroup._indices)
            conjugates = {
                tuple(sorted(full.product[full.product[g, elements], full.inverse[g]].tolist())) for g in self._indices
            }
            classes.setdefault(frozenset(conjugates), []).append(subgroup)
        return tuple(tuple(members) for members in classes.values())

    def is_subgroup(self, other: Group) -> bool:
        """Whether `other` is a subgroup of this group."""
        return other.ndim == self.ndim and set(other._indices) <= set(self._indices)

    def positions(self, subgroup: Group) -> np.ndarray:
        """(subgroup.order,): the index in this group of each element of `subgroup`.

        Raises:
            ValueError: if `subgroup` is not a subgroup of this group.
        """
        if not self.is_subgroup(subgroup):
            names = ", ".join(h.name for h in self.subgroups)
            raise ValueError(f"{subgroup.name!r} is not a subgroup of {self.name!r}; its subgroups are {names}.")
        return np.searchsorted(self._indices, subgroup._indices)

    def is_normal(self, subgroup: Group) -> bool:
        """Whether the left and the right cosets of `subgroup` are the same."""
        left, right = self.left_cosets(subgroup), self.right_cosets(subgroup)
        return {frozenset(coset) for coset in left.tolist()} == {frozenset(coset) for coset in right.tolist()}

    def left_cosets(self, subgroup: Group) -> np.ndarray:
        """(index, subgroup.order): the cosets `g H`; each begins with its first element in the group's order."""
        return self._cosets(self.product[:, self.positions(subgroup)])

    def right_cosets(self, subgroup: Group) -> np.ndarray:
        """(index, subgroup.order): the cosets `H g`; each begins with its first element in the group's order."""
        return self._cosets(self.product[self.positions(subgroup), :].T)

    def transversal(self, subgroup: Group) -> np.ndarray:
        """(index,): the first element of each right coset `H t`, in the group's order."""
        return self.right_cosets(subgroup)[:, 0]

    def pooling_regions(self, subgroup: Group) -> np.ndarray:
        """(subgroup.order, index): the elements `h t` that are pooled into `h`, t over the transversal.

        Every element of the group is in exactly one region. Since a region is moved as a whole by the subgroup's left
        action, `(g f)(h t) = f(g^-1 h t)`, pooling over regions is equivariant, whether the subgroup is normal or not.
        """
        return self.product[np.ix_(self.positions(subgroup), self.transversal(subgroup))]

    @staticmethod
    def _cosets(cosets: np.ndarray) -> np.ndarray:
        first_of_each = np.flatnonzero(cosets.min(axis=1) == np.arange(len(cosets)))
        return np.sort(cosets[first_of_each], axis=1)

    # -- what the elements do to the axes ------------------------------------------------------------------------

    @functools.cached_property
    def mirrored_axes(self) -> tuple[bool, ...]:
        """For each spatial axis, whether some element reverses it (puts another axis, or itself, on it backwards)."""
        return tuple((self.matrices == -1).any(axis=(0, 2)).tolist())

    @functools.cached_property
    def axis_orbits(self) -> tuple[tuple[int, ...], ...]:
        """The spatial axes, in sets that the group permutes among themselves."""
        reachable = (self.matrices != 0).any(axis=0)
        return tuple(sorted({tuple(np.flatnonzero(row).tolist()) for row in reachable}))


@functools.cache
def _intern(ndim: int, indices: tuple[int, ...]) -> Group:
    full = holohedry(ndim)
    if not indices or full.closure(indices) != indices:
        raise ValueError(f"The elements {indices} do not form a group in {ndim} dimensions.")
    group = object.__new__(Group)
    group.ndim = ndim
    group._indices = indices
    group.name = name_of(full.matrices[list(indices)])
    return group


def _frozen(table: np.ndarray) -> np.ndarray:
    table.setflags(write=False)
    return table
