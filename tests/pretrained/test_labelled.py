"""Masks as they are found in files."""

import numpy as np
import pytest
from PIL import Image

from groco.pretrained.labelled import read_mask

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
