"""Masks as they are found in files."""

import numpy as np
import pytest
from PIL import Image

from groco.pretrained.labelled import list_files, read_mask

MASK = np.array([[0, 255, 0], [255, 255, 0]], "uint8")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_masks_of_any_mode(mode, tmp_path):
    file = tmp_path / "mask.png"
    image = Image.fromarray(MASK)
    if mode == "LA":
        image.putalpha(Image.fromarray(MASK[::-1].copy()))
    else:
        image = Image.fromarray(MASK.astype("uint16")) if mode == "I;16" else image.convert(mode)
    image.save(file)
    mask = read_mask(file, 2)
    assert mask.shape == MASK.shape
    np.testing.assert_array_equal(mask > 0, MASK > 0)


@pytest.mark.parametrize("colours", [[255, 255, 255, 0, 0, 0], [0, 0, 0, 255, 255, 255]])
def test_black_and_white_palettes_in_either_order(colours, tmp_path):
    """Programs that reduce colours put white first."""
    file = tmp_path / "mask.png"
    indices = (MASK == 0) if colours[0] else (MASK > 0)
    image = Image.fromarray(indices.astype("uint8"))
    image.putpalette(colours)
    image.save(file)
    np.testing.assert_array_equal(read_mask(file, 2), MASK // 255)


def test_numbers_of_classes_in_palettes(tmp_path):
    file = tmp_path / "mask.png"
    classes = np.array([[0, 1, 2], [2, 1, 0]], "uint8")
    image = Image.fromarray(classes)
    image.putpalette([255, 255, 255, 0, 0, 0, 200, 0, 0])
    image.save(file)
    np.testing.assert_array_equal(read_mask(file, 2), classes)


def test_files_that_are_not_read_are_told_of(tmp_path, caplog):
    for name in ("a.png", "b.JFIF", "c.svg", "Thumbs.db", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "more").mkdir()
    assert [file.name for file in list_files(tmp_path)] == ["a.png", "b.JFIF"]
    assert (
        "2 files or folders are not read, the first is c.svg. Images are files whose names end in .apng, "
        in caplog.text
    )


def test_masks_in_arrays(tmp_path):
    file = tmp_path / "mask.npy"
    for array in (MASK, MASK[..., None]):
        np.save(file, array)
        np.testing.assert_array_equal(read_mask(file, 2), MASK)
    np.save(file, np.stack([MASK, 255 - MASK], axis=-1))
    with pytest.raises(ValueError, match=r"has shape \(2, 3, 2\); a mask has one value at each point, 2 axes"):
        read_mask(file, 2)
    np.save(file, MASK[0])
    with pytest.raises(ValueError, match="one value at each point"):
        read_mask(file, 2)
