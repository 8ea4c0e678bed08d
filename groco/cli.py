"""The `groco` command."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm")


class CommandError(Exception):
    """What the user asked for cannot be done; the message is the one line they see."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit status: 0, 1 if a check failed, 2 if something asked for is wrong."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (CommandError, ValueError, OSError) as error:
        print(f"groco {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"groco {options.command}: {error}; install what is missing, for instance groco[plot]", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    from groco._version import __version__
    from groco.finetuning import command

    parser = argparse.ArgumentParser(prog="groco", description="Trained group-equivariant networks.")
    parser.add_argument("--version", action="version", version=f"groco {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="the trained models")
    listing.add_argument("pattern", nargs="?", default="*", help="a shell pattern, for instance '*rotmnist'")
    listing.set_defaults(run=_list)

    demo = commands.add_parser("demo", help="classify 1,000 digits and show that turning them changes nothing")
    demo.add_argument("--picture", default="demo.png", help="where the picture goes (default: %(default)s)")
    demo.set_defaults(run=_demo)

    predict = commands.add_parser("predict", help="classify image files")
    predict.add_argument("name", metavar="NAME", help="a trained model, see `groco list`")
    predict.add_argument("images", nargs="+", metavar="IMAGE")
    predict.add_argument("--invert", action="store_true", help="the images are dark on light")
    predict.set_defaults(run=_predict)

    evaluate = commands.add_parser("evaluate", help="the error of a trained model on labelled images")
    evaluate.add_argument("name", metavar="NAME", help="a trained model, see `groco list`")
    evaluate.add_argument(
        "--data",
        metavar="PATH",
        help="a folder with one folder of image files per class, or an .npz with the arrays images and labels; "
        "by default the 1,000 digits that come with groco",
    )
    evaluate.add_argument("--invert", action="store_true", help="the images are dark on light")
    evaluate.set_defaults(run=_evaluate)

    command.add_parser(commands)
    return parser


def _list(options) -> int:
    from groco.pretrained import list_pretrained, model_info

    names = list_pretrained(options.pattern)
    if not names:
        raise CommandError(f"no trained model matches {options.pattern!r}")
    for name in names:
        info = model_info(name)
        error = f"{100 * info.metrics['test_error']:.2f} % error"
        print(f"{name:24} {info.parameters:>10,} parameters  {error} on {info.metrics['dataset']}")
    return 0


def _demo(options) -> int:
    from groco.demo import run

    return 0 if run(Path(options.picture)) else 1


def _predict(options) -> int:
    from groco.pretrained import from_pretrained, preprocessor

    preprocess = preprocessor(options.name)
    images = preprocess.read(options.images, options.invert)
    logits = np.asarray(from_pretrained(options.name).predict(preprocess(images), verbose=0), dtype="float64")
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    for path, row in zip(options.images, probabilities, strict=True):
        best = int(row.argmax())
        print(f"{path}\t{preprocess.classes[best]}\t{row[best]:.3f}")
    return 0


def _evaluate(options) -> int:
    from groco.pretrained import from_pretrained, preprocessor

    preprocess = preprocessor(options.name)
    if options.data is None:
        from groco.data import digits

        images, labels = digits()
        source = "the 1,000 digits of groco"
    else:
        images, labels = read_labelled(Path(options.data), preprocess, options.invert)
        source = options.data
    prepared = preprocess(images)
    model = from_pretrained(options.name)
    began = time.perf_counter()
    predicted = model.predict(prepared, batch_size=250).argmax(axis=-1)
    seconds = time.perf_counter() - began
    wrong = int((predicted != labels).sum())
    print(f"{options.name} on {source}: {wrong} of {len(labels)} wrong, error {100 * wrong / len(labels):.2f} %")
    print(f"{len(labels) / seconds:,.0f} images per second")
    return 0


def read_labelled(path: Path, preprocess, invert: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels from a folder with one folder per class, or from an .npz with `images` and `labels`.

    Raises:
        CommandError: if there is nothing of the kind, or a class is not one of the model's.
    """
    if path.is_dir():
        files = sorted(f for f in path.glob("*/*") if f.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise CommandError(f"{str(path)!r} has no folders with image files, one for each class")
        unknown = sorted({f.parent.name for f in files} - set(preprocess.classes))
        if unknown:
            raise CommandError(
                f"{str(path)!r} has classes the model does not know: {', '.join(unknown)}; "
                f"it knows {', '.join(preprocess.classes)}"
            )
        return preprocess.read(files, invert), np.array([preprocess.classes.index(f.parent.name) for f in files])
    if not path.is_file():
        raise CommandError(f"there is no file or folder {str(path)!r}")
    try:
        with np.load(path, allow_pickle=False) as content:
            images, labels = content["images"], content["labels"]
    except (KeyError, ValueError, OSError, EOFError, TypeError) as error:
        raise CommandError(f"{str(path)!r} is not an .npz with the arrays images and labels: {error}") from None
    if len(images) != len(labels) or not len(labels) or labels.ndim != 1:
        raise CommandError(f"{str(path)!r} has {len(images)} images and labels of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= len(preprocess.classes) or not np.issubdtype(labels.dtype, np.integer):
        raise CommandError(f"{str(path)!r} has labels that are not 0 to {len(preprocess.classes) - 1}")
    return 255 - images if invert else images, labels


if __name__ == "__main__":
    sys.exit(main())
