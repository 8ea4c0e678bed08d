"""Writes what README.md shows of measurements: the table of trained models and the picture.

python -m training.write_readme [--check]: with --check nothing is written, and the exit status says whether the table
is that of the manifest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import groco
from groco.data import digits
from groco.plotting import plot_feature_maps
from groco.pretrained.metrics import measured
from groco.testing import equivariance_error

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "feature_maps.png"
BEGIN, END = "<!-- trained models: written by training/write_readme.py -->", "<!-- end of trained models -->"
PICTURED_DIGIT = 21


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.write_readme", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the table is out of date")
    options = parser.parse_args(arguments)
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if options.check:
        return 0 if new == text else 1
    README.write_text(new, encoding="utf-8")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    model = groco.from_pretrained("p4cnn.rotmnist")
    image = digits()[0][PICTURED_DIGIT]
    prepared = groco.preprocessor("p4cnn.rotmnist")(image)[0]
    plot_feature_maps(model, prepared, "relu2", PICTURE, picture=image[..., 0])
    print(f"wrote {README} and {PICTURE}")
    return 0


def table() -> str:
    """The trained models as a Markdown table."""
    lines = [
        "| name | parameters | measured on the test set, % | paper, % | change when the input is turned by 90° |",
        "|---|---|---|---|---|",
    ]
    for name in groco.list_pretrained():
        info = groco.model_info(name)
        figures = measured(info.metrics, info.paper).values()
        seeds = len(info.metrics["seeds"])
        paper = ", ".join(figure.paper_percent for figure in figures if figure.paper_percent)
        lines.append(
            f"| `{name}` | {info.parameters:,} | {', '.join(f'{f.label} {f.percent}' for f in figures)} "
            f"({seeds} seed{'s' * (seeds > 1)}) | {paper or '-'} | {_magnitude(change(name))} |"
        )
    return "\n".join(lines)


def change(name: str) -> float:
    """How far the outputs of a trained model are from turning with its inputs, relative to their scale."""
    preprocess = groco.preprocessor(name)
    if name.endswith(".rotmnist"):
        inputs = digits()[0][::5]
    else:
        with np.load(ROOT / "zoo" / name / "golden.npz", allow_pickle=False) as golden:
            inputs = golden["images"]
    ndim = len(preprocess.size)
    output = "image" if preprocess.task == "segmentation" else "invariant"
    group = {2: "P4", 3: "O"}[ndim]
    return equivariance_error(groco.from_pretrained(name), preprocess(inputs), group, ndim=ndim, output=output)


def _magnitude(error: float) -> str:
    """A relative error, so coarse that it is the same on every machine."""
    return (
        "none (< 1e-5 of the scale)"
        if error < 1e-5
        else "none (< 1e-4 of the scale)"
        if error < 1e-4
        else (f"{100 * error:.0f} % of the scale")
    )


if __name__ == "__main__":
    sys.exit(main())
