"""What the configs on ModelNet10 share: the recipe, so that the nets can be compared, and most of the card."""

from __future__ import annotations

from typing import Any

from training.configs._common import adam_to_zero

RECIPE: dict[str, Any] = {
    "model_args": {"dropout": 0.1, "pooling": "max"},
    "dataset": "modelnet10",
    "preprocess": "none",
    "precision": "mixed_bfloat16",
    **adam_to_zero(epochs=12, learning_rate=2e-3),
    "epochs": 14,  # two more at a rate of 0: the moving statistics of batch normalisation follow the final weights
    "batch_size": 16,
    "evaluate_batch": 50,
    "checkpoint_every": 1,
    "paper": None,
}
CARD = {
    "usage": "volumes (n, 32, 32, 32) of 0 and 1",
    "limits": "Volumes other than one object of the ten classes, filling a grid of 32 x 32 x 32 binary voxels.",
    "citation": "Wu et al., 3D ShapeNets: A Deep Representation for Volumetric Shapes, CVPR 2015, for the data.",
}
