"""The test error of a trained model: python -m training.evaluate NAME [--data PATH], NAME from `groco list`."""

from __future__ import annotations

import argparse
import sys

import groco
from training import datasets


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a trained model")
    parser.add_argument("--data", help="where the data is: mnist.npz for rotated_mnist; downloaded if not given")
    options = parser.parse_args(arguments)
    try:
        error, expected, examples = evaluate(options.name, options.data)
    except (ValueError, OSError) as problem:
        print(f"training: {problem}", file=sys.stderr)
        return 1
    print(f"{options.name}: {100 * error:.2f} % error on {examples:,} images, {100 * expected:.2f} % in the manifest")
    return 0 if abs(error - expected) <= 1e-4 else 1  # one in 10,000: another backend rounds differently


def evaluate(name: str, data: str | None = None) -> tuple[float, float, int]:
    """The error of a trained model on its test set, the error its manifest states, and the number of test examples."""
    metrics = groco.model_info(name).metrics
    dataset, variant = metrics["dataset"].split("/")
    images, labels = datasets.load(dataset, source=data, variant=variant, splits=("test",))["test"]
    logits = groco.from_pretrained(name).predict(groco.preprocessor(name)(images), batch_size=500, verbose=0)
    return float((logits.argmax(axis=-1) != labels).mean()), metrics["test_error"], len(labels)


if __name__ == "__main__":
    sys.exit(main())
