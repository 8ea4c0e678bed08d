"""Weights as a trained model has them."""

import numpy as np


def randomise(model, rng):
    """Nothing stays at its symmetric initial value: biases, scales, and the statistics of the batches."""
    for weight in model.weights:
        values = rng.normal(scale=0.3, size=weight.shape)
        if "moving_variance" in weight.path or "gamma" in weight.path:
            values = 0.5 + np.abs(values)
        elif "beta" in weight.path:
            values = 0.5 + values  # else whole nets this narrow may be dead behind their ReLUs
        elif "kernel" in weight.path:
            values = rng.normal(scale=np.sqrt(2 / np.prod(weight.shape[:-1])), size=weight.shape)
        weight.assign(values)
