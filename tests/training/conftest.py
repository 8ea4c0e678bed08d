"""A stand-in for MNIST, so that the tests need no download: 70,000 images made of the digits that come with groco."""

import numpy as np
import pytest

from groco.data import digits
from training import processor
from training.datasets import rotated_mnist


@pytest.fixture(scope="session")
def mnist_file(tmp_path_factory):
    images, labels = digits()
    order = np.random.default_rng(0).permutation(70_000) % len(images)
    path = tmp_path_factory.mktemp("mnist") / "mnist.npz"
    x, y = images[order, ..., 0], labels[order]
    np.savez(path, x_train=x[:60_000], y_train=y[:60_000], x_test=x[60_000:], y_test=y[60_000:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            rotated_mnist, "MNIST_SHA256", {*rotated_mnist.MNIST_SHA256, rotated_mnist.sha256(x, y.astype(np.uint8))}
        )
        yield path


@pytest.fixture(autouse=True)
def _memory_is_given_back(monkeypatch):
    """What a training run asks of the allocator would hold for all tests after it."""
    monkeypatch.setattr(processor, "keep_freed_memory", lambda: None)


@pytest.fixture
def small(monkeypatch):
    """A rotated MNIST of 256 + 100 digits."""
    monkeypatch.setattr(rotated_mnist, "NUM_TRAIN", 256)
    monkeypatch.setattr(rotated_mnist, "NUM_TEST", 100)
