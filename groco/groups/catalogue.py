"""Every point group of the grid by name: 2 in one dimension, 10 in two, 98 in three."""

from __future__ import annotations

import difflib
import functools
from typing import TypeAlias

from groco.groups._holohedry import NDIMS, holohedry
from groco.groups.group import Group

GroupLike: TypeAlias = "str | Group"

# Other spellings of a name, by dimension. The planar twin of a 3-D net is asked for as P1, as in 1-D and 2-D.
_ALIASES = {1: {}, 2: {}, 3: {"P1": "C1"}}


@functools.cache
def _catalogue(ndim: int) -> dict[str, Group]:
    full = Group(ndim, range(holohedry(ndim).order))
    return {group.name: group for group in full.subgroups}


def list_groups(ndim: int) -> list[str]:
    """The names of all point groups of the `ndim`-dimensional grid, from small to large.

    Raises:
        ValueError: unless `ndim` is 1, 2 or 3.
    """
    return list(_catalogue(ndim))


def get_group(name: GroupLike, ndim: int) -> Group:
    """The point group of a name.

    Args:
        name: the name, or the group itself, which is handed back.
        ndim: dimension of the grid, 1, 2 or 3; a name is looked up within it.

    Returns:
        The `Group`, the same object at each call.

    Raises:
        ValueError: if there is no such group in that dimension; the message gives close names.
    """
    if isinstance(name, Group):
        if name.ndim != ndim:
            raise ValueError(f"{name!r} acts on {name.ndim}-dimensional signals, a {ndim}-dimensional group is needed.")
        return name
    groups = _catalogue(ndim)
    if isinstance(name, str):
        found = groups.get(_ALIASES[ndim].get(name, name.removesuffix("_d") if ndim == 3 else name))
        if found is not None:
            return found
    raise ValueError(_unknown(name, ndim, groups))


def _unknown(name, ndim: int, groups: dict[str, Group]) -> str:
    by_lower = {known.lower(): known for known in groups}
    close = [by_lower[match] for match in difflib.get_close_matches(str(name).lower(), by_lower, n=4, cutoff=0.4)]
    elsewhere = [f"{n}-D" for n in NDIMS if n != ndim and isinstance(name, str) and name in _catalogue(n)]
    message = f"There is no {ndim}-D group {name!r}."
    if elsewhere:
        message += f" There is one in {' and '.join(elsewhere)}."
    if close:
        message += f" Close names: {', '.join(close)}."
    return message + f" groco.groups.list_groups({ndim}) gives all {len(groups)}."
