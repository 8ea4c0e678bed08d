"""Files of arrays and pictures: of every depth of colour, and damaged in every way."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from groco.pretrained.files import read_array, read_arrays, read_picture, sizes_of
from groco.pretrained.preprocessor import Preprocessor

GREYS = np.linspace(0, 255, 48).reshape(6, 8).round().astype("uint8")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bits_are_scaled_to_8(suffix, tmp_path):
    file = tmp_path / f"grey{suffix}"
    Image.fromarray(GREYS.astype("uint16") * 257).save(file)
    np.testing.assert_array_equal(read_picture(file, 1), GREYS)
    np.testing.assert_array_equal(read_picture(file, 3), np.stack([GREYS] * 3, axis=-1))
    assert sizes_of(file, 2) == GREYS.shape


def test_16_bits_of_which_12_are_used_are_warned_of(tmp_path):
    file = tmp_path / "camera.png"
    Image.fromarray(GREYS.astype("uint16") * 16).save(file)
    with pytest.warns(UserWarning, match="no value above 4080 of 65535, and is read as nearly black"):
        assert read_picture(file, 1).max() == 16
    Image.fromarray(np.zeros((4, 4), "uint16")).save(file)
    assert read_picture(file, 1).max() == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_8_bits(mode, tmp_path):
    file = tmp_path / "grey.PNG"
    image = Image.fromarray(GREYS)
    image.convert(mode).save(file)
    expected = np.where(GREYS > 127, 255, 0) if mode == "1" else GREYS
    found = read_picture(file, 1)
    assert found.dtype == np.uint8
    if mode == "1":
        assert set(np.unique(found)) == {0, 255}
    else:
        np.testing.assert_allclose(found.astype(int), expected, atol=1)


@pytest.mark.parametrize(
    ("dtype", "message"), [("int32", "whole numbers of 32"), ("float32", "floating point numbers")]
)
def test_32_bits_are_refused(dtype, message, tmp_path):
    file = tmp_path / "map.tif"
    Image.fromarray(np.zeros((4, 4), dtype)).save(file)
    with pytest.raises(ValueError, match=rf"map\.tif' cannot be read as an image: its values are {message}"):
        read_picture(file, 1)


@pytest.mark.parametrize(
    ("suffix", "what"), [("tif", "pages"), ("gif", "frames"), ("png", "frames"), ("webp", "frames")]
)
def test_pages_and_frames_are_refused(suffix, what, tmp_path):
    file = tmp_path / f"stack.{suffix}"
    images = [Image.fromarray(np.roll(GREYS, step)) for step in range(3)]
    images[0].save(file, save_all=True, append_images=images[1:])
    with pytest.raises(ValueError, match=rf"stack\.{suffix}' cannot be read as an image: it has 3 {what}"):
        read_picture(file, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "lzw.tif", "webp"])
def test_pictures_are_read_upright(suffix, orientation, tmp_path):
    """As whoever labelled it saw it, on a screen that knows EXIF."""
    upright = np.zeros((16, 24), "uint8")
    upright[:8, :12] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    file = tmp_path / f"photo.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(
        file, exif=exif, **({"compression": "tiff_lzw"} if "lzw" in suffix else {})
    )
    assert sizes_of(file, 2) == upright.shape
    np.testing.assert_allclose(read_picture(file, 1).astype(int), upright, atol=40)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparent_pictures_are_refused(mode, tmp_path):
    file = tmp_path / "strokes.png"
    strokes = Image.fromarray(np.stack([np.zeros_like(GREYS), GREYS], axis=-1)).convert("RGBA")
    strokes.convert(mode).save(file, **({"transparency": 0} if mode == "P" else {}))
    with pytest.raises(ValueError, match=r"strokes\.png' cannot be read as an image: parts of it are transparent"):
        read_picture(file, 1)


def test_a_picture_that_claims_to_be_huge(tmp_path):
    file = tmp_path / "bomb.bmp"
    Image.fromarray(GREYS).save(file)
    content = bytearray(file.read_bytes())
    content[18:26] = struct.pack("<ii", 60_000, 60_000)
    file.write_bytes(content)
    for read in (lambda: read_picture(file, 1), lambda: sizes_of(file, 2)):
        with pytest.raises(ValueError, match=r"bomb\.bmp' cannot be read as an image"):
            read()


def test_damaged_arrays(tmp_path, rng):
    """Whatever byte is wrong: the array, or an error that names the file, never another exception."""
    file, damaged = tmp_path / "whole.npz", tmp_path / "damaged.npz"
    arrays = {"images": rng.integers(0, 256, (3, 8, 8)).astype("uint8"), "labels": np.arange(3)}
    np.savez_compressed(file, **arrays)
    content, refused = file.read_bytes(), 0
    for place in range(0, len(content), 3):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            read_arrays(damaged, ("images", "labels"))
        except ValueError as error:
            assert "damaged.npz' is not an .npz with the arrays images and labels" in str(error)
            refused += 1
    assert refused > len(content) // 6, "most bytes are protected by a checksum"
    np.save(tmp_path / "whole.npy", arrays["images"])
    content = (tmp_path / "whole.npy").read_bytes()
    for place in range(0, 128, 2):
        (tmp_path / "damaged.npy").write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            read_array(tmp_path / "damaged.npy")
        except ValueError as error:
            assert "damaged.npy' cannot be read as an array" in str(error)


@pytest.mark.parametrize("content", [b"", b"PK", zlib.compress(b"none")])
def test_files_that_are_no_arrays(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is not an mnist"):
        read_arrays(tmp_path / "a.npz", ("x",), "an mnist.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros(2))
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    with pytest.raises(ValueError, match="it is an archive of arrays"):
        read_array(tmp_path / "b.npy")


@pytest.mark.parametrize(
    ("values", "maximum", "expected", "dtype"),
    [
        (np.array([0, 255], "uint8"), 255, [255, 0], "uint8"),
        (np.array([0, 1], "uint8"), 1.0, [1, 0], "uint8"),
        (np.array([False, True]), 1, [1, 0], "float32"),
        (np.array([0.0, 0.25]), 1, [1, 0.75], "float64"),
        (np.array([0, 255], "uint8"), 1000, [1000, 745], "float32"),
        (np.array([0, 127], "int8"), 255, [255, 128], "float32"),
    ],
)
def test_invert(values, maximum, expected, dtype):
    preprocess = Preprocessor((2, 2), 1, 0.0, 1.0, ("a", "b"), maximum=maximum)
    inverted = preprocess.invert(values)
    assert inverted.dtype == dtype
    np.testing.assert_array_equal(inverted, expected)
