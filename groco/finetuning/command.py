"""`groco finetune`: the command line of `groco.finetune`."""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path

from groco.finetuning.tuning import finetune


def add_parser(commands) -> None:
    """Adds the command to the subparsers of `groco`."""
    defaults = {key: p.default for key, p in inspect.signature(finetune).parameters.items()}
    parser = commands.add_parser(
        "finetune",
        help="train a trained model further, on images of your own",
        description="Trains a trained model on labelled images, measures it on others and saves it in a folder, which "
        "groco predict, groco evaluate and groco.from_pretrained load.",
    )
    parser.add_argument("name", metavar="NAME", help="a trained model, see `groco list`, or its folder")
    parser.add_argument(
        "--data",
        required=True,
        metavar="FOLDER",
        help="one folder of image files per class; for segmentation the folders images and masks, with files of equal "
        "names; or an .npz with the arrays images and labels (masks)",
    )
    parser.add_argument("--test", metavar="FOLDER", help="measure on this, instead of a share of the data")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where the model goes; by default ARCHITECTURE.DATA, here"
    )
    parser.add_argument("--classes", nargs="+", metavar="CLASS", help="names of the classes of labels in numbers")
    parser.add_argument(
        "--size", type=_size, metavar="HEIGHTxWIDTH", help="resize images to this, or to squares of one number"
    )
    parser.add_argument("--window", type=int, metavar="N", help="for segmentation: train on windows of N x N pixels")
    parser.add_argument("--invert", action="store_true", help="the images are dark on light")
    options = {
        "validation_split": (float, "SHARE", "this share is held out and measured on (default: %(default)s)"),
        "epochs": (int, "N", "how often each image is seen (default: %(default)s)"),
        "batch_size": (int, "N", "images in a step (default: 32, for segmentation 4)"),
        "learning_rate": (float, "RATE", "of Adam, falls to 0 by a cosine (default: %(default)s)"),
        "freeze": (int, "N", "train only the new head in the first N epochs (default: %(default)s)"),
        "seed": (int, "N", "of all that is random (default: %(default)s)"),
    }
    for key, (kind, metavar, text) in options.items():
        option = f"--{key.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=defaults[key], metavar=metavar, help=text)
    parser.add_argument(
        "--augment",
        nargs="+",
        default=[],
        metavar="HOW",
        help="turn or mirror training images at random: by a group (P4: quarter turns, P4M: mirrored as well, PMw: "
        "mirrored left to right), or `rotate`: by any angle; for nets that do not have this symmetry themselves",
    )
    parser.add_argument("--from-scratch", action="store_true", help="begin with random weights, to compare")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit status."""
    keys = inspect.signature(finetune).parameters
    arguments = {key: value for key, value in vars(options).items() if key in keys}
    arguments["output"] = options.output or _default_output(options.name, options.data)
    tuned = finetune(**arguments)
    scores = ", ".join(f"{key.replace('_', ' ')} {100 * value:.2f} %" for key, value in tuned.scores.items())
    print(
        f"{tuned.folder}: trained on {tuned.train_examples} images of {', '.join(tuned.preprocessor.classes)}; "
        f"{scores} on {tuned.test_examples} others"
    )
    return 0


def _default_output(name: str, data: str) -> Path:
    architecture = re.split(r"[.@]", Path(name).name)[0]
    return Path(f"{architecture}.{re.sub(r'[^a-z0-9]+', '_', Path(data).resolve().stem.lower())}")


def _size(text: str) -> int | tuple[int, ...]:
    if not re.fullmatch(r"\d+(x\d+)?", text):
        raise argparse.ArgumentTypeError(f"a size is a number, or HEIGHTxWIDTH, got {text!r}")
    numbers = tuple(map(int, text.split("x")))
    return numbers[0] if len(numbers) == 1 else numbers
