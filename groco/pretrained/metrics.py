"""What is measured of trained models, and how the manifest writes it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Name in the manifest: the words for people, and whether less is better.
METRICS = {
    "test_error": ("test error", True),
    "test_rotated_error": ("test error, each input turned at random", True),
    "accuracy": ("accuracy", False),
    "pixel_error": ("pixel error", True),
    "dice": ("Dice coefficient", False),
    "auc": ("area under the ROC curve", False),
    "rand": ("Rand score", False),
}
TASKS = {
    "classification": ("test_error", "test_rotated_error", "accuracy"),
    "segmentation": ("pixel_error", "dice", "auc", "rand"),
}


@dataclass(frozen=True)
class Metric:
    """One figure that was measured, as a fraction of 1.

    Attributes:
        name: a key of `METRICS`.
        value: of the weights that are published.
        seeds: the seeds of all runs of the recipe; the first is that of the weights.
        mean, std: over the seeds; `std` is None for one seed.
        paper, paper_std: what the paper reports for it, None where it reports nothing.
    """

    name: str
    value: float
    seeds: tuple[int, ...]
    mean: float
    std: float | None = None
    paper: float | None = None
    paper_std: float | None = None

    @property
    def label(self) -> str:
        """The words for people."""
        return METRICS[self.name][0]

    @property
    def lower_is_better(self) -> bool:
        return METRICS[self.name][1]

    @property
    def percent(self) -> str:
        """Of the published weights, or mean and standard deviation where there are several seeds: "2.67"."""
        return _percent(self.value, None) if self.std is None else _percent(self.mean, self.std)

    @property
    def paper_percent(self) -> str | None:
        return None if self.paper is None else _percent(self.paper, self.paper_std)


def _percent(value: float, std: float | None) -> str:
    return f"{100 * value:.2f}" + ("" if std is None else f" ± {100 * std:.2f}")


def measured(metrics: dict[str, Any], paper: dict[str, Any] | None) -> dict[str, Metric]:
    """The figures among the metrics of an entry of the manifest, in the order of `METRICS`.

    In the manifest a metric is a fraction under its own name, with `_mean` and `_std` added for all seeds; what a
    paper reports is in percent under the same name, with its spread under `_std` or plainly `std`.

    Raises:
        ValueError: if a figure is not a number between 0 and 1 (0 and 100 for the paper's), or there is none.
    """
    paper = paper or {}
    found = {}
    for name in METRICS:
        if name not in metrics:
            continue
        reported = paper.get(name)
        spread = paper.get(f"{name}_std", paper.get("std")) if reported is not None else None
        value = _fraction(name, metrics[name])
        mean, std = metrics.get(f"{name}_mean"), metrics.get(f"{name}_std")
        found[name] = Metric(
            name=name,
            value=value,
            seeds=tuple(metrics.get("seeds", ())),
            mean=value if mean is None else _fraction(f"{name}_mean", mean),
            std=None if std is None else _fraction(f"{name}_std", std),
            paper=None if reported is None else _fraction(f"the paper's {name}", reported, 100),
            paper_std=None if spread is None else _fraction(f"the paper's {name}_std", spread, 100),
        )
    if not found:
        raise ValueError(f"there is none of {', '.join(METRICS)} among the metrics: {', '.join(metrics)}")
    return found


def _fraction(name: str, value: Any, of: float = 1) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= of:
        raise ValueError(f"{name} must be a number from 0 to {of}, got {value!r}")
    return value / of
