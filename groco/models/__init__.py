"""Architectures as builder functions, and their registry."""

from groco.models.p4cnn import p4cnn, p4cnn_rp, z2cnn
from groco.models.registry import create_model, get_builder, list_models

__all__ = ["create_model", "get_builder", "list_models", "p4cnn", "p4cnn_rp", "z2cnn"]
