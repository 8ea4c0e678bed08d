"""Trains what docs/tutorials/finetune.md compares, and writes its figures into it.

python -m docs.tutorials.write_finetune --data FOLDER: trains what finetune.json does not have already, and writes page
and picture; FOLDER has em_membrane.npz (ISBI 2012). Without --data they are written from finetune.json. With --patches
FOLDER the patches are written as files, one folder per class, as the page's commands take them, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
PAGE, RESULTS = HERE / "finetune.md", HERE / "finetune.json"
PICTURE, EXAMPLES = (HERE.parent / "images" / name for name in ("finetune.png", "finetune_patches.png"))
BEGIN, END = "<!-- written by docs/tutorials/write_finetune.py -->", "<!-- end -->"
CLASSES = ("cell", "membrane")
SIZE = 28
LABELS, SEEDS, TEST = (5, 20, 100), (0, 1, 2), 1000  # labels and test patches of each class
STEPS = 150
ROWS = (
    ("p4cnn", "fine-tuned", None),
    ("p4cnn", "from scratch", None),
    ("z2cnn", "fine-tuned", None),
    ("z2cnn", "from scratch", None),
    ("z2cnn", "fine-tuned", "P4"),
    ("z2cnn", "from scratch", "P4"),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m docs.tutorials.write_finetune", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, help="folder of em_membrane.npz")
    parser.add_argument("--patches", type=Path, help="write the patches as files to this folder, and nothing else")
    options = parser.parse_args(arguments)
    if options.patches:
        write_patches(options.data, options.patches)
        return
    if options.data:
        train_all(options.data)
        draw_examples(options.data, EXAMPLES)
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    draw(results, PICTURE)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(
        f"{before}{BEGIN}\n{table(results)}\n\n{summary(results)}\n{END}{rest.partition(END)[2]}", encoding="utf-8"
    )


def patches(slices: np.ndarray, membranes: np.ndarray, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches (2 number, 28, 28) and labels, `number` of each class: whether the pixel below the centre is membrane."""
    rng = np.random.default_rng(seed)
    half = SIZE // 2
    inside = np.zeros(membranes.shape, bool)
    inside[:, half : 1 - half, half : 1 - half] = True
    images, labels = [], []
    for label in range(len(CLASSES)):
        places = np.flatnonzero((membranes == label) & inside)
        for index in rng.choice(places, number, replace=False):
            n, row, column = np.unravel_index(index, membranes.shape)
            images.append(slices[n, row - half : row + half, column - half : column + half])
            labels.append(label)
    return np.stack(images), np.array(labels)


def load(data: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from training import datasets

    splits = datasets.load("em_membrane", source=data)
    return {split: (slices[..., 0], membranes) for split, (slices, membranes) in splits.items()}


def train_all(data: Path) -> None:
    """Trains every run that the results lack; they are kept after each."""
    import keras

    import groco

    splits = load(data)
    test = patches(*splits["test"], TEST, seed=2012)
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"runs": []}
    done = {(r["net"], r["start"], r["augment"], r["labels"], r["seed"]) for r in results["runs"]}
    for seed in SEEDS:
        for labels in LABELS:
            train = patches(*splits["train"], labels, seed)
            steps_per_epoch = -(-len(train[0]) // 32)
            for net, start, augment in ROWS:
                if (net, start, augment, labels, seed) in done:
                    continue
                tuned = groco.finetune(
                    f"{net}.rotmnist", train, test=test, classes=CLASSES, invert=True, seed=seed, verbose=0,
                    epochs=round(STEPS / steps_per_epoch), augment=augment, from_scratch=start == "from scratch",
                )  # fmt: skip
                run = {"net": net, "start": start, "augment": augment, "labels": labels, "seed": seed}
                run |= {"test_error": tuned.scores["test_error"]}
                results["runs"].append(run)
                print(run, flush=True)
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
                keras.backend.clear_session()


def write_patches(data: Path, folder: Path, labels: int = 20) -> None:
    """folder/train and folder/test, each with a folder of PNG files for each class."""
    from PIL import Image

    splits = load(data)
    for split, number, seed in (("train", labels, SEEDS[0]), ("test", TEST, 2012)):
        for index, (image, label) in enumerate(zip(*patches(*splits[split], number, seed), strict=True)):
            path = folder / split / CLASSES[label] / f"{index:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)


def errors(results: dict[str, Any], row: tuple, labels: int) -> list[float]:
    return [
        100 * run["test_error"]
        for run in results["runs"]
        if (run["net"], run["start"], run["augment"], run["labels"]) == (*row, labels)
    ]


def name_of(row: tuple) -> str:
    net, start, augment = row
    return f"{net}, {start}" + (f", augmented by {augment}" if augment else "")


def table(results: dict[str, Any]) -> str:
    """Test errors in percent, mean and standard deviation over the seeds."""
    lines = [
        "| test error, % | " + " | ".join(f"{labels} labels per class" for labels in LABELS) + " |",
        "|---|" + "---|" * len(LABELS),
    ]
    for row in ROWS:
        cells = []
        for labels in LABELS:
            found = errors(results, row, labels)
            cells.append(f"{statistics.mean(found):.1f} ± {statistics.stdev(found):.1f}")
        lines.append(f"| {name_of(row)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(results: dict[str, Any]) -> str:
    """What the table shows, in words."""
    means = {(row, labels): statistics.mean(errors(results, row, labels)) for row in ROWS for labels in LABELS}
    sentences = []
    for labels in LABELS:
        best, second = sorted(ROWS, key=lambda row: means[row, labels])[:2]
        sentences.append(
            f"With {labels} labels per class the lowest error is {means[best, labels]:.1f} % ({name_of(best)}), "
            f"the next {means[second, labels]:.1f} % ({name_of(second)})."
        )
    for net, augment in (("p4cnn", None), ("z2cnn", None), ("z2cnn", "P4")):
        gains = [
            means[(net, "from scratch", augment), labels] - means[(net, "fine-tuned", augment), labels]
            for labels in LABELS
        ]
        words = ", ".join(f"{gain:+.1f}" for gain in gains)
        sentences.append(
            f"What the digits taught {net}{' augmented by ' + augment if augment else ''} takes {words} points off its "
            f"error, with {', '.join(map(str, LABELS))} labels (below 0: it is a hindrance)."
        )
    return "\n\n".join([" ".join(sentences[: len(LABELS)]), " ".join(sentences[len(LABELS) :])])


def draw_examples(data: Path, path: Path, number: int = 8) -> None:
    """A row of patches for each class, three times as large."""
    from PIL import Image

    images, _ = patches(*load(data)["train"], number, seed=0)
    rows = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=255).reshape(2, number, SIZE + 2, SIZE + 2)
    sheet = np.kron(rows.transpose(0, 2, 1, 3).reshape(2 * (SIZE + 2), -1), np.ones((3, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet.astype(np.uint8)).save(path)


def draw(results: dict[str, Any], path: Path) -> None:
    """Test error against the number of labels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    colours = {("p4cnn", None): "C0", ("z2cnn", None): "C1", ("z2cnn", "P4"): "C2"}
    for row in ROWS:
        found = [errors(results, row, labels) for labels in LABELS]
        axis.errorbar(
            LABELS,
            [statistics.mean(values) for values in found],
            [statistics.stdev(values) for values in found],
            label=name_of(row),
            color=colours[row[0], row[2]],
            linestyle="-" if row[1] == "fine-tuned" else "--",
            marker="o",
            capsize=3,
        )
    axis.set(xscale="log", xlabel="labels per class", ylabel="test error, %", xticks=LABELS, xticklabels=LABELS)
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
