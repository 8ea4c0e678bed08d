"""`groco predict` and `groco evaluate`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from groco.cli.common import CommandError, add_json, add_name, load_preprocessor, start_keras, write_json, write_table

BATCH = 100


def add_commands(commands) -> None:
    predict = commands.add_parser("predict", help="classify or segment image files")
    add_name(predict)
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="images, or arrays of NumPy (.npy)")
    predict.add_argument("--invert", action="store_true", help="the images are dark on light, but the model's are not")
    predict.add_argument("--top", type=int, default=1, metavar="K", help="the K most likely classes (default: 1)")
    predict.add_argument("--output", type=Path, metavar="FOLDER", help="where the maps of a segmentation go")
    predict.add_argument(
        "--probabilities", action="store_true", help="write the probability of each pixel (one class), not the answer"
    )
    add_json(predict)
    predict.set_defaults(run=_predict)

    evaluate = commands.add_parser("evaluate", help="the error of a trained model on labelled images")
    add_name(evaluate)
    evaluate.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="a folder with one folder of image files per class, or an .npz with the arrays images and labels; for "
        "segmentation a folder with the folders images and masks, or an .npz with these arrays; by default the 1,000 "
        "digits that come with groco, for a model of digits",
    )
    evaluate.add_argument("--invert", action="store_true", help="the images are dark on light, but the model's are not")
    evaluate.add_argument("--invert-masks", action="store_true", help="the masks are 0 where the class is")
    add_json(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _load(name: str):
    """The model; what can be wrong with the images is found before Keras starts."""
    start_keras()
    from groco.pretrained.loading import from_pretrained

    return from_pretrained(name)


def _predict(options) -> int:
    if options.top < 1:
        raise CommandError(f"--top is at least 1, got {options.top}")
    preprocess = load_preprocessor(options.name, options.invert)
    for path in options.images:  # all is in order before anything is computed or written
        preprocess.read([path])
    if preprocess.task == "segmentation":
        return _segment(options, preprocess)
    if options.output or options.probabilities:
        raise CommandError(f"{options.name} classifies whole images; --output and --probabilities are for segmentation")
    model, decoded = _load(options.name), []
    for batch in _batches(options.images, preprocess):
        probabilities = _probabilities(model, preprocess, preprocess.read(batch))
        decoded += preprocess.decode(probabilities, options.top, from_logits=False)
    if options.json:
        write_json(
            [
                {"image": path, "classes": [{"class": name, "probability": p} for name, p in row]}
                for path, row in zip(options.images, decoded, strict=True)
            ]
        )
        return 0
    rows = [
        (path, *(text for name, p in row for text in (name, f"{p:.3f}")))
        for path, row in zip(options.images, decoded, strict=True)
    ]
    write_table(("image", *("class", "probability") * len(decoded[0])), rows)
    return 0


def _batches(paths: list[str], preprocess) -> Iterator[list[str]]:
    """Files that are read together: one by one where their sizes may differ."""
    step = 1 if None in preprocess.size else BATCH
    for start in range(0, len(paths), step):
        yield paths[start : start + step]


def _segment(options, preprocess) -> int:
    if options.output is None:
        raise CommandError(f"{options.name} gives a map for each image; say where they go with --output FOLDER")
    suffix = ".png" if len(preprocess.size) == 2 else ".npy"
    targets = [options.output / f"{Path(path).stem}{suffix}" for path in options.images]
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        images = " and ".join(path for path, target in zip(options.images, targets, strict=True) if target == twice)
        raise CommandError(f"{images} would have one map, {twice}; predict them one after the other")
    for path, target in zip(options.images, targets, strict=True):
        if target.exists() and Path(path).exists() and target.samefile(path):
            raise CommandError(f"the map of {path!r} would replace it; give another folder with --output")
    if options.probabilities and len(preprocess.classes) > 1:
        raise CommandError(f"--probabilities is for one class; the model has {', '.join(preprocess.classes)}")
    from groco.pretrained.files import sizes_of
    from groco.pretrained.preprocessor import resize_image

    model, found = _load(options.name), []
    options.output.mkdir(parents=True, exist_ok=True)
    for path, target in zip(options.images, targets, strict=True):
        probabilities = _probabilities(model, preprocess, preprocess.read([path]))[0]
        if preprocess.resize:  # the map is of the size of its image
            probabilities = resize_image(probabilities, sizes_of(Path(path), len(preprocess.size)))
        classes = _classes_of_pixels(probabilities)
        _write_map(target, probabilities[..., 0] if options.probabilities else classes, preprocess)
        indices = [1] if len(preprocess.classes) == 1 else range(len(preprocess.classes))
        shares = [float((classes == index).mean()) for index in indices]
        found.append({"image": path, "map": str(target), "shares": dict(zip(preprocess.classes, shares, strict=True))})
    if options.json:
        write_json(found)
    else:
        rows = [(row["image"], row["map"], *(f"{share:.3f}" for share in row["shares"].values())) for row in found]
        write_table(("image", "map", *(f"share of {name}" for name in preprocess.classes)), rows)
    return 0


def _probabilities(model, preprocess, images):
    """Those of the classes, of images that are not prepared."""
    from groco.pretrained.loading import gives_logits

    return preprocess.probabilities(model.predict(preprocess(images), verbose=0), gives_logits(model))


def _classes_of_pixels(probabilities: np.ndarray) -> np.ndarray:
    """The number of each pixel's class; with one class 1 where it is."""
    if probabilities.shape[-1] == 1:
        return (probabilities[..., 0] >= 0.5).astype("uint8")
    return probabilities.argmax(axis=-1).astype("uint8")


def _write_map(path: Path, values: np.ndarray, preprocess) -> None:
    """Black and white for one class, its probability in greys, or the numbers of the classes; .npy for volumes."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        if path.suffix == ".npy":
            with partial.open("wb") as file:
                np.save(file, values)
        else:
            from PIL import Image

            scale = 255 if len(preprocess.classes) == 1 else 1
            Image.fromarray(np.rint(values * scale).astype("uint8")).save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _evaluate(options) -> int:
    preprocess = load_preprocessor(options.name, options.invert)
    if preprocess.task == "segmentation":
        return _evaluate_segmentation(options, preprocess)
    if options.invert_masks:
        raise CommandError(f"{options.name} is a classifier; --invert-masks is for models of masks")
    from groco.cli.labelled import read_labelled

    if options.data is None:
        from groco.data import digits

        images, labels = digits()
        if preprocess.size != images.shape[1:3] or len(preprocess.classes) != 10:
            raise CommandError(f"{options.name} is no model of digits; say where its images are with --data")
        source = "the 1,000 digits of groco"
    else:
        images, labels = read_labelled(options.data, preprocess)
        source = str(options.data)
    prepared = preprocess(images)
    model = _load(options.name)
    began = time.perf_counter()
    predicted = model.predict(prepared, batch_size=250, verbose=0).argmax(axis=-1)
    rate = len(labels) / (time.perf_counter() - began)
    wrong = int((predicted != labels).sum())
    if options.json:
        figures = {"examples": len(labels), "wrong": wrong, "test_error": wrong / len(labels)}
        write_json({"name": options.name, "data": source, **figures, "images_per_second": rate})
        return 0
    print(f"{options.name} on {source}: {wrong} of {len(labels)} wrong, error {100 * wrong / len(labels):.2f} %")
    print(f"{rate:,.0f} images per second")
    return 0


def _evaluate_segmentation(options, preprocess) -> int:
    from groco.cli.labelled import read_masked

    if options.data is None:
        raise CommandError(f"say where the images and masks for {options.name} are with --data")
    classes = [1] if len(preprocess.classes) == 1 else list(range(len(preprocess.classes)))
    examples = points = wrong = 0
    pairs = read_masked(options.data, preprocess, options.invert_masks)
    model = _load(options.name)
    both, either = np.zeros(len(classes)), np.zeros(len(classes))  # of the prediction and the mask, for each class
    for images, mask in pairs:
        predicted = _classes_of_pixels(_probabilities(model, preprocess, images)[0])
        wrong += int((predicted != mask).sum())
        points, examples = points + mask.size, examples + 1
        for index, number in enumerate(classes):
            here, there = predicted == number, mask == number
            both[index] += 2 * np.sum(here & there)
            either[index] += here.sum() + there.sum()
    present = either > 0
    dice = float((both[present] / either[present]).mean()) if present.any() else 1.0
    error = wrong / points
    if options.json:
        figures = {"examples": examples, "points": points, "pixel_error": error, "dice": dice}
        write_json({"name": options.name, "data": str(options.data), **figures})
        return 0
    many = "image" if examples == 1 else "images"
    print(f"{options.name} on {options.data}: {examples} {many}, pixel error {100 * error:.2f} %, Dice {dice:.4f}")
    return 0
