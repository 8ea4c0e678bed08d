"""Group-equivariant convolutions for Keras 3, and trained G-CNNs that load in one line.

>>> import groco
>>> model = groco.from_pretrained("p4cnn.rotmnist")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from groco import _command
from groco._version import __version__

if not _command.light:
    from groco import groups, layers, models
    from groco.groups import Group, get_group, list_groups
    from groco.models import create_model, features, list_models, planar_twin
if TYPE_CHECKING:
    from groco import data, finetuning, pretrained, surgery, testing
    from groco.finetuning import finetune
    from groco.pretrained.loading import from_pretrained
    from groco.pretrained.manifest import list_pretrained, model_info
    from groco.pretrained.preprocessor import decode_predictions, preprocessor
    from groco.pretrained.verification import verify
    from groco.surgery import export_plain

__all__ = [
    "Group",
    "__version__",
    "create_model",
    "data",
    "decode_predictions",
    "export_plain",
    "features",
    "finetune",
    "finetuning",
    "from_pretrained",
    "get_group",
    "groups",
    "layers",
    "list_groups",
    "list_models",
    "list_pretrained",
    "model_info",
    "models",
    "planar_twin",
    "preprocessor",
    "pretrained",
    "surgery",
    "testing",
    "verify",
]

# What a program that only builds nets does not need is imported when it is first asked for: half of the time.
_LATER = {
    **{package: package for package in ("data", "finetuning", "pretrained", "surgery", "testing")},
    "decode_predictions": "pretrained",
    "export_plain": "surgery",
    "finetune": "finetuning",
    "from_pretrained": "pretrained",
    "list_pretrained": "pretrained",
    "model_info": "pretrained",
    "preprocessor": "pretrained",
    "verify": "pretrained",
}


def __getattr__(name: str) -> Any:
    package = _LATER.get(name)
    if package is None:
        raise AttributeError(f"module 'groco' has no attribute {name!r}")
    found = importlib.import_module(f"groco.{package}")
    if name != package:
        _command.import_everything()
        found = getattr(found, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
