"""Weights as a trained model has them."""

import numpy as np


def randomise(model, rng):
    """Nothing stays at its symmetric initial value: biases, scales, and the statistics of the batches."""
    for weight in model.weights:
        values = rng.normal(scale=0.3, size=weight.shape)
        if "moving_variance" in weight.path or "gamma" in weight.path:
            values = 0.5 + np.abs(values)
        elif "kernel" in weight.path:
            values = np.array(weight)
        weight.assign(values)
