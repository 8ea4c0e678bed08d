"""Augmentations move labels with inputs, change nothing else, and depend on the generator alone."""

import numpy as np
import pytest

from groco.groups import act, get_group
from training import augment
from training.batches import Batches, draw_order


@pytest.fixture
def images(rng):
    return rng.normal(size=(6, 12, 12, 2)).astype("float32")


@pytest.fixture
def maps(images):
    """Labels that tell from which pixel they are."""
    return (images[..., 0] > 0).astype("uint8")


ARGUMENTS = {
    "crop": {"size": 8},
    "cutout": {"size": 4},
    "elastic": {"size": 8, "spacing": 6},
    "flip": {},
    "intensity": {},
    "pad_and_crop": {"pixels": 2},
    "rotate": {},
    "shift": {},
    "symmetry": {"group": "P4M"},
}


def test_all_are_tested():
    assert set(ARGUMENTS) == set(augment.AUGMENTATIONS)


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_the_generator_decides(name, images):
    labels = np.arange(6)
    (first, kept), (again, _), (other, _) = (
        augment.apply([[name, ARGUMENTS[name]]], images, labels, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(kept, labels)
    assert first.dtype == np.float32
    assert first.shape[0] == 6
    assert np.isfinite(first).all()


@pytest.mark.parametrize("name", ["crop", "flip", "symmetry"])
def test_labels_move_with_the_inputs(name, images, maps, rng):
    inputs, labels = augment.apply([[name, ARGUMENTS[name]]], images, maps, rng)
    np.testing.assert_array_equal(labels, inputs[..., 0] > 0)
    assert not np.array_equal(labels, maps)


def test_elastic_moves_labels_with_the_inputs(rng):
    smooth = np.cumsum(np.cumsum(rng.normal(size=(3, 64, 64, 1)), axis=1), axis=2).astype("float32")
    maps = (smooth[..., 0] > 0).astype("uint8")
    inputs, labels = augment.elastic(smooth, maps, rng, size=40)
    assert inputs.shape == (3, 40, 40, 1)
    assert labels.shape == (3, 40, 40)
    assert (labels == (inputs[..., 0] > 0)).mean() > 0.97  # but for pixels in between
    still, _ = augment.elastic(smooth, maps, rng, degrees=0, scale=0, displacement=0)
    np.testing.assert_allclose(still, smooth, atol=1e-3 * np.abs(smooth).max())


@pytest.mark.parametrize(("name", "arguments"), [("rotate", {}), ("shift", {"pixels": 3.0})])
def test_interpolated_labels_move_with_the_inputs(name, arguments, rng):
    smooth = np.cumsum(np.cumsum(rng.normal(size=(3, 64, 64, 1)), axis=1), axis=2).astype("float32")
    maps = (smooth[..., 0] > 0).astype("uint8")
    inputs, labels = augment.apply([[name, arguments]], smooth, maps, rng)
    assert labels.dtype == maps.dtype
    assert (labels == (inputs[..., 0] > 0)).mean() > 0.97  # but for pixels in between
    assert (labels != maps).mean() > 0.01


def test_labels_outside_of_the_image_are_not_made_up(images, maps, rng):
    with pytest.raises(ValueError, match="pad_and_crop: nothing is known of labels outside"):
        augment.pad_and_crop(images, maps, rng)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (["flip", {"probability": "x"}], "flip with {'probability': 'x'} cannot be applied to inputs .12, 12, 2"),
        (["symmetry", {"group": "P5"}], "symmetry with .* cannot be applied .*P5"),
        (["crop", {"size": 13}], "crop with .* a window of 13"),
    ],
)
def test_what_cannot_be_applied_is_named_before_training(entry, message, images):
    augment.try_out([["flip", {}]], images, np.arange(6))
    with pytest.raises(ValueError, match=message):
        augment.try_out([["flip", {}], entry], images, np.arange(6))


def test_symmetries_of_volumes(rng):
    volumes = rng.normal(size=(40, 3, 3, 3, 1)).astype("float32")
    turned, _ = augment.symmetry(volumes, np.arange(40), rng, group="O")
    group = get_group("O", 3)
    which = [
        [g for g in range(24) if np.array_equal(act(group, g, old, (0, 1, 2)), new)]
        for old, new in zip(volumes, turned, strict=True)
    ]
    assert all(len(found) == 1 for found in which)
    assert len({found[0] for found in which}) > 12


def test_shifts_by_whole_pixels():
    images = np.arange(1, 17, dtype="float32").reshape(1, 4, 4, 1)
    seen = {
        augment.pad_and_crop(images, np.zeros(1), np.random.default_rng(seed), pixels=1)[0].tobytes()
        for seed in range(200)
    }
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    assert seen == {padded[:, i : i + 4, j : j + 4].tobytes() for i in range(3) for j in range(3)}


def test_windows_that_do_not_fit(images, maps, rng):
    for name in ("crop", "elastic"):
        with pytest.raises(ValueError, match=f"{name}: a window of 13"):
            augment.apply([[name, {"size": 13}]], images, maps, rng)


@pytest.mark.parametrize("wrong", [["turn", {}], ["flip"], ["flip", 3], "flip"])
def test_unknown_augmentations(wrong):
    with pytest.raises(ValueError, match="an augmentation is a pair"):
        augment.check([wrong])


def test_arguments_that_are_needed():
    with pytest.raises(ValueError, match=r"the augmentation symmetry needs group, got \{\}"):
        augment.check([["symmetry", {}]])


def test_batches_are_the_same_in_any_order(images, maps):
    def batches(epoch):
        return Batches(images, maps, batch_size=4, seed=3, epoch=epoch, augmentations=[["flip", {}]], examples=10)

    first, again = batches(0), batches(0)
    assert len(first) == 3
    for index in (2, 0, 1):
        for a, b in zip(first[index], again[index], strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0][0], batches(1)[0][0])
    assert [len(first[i][0]) for i in range(3)] == [4, 4, 2]


def test_an_epoch_draws_all_as_often():
    order = draw_order(4, 10, 0, 0)
    assert len(order) == 10
    assert set(np.bincount(order)) == {2, 3}
    np.testing.assert_array_equal(np.sort(draw_order(7, 7, 1, 2)), np.arange(7))
