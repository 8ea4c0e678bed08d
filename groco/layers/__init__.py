"""Group-equivariant layers, named and called like those of Keras."""

from groco.layers.conv import GroupConv1D, GroupConv2D, GroupConv3D
from groco.layers.global_pooling import (
    GlobalGroupAveragePooling1D,
    GlobalGroupAveragePooling2D,
    GlobalGroupAveragePooling3D,
    GlobalGroupMaxPooling1D,
    GlobalGroupMaxPooling2D,
    GlobalGroupMaxPooling3D,
)
from groco.layers.pooling import (
    GroupAveragePooling1D,
    GroupAveragePooling2D,
    GroupAveragePooling3D,
    GroupMaxPooling1D,
    GroupMaxPooling2D,
    GroupMaxPooling3D,
)

__all__ = [
    "GlobalGroupAveragePooling1D",
    "GlobalGroupAveragePooling2D",
    "GlobalGroupAveragePooling3D",
    "GlobalGroupMaxPooling1D",
    "GlobalGroupMaxPooling2D",
    "GlobalGroupMaxPooling3D",
    "GroupAveragePooling1D",
    "GroupAveragePooling2D",
    "GroupAveragePooling3D",
    "GroupConv1D",
    "GroupConv2D",
    "GroupConv3D",
    "GroupMaxPooling1D",
    "GroupMaxPooling2D",
    "GroupMaxPooling3D",
]
