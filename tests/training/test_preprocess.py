"""What is fitted on the training set does what it says to other inputs."""

import numpy as np
import pytest

from training import preprocess


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, size=(500, 4, 4, 3)).astype("uint8")


def test_standardize(images):
    prepared = preprocess.fit("standardize", images)(images)
    assert prepared.dtype == np.float32
    assert (prepared.mean(), prepared.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))


def test_standardize_channels(images):
    images[..., 1] //= 4
    fitted = preprocess.fit("standardize_channels", images)
    np.testing.assert_allclose(fitted.mean, images.mean(axis=(0, 1, 2)), rtol=1e-9)
    prepared = fitted(images)
    np.testing.assert_allclose(prepared.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(prepared.std(axis=(0, 1, 2)), 1, atol=1e-5)


def test_none(images):
    np.testing.assert_array_equal(preprocess.fit("none", images)(images), images.astype("float32"))


def test_contrast(images):
    normal = preprocess.normalize_contrast(images.astype("float32")).reshape(500, -1)
    np.testing.assert_allclose(normal.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(normal.std(axis=1), 1, atol=1e-5)
    assert not preprocess.normalize_contrast(np.full((1, 2, 2, 1), 7.0)).any(), "a flat image stays finite"


def test_zca(rng):
    """It whitens, and it is symmetric: of all maps that whiten, the one nearest to the identity."""
    rows = rng.normal(size=(4000, 6)) @ rng.normal(size=(6, 6)) + 3
    whitening, centre = preprocess.fit_zca(rows, added=0)
    white = (rows - centre) @ whitening
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(6), atol=1e-3)
    np.testing.assert_allclose(whitening, whitening.T, atol=1e-4)


def test_contrast_and_zca(images):
    fitted = preprocess.fit("contrast_zca", images)
    prepared = fitted(images)
    assert prepared.shape == images.shape
    covariance = np.cov(prepared.reshape(500, -1).T, bias=True)
    # Contrast normalisation takes one direction away, the mean of the image.
    values = np.linalg.eigvalsh(covariance)
    assert values[0] < 1e-2
    np.testing.assert_allclose(values[2:], 1, atol=1e-2)


def test_unknown(images):
    with pytest.raises(ValueError, match="preprocess is one of none, standardize"):
        preprocess.fit("whiten", images)
