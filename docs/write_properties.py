"""Writes docs/properties.md: how often each family of layers was equivariant, and how exactly, on drawn cases.

The figures are those of docs/properties.csv, which the property tests write when they are asked to:

GROCO_PROPERTY_CASES=2000 GROCO_PROPERTY_REPORT=docs/properties.csv python -m pytest tests/layers/test_properties.py
python -m docs.write_properties
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

from tests.layers.strategies import FAMILIES

PAGE = Path(__file__).with_name("properties.md")
TABLE = Path(__file__).with_name("properties.csv")
BACKENDS = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
OUTCOMES = ("equivariant", "refused_and_broken", "refused_unproven", "refused_otherwise")
DTYPES = ("float64", "float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class Row:
    """What came of the drawn cases of one family on one backend; errors are the worst, empty where there were none."""

    family: str
    backend: str
    seed: int
    cases: int
    equivariant: int
    refused_and_broken: int
    refused_unproven: int
    refused_otherwise: int
    float64: str
    float32: str
    mixed_bfloat16: str
    mixed_float16: str
    seconds: int


def read_rows(path: Path) -> list[Row]:
    numbers = {field.name for field in dataclasses.fields(Row) if field.type == "int"}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(**{name: int(value) if name in numbers else value for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


def write_rows(path: Path, rows: list[Row]) -> None:
    """Adds rows to a table; a row for the same family and backend is replaced."""
    kept = {(row.backend, row.family): row for row in (read_rows(path) if path.exists() else [])}
    kept |= {(row.backend, row.family): row for row in rows}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in kept.values())


def page() -> str:
    rows = read_rows(TABLE)
    lines = [
        "# Drawn cases",
        "",
        "<!-- Written by docs/write_properties.py; do not edit. -->",
        "",
        "`tests/layers/test_properties.py` draws layers: the dimension, group, subgroup, kernel, strides, dilation,",
        "padding, sizes of the grid, channels, data format and precision. Each must then be equivariant on every",
        "element of its subgroup, or raise a ValueError that says what would work; there is no third outcome.",
        "A test run draws 60 cases in each family. These are the counts of longer runs, and the worst errors, relative",
        "to the output's largest value.",
        "",
        "- equivariant: the error is at most 1e-12 in float64, 1e-5 in float32, 5e-2 in mixed_bfloat16, 1e-2 in",
        "  mixed_float16.",
        "- refused, rightly: it is refused as not equivariant, and with `allow_non_equivariance=True` it is not:",
        "  the error is above 1e-3. Every remedy that the message names was taken and works. (In brackets: those",
        "  whose windows see nothing but padding or all of the axis, which may hold by accident.)",
        "- refused otherwise: for instance an input that is smaller than the window, or a kernel that is not square on",
        "  axes that the group exchanges.",
        "",
        "Seconds are those on the clock, on two cores that other work shared, so that some runs waited long. JAX",
        "compiles every operation of every shape, and is drawn less often.",
    ]
    for backend, title in BACKENDS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| family | cases | equivariant | refused, rightly | refused otherwise | "
            + " | ".join(DTYPES)
            + " | seconds |",
            "|" + "---|" * (6 + len(DTYPES)),
        ]
        of_backend = [row for row in rows if row.backend == backend]
        lines += [_line(row) for row in of_backend]
        if missing := [family for family in FAMILIES if family not in {row.family for row in of_backend}]:
            lines += ["", f"No long run yet of: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    unproven = f" ({row.refused_unproven})" if row.refused_unproven else ""
    cells = [
        row.family,
        f"{row.cases:,}",
        f"{row.equivariant:,}",
        f"{row.refused_and_broken:,}{unproven}",
        f"{row.refused_otherwise:,}",
        *[getattr(row, dtype) for dtype in DTYPES],
        f"{row.seconds:,}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
