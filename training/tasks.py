"""What a task asks of a net: its loss, the metric shown while it trains, and the figures measured at the end."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from training import segmentation


@dataclass(frozen=True)
class Classification:
    """One label for each example; the net gives a logit for each class."""

    classes: int
    label_smoothing: float = 0.0
    metric: str = "accuracy"

    @property
    def outputs(self) -> int:
        """Number of channels of the net's output."""
        return self.classes

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Labels as the loss takes them."""
        return np.eye(self.classes, dtype=np.float32)[labels] if self.label_smoothing else labels

    def loss(self) -> keras.losses.Loss:
        if self.label_smoothing:
            return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=self.label_smoothing)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list:
        return ["accuracy"]

    def evaluate(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """The error, the share of examples whose largest logit is not that of their label; the AUC of two classes."""
        found = {"error": float((logits.argmax(axis=-1) != labels).mean())}
        if self.classes == 2:
            found["auc"] = segmentation.auc(logits[:, 1] - logits[:, 0], labels)
        return found


@dataclass(frozen=True)
class Segmentation:
    """A label, 0 or 1, for each point; the net gives one logit for each point."""

    metric: str = "binary_accuracy"
    outputs: int = 1

    def targets(self, labels: np.ndarray) -> np.ndarray:
        return labels[..., None].astype(np.float32)

    def loss(self) -> keras.losses.Loss:
        return keras.losses.BinaryCrossentropy(from_logits=True)

    def metrics(self) -> list:
        return [keras.metrics.BinaryAccuracy(threshold=0.0)]

    def evaluate(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Pixel error, Dice, area under the ROC curve and Rand score; see `training.segmentation`."""
        return segmentation.scores(logits[..., 0], labels)


def make(task: str, classes: int, label_smoothing: float) -> Classification | Segmentation:
    """The task of a data set; raises ValueError where an argument does not go with it."""
    if task == "classification":
        return Classification(classes, label_smoothing)
    if label_smoothing:
        raise ValueError("label_smoothing is of classification.")
    return Segmentation()
