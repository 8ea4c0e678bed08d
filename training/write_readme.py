"""Writes what README.md shows of measurements: the table of trained models and the picture.

python -m training.write_readme [--check]: with --check nothing is written, and the exit status says whether the table
is that of the manifest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import groco
from groco.data import digits
from groco.plotting import plot_feature_maps
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
        "| name | parameters | test error % | paper: test error % | a logit's change when turned by 90° |",
        "|---|---|---|---|---|",
    ]
    for name in groco.list_pretrained():
        info = groco.model_info(name)
        seeds = len(info.metrics["seeds"])
        error = f"{100 * info.metrics['test_error']:.2f}"
        if seeds > 1:
            error = f"{100 * info.metrics['test_error_mean']:.2f} ± {100 * info.metrics['test_error_std']:.2f}"
        images = groco.preprocessor(name)(digits()[0][::5])
        change = equivariance_error(groco.from_pretrained(name), images, "P4")
        lines.append(
            f"| `{name}` | {info.parameters:,} | {error} ({seeds} seed{'s' * (seeds > 1)}) | "
            f"{info.paper['test_error']:.2f} ± {info.paper['std']:.2f} | {_magnitude(change)} |"
        )
    return "\n".join(lines)


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
