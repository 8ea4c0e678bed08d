"""The group to which a net is equivariant."""

from __future__ import annotations

import inspect

from groco.groups import Group, get_group
from groco.models.blocks import PAPER
from groco.models.registry import check_arguments, get_builder


def symmetry_group(name: str, **kwargs) -> Group | None:
    """The largest group to which the net of an architecture is exactly equivariant, or its outputs invariant.

    Args:
        name: an architecture, as in `groco.create_model`.
        **kwargs: arguments of its builder.

    Returns:
        The group; of a net that is restricted from stage to stage the last; None for a planar net, and for the papers'
        forms that are not exactly equivariant.

    Example:

    >>> import groco
    >>> groco.models.symmetry_group("p4m_resnet20").name
    'P4M'
    >>> groco.models.symmetry_group("p4m_resnet20", form="paper")
    """
    check_arguments(name, kwargs)
    defaults = {key: p.default for key, p in inspect.signature(get_builder(name)).parameters.items()}
    arguments = {**defaults, **kwargs}
    found = arguments.get("group")
    if isinstance(found, (tuple, list)):
        found = found[-1]
    if found is None:
        return None
    group = get_group(found, len(arguments["input_shape"]) - 1)
    return None if group.order == 1 or arguments.get("form") == PAPER else group
