"""Writes docs/implementations.md from benchmarks/results/scaling-*.csv: python -m docs.write_implementations"""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks import results
from benchmarks.cases import SCALING_BATCH, SCALING_GROUPS, SCALING_KERNELS, SCALING_WIDTHS, WAYS, window
from benchmarks.timing import BOTH, FORWARD
from groco.fourier import irreps
from groco.fourier.choice import CALL, HALVED, MANY, WORTH, WORTH_WITH_GRADIENT, cost, is_worth_it
from groco.fourier.splitting import flips
from groco.groups import get_group

PAGE = Path(__file__).with_name("implementations.md")
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
P4M = get_group("P4M", 2)
CALLS = [cost(P4M, P4M, size, (1, 1), 1, 1, "torch").calls for size in ((1, 1), (3, 3))]
FEWEST = [[round(calls * multiplications / 1e6) for multiplications in CALL["torch"]] for calls in CALLS]
NOISE = 0.1  # of the ratio of the times of both implementations
GOAL = ("P4M", 96, 1.8)  # group, channels, and how many times as fast as the dense one it is to be on TensorFlow


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
MEASURED = f"""
in float32 on a CPU, where this was measured, and dense otherwise. Gradients follow where a layer is called with
`training=True`, as `fit` does, and on PyTorch where they are recorded. On PyTorch, which runs one operation after the
other, the Fourier implementation, of more operations, was up to 2.4 times as slow on few points: there it has to save,
with kernels of one point, at least {FEWEST[0][1]} million multiplications in a call too where gradients are recorded,
and {FEWEST[0][0]} million elsewhere, with 3x3 on P4M {FEWEST[1][1]} and {FEWEST[1][0]} million, and with 3x3x3 on Oh 6
times as many. On JAX planar windows on groups that leave half of the multiplications, such as P4, took up to 1.7 times
as long forward on few points: in inference they have to save {HALVED["jax"] / 1e6:.0f} million in a call beyond the
figure of the table, and all larger kernels {MANY["jax"][1]:g} for each number where more than
{MANY["jax"][0] / 1e6:.0f} million are moved in a call. In one dimension JAX is left with the dense one. There is no
Fourier implementation for images, for `groups` above 1 and, with larger kernels, for groups without an element that
only flips axes.

`groco.export_plain(model, implementation="fourier")` makes it plain layers of Keras, for any of the formats of
`groco export`.

## Measured

Time of both implementations relative to Keras' plain convolution of the same expanded width, which any group
convolution has to beat: forward / forward and backward, by channels per element of the group, as many in as out.
Backward is the gradient with respect to weights and inputs. Bold is what `auto` chooses; a dash where the plain
convolution is too large to be timed. The three are timed in turns in one process, and a ratio is the median over the
rounds; quartiles and milliseconds are in `benchmarks/results`, which `python -m benchmarks scaling` writes. Where the
plain convolution takes a millisecond, single figures are noisy, and what a group convolution does beside it shows: the
expansion of its kernel and, on PyTorch, which runs eagerly, some more calls. TensorFlow and JAX are measured
compiled; where they run operations one by one, `auto` is dense but on wide layers and many points: it was up to 5.2
times as fast.
"""
AIM = f"""
The goal was to be {GOAL[2]} times as fast as the dense implementation on TensorFlow, with {GOAL[1]} channels on
{GOAL[0]}, forward / forward and backward. Measured:
"""
AIMED = """
Where dense products are fast, less is left to gain: the Fourier implementation of 1x1 is bound by memory. On an AMD
EPYC with AVX-512, where the plain layer took 1.5 times as long as on the Intel machine of these tables and the Fourier
one as long as here, it was 1.94 / 2.82 and 2.73 / 2.26 on TensorFlow, 2.43 / 3.92 and 3.16 / 3.06 on JAX (7 to 9
rounds, 2026-11-26).
"""
MISCHOSEN = f"""
`auto` keeps to the dense one near the crossover, which grid, batch and machine move. Here it takes the slower one, by
more than {NOISE:.0%}, of:
"""
TRIED: dict[str, tuple[str, str, str, str]] = {
    "TensorFlow": ("0.45 / 0.34", "0.43 / 0.34", "0.73 / 1.88", "0.62 / 1.27"),
    "JAX": ("0.35 / 0.26", "0.34 / 0.29", "0.35 / 0.26", "0.27 / 0.51"),
    "PyTorch": ("0.50 / 0.46", "0.47 / 0.47", "0.70 / 0.72", "0.80 / 0.97"),
}
TRIED_TEXT = """
## Tried and left out

A cheaper way into the basis and back: 1x1, P4M, 96 channels, 8 images of 16x16, time relative to the dense layer,
forward / forward and backward, measured once with prototypes (2026-11-26, AMD EPYC with AVX-512, 2 cores).
"""
TRIED_WHY = """
- The transform as a product with one small matrix, as it is, takes little longer than copying the signal: 0.75 against
  0.50 ms here on TensorFlow, where the whole layer takes 5.9 ms. It is bound by memory, not by its multiplications.
- Butterflies, three steps of sums and differences, need fewer operations and move the signal three times: 3 to 4 times
  as long as the product on TensorFlow and PyTorch. XLA fuses them on JAX, where they were level at 96 channels, and up
  to 1.7 times as fast with the backward pass at 32. What they won there was the gradient of a product of many small
  matrices, which takes XLA 2 to 8 times as long as the product. A convolution of one point over the channels has no
  such gradient: it has taken the place of the product on JAX since.
- Sums written out, which XLA fuses to one pass, were faster forward on JAX and twice as slow backward.
- The bias added to the trivial representation alone, before the way back, 8 times fewer numbers: no gain that shows,
  but for TensorFlow below 96 channels (forward 0.74 instead of 0.81 at 32).
- Staying in the basis between layers: ReLU acts on single elements of the group, so that the signal has to come back
  before each one, and no net here has two linear layers without one between them.
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
    for backend, title in BACKENDS.items():
        for what, worth in (("", WORTH), (", with gradients", WORTH_WITH_GRADIENT)):
            lines.append(f"| {title}{what} | {' | '.join(map(_worth, worth[backend]))} |")
    lines.append(MEASURED.rstrip("\n"))
    found = {engine: rows for engine in results.ENGINES if (rows := results.read(f"scaling-{engine}"))}
    measured = {engine: _ratios(rows) for engine, rows in found.items()}
    lines += _aims(measured)
    for engine, rows in found.items():
        lines += _section(engine, rows, measured[engine])
    lines += [TRIED_TEXT, "| backend | product | bias in the basis | butterflies | sums |", "|---|---|---|---|---|"]
    lines += [f"| {backend} | {' | '.join(times)} |" for backend, times in TRIED.items()]
    lines.append(TRIED_WHY.rstrip("\n"))
    return "\n".join(lines) + "\n"


def _ratios(rows: list[dict[str, str]]) -> dict[tuple, float]:
    """By group, kernel, channels, variant and pass."""
    return {
        (row["group"], int(row["kernel"]), int(row["channels"]), row["variant"], row["pass"]): float(row["ratio"])
        for row in rows
    }


def _aims(measured: dict[str, dict[tuple, float]]) -> list[str]:
    """How many times as fast as the dense implementation the other one is where there is a goal for it."""
    group, channels, _ = GOAL
    lines = [AIM, "| backend | 1x1 | 3x3 |", "|---|---|---|"]
    for engine, ratios in measured.items():
        cells = []
        for kernel in SCALING_KERNELS:
            cases = [[(group, kernel, channels, way, direction) for way in WAYS] for direction in (FORWARD, BOTH)]
            known = all(case in ratios for pair in cases for case in pair)
            cells.append(" / ".join(f"{ratios[a] / ratios[b]:.2f}" for a, b in cases) if known else "-")
        lines.append(f"| {_title(engine)} | {' | '.join(cells)} |")
    return [*lines, AIMED.rstrip("\n")]


def _title(engine: str) -> str:
    backend = engine.removesuffix(results.GPU)
    return BACKENDS[backend] + (" on a GPU" if backend != engine else "")


def _section(engine: str, rows: list[dict[str, str]], measured: dict[tuple, float]) -> list[str]:
    backend = engine.removesuffix(results.GPU)
    about = rows[0]
    lines = [
        "",
        f"### {_title(engine)}",
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
                cells = [_cell(measured, engine, group, kernel, width, variant) for width in SCALING_WIDTHS]
                lines.append(f"| {group} | {window(kernel, size)} | {variant} | {' | '.join(cells)} |")
    return lines + _mischosen(measured, engine)


def _mischosen(measured: dict[tuple, float], engine: str) -> list[str]:
    """The cases of which `auto` takes the implementation that was slower; on a GPU it does not choose."""
    lines: list[str] = []
    if engine.endswith(results.GPU):
        return lines
    for group, kernel, width in dict.fromkeys(key[:3] for key in measured):
        for direction in (FORWARD, BOTH):
            chosen = _chosen(engine, group, kernel, width, direction)
            (other,) = set(WAYS) - {chosen}
            mine, its = (measured.get((group, kernel, width, variant, direction)) for variant in (chosen, other))
            if mine and its and mine > (1 + NOISE) * its:
                what = f"{group} {window(kernel, SCALING_GROUPS[group])}, {width} channels, {direction}"
                lines.append(f"- {what}: {mine:.2f} ({chosen}) against {its:.2f}")
    return [MISCHOSEN, *lines] if lines else []


def _grids(rows: list[dict[str, str]]) -> str:
    points = {row["group"]: row["points"] for row in rows}
    return ", ".join(f"{number} points ({group})" for group, number in points.items())


def _worth(worth: float) -> str:
    return "never" if worth == float("inf") else f"{worth:g}"


def _cell(measured: dict[tuple, float], engine: str, group: str, kernel: int, width: int, variant: str) -> str:
    cells = []
    for direction in (FORWARD, BOTH):
        ratio = measured.get((group, kernel, width, variant, direction))
        if ratio is None:
            return "-"
        chosen = variant == _chosen(engine, group, kernel, width, direction)
        cells.append(f"**{ratio:.2f}**" if chosen else f"{ratio:.2f}")
    return " / ".join(cells)


def _chosen(engine: str, group: str, kernel: int, width: int, direction: str) -> str:
    """The implementation that `auto` takes of a case."""
    if engine.endswith(results.GPU):
        return "dense"
    ndim = len(SCALING_GROUPS[group])
    on, size, strides = get_group(group, ndim), (kernel,) * ndim, (1,) * ndim
    points = SCALING_BATCH * math.prod(SCALING_GROUPS[group])
    options = {"backend": engine, "points": points, "gradient": direction == BOTH}
    return "fourier" if is_worth_it(on, on, size, strides, width, width, **options) else "dense"


if __name__ == "__main__":
    main()
