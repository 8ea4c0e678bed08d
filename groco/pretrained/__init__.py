"""Trained models: what there is, loading it, verified, and publishing it."""

from groco import _command

if not _command.light:
    from groco.pretrained.card import check_card, make_card
    from groco.pretrained.loading import from_pretrained
    from groco.pretrained.manifest import ModelInfo, PretrainedError, list_pretrained, model_info
    from groco.pretrained.metrics import Metric
    from groco.pretrained.preprocessor import Preprocessor, decode_predictions, preprocessor
    from groco.pretrained.publish import Publication, check_folder, publish
    from groco.pretrained.verification import Verification, verify

__all__ = [
    "Metric",
    "ModelInfo",
    "Preprocessor",
    "PretrainedError",
    "Publication",
    "Verification",
    "check_card",
    "check_folder",
    "decode_predictions",
    "from_pretrained",
    "list_pretrained",
    "make_card",
    "model_info",
    "preprocessor",
    "publish",
    "verify",
]
