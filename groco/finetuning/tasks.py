"""What a model learns, and how it is measured: classes of images, or of their points."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from groco.finetuning.data import Examples


@dataclass(frozen=True)
class Task:
    """Classification: one label for each example; the model gives (batch, classes) logits."""

    classes: int

    def targets(self, labels: np.ndarray) -> np.ndarray:
        return labels

    def loss(self) -> keras.losses.Loss:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list:
        return ["accuracy"]

    def check(self, model: keras.Model, name: str) -> None:
        """Raises ValueError if the model's outputs are not logits of this task."""
        if len(model.output_shape) != 2:
            raise ValueError(f"{name}: outputs of shape {model.output_shape} are not logits (batch, classes).")

    def evaluate(self, model: keras.Model, examples: Examples, batch_size: int) -> dict[str, float]:
        logits = _predict(model, examples, batch_size)
        return {"test_error": float((logits.argmax(axis=-1) != examples.labels).mean())}


@dataclass(frozen=True)
class Segmentation(Task):
    """A label for each point; the model gives (batch, *spatial, classes) logits, of one class that of its presence."""

    def targets(self, labels: np.ndarray) -> np.ndarray:
        return labels[..., None].astype(np.float32) if self.classes == 1 else labels

    def loss(self) -> keras.losses.Loss:
        return keras.losses.BinaryCrossentropy(from_logits=True) if self.classes == 1 else super().loss()

    def metrics(self) -> list:
        return [keras.metrics.BinaryAccuracy(threshold=0.0)] if self.classes == 1 else super().metrics()

    def check(self, model: keras.Model, name: str) -> None:
        if len(model.output_shape) != len(model.input_shape):
            raise ValueError(f"{name}: outputs of shape {model.output_shape} are not logits at each point.")

    def evaluate(self, model: keras.Model, examples: Examples, batch_size: int) -> dict[str, float]:
        """Pixel error, and the Dice coefficient over all examples together.

        Of several classes it is the mean over those that are found or wanted anywhere.
        """
        logits = _predict(model, examples, batch_size=1)
        found = (logits[..., 0] > 0).astype(np.uint8) if self.classes == 1 else logits.argmax(axis=-1)
        indices = [1] if self.classes == 1 else range(self.classes)
        present = [k for k in indices if (found == k).any() or (examples.labels == k).any()]
        dices = [dice(found == k, examples.labels == k) for k in present or indices]
        return {"pixel_error": float((found != examples.labels).mean()), "dice": float(np.mean(dices))}


def make_task(task: str, classes: int) -> Task:
    return Segmentation(classes) if task == "segmentation" else Task(classes)


def _predict(model: keras.Model, examples: Examples, batch_size: int) -> np.ndarray:
    logits = model.predict(examples.inputs, batch_size=batch_size, verbose=0)
    if not np.isfinite(logits).all():
        raise ValueError(f"{model.name} gives values that are not finite; a smaller learning rate may help.")
    return logits


def dice(found: np.ndarray, wanted: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|); 1 where both are empty."""
    total = int(found.sum()) + int(wanted.sum())
    return 2 * int((found & wanted).sum()) / total if total else 1.0
