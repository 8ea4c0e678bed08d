"""Writes docs/keras_layers.md: which of Keras' own layers work unchanged on signals on a group.

    python -m docs.write_keras_layers

Each row of the table is code that is run, and each verdict is measured: the layer gets random weights and a random
signal, and is compared with itself on every element of the group. `tests/layers/test_keras_layers.py` asserts the same
rows.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from groco.groups import get_group
from groco.testing import equivariance_error

PAGE = Path(__file__).with_name("keras_layers.md")
GROUPS = {1: "PM", 2: "P4M", 3: "Oh"}
SIZES = {1: (6,), 2: (6, 6), 3: (2, 2, 2)}
UNEQUAL_SIZES = {1: (5,), 2: (4, 5), 3: (1, 3, 2)}
BATCH, CHANNELS = 2, 4
EXACT, BROKEN = 1e-5, 1e-2

YES, BREAKS, RAISES, ABSENT = "yes", "breaks", "raises", "no layer"

DIFFERENCES = """
## Where the layers of GroCo differ from Keras'

They take the arguments of Keras' layers, in the same order, and `group`. What is not the same:

- `padding` is `"valid_equiv"` by default, which pads by the least that keeps strides exact, often by nothing. `"valid"`
  and `"same"` are Keras', and are refused where they would break equivariance. There is no `"causal"`.
- A kernel on a group has one axis more, `(*kernel_size, |G|, channels, filters)`, which constraints by axis must name.
- Pooling layers take signals on a group, not images: put a convolution or `GroupLifting` in front.
- `GroupUpSampling` repeats or interpolates linearly. The cubic and Lanczos kernels of `UpSampling2D` it does not have.
- `GroupConvTranspose`, the adjoint of `GroupConv`, goes from `subgroup` to `group`; that from `group` to `subgroup`.
- The names of groups are case-sensitive: `"P4M"`, `"Oh"`. Names of models are in lower case: `"p4m_resnet20"`.
- `enable_lora` and `quantize` are of Keras' Dense and Embedding layers. `model.quantize` leaves group layers as they
  are; `groco.export_plain` and the formats of `groco export` have layers that other tools quantise.
"""

# How a layer is called on one signal.
CALLS: dict[str, Callable] = {
    "signal": lambda layer, signal, **kwargs: layer(signal, **kwargs),
    "two signals": lambda layer, signal, **kwargs: layer(keras.ops.split(signal, 2, axis=-1), **kwargs),
    "itself": lambda layer, signal, **kwargs: layer(signal, signal, **kwargs),
    "sequence": lambda layer, signal, **kwargs: layer(keras.ops.expand_dims(signal, 0), **kwargs)[0],
}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        layer: the layer as one writes it. `{n}` is the dimension, `{m}` the next; see `code`.
        note: what to know about it.
        expected: the outcome in 1-D, 2-D and 3-D, or one for all.
        axis: the axis on which it acts.
        training: what holds in training: `"exact"`; `"in distribution"`, where each position draws its own noise;
            `"given the draw"`, where one draw serves all positions and elements, so that it is exact once made.
        then: what is done to the layer when it has its weights.
        call: one of `CALLS`.
        output: what comes out, as in `equivariance_error`.
        odd: whether to measure at odd sizes instead of even ones.
        xla: the dimensions in which TensorFlow needs XLA: its own kernels for a CPU stop at a lower rank.
    """

    layer: str
    note: str = ""
    expected: tuple[str, str, str] | str = YES
    axis: str = "channels"
    training: str = "exact"
    then: str = ""
    call: str = "signal"
    output: str = "signal"
    odd: bool = False
    xla: tuple[int, ...] = ()

    def code(self, ndim: int) -> str:
        return self.layer.format(
            n=ndim,
            m=ndim + 1,
            inner=list(range(1, ndim + 2)),
            spatial=list(range(1, ndim + 1)),
            all_but_group=[*range(1, ndim + 1), -1],
            ones="1, " * ndim,
            twos="2, " * ndim,
        )

    def outcome(self, ndim: int) -> str:
        return self.expected if isinstance(self.expected, str) else self.expected[ndim - 1]


SECTIONS: dict[str, tuple[Row, ...]] = {
    "Normalisation": (
        Row("BatchNormalization(axis=-1)", "one mean and variance per group channel, in training as well"),
        Row(
            "BatchNormalization(axis=-2)",
            "statistics and scale of each orientation by itself; use axis=-1",
            expected=BREAKS,
            axis="group",
        ),
        Row("LayerNormalization(axis=-1)", "each position and element by itself"),
        Row(
            "LayerNormalization(axis=(-2, -1))",
            "a scale and offset for each orientation, which differ once trained; use axis=-1",
            expected=BREAKS,
            axis="group, channels",
        ),
        Row(
            "LayerNormalization(axis={all_but_group})",
            "a scale for each position; use axis=-1, or GroupNormalization",
            expected=BREAKS,
            axis="spatial, channels",
        ),
        Row(
            "GroupNormalization(groups=2, axis=-1)",
            "its groups are of channels; the statistics are over space and the point group",
        ),
        Row("GroupNormalization(groups=-1, axis=-1)", "instance normalisation"),
        Row(
            "GroupNormalization(groups=2, axis=-2)",
            "splits the orientations; use axis=-1",
            expected=BREAKS,
            axis="group",
        ),
        Row("RMSNormalization(axis=-1)", "each position and element by itself"),
        Row("UnitNormalization(axis=-1)", "each position and element by itself"),
        Row("UnitNormalization(axis=(-2, -1))", "the whole fibre at once; it has no weights", axis="group, channels"),
        Row("Normalization(axis=-1, mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 0.5, 3.0])", "also after adapt()"),
    ),
    "Noise and dropout": (
        Row("Dropout(0.5)", "drops single numbers", axis="none", training="in distribution"),
        Row(
            "Dropout(0.5, noise_shape=(None, {ones}1, None))",
            "drops whole group channels, in any dimension",
            axis="none",
            training="given the draw",
        ),
        Row(
            "SpatialDropout{m}D(0.5)",
            "drops whole group channels; the rank is one above that of the grid",
            expected=(YES, YES, ABSENT),
            axis="none",
            training="given the draw",
        ),
        Row(
            "SpatialDropout{n}D(0.5)",
            "the rank does not fit a signal; use the next, or Dropout with noise_shape",
            expected=RAISES,
            axis="none",
        ),
        Row("GaussianNoise(0.5)", axis="none", training="in distribution"),
        Row("GaussianDropout(0.5)", axis="none", training="in distribution"),
        Row("AlphaDropout(0.5)", axis="none", training="in distribution"),
    ),
    "Activations": (
        Row("ReLU()", axis="none"),
        Row("LeakyReLU(0.1)", axis="none"),
        Row("ELU()", axis="none"),
        Row('Activation("gelu")', axis="none"),
        Row('Activation("swish")', axis="none"),
        Row("PReLU(shared_axes={inner})", "one slope per group channel: all axes but batch and channels are shared"),
        Row(
            "PReLU()",
            "a slope for each position and orientation; share all axes but the last",
            expected=BREAKS,
            axis="all",
        ),
        Row(
            "PReLU(shared_axes={spatial})",
            "a slope for each orientation; share the group axis too",
            expected=BREAKS,
            axis="group, channels",
        ),
        Row("Softmax(axis=-1)", xla=(3,)),
        Row("Softmax(axis=-2)", "over the orientations", axis="group", xla=(3,)),
    ),
    "Merging": (
        *(
            Row(f"{name}()", "of signals on the same group", axis="none", call="two signals")
            for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
        ),
        Row("Concatenate(axis=-1)", "of signals on the same group", call="two signals"),
        Row(
            "Concatenate(axis=-2)",
            "the result is no signal on the group; use axis=-1",
            expected=BREAKS,
            axis="group",
            call="two signals",
        ),
        Row("Identity()", axis="none"),
    ),
    "Dense": (
        Row("Dense(6)", "pointwise: the same at each position and element, a 1x1 convolution that mixes channels only"),
        Row("Dense(6)", "low-rank adaptation", then=".enable_lora(2)"),
        Row("Dense(6)", "quantised to 8 bits; each position and element has its own scale", then='.quantize("int8")'),
        Row('EinsumDense("...c,cd->...d", output_shape=6, bias_axes="d")', "as Dense"),
        Row("Rescaling(0.5, offset=1.0)", axis="none"),
        Row("TimeDistributed(Dense(6))", "on sequences of signals", call="sequence"),
        Row(
            "MultiHeadAttention(2, 3)",
            "attends to every position and element alike; without position codes",
            axis="spatial, group",
            call="itself",
            xla=(3,),
        ),
        Row(
            "MultiHeadAttention(2, 3, attention_axes=-2)",
            "attends to the elements at the same position",
            axis="group",
            call="itself",
            xla=(2, 3),
        ),
        Row(
            "Sequential([Flatten(), Dense(3)])",
            "not invariant; pool first, with GlobalGroupMaxPooling or GlobalGroupAveragePooling",
            expected=BREAKS,
            axis="all",
            output="invariant",
        ),
    ),
    "Pooling, padding, convolution": (
        Row(
            "GlobalAveragePooling{n}D()",
            "the rank does not fit a signal; use GlobalGroupAveragePooling{n}D",
            expected=RAISES,
            axis="spatial",
        ),
        Row(
            "GlobalAveragePooling{m}D()",
            "invariant: it takes the group axis for one more of space, over which it pools too",
            expected=(YES, YES, ABSENT),
            axis="spatial, group",
            output="invariant",
        ),
        Row(
            "GlobalMaxPooling{m}D()",
            "invariant, likewise",
            expected=(YES, YES, ABSENT),
            axis="spatial, group",
            output="invariant",
        ),
        Row(
            "MaxPooling{m}D(2)",
            "pools neighbours along the group axis, which mean nothing; use GroupMaxPooling{n}D",
            expected=(BREAKS, BREAKS, ABSENT),
            axis="spatial, group",
        ),
        Row(
            'MaxPooling{m}D(2, strides=1, padding="same")',
            "likewise",
            expected=(BREAKS, BREAKS, ABSENT),
            axis="spatial, group",
        ),
        Row(
            "MaxPooling{m}D(({twos}1))",
            "exact only at sizes that the windows use up, silently wrong at others (here odd); use GroupMaxPooling{n}D",
            expected=(BREAKS, BREAKS, ABSENT),
            axis="spatial",
            odd=True,
        ),
        Row(
            "ZeroPadding{m}D(({ones}0))",
            "the same at both ends, nothing along the group axis",
            expected=(YES, YES, ABSENT),
            axis="spatial",
        ),
        Row(
            "UpSampling{m}D(({twos}1))",
            "nearest neighbour, nothing along the group axis",
            expected=(YES, YES, ABSENT),
            axis="spatial",
        ),
        Row(
            'Conv{m}D(4, 3, padding="same")',
            "takes the group axis for one of space; use GroupConv{n}D",
            expected=(BREAKS, BREAKS, ABSENT),
            axis="spatial, group",
        ),
    ),
}
ROWS = tuple(itertools.chain(*SECTIONS.values()))


def make(row: Row, ndim: int, sizes: tuple[int, ...]):
    """The layer of a row with weights as after training: random, none of them as they were initialised."""
    layer = eval(row.code(ndim), {**vars(keras.layers), "Sequential": keras.Sequential})
    function(row, ndim, layer)(random_signal(ndim, sizes))
    _randomise(layer.weights)
    if row.then:
        eval(f"layer{row.then}", {"layer": layer})
        _randomise([weight for weight in layer.weights if "lora" in weight.name])
    return layer


def _randomise(weights) -> None:
    rng = np.random.default_rng(1)
    for weight in weights:
        if weight.name.endswith("variance"):
            weight.assign(rng.uniform(0.5, 2.0, size=weight.shape))
        elif keras.backend.is_float_dtype(weight.dtype):
            weight.assign(0.5 * rng.normal(size=weight.shape))


def random_signal(ndim: int, sizes: tuple[int, ...]) -> np.ndarray:
    order = get_group(GROUPS[ndim], ndim).order
    return np.random.default_rng(0).normal(size=(BATCH, *sizes, order, CHANNELS)).astype("float32")


def function(row: Row, ndim: int, layer, training: bool = False) -> Callable:
    """The layer of a row as a function of one signal."""
    call = functools.partial(CALLS[row.call], layer, training=training)
    if keras.backend.backend() == "tensorflow" and ndim in row.xla:
        import tensorflow as tf

        return tf.function(call, jit_compile=True)
    return call


def measure(row: Row, ndim: int, sizes: tuple[int, ...] | None = None, training: bool = False) -> float:
    """The equivariance error of a row on every element of the group; infinite if the output is no signal on it.

    Raises:
        ValueError: if the layer does.
    """
    if sizes is None:
        sizes = tuple(size + row.odd for size in SIZES[ndim])
    group = get_group(GROUPS[ndim], ndim)
    call = function(row, ndim, make(row, ndim, sizes), training)
    signal = random_signal(ndim, sizes)
    outputs = call(signal)
    if row.output == "signal" and (len(outputs.shape) != ndim + 3 or outputs.shape[-2] != group.order):
        return np.inf
    return equivariance_error(call, signal, group, output=row.output)


@functools.cache
def verdict(row: Row, ndim: int) -> str:
    """What is measured: yes (the error is at most 1e-5), breaks (above 1e-2), or raises."""
    if row.outcome(ndim) == ABSENT:
        return ABSENT
    try:
        error = measure(row, ndim)
    except ValueError:
        return RAISES
    return YES if error <= EXACT else BREAKS if error > BROKEN else f"error {error:.0e}"


def page() -> str:
    """The text of the page."""
    lines = [
        "# Keras' own layers on signals on a group",
        "",
        "<!-- Written by docs/write_keras_layers.py; do not edit. -->",
        "",
        "A signal on a group is `(batch, *spatial, |G|, channels)`. Keras' layers that act on the last axis, or on",
        "every number alike, need no change. These tables say which layers those are, and which are not and why. Each",
        "was given random weights, and random signals turned by every element of PM (1-D), P4M (2-D) and Oh (3-D).",
        "",
        f"- {YES}: it is equivariant, or invariant where the note says so; the relative error is at most {EXACT:.0e}.",
        f"- {BREAKS}: it runs, but the error is above {BROKEN:.0e}.",
        f"- {RAISES}: it raises a ValueError.",
        f"- {ABSENT}: Keras has none for that dimension.",
        "",
        "Layers are written as for the plane. In 1-D and 3-D the numbers in names, and the axes, are those of the",
        "dimension: SpatialDropout2D for the line. All is for channels_last; with channels_first the channels are axis",
        "1, and the group axis is the last. (With PyTorch, Keras' LayerNormalization takes the last axis only.)",
        "",
        "In training a layer is exact, as in inference; or the same in distribution, where each number draws noise of",
        "its own, so that turned inputs give turned outputs with the same probability; or exact given the draw, where",
        "one draw serves a whole group channel.",
    ]
    for title, rows in SECTIONS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| layer | axis | 1-D | 2-D | 3-D | training | note |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_line(row) for row in rows]
    return "\n".join(lines) + "\n" + DIFFERENCES


def _line(row: Row) -> str:
    verdicts = [verdict(row, ndim) for ndim in GROUPS]
    then = f", then `{row.then}`" if row.then else ""
    training = row.training if YES in verdicts else ""
    notes = [row.note.format(n=2)] if row.note else []
    if row.xla:
        dimensions = " and ".join(f"{ndim}-D" for ndim in row.xla)
        notes.append(f"in {dimensions}, TensorFlow on a CPU has it only in functions compiled by XLA")
    cells = [f"`{row.code(2)}`{then}", row.axis, *verdicts, training, "; ".join(notes)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page())
