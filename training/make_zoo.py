"""Turns finished runs into zoo entries: python -m training.make_zoo [RUN ...] [--data PATH].

The result of each run is kept in training/results/, where the runs of one config are the seeds of one entry. A run
whose entry is not there yet, or has weights of the same seed, gives the entry its weights. Then the metrics and cards
of all entries are written from all results, and weights_manifest.json from what is in zoo/.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco.models.sizes import SizeCheck
from groco.pretrained.card import make_card
from groco.pretrained.folder import write_folder
from groco.pretrained.manifest import MANIFEST, SCHEMA, sha256_of, write_manifest
from groco.pretrained.metrics import METRICS
from groco.pretrained.preprocessor import Preprocessor
from training import datasets
from training.checkpoints import load_final, read_json, write_json
from training.config import complete, list_configs, load_config, recipe
from training.results import RESULTS, mean_and_spread, record, results_of, scores

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = 20
GOLDEN_WINDOW = 64


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.make_zoo", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs; none: only cards and manifest")
    parser.add_argument("--data", help="where the data sets are, for golden inputs; downloaded if possible")
    parser.add_argument("--zoo", type=Path, default=ROOT / "zoo")
    parser.add_argument("--manifest", type=Path, default=ROOT / MANIFEST)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    for run in options.runs:
        if not (run / "result.json").is_file():
            raise FileNotFoundError(f"{str(run)!r} is no folder of a finished run: it has no result.json.")
        result = _read_result(run)
        if result["changes"]:
            changed = ", ".join(result["changes"])
            raise ValueError(f"{run} is of a changed config, {changed}; an entry is of the config as it is.")
        if result["preprocess"] == "contrast_zca":
            raise ValueError(
                f"{run} was trained on whitened images; the preprocessor of an entry cannot do that, whose matrix is "
                "larger than the net. Its result can be recorded (training.results.record), not its weights."
            )
        folder = options.zoo / result["name"]
        gives_weights = not folder.exists() or read_json(folder / "groco.json")["metrics"]["seeds"][0] == result["seed"]
        net = read_net(run, options.data) if gives_weights else None  # before anything is written
        record(result, options.results)
        if net is not None:
            write_entry(folder, run, *net, options.results)
            print(f"wrote {folder}")
    for folder in entries(options.zoo):
        refresh(folder, options.results)
    write_manifest(options.manifest, manifest_of(options.zoo, options.manifest))
    print(f"wrote {options.manifest}")
    return 0


def entries(zoo: Path) -> list[Path]:
    """The folders of the entries; not what systems and broken writes leave beside them."""
    return sorted(folder for folder in zoo.iterdir() if (folder / "groco.json").is_file() and _is_shown(folder))


def _is_shown(path: Path) -> bool:
    return not path.name.startswith(".")


def read_net(run: Path, data: str | Path | None = None) -> tuple[keras.Model, np.ndarray]:
    """The net of a finished run, and golden inputs for it.

    Raises:
        ValueError: if the net cannot be read.
    """
    config = read_json(run / "config.json")
    return load_final(run), golden_inputs(config["dataset"], data, config["dataset_args"])


def write_entry(folder: Path, run: Path, trained: keras.Model, golden: np.ndarray, results: Path = RESULTS) -> None:
    """One folder of the zoo, laid out like its repository on the Hub, with the weights of one run."""
    result, config = _read_result(run), read_json(run / "config.json")
    arguments = {
        "input_shape": list(trained.input_shape[1:]),
        "num_classes": trained.output_shape[-1],
        **config["model_args"],
    }
    info = datasets.info(config["dataset"])
    preprocessor = Preprocessor(
        size=tuple(trained.input_shape[1:-1]),
        channels=trained.input_shape[-1],
        mean=_plain(result["mean"]),
        std=_plain(result["std"]),
        classes=info.classes,
        task=info.task,
        maximum=1 if result["preprocess"] == "none" else 255,
        multiple_of=max((layer.multiple for layer in trained.layers if isinstance(layer, SizeCheck)), default=1),
    )
    write_folder(
        folder,
        trained,
        architecture=config["model"],
        arguments=arguments,
        preprocessor=preprocessor,
        information=_information(config, results_of(complete(config), results), result["seed"]),
        golden=golden,
        replace=True,
    )


def refresh(folder: Path, results: Path = RESULTS) -> None:
    """Writes metrics and card of an entry again, from the results of all seeds by the config as it is now.

    An entry of a recipe that the config had before it was edited stays as it is.
    """
    stem = folder.name.replace(".", "_")
    if stem not in list_configs():
        return
    description, config = read_json(folder / "groco.json"), load_config(stem)
    known, seed = results_of(config, results), description["metrics"]["seeds"][0]
    if seed not in [result["seed"] for result in known]:
        return
    new = description | _information(config, known, seed)
    if new != description:
        write_json(folder / "groco.json", new)
        card = make_card(folder.name, new, Preprocessor.load(folder / "preprocessor.json"))
        (folder / "README.md").write_text(card, encoding="utf-8")


def golden_inputs(dataset: str, data: str | Path | None, arguments: dict[str, Any]) -> np.ndarray:
    """A few raw inputs of the test set, spread over it; of large images, windows."""
    if dataset == "rotated_mnist":  # a part of it comes with groco
        from groco.data import digits

        return digits()[0][:: 1000 // GOLDEN]
    inputs, _ = datasets.load(dataset, data, splits=("test",), **arguments)["test"]
    if datasets.info(dataset).task == "segmentation":
        return inputs[:: len(inputs) // 3][:3, :GOLDEN_WINDOW, : 2 * GOLDEN_WINDOW]
    return inputs[:: len(inputs) // GOLDEN][:GOLDEN]


def manifest_of(zoo: Path, path: Path) -> dict[str, Any]:
    """The manifest of all folders of the zoo. What is on the Hub stays so in it, as long as no file has changed."""
    before = read_json(path)["models"] if path.is_file() else {}
    models = {}
    for folder in entries(zoo):
        description = read_json(folder / "groco.json")
        models[folder.name] = {
            "architecture": description["architecture"],
            "task": Preprocessor.load(folder / "preprocessor.json").task,
            "status": "bundled",
            "repo_id": None,
            "revision": None,
            **{key: description[key] for key in ("parameters", "metrics", "paper", "recipe", "licence")},
            "files": {
                file.name: {"size": file.stat().st_size, "sha256": sha256_of(file)}
                for file in sorted(folder.iterdir())
                if _is_shown(file)
            },
        }
        known = before.get(folder.name, {})
        if known.get("files") == models[folder.name]["files"]:
            models[folder.name] |= {key: known[key] for key in ("status", "repo_id", "revision")}
    return {"schema": SCHEMA, "models": models}


def _information(config: dict[str, Any], results: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """What groco.json and the manifest say of a trained net: `seed` is that of its weights, first among the seeds."""
    results = sorted(results, key=lambda result: (result["seed"] != seed, result["seed"]))
    first, info, stem = results[0], datasets.info(config["dataset"]), config["name"].replace(".", "_")
    has_config = stem in list_configs()
    metrics: dict[str, Any] = {
        "dataset": f"{config['dataset']}/{config['dataset_args'].get('variant', info.variants[0])}",
        "source": info.source,
        "split": "test",
        "examples": first["test_examples"],
    }
    for score in scores(first):
        name = score if score in METRICS else score.removeprefix("test_")
        mean, spread = mean_and_spread([result[score] for result in results])
        metrics |= {name: first[score], f"{name}_mean": mean, f"{name}_std": spread}
    metrics["seeds"] = [result["seed"] for result in results]
    return {
        "parameters": first["parameters"],
        "metrics": metrics,
        "paper": config["paper"],
        "recipe": {
            "config": f"training/configs/{stem}.py" if has_config else None,
            "command": f"python -m training.train {stem if has_config else 'CONFIG.py'}",
            **{key: first["recipe"][key] for key in ("epochs", "batch_size")},
            **{key: first[key] for key in ("train_examples", "seconds", "hardware", "backend", "keras")},
            **{key: first[key] for key in ("versions", "commit") if first.get(key) is not None},
        },
        "licence": {"weights": "MIT", "data": info.licence},
        "card": load_config(stem)["card"] if has_config else {},
    }


def _read_result(run: Path) -> dict[str, Any]:
    """The result of a run, with the recipe, which those of before it was kept there have beside them."""
    result = read_json(run / "result.json")
    if missing := [key for key in ("name", "changes", "seed", "preprocess", "parameters") if key not in result]:
        raise ValueError(f"{run / 'result.json'} is no result of a run: it lacks {', '.join(missing)}.")
    if "recipe" not in result:
        result["recipe"] = recipe(complete(read_json(run / "config.json")))
    return result


def _plain(value: float | list[float]) -> float | tuple[float, ...]:
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError, RuntimeError) as problem:
        print(f"training: {problem}", file=sys.stderr)
        sys.exit(1)
