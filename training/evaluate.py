"""The scores of a trained model, or of a run: python -m training.evaluate NAME|CONFIG|RUN [--data PATH].

NAME is a trained model from `groco list`, or a folder like those in zoo/, CONFIG the config it was made by, RUN the
folder of a finished run. The exit status is 1 if a score is not what the manifest (or the run's result.json) states.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import groco
from groco._backend import leave_out_tensorflow
from groco._interruption import interruptible
from groco.pretrained.loading import DESCRIPTION
from groco.pretrained.metrics import METRICS
from training import datasets, preprocess, tasks
from training.checkpoints import load_final, read_json
from training.config import check, complete, list_configs, load_config
from training.results import scores
from training.train import evaluate as evaluate_net
from training.train import first_examples, leave

TOLERANCE = 2e-4  # two in 10,000: another backend rounds differently


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a trained model, its config, or the folder of a finished run")
    parser.add_argument(
        "--data", help="the data's file or folder, or one it has a subfolder in; downloaded if possible"
    )
    options = parser.parse_args(arguments)
    try:
        evaluated = evaluate_run if Path(options.name, "result.json").is_file() else evaluate
        with interruptible():
            found, stated = evaluated(options.name, options.data)
    except (ValueError, OSError, ImportError, RuntimeError) as problem:
        print(f"training: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("training: broken off", file=sys.stderr)
        return 130
    wrong = False
    for name, value in found.items():
        differs = name in stated and not abs(value - stated[name]) <= TOLERANCE  # also if either is no number
        wrong |= differs
        was = f", stated: {100 * stated[name]:.2f} %" if name in stated else ""
        print(f"{options.name}: {name.replace('_', ' ')} {100 * value:.2f} %{was}{'  DIFFERENT' if differs else ''}")
    return int(wrong)


def evaluate(name: str, data: str | None = None) -> tuple[dict[str, float], dict[str, float]]:
    """The scores of a trained model, by its name or its config's, and those that the manifest states.

    They are measured on the test splits of its data.
    """
    if name in list_configs() or Path(name).suffix == ".py":
        name = load_config(name)["name"]
        if name not in groco.list_pretrained():
            raise ValueError(f"There is no trained model {name!r} of this config; give the folder of its run.")
    metrics, preprocessor = _metrics(name), groco.preprocessor(name)
    dataset, variant = metrics["dataset"].split("/")
    arrays = datasets.load(dataset, source=data, variant=variant, splits=datasets.test_splits(dataset))
    task = tasks.make(preprocessor.task, len(preprocessor.classes), 0.0)
    batch = 1 if preprocessor.task == "segmentation" else 250
    found = scores(evaluate_net(groco.from_pretrained(name), task, preprocessor, arrays, batch))
    found = {key if key in METRICS else key.removeprefix("test_"): value for key, value in found.items()}
    return found, {key: metrics[key] for key in found if key in metrics}


def _metrics(name: str) -> dict:
    """What is stated of a trained model, by its name or in its folder."""
    folder = Path(name)
    if name in groco.list_pretrained() or not (folder / DESCRIPTION).is_file():
        return groco.model_info(name).metrics
    metrics = read_json(folder / DESCRIPTION).get("metrics") or {}
    if metrics.get("dataset", "").partition("/")[0] not in datasets.DATASETS:
        raise ValueError(
            f"{name} was measured on {metrics.get('dataset')!r}, which is not one of {', '.join(datasets.DATASETS)}; "
            "`groco evaluate` takes data of one's own."
        )
    return metrics


def evaluate_run(folder: str | Path, data: str | None = None) -> tuple[dict[str, float], dict[str, float]]:
    """The scores of the net of a finished run on its test splits, and those that its result states."""
    config, result = (read_json(Path(folder) / name) for name in ("config.json", "result.json"))
    config = complete(config)
    check(config)
    arrays = datasets.load(config["dataset"], source=data, **config["dataset_args"])
    info = datasets.info(config["dataset"])
    inputs, _ = first_examples(*arrays.pop("train"), config["train_examples"])
    prepare = preprocess.fit(config["preprocess"], inputs)
    task = tasks.make(info.task, len(info.classes), config["label_smoothing"])
    model = load_final(Path(folder))
    return scores(evaluate_net(model, task, prepare, arrays, config["evaluate_batch"])), scores(result)


if __name__ == "__main__":
    leave_out_tensorflow()
    leave(main())
