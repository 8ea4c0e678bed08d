"""Point groups of the 1-, 2- and 3-dimensional grid, and how they act on signals."""

from groco.groups.action import act
from groco.groups.catalogue import GroupLike, get_group, list_groups
from groco.groups.group import Group

__all__ = ["Group", "GroupLike", "act", "get_group", "list_groups"]
