"""Group-equivariant convolutions for Keras 3."""

from groco import groups, layers, models, testing
from groco.groups import Group, get_group, list_groups

__all__ = ["Group", "get_group", "groups", "layers", "list_groups", "models", "testing"]
