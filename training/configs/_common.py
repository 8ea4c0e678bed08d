"""What configs on several data sets share: the paper of Cohen & Welling, and the schedule of most of our recipes."""

from __future__ import annotations

from typing import Any

COHEN = {"title": "Group Equivariant Convolutional Networks", "arxiv": "1602.07576"}
COHEN_CITATION = "Cohen and Welling, Group Equivariant Convolutional Networks, ICML 2016 (arXiv 1602.07576)."

# What cards say of nets on images.
PLANAR_NET = "A planar net, for comparison: its answers change when the image is turned."
INVARIANT_ON_P4M = "Its logits do not change when the image is turned by 90, 180 or 270 degrees or mirrored."


def adam_to_zero(epochs: int, learning_rate: float = 1e-3) -> dict[str, Any]:
    """So many epochs of Adam, whose learning rate goes to 0 by a cosine."""
    return {
        "epochs": epochs,
        "optimizer": {"class_name": "Adam", "config": {"learning_rate": learning_rate}},
        "schedule": {
            "class_name": "CosineDecay",
            "config": {"initial_learning_rate": learning_rate, "decay_steps": epochs},
        },
    }
