"""Architectures as builder functions, and their registry."""

from groco.models.allcnn import allcnn_c
from groco.models.convnext import convnext
from groco.models.cost import macs, parameters
from groco.models.densenet import densenet
from groco.models.features import features
from groco.models.p4cnn import p4cnn, p4cnn_rp, separable_p4cnn, z2cnn
from groco.models.registry import create_model, get_builder, list_models
from groco.models.resnet import large_resnet, resnet, resnet3d, wide_resnet
from groco.models.symmetry import symmetry_group
from groco.models.twin import planar_twin
from groco.models.unet import unet

__all__ = [
    "allcnn_c",
    "convnext",
    "create_model",
    "densenet",
    "features",
    "get_builder",
    "large_resnet",
    "list_models",
    "macs",
    "p4cnn",
    "p4cnn_rp",
    "parameters",
    "planar_twin",
    "resnet",
    "resnet3d",
    "separable_p4cnn",
    "symmetry_group",
    "unet",
    "wide_resnet",
    "z2cnn",
]
