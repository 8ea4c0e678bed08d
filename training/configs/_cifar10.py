"""What the configs on CIFAR-10 share: the recipes of Cohen & Welling 2016, and a short modern one."""

from __future__ import annotations

from typing import Any

from training.configs._common import COHEN_CITATION

CARD = {
    "usage": "images (n, 32, 32, 3) uint8",
    "paper_data": "CIFAR-10+ (mirrored and shifted while training), a single run, with the recipe of the paper",
    "limits": "Photographs of anything else than the ten classes, or of other sizes than 32 x 32 pixels.",
    "citation": COHEN_CITATION,
}

# As for the figures of CIFAR10+: contrast normalisation and ZCA; mirrors, and shifts by up to 2 pixels.
# Keras decays weights beside the gradient, not in it, where a momentum of 0.9 makes it ten times as strong: each
# weight_decay here is ten times that of the paper.
_PAPERS_DATA: dict[str, Any] = {
    "dataset": "cifar10",
    "preprocess": "contrast_zca",
    "augment": [["flip", {}], ["shift", {"pixels": 2}]],
    "batch_size": 128,
}
# Learning rate and weight decay of All-CNN are the defaults of the authors' code, which the paper does not confirm.
ALLCNN: dict[str, Any] = {
    **_PAPERS_DATA,
    "epochs": 350,
    "optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.01}},
    "schedule": {
        "class_name": "PiecewiseConstantDecay",
        "config": {"boundaries": [200, 250, 300], "values": [0.01, 0.001, 1e-4, 1e-5]},
    },
}
# The learning rate, 0.05, is not confirmed either.
RESNET: dict[str, Any] = {
    **_PAPERS_DATA,
    "epochs": 300,
    "optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.01}},
    "schedule": {
        "class_name": "PiecewiseConstantDecay",
        "config": {"boundaries": [50, 100, 150], "values": [0.05, 0.005, 5e-4, 5e-5]},
    },
}


def short(epochs: int, batch_size: int = 125) -> dict[str, Any]:
    """SGD with Nesterov momentum, one cycle, label smoothing, mirrors, crops, cutout, moving average of the weights.

    The weight decay is that of wide residual nets (Zagoruyko & Komodakis 2016, arXiv 1605.07146). The learning rate is
    proportional to the size of the batches, which shares out all images, so that XLA compiles one step.
    """
    learning_rate = 0.1 * batch_size / 125
    warmup = max(1, epochs // 5)
    return {
        "dataset": "cifar10",
        "preprocess": "standardize_channels",
        "augment": [["flip", {}], ["pad_and_crop", {"pixels": 4}], ["cutout", {"size": 8}]],
        "batch_size": batch_size,
        "epochs": epochs,
        "precision": "mixed_bfloat16",
        "label_smoothing": 0.1,
        "ema_momentum": 0.995,
        "optimizer": {
            "class_name": "SGD",
            "config": {"learning_rate": learning_rate, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-3},
        },
        "schedule": {
            "class_name": "CosineDecay",
            "config": {
                "initial_learning_rate": learning_rate / 25,
                "warmup_target": learning_rate,
                "warmup_steps": warmup,
                "decay_steps": epochs - warmup,
            },
        },
    }
