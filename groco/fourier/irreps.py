"""The irreducible real representations of a point group, computed from its product table.

Under left translation the functions on a group, the regular representation, split into every irreducible representation
(Serre 1977, Linear Representations of Finite Groups, sections 2.4 and 13.2). A symmetric matrix that commutes with left
translations, but is otherwise arbitrary, has just these parts for eigenspaces.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from groco.groups import Group


@dataclass(frozen=True, eq=False)
class Irrep:
    """An irreducible real representation.

    Attributes:
        matrices: (group.order, dimension, dimension) orthogonal matrices, one for each element.
        rows: how many rows of the matrices are linearly independent as functions on the group: all of them for a
            representation of real type, half of them for one of complex type, whose matrices commute with a rotation.
    """

    matrices: np.ndarray
    rows: int

    @property
    def dimension(self) -> int:
        return self.matrices.shape[-1]

    @property
    def character(self) -> np.ndarray:
        """(group.order,): the trace of each matrix."""
        return np.trace(self.matrices, axis1=1, axis2=2)


@functools.cache
def irreps(group: Group) -> tuple[Irrep, ...]:
    """Every irreducible real representation of a group once, the trivial one first, from small to large."""
    order = group.order
    elements = np.arange(order)
    left, right = np.zeros((2, order, order, order))
    for g in range(order):
        left[g, group.product[g], elements] = 1  # (L_g f)(g h) = f(h)
        right[g, elements, group.product[:, g]] = 1  # (R_g f)(h) = f(h g), which commutes with it
    weights = np.random.default_rng(0).normal(size=order)
    values, vectors = np.linalg.eigh(np.tensordot(weights + weights[group.inverse], right, 1))
    bounds = np.flatnonzero(np.diff(values) > 1e-6) + 1
    found: list[Irrep] = []
    for basis in np.split(vectors, bounds, axis=1):
        matrices = np.einsum("ai,gab,bj->gij", basis, left, basis)
        character = np.trace(matrices, axis1=1, axis2=2)
        if not any(np.allclose(character, known.character) for known in found):
            commutant = round(float((character**2).mean()))  # its dimension: 1 is real type, 2 complex type
            found.append(Irrep(matrices, len(basis.T) // commutant))
    return tuple(sorted(found, key=lambda irrep: (irrep.dimension, tuple(-irrep.character.round()))))


@functools.cache
def fourier_matrix(group: Group) -> np.ndarray:
    """(order, order): the real Fourier transform of functions on a group, an orthogonal matrix.

    Its rows are the entries of the matrices of the irreducible representations, as functions on the group scaled to
    length 1, in the order of `irreps`, by row and column of the matrices.
    """
    functions = [
        np.sqrt(irrep.dimension / group.order) * irrep.matrices[:, : irrep.rows].reshape(group.order, -1)
        for irrep in irreps(group)
    ]
    return np.concatenate(functions, axis=1).T
