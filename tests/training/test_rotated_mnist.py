"""The data set is the same each time, complete, without overlap, and what is read is what was written."""

import hashlib
import os
from pathlib import Path

import keras
import numpy as np
import pytest

from groco.data import digits
from training import datasets
from training.datasets import rotated_mnist

# The MNIST that keras.datasets downloads, where there is one: given, beside the checkout, or in Keras' cache.
CANDIDATES = [
    Path(os.environ.get("MNIST_FILE", "")),
    Path(__file__).parents[3] / "shared/data/mnist/mnist.npz",
    Path(os.path.expanduser("~/.keras/datasets/mnist.npz")),
]
MNIST = next((path for path in CANDIDATES if path.is_file()), None)


def _sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


@pytest.mark.skipif(MNIST is None, reason="needs MNIST: set MNIST_FILE to an mnist.npz")
def test_the_regenerated_set_is_the_published_one():
    arrays = rotated_mnist.regenerate(MNIST)
    found = {}
    for split, (images, labels) in arrays.items():
        assert images.shape == ({"train": 12_000, "test": 50_000}[split], 28, 28, 1)
        found |= {f"{split}_images": _sha256(images), f"{split}_labels": _sha256(labels)}
    assert found == rotated_mnist.SHA256
    sample, sample_labels = digits()
    images, labels = arrays["test"]
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[:100] for c in range(10)]))
    np.testing.assert_array_equal(sample, images[chosen])
    np.testing.assert_array_equal(sample_labels, labels[chosen])


def test_rotation_is_the_same_on_every_machine():
    """sha256 of 100 digits turned by given angles; the same as of the whole set, where there is no MNIST."""
    turned = rotated_mnist.rotate(digits()[0][::10, ..., 0], np.linspace(0, 350, 100))
    assert _sha256(turned) == "259d86bdff691adb017a054f2ae2be9fa1d451c88c626fba7d03961fe30679b6"


def test_rotation_turns_counter_clockwise():
    images = digits()[0][:20, ..., 0]
    for turns in range(4):
        np.testing.assert_array_equal(
            rotated_mnist.rotate(images, np.full(20, 90.0 * turns)), np.rot90(images, turns, axes=(1, 2))
        )
    back = rotated_mnist.rotate(rotated_mnist.rotate(images, np.full(20, 30.0)), np.full(20, -30.0))
    assert np.abs(back.astype(int) - images).mean() < 3


def test_deterministic_and_without_overlap(mnist_file, small, monkeypatch):
    first, second = rotated_mnist.regenerate(mnist_file), rotated_mnist.regenerate(mnist_file)
    for split in ("train", "test"):
        for a, b in zip(first[split], second[split], strict=True):
            np.testing.assert_array_equal(a, b)
    only = rotated_mnist.regenerate(mnist_file, ("test",))
    assert list(only) == ["test"]
    np.testing.assert_array_equal(only["test"][0], first["test"][0])
    # Without overlap: numbered pictures, each is drawn once.
    numbered = np.zeros((70_000, 28, 28), np.uint8)
    numbered[:, 13:15, 13:15] = np.arange(70_000).reshape(-1, 1, 1) % 251 + 1
    seen = []
    monkeypatch.setattr(rotated_mnist, "load_mnist", lambda path: (numbered, np.arange(70_000)))
    for _, labels in rotated_mnist.regenerate(None).values():
        seen.extend(labels.tolist())
    assert len(seen) == len(set(seen)) == 256 + 100


def test_angles_are_uniform(mnist_file, small, monkeypatch):
    drawn = []
    monkeypatch.setattr(rotated_mnist, "NUM_TRAIN", 12_000)
    monkeypatch.setattr(rotated_mnist, "NUM_TEST", 50_000)
    monkeypatch.setattr(rotated_mnist, "rotate", lambda images, degrees: drawn.append(degrees) or images)
    rotated_mnist.regenerate(mnist_file)
    counts = np.histogram(np.concatenate(drawn), bins=36, range=(0, 360))[0]
    assert counts.sum() == 62_000
    assert np.abs(counts / (62_000 / 36) - 1).max() < 0.1


def _write_amat(folder, split, rows):
    np.savetxt(folder / rotated_mnist.AMAT_FILES[split], rows, fmt="%.6f")


def test_original_files(tmp_path, monkeypatch):
    monkeypatch.setattr(rotated_mnist, "NUM_TRAIN", 3)
    monkeypatch.setattr(rotated_mnist, "NUM_TEST", 4)
    images, labels = digits()
    for split, part in (("train", np.s_[:3]), ("test", np.s_[500:504])):
        rows = np.concatenate([images[part].reshape(-1, 784) / 255, labels[part, None]], axis=1)
        _write_amat(tmp_path, split, rows)
    arrays = datasets.load("rotated_mnist", source=tmp_path, variant="original")
    np.testing.assert_array_equal(arrays["train"][0], images[:3])
    np.testing.assert_array_equal(arrays["test"][1], labels[500:504])
    monkeypatch.setattr(rotated_mnist, "NUM_TEST", 5)
    with pytest.raises(ValueError, match="has 4 digits, not 5: it is not whole"):
        datasets.load("rotated_mnist", source=tmp_path, variant="original")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 784)), "rows of 784 numbers"),
        (np.full((2, 785), 10.0), "labels that are not digits"),
        (np.concatenate([np.full((1, 784), 2.0), [[3]]], axis=1), r"pixels outside of \[0, 1\]"),
    ],
)
def test_original_files_that_are_wrong(rows, message, tmp_path):
    _write_amat(tmp_path, "train", rows)
    with pytest.raises(ValueError, match=message):
        rotated_mnist.read_original(tmp_path, ("train",))


def test_missing_files_say_where_to_get_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Download mnist_rotation_new\.zip from http"):
        rotated_mnist.read_original(tmp_path)
    with pytest.raises(ValueError, match="give its folder as source"):
        datasets.load("rotated_mnist", variant="original")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        rotated_mnist.load_mnist(tmp_path / "mnist.npz")
    (tmp_path / "mnist.npz").write_text("nothing")
    with pytest.raises(ValueError, match=r"is not an mnist\.npz"):
        rotated_mnist.load_mnist(tmp_path / "mnist.npz")
    np.savez(
        tmp_path / "mnist.npz", **dict.fromkeys(("x_train", "x_test"), np.zeros((5, 28, 28))), y_train=[], y_test=[]
    )
    with pytest.raises(ValueError, match="MNIST has 70,000"):
        rotated_mnist.load_mnist(tmp_path / "mnist.npz")


@pytest.mark.parametrize("error", [Exception("URL fetch failure on https://...: None"), OSError("disk full")])
def test_digits_that_cannot_be_downloaded(error, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(FileNotFoundError, match=f"MNIST could not be downloaded: {error}. Give a file or folder"):
        rotated_mnist.load_mnist()
    error = RuntimeError("of something else")
    with pytest.raises(RuntimeError, match="of something else"):
        rotated_mnist.load_mnist()


def test_other_digits_are_not_mnist(mnist_file, tmp_path):
    with np.load(mnist_file) as file:
        arrays = dict(file)
    rotated_mnist.load_mnist(mnist_file)
    arrays["x_test"][-1, 0, 0] += 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match="are not those of MNIST, all in their order: their sha256 is"):
        rotated_mnist.load_mnist(tmp_path)


def test_unknown_data_sets():
    with pytest.raises(ValueError, match="no data set 'mnist'"):
        datasets.load("mnist")
    with pytest.raises(ValueError, match="variants 'regenerated' and 'original'"):
        datasets.load("rotated_mnist", variant="new")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("config", ["regenerated", "original"])
def test_tensorflow_datasets_builder(config, mnist_file, small, tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    tfds = pytest.importorskip("tensorflow_datasets")
    from training.datasets.rotated_mnist_builder import RotatedMnist

    manual = tmp_path / "manual"
    manual.mkdir()
    if config == "original":
        monkeypatch.setattr(rotated_mnist, "NUM_TRAIN", 5)
        monkeypatch.setattr(rotated_mnist, "NUM_TEST", 5)
        images, labels = digits()
        rows = np.concatenate([images[:5].reshape(-1, 784) / 255, labels[:5, None]], axis=1)
        for split in ("train", "test"):
            _write_amat(manual, split, rows)
        expected = dict.fromkeys(("train", "test"), (images[:5], labels[:5]))
    else:
        (manual / "mnist.npz").symlink_to(mnist_file)
        expected = rotated_mnist.regenerate(mnist_file)
    builder = RotatedMnist(config=config, data_dir=tmp_path / "data")
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual))
    for split, (images, labels) in expected.items():
        rows = list(tfds.as_numpy(builder.as_dataset(split=split, as_supervised=True)))
        found = sorted((int(label), image.tobytes()) for image, label in rows)
        assert found == sorted((int(label), image.tobytes()) for image, label in zip(images, labels, strict=True))
