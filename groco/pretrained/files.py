"""Arrays and pictures from files. One that is damaged, or is not what it should be, is an error that names it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

ARRAY_SUFFIX = ".npy"
_PICTURES = "apng avif bmp dib gif j2k jfif jp2 jpe jpeg jpf jpg jpx pbm pcx pgm png pnm ppm tga tif tiff webp"
IMAGE_SUFFIXES = (*(f".{name}" for name in _PICTURES.split()), ARRAY_SUFFIX)
DEEP = 4096  # what the lightest point of a picture of 16 bits reaches, unless it is very dark or had fewer bits
_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # not MPO: after the photograph cameras keep others of the same
_ORIENTATION = 274  # the tag of EXIF


def is_array(file: Path) -> bool:
    """Whether a file is named as an array of NumPy, not as a picture."""
    return file.suffix.lower() == ARRAY_SUFFIX


def read_array(file: Path, **options) -> np.ndarray:
    """An .npy; `options` as of `numpy.load`.

    Raises:
        ValueError: if it is none.
    """
    try:
        array = np.load(file, allow_pickle=False, **options)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("it is an archive of arrays (.npz)")
        return array
    except Exception as error:  # whatever a damaged file makes NumPy raise
        raise ValueError(f"{str(file)!r} cannot be read as an array: {first_line(error)}") from None


def read_arrays(file: Path, names: Sequence[str], what: str | None = None) -> list[np.ndarray]:
    """The arrays of these names in an .npz; `what` says what the file should be.

    Raises:
        ValueError: if it is no .npz, or has no such arrays.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            return [content[name] for name in names]
    except Exception as error:  # whatever a damaged file makes zipfile, zlib and NumPy raise
        what = what or f"an .npz with the arrays {' and '.join(names)}"
        raise ValueError(f"{str(file)!r} is not {what}: {first_line(error)}") from None


@contextlib.contextmanager
def open_picture(file: Path) -> Iterator:
    """A picture, of Pillow, to be used while it is open.

    Raises:
        ValueError: if it is none, or what is done with it fails.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # By a stream: with a name Pillow 13 maps uncompressed TIFF into memory, and turns what is not yet in order.
        with file.open("rb") as stream, Image.open(stream) as image:
            if image.format in ("TIFF", *_ANIMATED) and getattr(image, "n_frames", 1) > 1:
                kind = "frames" if image.format in _ANIMATED else "pages"
                raise ValueError(f"it has {image.n_frames} {kind}; save each as a file of its own")
            yield image
    except UnidentifiedImageError:
        raise ValueError(f"{str(file)!r} cannot be read as an image: it is in no format that Pillow knows") from None
    except Exception as error:  # whatever a damaged file makes Pillow raise
        raise ValueError(f"{str(file)!r} cannot be read as an image: {first_line(error)}") from None


def read_picture(file: Path, channels: int) -> np.ndarray:
    """A picture of 8 or 16 bits with 8: (height, width) uint8 for one channel, (height, width, 3) for three.

    It is upright, as its EXIF says. Of one with 16 bits whose values would fit into 12 it warns.

    Raises:
        ValueError: if it cannot be read, has other values than of 8 or 16 bits, or is transparent somewhere.
    """
    with open_picture(file) as image:
        shallow = _with_8_bits(_opaque(upright(image)), image.format)
        return np.asarray(shallow.convert("L" if channels == 1 else "RGB"))


def upright(image):
    """The picture of Pillow as its EXIF says that it is to be seen; Pillow itself sees to that of TIFF."""
    from PIL import ImageOps

    if image.format == "PNG" and "exif" not in image.info:  # else Pillow would decode it to look behind the pixels
        return image
    if image.format == "TIFF" or image.getexif().get(_ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def sizes_of(file: Path, rank: int) -> tuple[int, ...]:
    """The spatial sizes of a picture or array, from the beginning of its file; raises ValueError if it is neither."""
    if is_array(file):
        return read_array(file, mmap_mode="r").shape[:rank]
    with open_picture(file) as image:
        seen = upright(image)
        return seen.height, seen.width


def _opaque(image):
    """The picture of Pillow; raises ValueError if it is transparent anywhere, where its colours mean nothing."""
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise ValueError("parts of it are transparent; save it on a background")
    return image


def _with_8_bits(image, kind_of_file: str | None):
    """The picture, if it is grey with 16 bits scaled to 8. Pillow itself cuts off what is above 255."""
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and kind_of_file in ("PNG", "PPM")):
        values = np.asarray(image).astype(np.int64)
        if values.any() and values.max() < DEEP:
            warnings.warn(
                f"A picture of 16 bits has no value above {values.max()} of 65535, and is read as nearly black. If its "
                "white is lower, as that of 12 bits, 4095, scale it to 65535.",
                stacklevel=2,
            )
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        kind = "whole numbers" if image.mode == "I" else "floating point numbers"
        raise ValueError(f"its values are {kind} of 32 bits; save it with 8 or 16 bits, or as an array (.npy)")
    return image


def first_line(error: Exception) -> str:
    """Of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else repr(error)
