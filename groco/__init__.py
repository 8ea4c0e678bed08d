"""Group-equivariant convolutions for Keras 3, and trained G-CNNs that load in one line.

>>> import groco
>>> model = groco.from_pretrained("p4cnn.rotmnist")
"""

from groco import _command
from groco._version import __version__

if not _command.light:
    from groco import data, finetuning, groups, layers, models, pretrained, surgery, testing
    from groco.finetuning import finetune
    from groco.groups import Group, get_group, list_groups
    from groco.models import create_model, features, list_models, planar_twin
    from groco.pretrained import (
        decode_predictions,
        from_pretrained,
        list_pretrained,
        model_info,
        preprocessor,
        verify,
    )
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
