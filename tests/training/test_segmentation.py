"""Scores of maps, against counts by hand and by definition."""

import itertools

import numpy as np
import pytest

from training import segmentation


def test_dice():
    found, wanted = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert segmentation.dice(found, wanted) == 0.5
    assert segmentation.dice(wanted, wanted) == 1
    assert segmentation.dice(np.zeros(4, bool), np.zeros(4, bool)) == 1


def test_auc(rng):
    values, wanted = rng.integers(0, 6, size=60).astype(float), rng.random(60) < 0.4
    pairs = [(p > n) + (p == n) / 2 for p, n in itertools.product(values[wanted], values[~wanted])]
    assert segmentation.auc(values, wanted) == pytest.approx(np.mean(pairs))
    assert segmentation.auc(wanted.astype(float), wanted) == 1
    assert np.isnan(segmentation.auc(values, np.ones(60, bool)))


def _grid(*rows):
    return np.array([[character == "." for character in row] for row in rows])


TWO = _grid("...#...", "...#...", "...#...")
ONE = _grid("...#...", ".......", "...#...")


def test_rand_by_hand():
    assert segmentation.rand_score(TWO, TWO) == 1
    # One region of 18 true pixels where there are two cells of 9: p_i = 1, p_j = 1/2 each.
    assert segmentation.rand_score(ONE, TWO) == pytest.approx(2 * 0.5 / (1 + 0.5))
    # Membranes are thinned, so that those too thick by a pixel cost nothing.
    thick = _grid("..###..", "..###..", "..###..")
    assert segmentation.rand_score(thick, TWO) == 1
    assert np.isnan(segmentation.rand_score(TWO, np.zeros_like(TWO)))


def test_rand_by_pairs(rng):
    """The share of pairs of pixels that are together in both, against the means of those together in each."""
    from scipy import ndimage

    truth, found = rng.random((2, 12, 12)) < 0.6
    regions = ndimage.label(found)[0]
    nearest = ndimage.distance_transform_edt(regions == 0, return_distances=False, return_indices=True)
    a, b = regions[tuple(nearest)][truth], ndimage.label(truth)[0][truth]
    same_a, same_b = a[:, None] == a, b[:, None] == b
    expected = 2 * (same_a & same_b).sum() / (same_a.sum() + same_b.sum())
    assert segmentation.rand_score(found, truth) == pytest.approx(expected)


def test_scores_of_a_perfect_map(rng):
    labels = np.zeros((2, 16, 16), "uint8")
    labels[:, :, 7:9] = 1
    scores = segmentation.scores(np.where(labels, 5.0, -5.0), labels)
    assert scores == {"pixel_error": 0, "dice": 1, "auc": 1, "rand": 1}
    worse = segmentation.scores(np.where(labels, -5.0, 5.0), labels)
    assert worse["pixel_error"] == 1
    assert worse["dice"] == worse["auc"] == 0
