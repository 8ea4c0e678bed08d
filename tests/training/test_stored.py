"""A run on examples that stay on disk, in shards, is the run on the same examples in memory."""

import csv

import numpy as np
import pytest

from training import datasets, prepare, preprocess, train
from training.datasets import em_membrane, modelnet10, stored

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def _needs():
    pytest.importorskip("tensorflow")
    pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def files(tmp_path, rng):
    """Twelve training and four test volumes, of which the second of each is empty; 30 slices."""
    arrays = {}
    for part, number in (("train", 12), ("test", 4)):
        volumes = rng.integers(0, 2, size=(number, 32 * 32 * 32)).astype("uint8")
        volumes[1] = 0
        arrays |= {f"x_{part}": np.packbits(volumes, axis=1), f"y_{part}": np.arange(number, dtype="uint8") % 10}
    folder = tmp_path / "files"
    folder.mkdir()
    np.savez(folder / modelnet10.FILE, **arrays)
    slices = np.zeros((30, 512, 512), "uint8") + np.arange(30, dtype="uint8")[:, None, None]
    labels = np.where(np.arange(512) % 9, 255, 0).astype("uint8") + np.zeros_like(slices)
    np.savez(folder / em_membrane.FILE, x_train=slices, y_train=labels)
    return folder


@pytest.mark.parametrize("name", ["modelnet10", "em_membrane"])
def test_builders(name, files, tmp_path):
    folder = prepare.prepare(name, tmp_path / "to", files, shards=2)
    assert len(list(folder.glob("*train*array_record*"))) == 2
    expected, found = datasets.load(name, files), datasets.load(name, folder)
    assert list(found) == list(expected)
    for split, (inputs, labels) in found.items():
        assert isinstance(inputs, stored.Stored)
        assert inputs.shape == expected[split][0].shape
        np.testing.assert_array_equal(inputs[range(len(inputs))], expected[split][0])  # in the same order
        np.testing.assert_array_equal(np.asarray(labels, "uint8"), expected[split][1])
    for above in (folder.parent, tmp_path / "to"):
        assert isinstance(datasets.load(name, above)["train"][0], stored.Stored)
    with pytest.raises(ValueError, match=r"has the data set .*, not rotated_mnist"):
        datasets.load("rotated_mnist", folder)
    with pytest.raises(FileNotFoundError, match=r"has no mnist\.npz"):
        datasets.load("rotated_mnist", tmp_path / "to")


class Records:
    """As a data source of tensorflow-datasets."""

    def __init__(self, **features):
        self.features = features

    def __len__(self):
        return len(next(iter(self.features.values())))

    def __getitems__(self, indices):
        assert len(indices) <= stored.AT_ONCE, "all other features would be in memory at once"
        return [{name: array[i] for name, array in self.features.items()} for i in indices]


def _stored(arrays):
    source = Records(image=arrays[0], label=arrays[1])
    return tuple(
        stored.Stored(source, k, a.shape[1:], a.dtype) for k, a in zip(("image", "label"), arrays, strict=True)
    )


def test_it_acts_as_an_array(rng):
    array = rng.integers(256, size=(50, 4, 3)).astype("uint8")
    lazy = _stored((array, array[:, 0, 0]))[0]
    assert (len(lazy), lazy.shape, lazy.dtype) == (50, (50, 4, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(lazy), array)
    np.testing.assert_array_equal(lazy[np.array([7, 3, 3])], array[[7, 3, 3]])
    np.testing.assert_array_equal(np.asarray(lazy[10:40:2][:5]), array[10:40:2][:5])
    assert len(lazy[:None]) == 50
    part = lazy.part(np.array([9, 2]))
    assert isinstance(part, stored.Stored)
    np.testing.assert_array_equal(np.asarray(part[1:]), array[[2]])
    inputs, some = train.first_examples(*_stored((array, np.arange(50) // 25)), 3)
    assert isinstance(inputs, stored.Stored)
    np.testing.assert_array_equal(np.asarray(inputs), array[[0, 24, 49]])
    assert np.asarray(some).tolist() == [0, 0, 1]
    np.testing.assert_array_equal(lazy.sample(20), array[::3])
    np.testing.assert_array_equal(np.asarray(lazy.changed(lambda x: x / 2)[2:4]), array[2:4] / 2)
    fitted = preprocess.fit("standardize_channels", lazy)
    assert fitted == preprocess.fit("standardize_channels", array)
    np.testing.assert_array_equal(fitted(lazy)[[4, 5]], fitted(array)[[4, 5]])


def test_many_are_read_in_parts(rng):
    array = rng.integers(256, size=(3 * stored.AT_ONCE + 1, 2)).astype("uint8")
    np.testing.assert_array_equal(np.asarray(_stored((array, array[:, 0]))[0]), array)


def test_records_that_cannot_be_read_are_named(tmp_path):
    class Damaged:
        def __len__(self):
            return 3

        def __getitems__(self, indices):
            raise RuntimeError("chunk data\nhash mismatch")

    lazy = stored.Stored(Damaged(), "label", (), np.uint8, tmp_path)
    with pytest.raises(ValueError, match=f"{tmp_path} cannot be read .chunk data hash mismatch.") as error:
        np.asarray(lazy)
    assert error.value.__cause__ is None


def test_all_of_a_small_data_set_is_fitted_on(rng):
    array = rng.integers(256, size=(12_000, 2, 2, 1)).astype("uint8")
    lazy = _stored((array, array[:, 0, 0, 0]))[0]
    assert preprocess.fit("standardize", lazy) == preprocess.fit("standardize", array)


def _patches(rng, number):
    labels = np.arange(number) % 2
    return (rng.integers(100, size=(number, 96, 96, 3)) + 100 * labels[:, None, None, None]).astype("uint8"), labels


def test_patch_camelyon_two_steps(rng, tmp_path, monkeypatch, capsys):
    """On made-up patches, from disk and from memory."""
    arrays = {split: _patches(rng, number) for split, number in (("train", 8), ("validation", 3), ("test", 3))}
    histories = []
    for make in (_stored, tuple):
        monkeypatch.setattr(
            datasets, "load", lambda *args, make=make, **kwargs: {s: make(a) for s, a in arrays.items()}
        )
        runs = tmp_path / make.__name__
        changes = ["epochs=1", "batch_size=4", "examples_per_epoch=8", "model_args.growth=2", "workers=2"]
        arguments = [part for change in changes for part in ("--set", change)]
        assert train.main(["p4m_densenet_pcam", "--runs", str(runs), *arguments]) == 0, capsys.readouterr().err
        with (runs / "p4m_densenet.pcam-seed0" / "history.csv").open(newline="") as file:
            histories.append([(line["loss"], line["accuracy"]) for line in csv.DictReader(file)])
    assert histories[0] == histories[1]
    assert "test auc" in capsys.readouterr().out


def test_variants(mnist_file, small, tmp_path, capsys):
    folder = prepare.prepare("rotated_mnist", tmp_path / "to", mnist_file.parent)
    assert datasets.load("rotated_mnist", folder)["train"][0].shape == (256, 28, 28, 1)
    assert datasets.load("rotated_mnist", tmp_path / "to")["train"][0].shape == (256, 28, 28, 1)
    with pytest.raises(FileNotFoundError, match="has no"):
        datasets.load("rotated_mnist", tmp_path / "to", variant="original")
    capsys.readouterr()
    again = ["rotated_mnist", "--to", str(tmp_path / "to"), "--data", str(mnist_file.parent), "--shards", "2"]
    assert prepare.main(again) == 0
    assert "was there already, and --shards 2 changes nothing" in capsys.readouterr().err
    with pytest.raises(ValueError, match="has the variant 'regenerated' of rotated_mnist, not 'original'"):
        datasets.load("rotated_mnist", folder, variant="original")
    where = ["--to", str(tmp_path / "others")]
    assert prepare.main(["rotated_mnist", *where, "--data", str(tmp_path / "WRONG")]) == 1
    assert "There is no folder" in capsys.readouterr().err
    other = ["--to", str(tmp_path / "none")]
    assert prepare.main(["rotated_mnist", *other, "--data", str(tmp_path)]) == 1
    assert not (tmp_path / "none").exists()
    assert prepare.main(["rotated_mnist", *where, "--data", str(tmp_path)]) == 1
    assert "has no mnist.npz" in capsys.readouterr().err
    assert prepare.main(["rotated_mnist", *where, "--variant", "new"]) == 1
    assert "has the variants 'regenerated' and 'original', got 'new'" in capsys.readouterr().err


def test_what_is_not_prepared(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match=r"python -m training.prepare patch_camelyon --to FOLDER"):
        datasets.load("patch_camelyon", tmp_path)
    assert prepare.main(["mnist", "--to", str(tmp_path)]) == 1
    assert "no builder of 'mnist'; there are em_membrane" in capsys.readouterr().err
    assert prepare.main(["modelnet10", "--to", str(tmp_path), "--shards", "0"]) == 1
    assert "--shards is positive, got 0" in capsys.readouterr().err
    assert prepare.main(["modelnet10", "--to", str(tmp_path)]) == 1
