"""Writing the folder of a trained model, laid out like its repository on the Hub."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco._precision import single_precision
from groco.models import create_model
from groco.models.cost import parameters
from groco.pretrained.card import CARD, check_card, make_card
from groco.pretrained.loading import DESCRIPTION, SCHEMA, load_from
from groco.pretrained.preprocessor import PREPROCESSOR, Preprocessor
from groco.pretrained.source import Source
from groco.pretrained.verification import GOLDEN, golden_error


def write_folder(
    folder: str | Path,
    model: keras.Model,
    *,
    architecture: str,
    arguments: dict[str, Any],
    preprocessor: Preprocessor,
    information: dict[str, Any],
    golden: np.ndarray,
    replace: bool = False,
) -> Path:
    """Writes a trained model so that `groco.from_pretrained(folder)` and `groco.preprocessor(folder)` load it.

    What was written is loaded again and must compute the same, in float32, before the folder gets its name: it is there
    whole or not at all.

    Args:
        folder: its last part is the name of the model, `architecture.tag`; folders above it are made.
        model: the trained model.
        architecture: the name of its builder.
        arguments: of the builder, plain data: they make a model with the same weights, which is what is saved, without
            anything that training has added.
        preprocessor: of the model.
        information: what else groco.json and the card say: metrics, paper (None where no figure is published), recipe,
            licence, and card, as of `make_card`.
        golden: unprepared inputs whose outputs are recorded, to be compared by `groco.verify`.
        replace: whether a folder of that name may be there already.

    Returns:
        The path of the folder.

    Raises:
        FileExistsError: if there is a folder of that name that must not be replaced.
        PretrainedError: if the information does not make a card, or what was written does not compute the same.
        ValueError: if the arguments do not make a model that takes the weights.
    """
    folder = Path(folder)
    if folder.exists() and not replace:
        raise FileExistsError(f"{str(folder)!r} exists already; remove it or give another name.")
    with single_precision():
        return _write(folder, model, architecture, arguments, preprocessor, information, golden, replace)


def _write(folder: Path, model, architecture, arguments, preprocessor, information, golden, replace: bool) -> Path:
    clean = create_model(architecture, **arguments)
    clean.set_weights(model.get_weights())
    description = {
        "schema": SCHEMA,
        "architecture": architecture,
        "arguments": arguments,
        "parameters": parameters(clean),
        **information,
    }
    card = make_card(folder.name, description, preprocessor)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new, old = Path(temporary) / folder.name, Path(temporary) / "old"
        # Packed, because Keras then has HDF5 write in memory: on a full disk that ends the process when it ends.
        packed = Path(temporary) / "packed.keras"
        clean.save(packed)
        shutil.unpack_archive(packed, new, "zip")
        packed.unlink()
        preprocessor.save(new / PREPROCESSOR)
        outputs = clean.predict(preprocessor(golden), batch_size=8, verbose=0)
        np.savez_compressed(new / GOLDEN, images=golden, outputs=outputs)
        (new / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        (new / CARD).write_text(card, encoding="utf-8")
        check_card(new / CARD, folder.name, description)
        source = Source(str(folder), new, None)
        golden_error(source, load_from(source))
        if folder.exists() and replace:
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    return folder
