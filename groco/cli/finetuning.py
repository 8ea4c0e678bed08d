"""`groco finetune`: the command line of `groco.finetune`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from groco.cli.common import add_json, add_name, start_keras, write_json

# The options of one value: type, metavar, help. Those that are not given are left to groco.finetune.
OPTIONS = {
    "validation-split": (float, "SHARE", "this share is held out and measured on (default: 0.2)"),
    "epochs": (int, "N", "how often each image is seen (default: 20)"),
    "batch-size": (int, "N", "images in a step (default: 32, for segmentation 4)"),
    "learning-rate": (float, "RATE", "of Adam, falls to 0 by a cosine (default: 0.001)"),
    "freeze": (int, "N", "train only the new head in the first N epochs (default: 0)"),
    "window": (int, "N", "for segmentation: train on windows of N x N pixels"),
    "seed": (int, "N", "of all that is random (default: 0)"),
}
FLAGS = {
    "invert": "the images are dark on light, and the model knows light on dark; the new one inverts them by itself",
    "invert-masks": "the masks are 0 where the class is",
    "from-scratch": "begin with random weights, to compare",
}


def add_commands(commands) -> None:
    parser = commands.add_parser(
        "finetune",
        help="train a trained model further, on images of your own",
        description="Trains a trained model on labelled images, measures it on others and saves it in a folder, which "
        "groco predict, groco evaluate and groco.from_pretrained load.",
        argument_default=argparse.SUPPRESS,
    )
    add_name(parser)
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help="a folder with one folder of image files per class; for segmentation with the folders images and masks, "
        "whose files have the same names; or an .npz with the arrays images and labels (masks)",
    )
    parser.add_argument("--test", metavar="PATH", help="measure on this, not on a share of the data")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where the model goes: a new folder, not of the name of a model that comes with groco "
        "(default: ARCHITECTURE.DATA, here)",
    )
    parser.add_argument(
        "--size", type=_size, metavar="HxW", help="resize images to this height and width, or to N x N pixels by N"
    )
    parser.add_argument("--classes", nargs="+", metavar="CLASS", help="names of classes that the data has as numbers")
    parser.add_argument(
        "--augment",
        nargs="+",
        metavar="HOW",
        help="turn or mirror training images at random: by a group (P4: quarter turns, P4M: mirrored as well, PMw: "
        "mirrored left to right), or `rotate`: by any angle; for nets that do not have this symmetry themselves",
    )
    for name, (kind, metavar, text) in OPTIONS.items():
        parser.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    for name, text in FLAGS.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    start_keras()
    from groco.finetuning import finetune

    arguments = {"output": _default_output(options.name, options.data), **vars(options)}
    for key in ("command", "run", "json"):
        arguments.pop(key, None)
    as_json = "json" in options
    tuned = finetune(**arguments, verbose=0 if as_json else "auto")
    if as_json:
        numbers = {"train_examples": tuned.train_examples, "test_examples": tuned.test_examples}
        write_json({"folder": tuned.folder, "classes": tuned.preprocessor.classes, **numbers, **tuned.scores})
        return 0
    scores = ", ".join(f"{key.replace('_', ' ')} {100 * value:.2f} %" for key, value in tuned.scores.items())
    print(
        f"{tuned.folder}: trained on {tuned.train_examples} images ({', '.join(tuned.preprocessor.classes)}), "
        f"{scores} on {tuned.test_examples} others"
    )
    return 0


def _default_output(name: str, data: str) -> Path:
    from groco.finetuning.tuning import dataset_name
    from groco.pretrained.manifest import list_pretrained

    given = Path(name).resolve() if Path(name).is_dir() else Path(name)
    architecture = re.split(r"[.@]", given.name)[0]
    made = f"{architecture}.{re.sub(r'[^a-z0-9]+', '_', dataset_name(data).lower())}"
    return Path(f"{made}_tuned" if made in list_pretrained() else made)


def _size(text: str) -> int | tuple[int, ...]:
    if not re.fullmatch(r"\d+(x\d+)?", text):
        raise argparse.ArgumentTypeError(f"a size is a number, or HEIGHTxWIDTH, got {text!r}")
    numbers = tuple(map(int, text.split("x")))
    return numbers[0] if len(numbers) == 1 else numbers
