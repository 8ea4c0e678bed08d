"""The largest point group of each grid, from which every other group is cut.

The symmetries of the d-dimensional grid that keep a point fixed are the signed permutation matrices: 2 of them in
one dimension, 8 in two, 48 in three. Their order here is frozen, because the weights of trained models depend on it.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np

NDIMS = (1, 2, 3)

# Coordinates are (w,), (h, w) and (d, h, w), and a matrix maps the coordinates of a point to those of its image.
_GENERATORS = {
    1: {"F": [[-1]]},
    2: {
        "R": [[0, -1], [1, 0]],  # the quarter turn of numpy.rot90
        "F": [[1, 0], [0, -1]],  # the flip of the width axis
    },
    3: {
        "R": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],  # the quarter turn about the depth axis
        "F": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],  # the half turn about the height axis
        "C": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],  # depth -> height -> width -> depth
        "I": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],  # the inversion
    },
}


@dataclass(frozen=True)
class Holohedry:
    """The group of all signed permutation matrices of one dimension, with its tables.

    Attributes:
        matrices: (order, ndim, ndim) int8, the identity first.
        words: how each element is made of the generators, for instance `"R2F"`: R twice after F.
        product: (order, order), the index of element i times element j.
        inverse: (order,), the index of the inverse of element i.
        positions: index of an element by the bytes of its matrix.
    """

    ndim: int
    matrices: np.ndarray
    words: tuple[str, ...]
    product: np.ndarray
    inverse: np.ndarray
    positions: dict[bytes, int]

    @property
    def order(self) -> int:
        return len(self.matrices)

    def find(self, matrix) -> int:
        """The index of a matrix. Raises ValueError if it is not a signed permutation matrix."""
        array = np.asarray(matrix)
        integral = array.astype(np.int8)
        if array.shape == (self.ndim, self.ndim) and np.array_equal(array, integral):
            index = self.positions.get(integral.tobytes())
            if index is not None:
                return index
        raise ValueError(
            f"An element of a point group of the {self.ndim}-dimensional grid is a {self.ndim} x {self.ndim} signed "
            f"permutation matrix (one entry 1 or -1 in each row and column), got {array.tolist()}."
        )

    def closure(self, indices) -> tuple[int, ...]:
        """The sorted indices of the subgroup that the given elements generate."""
        generators = sorted(set(indices) - {0})
        found = {0}
        frontier = [0]
        while frontier:
            frontier = [int(self.product[i, g]) for i in frontier for g in generators]
            frontier = [i for i in dict.fromkeys(frontier) if i not in found]
            found.update(frontier)
        return tuple(sorted(found))


@functools.cache
def holohedry(ndim: int) -> Holohedry:
    """The largest point group of the `ndim`-dimensional grid; raises ValueError unless `ndim` is 1, 2 or 3."""
    if ndim not in NDIMS:
        raise ValueError(f"Point groups are known for grids of 1, 2 and 3 dimensions, got ndim={ndim!r}.")
    matrices, words = _enumerate(ndim)
    positions = {matrix.tobytes(): index for index, matrix in enumerate(matrices)}
    products = np.einsum("iab,jbc->ijac", matrices, matrices).astype(np.int8)
    order = len(matrices)
    product = np.array([[positions[products[i, j].tobytes()] for j in range(order)] for i in range(order)])
    inverse = np.argmin(product, axis=1)  # the identity has index 0
    for table in (matrices, product, inverse):
        table.setflags(write=False)
    return Holohedry(ndim, matrices, tuple(words), product, inverse, positions)


def _enumerate(ndim: int) -> tuple[np.ndarray, list[str]]:
    """All elements by Dimino's algorithm: with each generator the group so far grows by whole cosets of itself."""
    elements, words = [np.eye(ndim, dtype=np.int8)], [""]
    known = {elements[0].tobytes()}
    generators: list[tuple[str, np.ndarray]] = []
    for letter, rows in _GENERATORS[ndim].items():
        generators.append((letter, np.array(rows, dtype=np.int8)))
        core = list(zip(elements, words, strict=True))
        representatives = [core[0]]
        for representative, word in representatives:  # grows while it is read
            for name, generator in generators:
                shift, suffix = representative @ generator, word + name
                if shift.tobytes() in known:
                    continue
                representatives.append((shift, suffix))
                for element, prefix in core:
                    known.add((element @ shift).tobytes())
                    elements.append(element @ shift)
                    words.append(prefix + suffix)
    return np.stack(elements), [_abbreviate(word) for word in words]


def _abbreviate(word: str) -> str:
    """RRF -> R2F, and e for the identity."""
    runs = [(letter, len(list(run))) for letter, run in itertools.groupby(word)]
    return "".join(letter + (str(length) if length > 1 else "") for letter, length in runs) or "e"
