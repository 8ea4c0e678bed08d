"""Trained models: what there is, and loading it, verified."""

from groco.pretrained.loading import from_pretrained
from groco.pretrained.manifest import ModelInfo, PretrainedError, list_pretrained, model_info
from groco.pretrained.preprocessor import Preprocessor, preprocessor

__all__ = [
    "ModelInfo",
    "Preprocessor",
    "PretrainedError",
    "from_pretrained",
    "list_pretrained",
    "model_info",
    "preprocessor",
]
