"""What the configs on EM membranes share: the recipe, so that the nets can be compared, and most of the card."""

from __future__ import annotations

from typing import Any

from training.configs._common import adam_to_zero

RECIPE: dict[str, Any] = {
    "model_args": {"input_shape": (None, None, 1)},
    "dataset": "em_membrane",
    "augment": [
        ["elastic", {"size": 176}],
        ["flip", {}],
        ["intensity", {}],
    ],
    "examples_per_epoch": 96,
    **adam_to_zero(epochs=40),
    "batch_size": 4,
    "evaluate_batch": 1,
    "paper": None,
}
CARD = {
    "usage": "slices (n, height, width) uint8, sizes that are multiples of 8; logits of membrane for each pixel",
    "limits": "Other tissue, stains, microscopes or pixel sizes than slices, 50 nm thick and 4 nm a pixel, of a "
    "fruit fly's nerve cord.",
    "citation": "Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for "
    "connectomics, Frontiers in Neuroanatomy 2015, for the data.",
}
