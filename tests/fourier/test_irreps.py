"""Irreducible representations of every group of the catalogue: what the theory of characters says of them holds."""

import numpy as np
import pytest

from groco.fourier import fourier_matrix, irreps
from groco.groups import get_group, list_groups

every_group = pytest.mark.parametrize(
    "group", [get_group(name, ndim) for ndim in (1, 2, 3) for name in list_groups(ndim)], ids=lambda group: group.name
)


@every_group
def test_representations_are_orthogonal_homomorphisms(group):
    for irrep in irreps(group):
        matrices = irrep.matrices
        np.testing.assert_allclose(np.einsum("gij,hjk->ghik", matrices, matrices), matrices[group.product], atol=1e-10)
        np.testing.assert_allclose(matrices[group.inverse], matrices.transpose(0, 2, 1), atol=1e-10)


@every_group
def test_irreducible_distinct_and_all_there_are(group):
    characters = np.array([irrep.character for irrep in irreps(group)])
    gram = characters @ characters.T / group.order
    np.testing.assert_allclose(gram, np.diag(gram.diagonal()), atol=1e-10)  # orthogonal: no two are equivalent
    # Irreducible: Frobenius and Schur's indicator is 1 for real type, of norm 1, and 0 for complex type, of norm 2.
    squares = group.product[np.arange(group.order), np.arange(group.order)]
    indicators = characters[:, squares].mean(axis=1)
    np.testing.assert_allclose(indicators, 2 - gram.diagonal(), atol=1e-10)
    assert set(gram.diagonal().round(6)) <= {1.0, 2.0}
    assert [irrep.dimension // irrep.rows for irrep in irreps(group)] == gram.diagonal().round().tolist()
    # Over the complex numbers one of complex type is two, and there are as many as conjugacy classes.
    assert round(gram.trace()) == len(group.conjugacy_classes)
    assert sum(irrep.dimension * irrep.rows for irrep in irreps(group)) == group.order
    np.testing.assert_allclose(irreps(group)[0].matrices, 1, atol=1e-10)


@every_group
def test_plancherel_and_inversion(group, rng):
    matrix = fourier_matrix(group)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(group.order), atol=1e-10)
    function = rng.normal(size=group.order)
    np.testing.assert_allclose(np.sum((matrix @ function) ** 2), np.sum(function**2), rtol=1e-10)
    np.testing.assert_allclose(matrix.T @ (matrix @ function), function, atol=1e-10)


@every_group
def test_convolutions_are_block_diagonal(group, rng):
    """Blocks of the irreps' sizes, alike for the rows of one irrep, and zeros everywhere else."""
    kernel = rng.normal(size=group.order)
    convolution = kernel[group.product[group.inverse]]  # [g, h]: k(g^-1 h)
    matrix = fourier_matrix(group)
    transformed = matrix @ convolution @ matrix.T
    first = 0
    for irrep in irreps(group):
        blocks = []
        for _ in range(irrep.rows):
            block = slice(first, first + irrep.dimension)
            blocks.append(transformed[block, block].copy())
            transformed[block, block] = 0
            first += irrep.dimension
        expected = np.einsum("u,uij->ij", kernel, irrep.matrices)
        np.testing.assert_allclose(blocks, np.broadcast_to(expected, np.shape(blocks)), atol=1e-10)
    assert first == group.order
    np.testing.assert_allclose(transformed, 0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "ndim", "blocks"),
    [
        ("PM", 1, [(1, 1), (1, 1)]),
        ("P4", 2, [(1, 1), (1, 1), (1, 2)]),
        ("P4M", 2, [(1, 1)] * 4 + [(2, 2)]),
        ("T", 3, [(1, 1), (1, 2), (3, 3)]),
        ("O", 3, [(1, 1), (1, 1), (2, 2), (3, 3), (3, 3)]),
        ("Oh", 3, [(1, 1)] * 4 + [(2, 2)] * 2 + [(3, 3)] * 4),
    ],
)
def test_known_tables(name, ndim, blocks):
    """(rows, dimension), as in the character tables of the crystallographic point groups."""
    assert [(irrep.rows, irrep.dimension) for irrep in irreps(get_group(name, ndim))] == blocks
