"""Writes docs/implementations.md from benchmarks/results/scaling-*.csv: python -m docs.write_implementations"""

from __future__ import annotations

from pathlib import Path

from benchmarks import results
from benchmarks.cases import SCALING_GROUPS, SCALING_KERNELS, SCALING_WIDTHS, WAYS, window
from benchmarks.timing import BOTH, FORWARD
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
saves, after what the way into the basis and back takes, at least so many multiplications for each number that is moved
(`groco/fourier/choice.py`),
"""
MEASURED = """
in float32 on a CPU, where this was measured, and dense otherwise. There is no Fourier implementation for images, for
`groups` above 1 and, with larger kernels, for groups without an element that only flips axes.

## Measured

Time of both implementations relative to Keras' plain convolution of the same expanded width, which any group
convolution has to beat: forward / forward and backward, by channels per element of the group, as many in as out.
Backward is the gradient with respect to weights and inputs. Bold is what `auto` chooses; a dash where the plain
convolution is too large to be timed. The three are timed in turns in one process, and a ratio is the median over the
rounds; quartiles and milliseconds are in `benchmarks/results`, which `python -m benchmarks scaling` writes. Where the
plain convolution takes a millisecond, single figures are noisy, and what a group convolution does beside it shows: the
expansion of its kernel and, on PyTorch, which runs eagerly, some more calls.
"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    lines = [INTRODUCTION, "| group | multiplications left, 1x1 | larger kernels |", "|---|---|---|"]
    for name, size in SCALING_GROUPS.items():
        group = get_group(name, len(size))
        blocks = sum(irrep.rows * irrep.dimension**2 for irrep in irreps(group))
        lines.append(f"| {name} | {blocks} of {group.order**2} | 1 of {len(flips(group))} |")
    lines += [CHOICE, "| backend | 1x1 | larger kernels | larger kernels with strides |", "|---|---|---|---|"]
    lines += [f"| {BACKENDS[backend]} | {' | '.join(map(_worth, worth))} |" for backend, worth in WORTH.items()]
    lines.append(MEASURED.rstrip("\n"))
    for backend, title in BACKENDS.items():
        if (results.FOLDER / f"scaling-{backend}.csv").is_file():
            lines += _section(title, backend, results.read(f"scaling-{backend}"))
    return "\n".join(lines) + "\n"


def _section(title: str, backend: str, rows: list[dict[str, str]]) -> list[str]:
    measured = {
        (row["group"], int(row["kernel"]), int(row["channels"]), row["variant"], row["pass"]): float(row["ratio"])
        for row in rows
    }
    about = rows[0]
    lines = [
        "",
        f"### {title}",
        "",
        f"{about['device']}, {about['cores']} cores; {backend} {about['backend_version']}, Keras {about['keras']}; "
        f"batches of {about['batch']}, {_grids(rows)}.",
        "",
        f"| group | kernel | implementation | {' | '.join(map(str, SCALING_WIDTHS))} |",
        f"|---|---|---|{'---|' * len(SCALING_WIDTHS)}",
    ]
    for group, size in SCALING_GROUPS.items():
        for kernel in SCALING_KERNELS:
            for variant in WAYS:
                cells = [_cell(measured, backend, group, kernel, width, variant) for width in SCALING_WIDTHS]
                lines.append(f"| {group} | {window(kernel, size)} | {variant} | {' | '.join(cells)} |")
    return lines


def _grids(rows: list[dict[str, str]]) -> str:
    points = {row["group"]: row["points"] for row in rows}
    return ", ".join(f"{number} points ({group})" for group, number in points.items())


def _worth(worth: float) -> str:
    return "never" if worth == float("inf") else f"{worth:g}"


def _cell(measured: dict[tuple, float], backend: str, group: str, kernel: int, width: int, variant: str) -> str:
    found = [measured.get((group, kernel, width, variant, direction)) for direction in (FORWARD, BOTH)]
    if None in found:
        return "-"
    ratios = " / ".join(f"{ratio:.2f}" for ratio in found)
    ndim = len(SCALING_GROUPS[group])
    on, size = get_group(group, ndim), (kernel,) * ndim
    strides = (1,) * ndim
    fourier = is_worth_it(gain(on, on, size, strides, width, width), size, strides, backend)
    return f"**{ratios}**" if fourier == (variant == "fourier") else ratios


if __name__ == "__main__":
    main()
