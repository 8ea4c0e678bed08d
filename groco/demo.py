"""The main job in a minute: a trained net classifies real digits, and turning them changes nothing."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import keras
import numpy as np

from groco._precision import single_precision
from groco.data import digits
from groco.pretrained import from_pretrained, model_info, preprocessor

GROUP_NET, PLANAR_NET = "p4cnn.rotmnist", "z2cnn.rotmnist"
TOLERANCE = 1e-4  # of the logits' scale, for a whole net in single precision
ERROR_LIMIT = 0.05
BATCH = 100


@single_precision()
def run(picture: Path) -> bool:
    """Prints what the nets do with the 1,000 digits that come with groco and draws it; whether all checks passed."""
    images, labels = digits()
    print(f"{len(images)} digits of rotated MNIST, {keras.backend.backend()} backend")
    model = from_pretrained(GROUP_NET)
    prepared = preprocessor(GROUP_NET)(images)
    model.predict(prepared[:BATCH], verbose=0)  # compiles
    began = time.perf_counter()
    logits = _predict(model, prepared, "classify")
    rate = len(images) / (time.perf_counter() - began)
    error = float((logits.argmax(axis=-1) != labels).mean())
    published = model_info(GROUP_NET).metrics["test_error"]
    print(
        f"{GROUP_NET}: {100 * error:.1f} % error ({100 * published:.2f} % on all 50,000 test digits), "
        f"{rate:,.0f} images per second"
    )

    planar = from_pretrained(PLANAR_NET)
    planar_prepared = preprocessor(PLANAR_NET)(images)
    changes = {
        GROUP_NET: _under_rotation(model, prepared, logits),
        PLANAR_NET: _under_rotation(planar, planar_prepared, _predict(planar, planar_prepared, "planar net")),
    }
    print("Turned by 90, 180 and 270 degrees:")
    for name, (difference, changed) in changes.items():
        print(f"  {name:15} largest change of a logit {difference:.1e} of their scale, {changed} other answers")

    _draw(picture, model, prepared, images)
    print(f"Picture: {picture}")
    checks = {
        f"error of {GROUP_NET} at most {100 * ERROR_LIMIT:.0f} %": error <= ERROR_LIMIT,
        f"logits of {GROUP_NET} change by less than {TOLERANCE:.0e}": changes[GROUP_NET][0] < TOLERANCE,
        f"answers of {GROUP_NET} do not change": changes[GROUP_NET][1] == 0,
        f"answers of {PLANAR_NET} do": changes[PLANAR_NET][1] > 0,
    }
    for check, passed in checks.items():
        print(f"{'ok    ' if passed else 'FAILED'} {check}")
    return all(checks.values())


def _predict(model: keras.Model, images: np.ndarray, label: str) -> np.ndarray:
    bar = keras.utils.Progbar(len(images), unit_name=f"digit ({label})", verbose=int(sys.stdout.isatty()))
    outputs = []
    for start in range(0, len(images), BATCH):
        outputs.append(model.predict_on_batch(images[start : start + BATCH]))
        bar.update(min(start + BATCH, len(images)))
    return np.concatenate(outputs)


def _under_rotation(model: keras.Model, images: np.ndarray, logits: np.ndarray) -> tuple[float, int]:
    """The largest change of a logit, relative to their scale, and the number of answers that change, in three turns."""
    difference, changed = 0.0, 0
    for turns in (1, 2, 3):
        turned = model.predict(np.ascontiguousarray(np.rot90(images, turns, axes=(1, 2))), batch_size=BATCH, verbose=0)
        difference = max(difference, float(np.abs(turned - logits).max() / np.abs(logits).max()))
        changed += int((turned.argmax(axis=-1) != logits.argmax(axis=-1)).sum())
    return difference, changed


def _draw(path: Path, model: keras.Model, prepared: np.ndarray, images: np.ndarray) -> None:
    from groco.plotting import plot_feature_maps

    path.parent.mkdir(parents=True, exist_ok=True)
    index = 21
    plot_feature_maps(model, prepared[index], "relu2", path, picture=images[index, ..., 0])


__all__ = ["run"]
