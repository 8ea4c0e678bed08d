"""Writes docs/benchmarks.md and its picture from benchmarks/results: python -m benchmarks.write_docs"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from pathlib import Path

from benchmarks import results
from benchmarks.cases import WAYS

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PICTURE = PAGE.parent / "images" / "benchmarks.svg"
NOISE = 0.05  # of a ratio
GOALS = {"layers": 1.03, "models": 1.05, "exported": 1.00}
LONGER_IMPORT, LONGER_BUILD = 0.1, 1.5  # seconds, and a ratio

_EAGER = (
    "PyTorch runs eagerly, and each call of a function of Keras takes 20 to 30 microseconds there: a layer has 0.2 ms "
    "more of them, for its kernel, its bias and the group axis"
)
_KERNEL = "the expanded kernel has about as many numbers as the features here, and making it is not free"
_SHORT_AXIS = (
    "alone, XLA's loop over the numbers has the short last axis, the channels of one element, as its innermost, which "
    "takes longer; in a net it is fused with the convolution before it"
)
_BLOCKS = (
    "several channels are one dense convolution with zeros where they would mix, because the gradient of the backend's "
    "own convolution of groups of channels takes 40 times as long"
)
_COPIES = (
    "a signal has its channels together at each element, PyTorch wants the elements of a channel: two copies, and the "
    "calls that make them, beside a convolution of a millisecond"
)
_RESHAPED = (
    "Keras' own convolution between reshapes from and to the group axis takes 1.05 times as long here, with the "
    "expanded kernel 1.06"
)
_BIAS = (
    "Keras' own convolution, between reshapes from and to the group axis, takes 1.04 times as long here, and without "
    "their biases both take the same: XLA's loop over the numbers has the short last axis"
)
_SPREAD = (
    "statistics, scales and offsets of the channels are spread over the elements, and their gradients summed: small "
    "operations that the plain layer has not"
)
_KERNELS = "making its expanded kernels takes what it takes longer than the exported net, which has the same layers"
# Why a goal is missed by more than the noise, by table, backend, case and pass (shell patterns).
REASONS: list[tuple[str, str, str, str, str]] = [
    ("layers", "tensorflow", "batch norm*", "forward+backward", _SPREAD),
    ("models", "jax", "p4cnn", "forward", _KERNELS),
    ("layers", "jax", "batch norm*", "*", _SHORT_AXIS),
    ("layers", "jax", "P4CNN*", "forward", _BIAS),
    ("layers", "jax", "ReLU*", "*", f"it is Keras' layer; {_SHORT_AXIS}"),
    ("layers", "jax", "3x3, stride*", "forward+backward", _RESHAPED),
    ("layers", "jax", "transposed*", "forward", "making the expanded kernel takes 0.2 ms"),
    ("layers", "tensorflow", "depthwise*", "forward", _BLOCKS),
    ("layers", "torch", "depthwise*", "*", _COPIES),
    ("layers", "*", "dense*", "*", _KERNEL),
    ("layers", "tensorflow", "Oh*", "*", _KERNEL),
    ("layers", "torch", "Oh*", "*", _KERNEL),
    ("models", "torch", "o_resnet3d", "*", _KERNEL),
    ("layers", "torch", "*", "*", _EAGER),
    ("models", "torch", "*", "*", _EAGER),
]  # fmt: skip

TEXT = """# Benchmarks

<!-- Written by `python -m benchmarks.write_docs` from benchmarks/results; do not edit. -->

A group convolution is an ordinary convolution of |G| times the channels, after its kernel has been made. Here its time
is compared with that of the ordinary one: Keras' plain layer of the same expanded width, on the same numbers. All
variants of a case are timed in turns in one process; a ratio is the median over the rounds of the ratio within a
round, with its quartiles. escnn is the library of group convolutions for PyTorch (`benchmarks/peer.py` says how it is
installed), with its planar convolutions between regular fields; its signals are channels first. On PyTorch Keras' plain
layers copy theirs to that order, and ours are seen in it without a copy. Backward is the gradient in training: of
layers with respect to their weights and inputs, of nets with respect to the weights.
`python -m benchmarks layers` and so on run on a GPU unchanged, with larger cases, and have columns of their own then.

{environments}
"""

LAYERS = f"""The goal is a ratio of at most {GOALS["layers"]}; the noise of a round is about {NOISE}, more where a layer
takes few milliseconds. The error of a median over n rounds is 1.57 / sqrt(n) of the distance of the quartiles (McGill,
Tukey & Larsen 1978)."""
NETS = f"""Nets beside the same architectures of Keras' plain layers with |G| times the channels, whose training starts
from nothing. They lack the pooling of the group at the end, which an exported net has: it is what the net of groco
computes. The goal is at most {GOALS["models"]}, and {GOALS["exported"]:.2f} for an exported net."""

INFERENCE = """## Inference

Where operations run one after the other, a layer keeps its expanded kernel, or its matrices in the Fourier basis, from
one call to the next: in each call of a net on TensorFlow and JAX outside of a function that is compiled, and without
gradients on PyTorch, in `predict` too. It compares the weights with those that it was made of, so that no way to change
them is missed. That is done on a CPU only: to compare numbers on a GPU means to wait for it.
"""

COMPILED = """In what TensorFlow and JAX compile, `predict` too, kernels are made anew at each call: it has the weights
as variables or arguments, of which no compiler takes that work out. A program that keeps them beside its weights has
to see whether they are of these weights, and copies them when it chooses them, so that it gains where nets of wide
layers see few images and nothing elsewhere ("chosen"); it could not be exported, and on JAX it would need weights that
are not trained, out of date in loops of one's own. What does without is `groco.export_plain(model)` ("exported",
here with `implementation="auto"`): its kernels are expanded once, its group axis is part of the channels, and it is a
plain Keras model, equal to 1e-5.
"""

EXPORTED = """On PyTorch it is not the faster one: Keras' plain layers copy their signals to other orders of the axes,
which the layers of groco do not. With `fold_batch_norm=True` the normalisations are gone too. By default its
convolutions are dense. With `implementation="auto"` those that the net itself computes in the Fourier basis, in large
batches, stay in it, as plain layers too ("exported, auto" above), and with `"fourier"` all that can be. Nets of wide
layers are smaller and faster so, as the last one below; narrow ones are not.
"""

PRECISION = """## mixed_bfloat16

`p4cnn.rotmnist` on the 1,000 digits of `groco.data.digits()`, 128 at a time for the speed. The change is the largest of
a logit when the image is turned by 90 degrees, relative to the largest logit.
"""

START = f"""## Start

Seconds, each in processes of their own: of Keras, its plain layers and nets, and of groco, whose import is timed after
that of Keras. The goals: groco adds at most {LONGER_IMPORT} s to the import of Keras, and a net of 44 layers takes at
most {LONGER_BUILD} times as long to build as its plain one. The first net that a process builds waits for the backend,
which compiles on JAX what draws each shape of weights; another one does not. On PyTorch a collection of the garbage of
its import falls into that of groco in some processes, which takes longer than groco itself.
"""

MEMORY = """## Memory

Beyond what the plain layer needs, a layer needs its expanded kernel, k^d |G|^2 C_in C_out numbers, and in training its
gradient; where it is gathered and then transposed, as on JAX and PyTorch, there are for a moment two of it. For Oh, of
48 elements, with 3x3x3 kernels in float32 that is 0.24 MB times C_in C_out: 15 MB with 8 channels, 61 MB with 16, 243
MB with 32; the features have 48 C channels at each point. Subgroups are cheaper by the square of their order: O by 4,
D4h by 9.
`python -m benchmarks memory` measures what a layer, its weights included, and one pass forward and backward add to a
process at its peak, in a process that has run a layer of one channel before; weights begin with zeros, because to draw
them takes memory as well. The plain layer has as large a kernel, as weights. The Fourier implementation makes no
expanded kernel. Layers that are called eagerly for inference on a CPU keep theirs (see Inference) until they are called
with gradients or traced, such as by the first `fit`.
"""

WIDTHS = """## Widths

[implementations.md](implementations.md) has what `python -m benchmarks scaling` measures: both implementations of group
convolutions from 8 to 256 channels per element, for P4, P4M, O and Oh, and how far the goal for wide layers is met.
"""


def main() -> None:
    PAGE.write_text("\n".join(_page()), encoding="utf-8")
    _draw(PICTURE)
    print(PAGE)


def _page() -> Iterable[str]:
    yield TEXT.format(environments="\n".join(_environments()))
    yield from _ratios("layers", "Layers", LAYERS)
    yield from _ratios("models", "Nets", NETS)
    yield "![Ratios to the plain convolution](images/benchmarks.svg)\n"
    yield from _missed()
    yield INFERENCE
    yield from _calls(
        "The time of such calls, relative to those of the same net that makes its kernels anew:", {"kept": ""}
    )
    yield COMPILED
    yield from _calls(
        "The time of compiled calls, relative to those that make kernels anew:",
        {"compiled, chosen": ", chosen", "compiled, exported": ", exported"},
    )
    yield EXPORTED
    yield from _formats()
    yield from _precision()
    yield from _start()
    yield MEMORY
    yield from _memory()
    yield WIDTHS


def _rows(name: str) -> list[dict[str, str]]:
    """The rows measured on any backend, on a GPU as that of another backend."""
    return [{**row, "backend": engine} for engine in results.ENGINES for row in results.read(f"{name}-{engine}")]


def _engines(rows: list[dict[str, str]]) -> list[str]:
    return list(dict.fromkeys(row["backend"] for row in rows))


def _environments() -> Iterable[str]:
    keys = ("device", "cores", "backend", "backend_version", "keras", "python")
    tables: dict[tuple[str, ...], set[str]] = {}
    for path in results.FOLDER.glob("*-*.csv"):  # NAME-BACKEND
        for row in results.read(path.stem):
            tables.setdefault(tuple(row[key] for key in keys), set()).add(path.stem.partition("-")[0])
    for (device, cores, backend, version, keras_version, python), names in sorted(tables.items()):
        number = f"{cores} core{'s' if cores != '1' else ''}"
        versions = f"{backend} {version}, Keras {keras_version}, Python {python}"
        yield f"- {device}, {number}: {versions}: {', '.join(sorted(names))}"


def _ratios(name: str, title: str, text: str) -> Iterable[str]:
    rows = [row for row in _rows(name) if row["variant"] != "plain"]
    if not rows:
        return
    yield f"## {title}\n\n{text}\n"
    backends = _engines(rows)
    yield f"| case | pass | variant | {' | '.join(backends)} |"
    yield f"|---|---|---|{'---|' * len(backends)}"
    cells = {(row["case"], row["pass"], row["variant"], row["backend"]): row for row in rows}
    for case, direction, variant in dict.fromkeys(key[:3] for key in cells):
        found = [cells.get((case, direction, variant, backend)) for backend in backends]
        yield f"| {case} | {direction} | {variant} | {' | '.join(_cell(row) for row in found)} |"
    yield ""


def _cell(row: dict[str, str] | None) -> str:
    if row is None:
        return ""
    low, ratio, high = (float(row[key]) for key in ("ratio_low", "ratio", "ratio_high"))
    return f"**{ratio:.2f}** ({low:.2f} to {high:.2f}), {float(row['milliseconds']):.3g} ms"


def _missed() -> Iterable[str]:
    lines = []
    for name in ("layers", "models"):
        for row in _rows(name):
            goal = GOALS["exported" if row["variant"].startswith("exported") else name]
            if row["variant"] in ("plain", "escnn") or float(row["ratio"]) <= goal + 0.005:
                continue
            reason = _reason(name, row, goal)
            what = ", ".join(row[key] for key in ("backend", "case", "variant", "pass"))
            lines.append(f"- {what}: {float(row['ratio']):.2f}; {reason}.")
    chosen = [float(row["ratio"]) for row in _rows("inference") if row["variant"] == "compiled, chosen"]
    if chosen:
        lines.append(
            "- What TensorFlow and JAX compile makes its kernels anew at each call, in inference too; if programs kept "
            "them and chose them where the weights are the same, nets would take "
            f"{min(chosen):.2f} to {max(chosen):.2f} of the time: see below."
        )
    lines += [f"- {case}, {backend}: {missed}." for case, backend, *_, missed in _starts() if missed]
    yield "## Missed goals\n"
    yield from lines
    yield ""


def _reason(name: str, row: dict[str, str], goal: float) -> str:
    error = 1.57 * (float(row["ratio_high"]) - float(row["ratio_low"])) / float(row["rounds"]) ** 0.5
    if float(row["ratio"]) - error <= goal:
        return f"the median of {row['rounds']} rounds has an error of {error:.2f}, and the goal is within it"
    if row["variant"] in ("exported", "exported, folded"):
        return "it has the pooling of the group at the end, which the plain net lacks"
    if row["variant"] == "exported, auto" and row["backend"] == "torch":
        return "PyTorch runs eagerly, and the plain net in the Fourier basis is many small operations"
    for table, backend, case, direction, reason in REASONS:
        patterns = zip((name, row["backend"], row["case"], row["pass"]), (table, backend, case, direction), strict=True)
        if all(fnmatch.fnmatch(value, pattern) for value, pattern in patterns):
            return reason
    return "not explained"


def _table(name: str, title: str, columns: dict[str, str]) -> Iterable[str]:
    rows = _rows(name)
    if not rows:
        return
    yield title
    yield f"| {' | '.join(columns.values())} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row[key] for key in columns)} |"
    yield ""


def _calls(title: str, ways: dict[str, str]) -> Iterable[str]:
    """Variants of the table of inference, by what their columns are called besides the backend."""
    rows = [row for row in _rows("inference") if row["variant"] in ways]
    if not rows:
        return
    columns = [(backend, way) for backend in _engines(rows) for way in ways]
    yield f"{title}\n"
    yield f"| net | images | {' | '.join(f'{backend}{ways[way]}' for backend, way in columns)} |"
    yield f"|---|---|{'---|' * len(columns)}"
    cells = {(row["case"], row["batch"], row["backend"], row["variant"]): row for row in rows}
    for case, batch in dict.fromkeys(key[:2] for key in cells):
        values = (_cell(cells.get((case, batch, backend, way))) for backend, way in columns)
        yield f"| {case} | {batch} | {' | '.join(values)} |"
    yield ""


def _formats() -> Iterable[str]:
    title = (
        "Nets in the formats of `groco.surgery.export_model`, with the normalisations folded, from arrays of NumPy to "
        "others, on TensorFlow.\nThe kB of groco are those of its weights. LiteRT has no pooling in three dimensions, "
        "so that o_resnet3d.modelnet10 is not written as one.\n"
    )
    columns = {"case": "net", "variant": "format", "batch": "images", "kilobytes": "kB", "milliseconds": "ms"}
    yield from _table("formats", title, {**columns, "ratio": "ratio to groco"})


def _precision() -> Iterable[str]:
    columns = {"variant": "policy", "pass": "pass", "wrong_of_1000": "wrong of 1,000", "change_when_turned": "change"}
    columns |= {"milliseconds": "ms", "ratio": "ratio to float32", "backend": "backend"}
    yield from _table("precision", PRECISION, columns)


def _start() -> Iterable[str]:
    starts = list(_starts())
    if not starts:
        return
    yield START
    yield "| what | backend | plain | groco | |"
    yield "|---|---|---|---|---|"
    for case, backend, plain, ours, change, _ in starts:
        yield f"| {case} | {backend} | {plain:.2f} | {ours:.2f} | {change} |"
    yield ""


def _starts() -> Iterable[tuple[str, str, float, float, str, str]]:
    """What is begun, on which backend, seconds of the plain one and of groco, how they compare, and a missed goal."""
    seconds = {(row["case"], row["backend"], row["variant"]): float(row["seconds"]) for row in _rows("start")}
    for case, backend in dict.fromkeys(key[:2] for key in seconds):
        plain, ours = (seconds[case, backend, variant] for variant in ("plain", "groco"))
        if case == "import":
            change, missed, ours = f"{ours:+.2f} s", ours > LONGER_IMPORT, plain + ours
        else:
            change, missed = f"{ours / plain:.2f} times", case.startswith("build") and ours / plain > LONGER_BUILD
        yield case, backend, plain, ours, change, f"{change}, more than the goal" if missed else ""


def _memory() -> Iterable[str]:
    rows = _rows("memory")
    if not rows:
        return
    backends = _engines(rows)
    yield "Megabytes at the peak, of the plain layer / the dense implementation / the Fourier one:\n"
    yield f"| 3x3 or 3x3x3 layer | expanded kernel | {' | '.join(backends)} |"
    yield f"|---|---|{'---|' * len(backends)}"
    peaks = {(row["case"], row["variant"], row["backend"]): row["megabytes"] for row in rows}
    for case, kernel in {row["case"]: row["expanded_kernel_megabytes"] for row in rows}.items():
        cells = [
            " / ".join(peaks.get((case, variant, backend), "-") for variant in ("plain", *WAYS)) for backend in backends
        ]
        yield f"| {case} | {kernel} | {' | '.join(cells)} |"
    yield ""


def _draw(path: Path) -> None:
    """The ratios of layers and nets, one row of points for each backend."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    rows = [row for name in ("layers", "models") for row in _rows(name) if row["variant"] == "groco"]
    if not rows:
        return
    labels = list(dict.fromkeys(f"{row['case']}, {row['pass']}" for row in rows))
    figure, axes = pyplot.subplots(figsize=(8, 0.28 * len(labels) + 1), layout="constrained")
    engines = _engines(rows)
    for number, backend in enumerate(engines):
        mine = [row for row in rows if row["backend"] == backend]
        offset = 0.6 * ((number + 0.5) / len(engines) - 0.5)
        heights = [labels.index(f"{row['case']}, {row['pass']}") + offset for row in mine]
        ratios, low, high = ([float(row[key]) for row in mine] for key in ("ratio", "ratio_low", "ratio_high"))
        axes.plot(ratios, heights, "o", markersize=4, label=backend, color=f"C{number}")
        axes.hlines(heights, low, high, color=f"C{number}")
    axes.axvline(1, color="0.6", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("time relative to the plain layer or net, median and quartiles")
    axes.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    main()
