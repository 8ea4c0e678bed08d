"""What the configs on rotated MNIST share: the papers' recipes, references and the card."""

from __future__ import annotations

from typing import Any

from training.configs._common import COHEN_CITATION

LENGYEL = {"title": "Exploiting Learned Symmetries in Group Equivariant Convolutions", "arxiv": "2106.04914"}
RECIPE: dict[str, Any] = {
    "model_args": {},
    "dataset": "rotated_mnist",
    "epochs": 100,
    "batch_size": 128,
    "optimizer": {"class_name": "Adam", "config": {"learning_rate": 1e-3}},
}
# Of the separable nets, from their authors' code: github.com/Attila94/SepGroupPy.
LENGYEL_RECIPE: dict[str, Any] = {
    **RECIPE,
    "epochs": 50,
    "batch_size": 256,
    "optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.01}},
    "schedule": {
        "class_name": "PiecewiseConstantDecay",
        "config": {"boundaries": [40], "values": [0.01, 0.001]},
    },
    "l2": 5e-6,
}
CARD = {
    "about": "Its logits do not change when the image is turned by 90, 180 or 270 degrees.",
    "usage": "images (n, 28, 28) uint8, light digits on dark",
    "paper_data": "original rotated MNIST (test), 50,000 examples, 5 seeds",
    "difference": "The original data set cannot be regenerated exactly (its seed and interpolation are not known), "
    "so the figures are comparable, not identical.",
    "limits": "Images other than single, centred, light-on-dark digits of 28 x 28 pixels; a 6 and a 9 look alike "
    "once they are turned.",
    "citation": COHEN_CITATION,
}
LENGYEL_CARD = {
    **CARD,
    "paper_data": "original rotated MNIST (test), 50,000 examples",
    "citation": "Lengyel and van Gemert, Exploiting Learned Symmetries in Group Equivariant Convolutions, 2021 "
    "(arXiv 2106.04914).",
}
