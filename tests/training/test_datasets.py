"""Each data set is read as it is laid out, and what is not it is refused by name. The files here are made up."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from groco.groups import act, get_group
from training import datasets
from training.datasets import cifar10, em_membrane, modelnet10
from training.results import RESULTS


@pytest.fixture
def em_file(tmp_path, rng):
    slices = np.zeros((30, 512, 512), "uint8") + np.arange(30, dtype="uint8")[:, None, None]
    labels = np.where(rng.random((1, 512, 512)) < 0.2, 0, 255).astype("uint8").repeat(30, axis=0)
    np.savez(tmp_path / "em_membrane.npz", x_train=slices, y_train=labels, x_test=slices)
    return tmp_path / "em_membrane.npz"


def test_em_membranes(em_file):
    arrays = datasets.load("em_membrane", em_file)
    for split, numbers in (("train", em_membrane.TRAIN_ORDER), ("test", em_membrane.HELD_OUT)):
        slices, labels = arrays[split]
        assert slices.shape == (len(numbers), 512, 512, 1)
        assert slices[:, 0, 0, 0].tolist() == list(numbers)
        assert set(np.unique(labels)) == {0, 1}
        assert labels.mean() < 0.5, "membranes are 1"
    assert sorted(em_membrane.TRAIN_ORDER + em_membrane.HELD_OUT) == list(range(30))
    assert len(datasets.load("em_membrane", em_file.parent, splits=("test",))) == 1


def test_em_membranes_that_are_wrong(em_file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"not downloaded. Give the folder of em_membrane\.npz"):
        datasets.load("em_membrane")
    np.savez(em_file, x_train=np.zeros((30, 512, 512), "uint8"), y_train=np.ones((30, 512, 512), "uint8"))
    with pytest.raises(ValueError, match="labels are 0 and 255"):
        datasets.load("em_membrane", tmp_path)
    np.savez(em_file, x_train=np.zeros((3, 512, 512), "uint8"), y_train=np.ones((30, 512, 512), "uint8"))
    with pytest.raises(ValueError, match=r"x_train of the EM membranes is uint8 of shape \(30, 512, 512\)"):
        datasets.load("em_membrane", tmp_path)


@pytest.fixture
def voxels(tmp_path, rng):
    """Six training and four test volumes, of which the second of each is empty."""
    folder = tmp_path / "data" / "modelnet10"
    folder.mkdir(parents=True)
    arrays = {}
    for part, number in (("train", 6), ("test", 4)):
        volumes = rng.integers(0, 2, size=(number, 32 * 32 * 32)).astype("uint8")
        volumes[1] = 0
        arrays |= {f"x_{part}": np.packbits(volumes, axis=1), f"y_{part}": np.arange(number, dtype="uint8")}
    np.savez(folder / "modelnet10_32.npz", **arrays)
    return folder.parent


def test_modelnet10(voxels, capsys):
    arrays = datasets.load("modelnet10", voxels)
    assert "empty grids are left out, 1 of the 6 of train and 1 of the 4 of test" in capsys.readouterr().err
    assert datasets.test_splits("modelnet10") == ("test", "test_rotated")
    assert arrays["train"][0].shape == (5, 32, 32, 32, 1)
    assert arrays["train"][1].tolist() == [0, 2, 3, 4, 5]
    (upright, labels), (turned, same) = arrays["test"], arrays["test_rotated"]
    np.testing.assert_array_equal(labels, same)
    group = get_group("O", 3)
    for old, new in zip(upright, turned, strict=True):
        assert any(np.array_equal(act(group, g, old, (0, 1, 2)), new) for g in range(24))
    np.testing.assert_array_equal(turned, datasets.load("modelnet10", voxels)["test_rotated"][0])


def test_what_is_said_of_modelnet10_is_what_the_results_are_of():
    left = {part: modelnet10.OFFICIAL[part] - modelnet10.EMPTY[part] for part in ("train", "test")}
    for path in RESULTS.glob("*.modelnet10-*.json"):
        result = json.loads(path.read_text())
        assert {part: result[f"{part}_examples"] for part in left} == left


def test_every_rotation_is_drawn():
    corner = np.zeros((400, 3, 3, 3, 1), "uint8")
    corner[:, 0, 1, 2] = 1
    corner[:, 0, 2, 2] = 1
    assert len({volume.tobytes() for volume in modelnet10.rotate(corner)}) == 24


@pytest.fixture
def photographs(tmp_path, rng, monkeypatch):
    """A CIFAR-10 of 6 + 4 images."""
    from PIL import Image

    expected, labels = {}, {}
    for split, archives in cifar10._ARCHIVES.items():
        parts = []
        for name in archives:
            with zipfile.ZipFile(tmp_path / name, "w") as archive:
                for first in ("00002", "00000"):
                    images = rng.integers(0, 256, size=(2, 32, 32, 3)).astype("uint8")
                    stream = io.BytesIO()
                    Image.fromarray(images.reshape(64, 32, 3)).save(stream, "PNG")
                    archive.writestr(f"{first}.png", stream.getvalue())
                    parts.append((name, first, images))
        images = np.concatenate([part[2] for part in sorted(parts, key=lambda part: part[:2])])
        expected[split] = (images, rng.integers(0, 10, size=len(images)).astype("uint8"))
        labels[f"y_{split}"] = expected[split][1]
    np.savez(tmp_path / "cifar10_labels.npz", **labels)
    sums = {
        f"{letter}_{split}": hashlib.sha256(array.tobytes()).hexdigest()
        for split, arrays in expected.items()
        for letter, array in zip("xy", arrays, strict=True)
    }
    monkeypatch.setattr(cifar10, "SHA256", sums)
    return tmp_path, expected


def test_cifar10(photographs, monkeypatch):
    folder, expected = photographs
    for split, arrays in datasets.load("cifar10", folder).items():
        for found, wanted in zip(arrays, expected[split], strict=True):
            np.testing.assert_array_equal(found, wanted)
    downloaded = tuple((images, labels[:, None]) for images, labels in expected.values())
    monkeypatch.setattr(cifar10.keras.datasets.cifar10, "load_data", lambda: downloaded)
    np.testing.assert_array_equal(datasets.load("cifar10", splits=("test",))["test"][1], expected["test"][1])
    monkeypatch.setitem(cifar10.SHA256, "x_test", "0" * 64)
    with pytest.raises(ValueError, match="x_test of CIFAR-10 has sha256"):
        datasets.load("cifar10", folder, splits=("test",))


def test_cifar10_that_is_wrong(photographs):
    folder, _ = photographs
    (folder / "cifar10_test.zip").write_bytes(b"half a zip")
    with pytest.raises(ValueError, match=r"cifar10_test\.zip.* is not an archive of strips"):
        datasets.load("cifar10", folder)
    (folder / "cifar10_test.zip").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no cifar10_labels\.npz, .*cifar10_test\.zip of CIFAR-10"):
        datasets.load("cifar10", folder)


def test_unknown_splits(voxels):
    with pytest.raises(ValueError, match="modelnet10 has the splits train, test, test_rotated, got valid"):
        datasets.load("modelnet10", voxels, splits=("valid",))
