"""Turns finished runs into zoo entries: python -m training.make_zoo RUN [RUN ...].

Runs with one name are the seeds of one entry: the weights are those of the first, the metrics have all. Writes
zoo/<name>/ whole or not at all, then weights_manifest.json from what is in zoo/.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco.data import digits
from groco.models import create_model
from groco.pretrained.card import make_card
from groco.pretrained.manifest import MANIFEST, SCHEMA, sha256_of, write_manifest
from groco.pretrained.preprocessor import Preprocessor
from training.config import list_configs, load_config
from training.datasets import rotated_mnist

ROOT = Path(__file__).resolve().parent.parent
GOLDEN_DIGITS = 20


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.make_zoo", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs; none: only the manifest")
    parser.add_argument("--zoo", type=Path, default=ROOT / "zoo")
    parser.add_argument("--manifest", type=Path, default=ROOT / MANIFEST)
    options = parser.parse_args(arguments)
    by_name: dict[str, list[Path]] = {}
    for run in options.runs:
        by_name.setdefault(_read(run / "result.json")["name"], []).append(run)
    for name, runs in by_name.items():
        write_entry(options.zoo / name, runs)
        print(f"wrote {options.zoo / name}")
    write_manifest(options.manifest, manifest_of(options.zoo, options.manifest))
    print(f"wrote {options.manifest}")
    return 0


def write_entry(folder: Path, runs: list[Path]) -> None:
    """One folder of the zoo, laid out like its repository on the Hub, from the runs of one config."""
    results, config = [_read(run / "result.json") for run in runs], _read(runs[0] / "config.json")
    trained = keras.saving.load_model(runs[0] / "last.keras", compile=False)
    arguments = {
        "input_shape": list(trained.input_shape[1:]),
        "num_classes": trained.output_shape[-1],
        **config["model_args"],
    }
    model = create_model(config["model"], **arguments)
    model.set_weights(trained.get_weights())
    preprocessor = Preprocessor(
        size=tuple(trained.input_shape[1:3]),
        channels=trained.input_shape[-1],
        mean=results[0]["mean"],
        std=results[0]["std"],
        classes=rotated_mnist.CLASSES,
    )
    golden = digits()[0][:: 1000 // GOLDEN_DIGITS]
    information = _information(config, results)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        keras.saving.save_model(model, new, zipped=False)
        (new / "assets").rmdir() if (new / "assets").is_dir() else None
        preprocessor.save(new / "preprocessor.json")
        logits = model.predict(preprocessor(golden), verbose=0)
        np.savez_compressed(new / "golden.npz", images=golden, outputs=logits)
        description = {"schema": 1, "architecture": config["model"], "arguments": arguments, **information}
        _write(new / "groco.json", description)
        (new / "README.md").write_text(make_card(config["name"], description, preprocessor), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)


def manifest_of(zoo: Path, path: Path) -> dict[str, Any]:
    """The manifest of all folders of the zoo. What is on the Hub stays so in it, as long as no file has changed."""
    before = _read(path)["models"] if path.is_file() else {}
    models = {}
    for folder in sorted(zoo.iterdir()):
        description = _read(folder / "groco.json")
        models[folder.name] = {
            "architecture": description["architecture"],
            "task": Preprocessor.load(folder / "preprocessor.json").task,
            "status": "bundled",
            "repo_id": None,
            "revision": None,
            **{key: description[key] for key in ("parameters", "metrics", "paper", "recipe", "licence")},
            "files": {
                file.name: {"size": file.stat().st_size, "sha256": sha256_of(file)} for file in sorted(folder.iterdir())
            },
        }
        known = before.get(folder.name, {})
        if known.get("files") == models[folder.name]["files"]:
            models[folder.name] |= {key: known[key] for key in ("status", "repo_id", "revision")}
    return {"schema": SCHEMA, "models": models}


def _information(config: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [result["test_error"] for result in results]
    first = results[0]
    return {
        "parameters": first["parameters"],
        "metrics": {
            "dataset": "rotated_mnist/regenerated",
            "source": "MNIST, turned by uniform angles with cubic splines (training/datasets/rotated_mnist.py)",
            "split": "test",
            "examples": first["test_examples"],
            "test_error": errors[0],
            "test_error_mean": statistics.mean(errors),
            "test_error_std": statistics.stdev(errors) if len(errors) > 1 else None,
            "seeds": [result["seed"] for result in results],
        },
        "paper": config["paper"],
        "recipe": {
            "config": f"training/configs/{config['name'].replace('.', '_')}.py",
            "command": f"python -m training.train {config['name'].replace('.', '_')}",
            "epochs": config["epochs"],
            "batch_size": config["batch_size"],
            "train_examples": first["train_examples"],
            "seconds": first["seconds"],
            "hardware": first["hardware"],
            "backend": first["backend"],
            "keras": first["keras"],
        },
        "licence": {"weights": "MIT", "data": "MNIST (LeCun, Cortes, Burges), commonly cited as CC BY-SA 3.0"},
        "card": load_config(stem)["card"] if (stem := config["name"].replace(".", "_")) in list_configs() else {},
    }


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
