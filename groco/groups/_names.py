"""The name of a point group, read off its matrices.

One and two dimensions use the names of the wallpaper groups, three the Schoenflies symbols. Several 3-D groups share
a symbol and differ by their axes: the symbol alone is the group about the depth axis, otherwise the main axis follows
(`D4h_w`, `C2_h-w`, `C3_dhw`). A second axis follows where two groups share symbol and main axis: `D2d_d_hw` has its
two-fold axes, and `C2v_d_hw` the normals of its mirrors, along the diagonals.
"""

from __future__ import annotations

import numpy as np

_AXES = "dhw"


def name_of(matrices: np.ndarray) -> str:
    """The name of the group with the given (order, ndim, ndim) matrices."""
    ndim = matrices.shape[-1]
    if ndim == 1:
        return "PM" if len(matrices) == 2 else "P1"
    return _wallpaper_name(matrices) if ndim == 2 else _schoenflies_name(matrices)


def _wallpaper_name(matrices: np.ndarray) -> str:
    determinants = np.rint(np.linalg.det(matrices))
    rotations = int((determinants > 0).sum())
    mirrors = matrices[determinants < 0]
    if not len(mirrors):
        return f"P{rotations}"
    if rotations == 4:
        return "P4M"
    along_the_axes = mirrors[0][0, 0] != 0
    if rotations == 2:
        return "P2MM" if along_the_axes else "C2MM"
    if along_the_axes:
        return "PMh" if mirrors[0][0, 0] == -1 else "PMw"
    return "CMd" if mirrors[0][0, 1] == 1 else "CMa"


def _schoenflies_name(matrices: np.ndarray) -> str:
    determinants = np.rint(np.linalg.det(matrices)).astype(int)
    rotations = matrices * determinants[:, None, None]  # an improper element is a rotation times the inversion
    folds = np.array([{3: 1, -1: 2, 0: 3, 1: 4}[trace] for trace in np.trace(rotations, axis1=1, axis2=2).tolist()])
    proper = determinants > 0

    def axes(fold: int, is_proper: bool) -> list[tuple[int, ...]]:
        """The axes of the rotations of one order, or of those whose product with the inversion is in the group."""
        return sorted({_axis(r) for r in rotations[(folds == fold) & (proper == is_proper)]})

    symbol = _schoenflies_symbol(folds[proper].tolist(), folds[~proper].tolist())
    threefold, fourfold, twofold, mirrors = axes(3, True), axes(4, True) + axes(4, False), axes(2, True), axes(2, False)
    if symbol in ("T", "Th", "Td", "O", "Oh", "C1", "Ci"):
        return symbol
    if symbol in ("D2", "D2h"):
        along_the_grid = [axis for axis in twofold if _is_grid_axis(axis)]
        main = along_the_grid[0] if len(along_the_grid) == 1 else None
    else:
        main = (threefold or fourfold or twofold or mirrors)[0]
    second = None
    if symbol in ("D2", "D2h", "D2d", "C2v"):
        others = [axis for axis in (mirrors if symbol == "C2v" else twofold) if axis != main]
        if main is not None and _is_grid_axis(main) and not any(_is_grid_axis(axis) for axis in others):
            second = others[-1]
    suffix = [] if main is None or (main == (1, 0, 0) and second is None) else [_label(main)]
    return "_".join([symbol, *suffix, *([_label(second)] if second else [])])


def _schoenflies_symbol(proper: list[int], improper: list[int]) -> str:
    """The symbol from the orders of the rotations, and of the rotations that come with the inversion."""
    inversion, mirror = 1 in improper, 2 in improper
    if proper.count(3) == 8:
        octahedral = 4 in proper
        if not improper:
            return "O" if octahedral else "T"
        if inversion:
            return "Oh" if octahedral else "Th"
        return "Td"
    if 4 in improper and 4 not in proper:
        return "D2d" if len(proper) == 4 else "S4"
    main = max(proper)
    dihedral = len(proper) > main
    if main == 1:
        return "Ci" if inversion else "Cs" if mirror else "C1"
    if not improper:
        return f"D{main}" if dihedral else f"C{main}"
    if main == 3:
        if inversion:
            return "D3d" if dihedral else "S6"
        return "C3v"
    if inversion:
        return f"D{main}h" if dihedral else f"C{main}h"
    return f"C{main}v"


def _axis(rotation: np.ndarray) -> tuple[int, ...]:
    """The direction a rotation keeps, with entries 0, 1 and -1, the first of them positive."""
    powers = [np.eye(3, dtype=int)]
    while len(powers) == 1 or not np.array_equal(powers[-1], powers[0]):
        powers.append(powers[-1] @ rotation)
    projector = np.sum(powers[1:], axis=0)
    column = next(column for column in projector.T if column.any())
    direction = np.sign(column)
    return tuple((direction * direction[np.flatnonzero(direction)[0]]).tolist())


def _is_grid_axis(axis: tuple[int, ...]) -> bool:
    return sum(map(abs, axis)) == 1


def _label(axis: tuple[int, ...]) -> str:
    return "".join(("-" if sign < 0 else "") + letter for letter, sign in zip(_AXES, axis, strict=True) if sign)
