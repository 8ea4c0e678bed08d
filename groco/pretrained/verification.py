"""Is a trained model what was published, and does it compute here what it computed there?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco._precision import exact_float32, single_precision
from groco.pretrained.loading import load_from
from groco.pretrained.manifest import PretrainedError
from groco.pretrained.preprocessor import PREPROCESSOR, Preprocessor
from groco.pretrained.safety import read_golden
from groco.pretrained.source import Source, locate

GOLDEN = "golden.npz"
TOLERANCE = 1e-4
BATCH = 8


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes:
        name: what was verified.
        folder: where its files are.
        vouched: whether the manifest vouches for the files.
        files: the names of the files that are what the manifest says.
        golden_inputs: how many inputs were run whose outputs were recorded when the model was published.
        golden_error: the largest difference of an output from the recorded one, relative to the largest output.
    """

    name: str
    folder: Path
    vouched: bool
    files: tuple[str, ...]
    golden_inputs: int
    golden_error: float


def verify(name: str | Path, **options: Any) -> Verification:
    """Checks all files of a trained model, and runs its golden inputs, in float32 whatever Keras is set to.

    Args:
        name: a name from `groco.list_pretrained()`, `hf://organisation/name[@revision]`, or a folder.
        **options: revision, cache_dir, local_files_only and token, as of `from_pretrained`.

    Returns:
        What was found, if all is well.

    Raises:
        PretrainedError: if a file is missing or not what the manifest says, or if outputs differ from the recorded
            ones by more than 1e-4 of the largest.

    Example:

    >>> import groco
    >>> groco.verify("p4cnn.rotmnist").golden_inputs
    20
    """
    source = locate(name, **options)
    with single_precision():
        inputs, error = golden_error(source, load_from(source))
    return Verification(
        name=str(name),
        folder=source.folder,
        vouched=source.info is not None,
        files=tuple(source.info.files) if source.info else (),
        golden_inputs=inputs,
        golden_error=error,
    )


def golden_error(source: Source, model: keras.Model) -> tuple[int, float]:
    """The number of golden inputs, and the largest relative difference of an output of the model from the recorded.

    Raises:
        PretrainedError: if it is more than 1e-4, or there are no golden inputs, or none that the model takes.
    """
    path = source.folder / GOLDEN
    images, expected = read_golden(path)
    try:
        prepared = Preprocessor.load(source.folder / PREPROCESSOR)(images)
    except PretrainedError:
        raise
    except ValueError as problem:
        raise PretrainedError(f"{path}: {problem}") from None
    batches = [prepared[i : i + BATCH] for i in range(0, len(prepared), BATCH)]
    with exact_float32():
        outputs = np.concatenate([keras.ops.convert_to_numpy(model(batch, training=False)) for batch in batches])
    if outputs.shape != expected.shape:
        raise PretrainedError(f"{path}: outputs have shape {outputs.shape}, recorded are {expected.shape}.")
    error = float(np.abs(outputs - expected).max() / max(np.abs(expected).max(), np.finfo("float32").tiny))
    if not error <= TOLERANCE:
        raise PretrainedError(
            f"{source.label}: outputs differ from the recorded ones by {error:.1e} of the largest, more than "
            f"{TOLERANCE:.0e}."
        )
    return len(images), error
