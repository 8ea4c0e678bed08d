"""Writes docs/implementations.md from benchmarks/results/implementations.csv.

python -m docs.write_implementations
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.implementations import GROUPS, KERNELS, PASSES, WIDTHS, read
from groco.fourier import irreps
from groco.fourier.choice import WORTH, gain, is_worth_it
from groco.fourier.splitting import flips
from groco.groups import get_group

PAGE = Path(__file__).with_name("implementations.md")
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


INTRODUCTION = """\
# Dense and Fourier implementations

<!-- Written by `python -m docs.write_implementations`; do not edit. -->

A group convolution is an ordinary convolution with an expanded kernel, and that is how `implementation="dense"`
computes it. But a map that commutes with a group is block-diagonal in the basis of the group's irreducible
representations, and `implementation="fourier"` computes only the blocks: with the same weights, signals and, up to
rounding, outputs and gradients. Kernels of one point (`GroupDense` and the pointwise part of separable layers are such)
use the whole group; larger kernels are split into even and odd parts by the elements that flip axes.
"""
CHOICE = """
The price is the way into the basis and back, which moves every number of the signals several times, so that the Fourier
implementation is faster from some width on. The default, `implementation="auto"`, chooses by shape: Fourier where it
saves at least so many multiplications for each number that is moved (`groco/fourier/choice.py`),
"""
MEASURED = """
in float32 on a CPU, where this was measured, and dense otherwise. There is no Fourier implementation for images, for
`groups` above 1 and, with larger kernels, for groups without an element that only flips axes.

## Measured

Processor time of the Fourier implementation relative to the dense one, which includes the expansion of the kernel:
forward / forward and backward, by channels per element of the group, as many in as out; bold where `auto` chooses
Fourier; a dash where it was not timed, or the dense convolution was too large. Grids are 8 x 8 in batches of 64 in the
plane, 4 x 4 x 4 in batches of 8 in space; kernels have 1 or 3 points along each axis. The two were timed in turns on a
machine crowded with other work, where the clock says less than the time on the processors; the clock's is in
`benchmarks/results/implementations.csv`.
"""


def main() -> None:
    PAGE.write_text(page(read()), encoding="utf-8")


def page(rows: list[dict[str, str]]) -> str:
    lines = [INTRODUCTION, "| group | multiplications left, 1x1 | larger kernels |", "|---|---|---|"]
    for name, (ndim, _, _) in GROUPS.items():
        group = get_group(name, ndim)
        blocks = sum(irrep.rows * irrep.dimension**2 for irrep in irreps(group))
        lines.append(f"| {name} | {blocks} of {group.order**2} | 1 of {len(flips(group))} |")
    lines += [CHOICE, "| backend | 1x1 | larger kernels |", "|---|---|---|"]
    lines += [f"| {BACKENDS[backend]} | {' | '.join(map(_worth, worth))} |" for backend, worth in WORTH.items()]
    lines.append(MEASURED.rstrip("\n"))
    for backend, title in BACKENDS.items():
        measured = {
            (row["group"], int(row["kernel"]), int(row["width"]), row["pass"]): row
            for row in rows
            if row["backend"] == backend
        }
        if not measured:
            continue
        widths = [width for width in WIDTHS if any(key[2] == width for key in measured)]
        about = next(iter(measured.values()))
        lines += [
            "",
            f"### {title}",
            "",
            f"{about['versions']}; {about['machine']}.",
            "",
            f"| group, kernel | {' | '.join(map(str, widths))} |",
            f"|---|{'---|' * len(widths)}",
        ]
        for group in GROUPS:
            for kernel in KERNELS:
                cells = [_cell(measured, backend, group, kernel, width) for width in widths]
                if set(cells) != {"-"}:
                    lines.append(f"| {group}, {kernel} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _worth(worth: float) -> str:
    return "never" if worth == float("inf") else f"{worth:g}"


def _cell(measured: dict[tuple, dict[str, str]], backend: str, group: str, kernel: int, width: int) -> str:
    rows = [measured.get((group, kernel, width, name)) for name in PASSES]
    if not all(rows):
        return "-"
    ratios = " / ".join(f"{float(row['cpu_ratio']):.2f}" for row in rows if row)
    ndim = GROUPS[group][0]
    on, size = get_group(group, ndim), (kernel,) * ndim
    chosen = is_worth_it(gain(on, on, size, (1,) * ndim, width, width), size, backend)
    return f"**{ratios}**" if chosen else ratios


if __name__ == "__main__":
    main()
