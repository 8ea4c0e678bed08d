"""Scores of a segmentation into membranes (1) and cells (0)."""

from __future__ import annotations

import numpy as np

from groco.finetuning.tasks import dice

RAND_THRESHOLDS = tuple(round(0.1 * k, 1) for k in range(1, 10))


def scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All scores of maps of logits (n, height, width) against labels (n, height, width) of 0 and 1.

    Returns:
        pixel_error: share of pixels on the wrong side of probability 0.5;
        dice: of the membranes at probability 0.5, over all slices together;
        auc: area under the ROC curve of the pixels;
        rand: foreground-restricted Rand score, the mean over the slices at the threshold that is best for all, as the
            challenge took it (Arganda-Carreras et al. 2015).
    """
    found, wanted = logits > 0, labels.astype(bool)
    probabilities = 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))  # as exp, without its overflow
    rands = [
        np.mean([rand_score(p < threshold, y == 0) for p, y in zip(probabilities, labels, strict=True)])
        for threshold in RAND_THRESHOLDS
    ]
    return {
        "pixel_error": float((found != wanted).mean()),
        "dice": dice(found, wanted),
        "auc": auc(logits.ravel(), wanted.ravel()),
        "rand": float(max(rands)),
    }


def auc(values: np.ndarray, wanted: np.ndarray) -> float:
    """The chance that a positive has a larger value than a negative, ties counting half; nan if one kind is missing."""
    positives = int(wanted.sum())
    negatives = wanted.size - positives
    if not positives or not negatives:
        return float("nan")
    distinct, inverse = np.unique(values, return_inverse=True)
    there = np.bincount(inverse, weights=wanted, minlength=len(distinct))
    absent = np.bincount(inverse, minlength=len(distinct)) - there
    below = np.cumsum(absent) - absent
    return float((there * (below + absent / 2)).sum() / (positives * negatives))


def rand_score(found: np.ndarray, cells: np.ndarray) -> float:
    """The foreground-restricted Rand score of cells that were found against the true ones, both (height, width) bool.

    Cells are the connected regions (by edges). The borders of those found are thinned away: a pixel between them
    belongs to the nearest. With p_ij the share of the true cells' pixels that lie in the found region i and in the true
    cell j, it is sum p_ij^2 / (1/2 sum_i p_i^2 + 1/2 sum_j p_j^2) (Arganda-Carreras et al. 2015, equation 3).
    """
    from scipy import ndimage

    regions, number = ndimage.label(found)
    if number:
        nearest = ndimage.distance_transform_edt(regions == 0, return_distances=False, return_indices=True)
        regions = regions[tuple(nearest)]
    truth, true_number = ndimage.label(cells)
    inside = truth > 0
    if not inside.any():
        return float("nan")
    pairs = np.bincount(regions[inside] * (true_number + 1) + truth[inside])
    joint = np.zeros((number + 1) * (true_number + 1))
    joint[: len(pairs)] = pairs / inside.sum()
    joint = joint.reshape(number + 1, true_number + 1)
    together = (joint**2).sum()
    return float(2 * together / ((joint.sum(axis=1) ** 2).sum() + (joint.sum(axis=0) ** 2).sum()))
