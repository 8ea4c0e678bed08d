"""Whatever is asked of a layer, it is equivariant on every element of its subgroup, or it says why it cannot be.

`GROCO_PROPERTY_CASES` cases are drawn in each family (60 by default), the same at each run; `GROCO_PROPERTY_SEED`
draws others. At the end the counts and the worst errors are written to the terminal, and to the table
`GROCO_PROPERTY_REPORT` if that is set: docs/properties.csv is one, from which docs/properties.md is made.
"""

import collections
import dataclasses
import functools
import math
import os
import re
import time
from pathlib import Path

import hypothesis
import keras
import numpy as np
import pytest

from docs.write_properties import OUTCOMES, PAGE, TABLE, Row, page, read_rows, write_rows
from groco.groups import get_group
from groco.layers import GroupConv2D
from groco.layers.base import AXIS_NAMES
from groco.testing import equivariance_error
from tests.layers.strategies import FAMILIES, Case, on_each_axis

CASES = int(os.environ.get("GROCO_PROPERTY_CASES", "60"))
SEED = int(os.environ.get("GROCO_PROPERTY_SEED", "0"))
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "mixed_float16": 1e-2, "mixed_bfloat16": 5e-2}
BROKEN = 1e-3
FIX = re.compile(r"What works: |\buse |; make it equal |must be below |cannot both be above 1")


class Report:
    """Counts of outcomes, and worst errors by precision."""

    def __init__(self):
        self.outcomes = collections.Counter()
        self.worst = collections.defaultdict(float)
        self.least_broken = math.inf
        self.seconds = 0.0
        self.holds = False

    def __str__(self):
        outcomes = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in self.outcomes.most_common())
        errors = ", ".join(f"{dtype} {error:.1e}" for dtype, error in sorted(self.worst.items()))
        return (
            f"{self.outcomes.total()} cases in {self.seconds:.0f} s: {outcomes}; worst errors: {errors or 'none'}"
            + ("" if math.isinf(self.least_broken) else f"; least of the broken: {self.least_broken:.1e}")
        )

    def row(self, family: str) -> Row:
        return Row(
            family=family,
            backend=keras.backend.backend(),
            seed=SEED,
            cases=self.outcomes.total(),
            **{outcome: self.outcomes[outcome] for outcome in OUTCOMES},
            **{dtype: f"{self.worst[dtype]:.1e}" if dtype in self.worst else "" for dtype in TOLERANCE},
            seconds=round(self.seconds),
        )


@pytest.fixture(scope="module")
def reports(request):
    reports: dict[str, Report] = {}
    yield reports
    lines = [f"{keras.backend.backend()}, {name}: {report}" for name, report in reports.items()]
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("", *lines, sep="\n")
    if path := os.environ.get("GROCO_PROPERTY_REPORT"):
        write_rows(Path(path), [report.row(name) for name, report in reports.items() if report.holds])


def check(case: Case, report: Report) -> None:
    """The layer is equivariant and its shape is as computed, or it is refused for a reason; there is no third."""
    message = _refusal(case)
    if message is None:
        dtype = case.kwargs["dtype"]
        error = equivariance_error(*_made(case), **case.measure)
        assert error <= TOLERANCE[dtype], f"error {error:.1e}"
        report.worst[dtype] = max(report.worst[dtype], error)
        report.outcomes["equivariant"] += 1
    elif "breaks equivariance" in message:
        _check_broken(case, report)
        _check_remedies(case, message)
    else:
        report.outcomes["refused_otherwise"] += 1


def _refusal(case: Case) -> str | None:
    """What the layer says if it refuses the case, before any number is computed; None if it takes it."""
    messages = []
    for ask in ("compute_output_shape", "build"):
        try:
            layer = case.layer(**case.kwargs, name="tested")
            getattr(layer, ask)(case.input_shape)
        except ValueError as error:
            messages.append(str(error))
        else:
            messages.append(None)
    message = messages[0]
    assert messages == [message] * 2, "compute_output_shape and build do not agree"
    if message is not None:
        assert message.startswith(f"{case.layer.__name__} (name='tested'): ")
        assert FIX.search(message), f"it does not say what would work: {message}"
    return message


def _made(case: Case, batch: int = 1):
    """The layer and inputs whose mean is not zero, so that padding shows and means do not cancel."""
    layer = case.layer(**case.kwargs)
    dtype = "float64" if case.kwargs["dtype"] == "float64" else "float32"
    inputs = np.random.default_rng(0).normal(-2.0, size=(batch * case.input_shape[0], *case.input_shape[1:]))
    inputs = inputs.astype(dtype)
    outputs = layer(inputs, **case.call)
    computed = layer.compute_output_shape(inputs.shape)
    assert tuple(outputs.shape) == computed, f"compute_output_shape says {computed}, it is {tuple(outputs.shape)}"
    assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
    return functools.partial(layer, **case.call) if case.call else layer, inputs


def _check_broken(case: Case, report: Report) -> None:
    """What is refused does break: the layer is not more careful than it need be."""
    case = dataclasses.replace(case, kwargs={**case.kwargs, "dtype": "float32", "allow_non_equivariance": True})
    if _refusal(case) is not None:
        report.outcomes["refused_otherwise"] += 1
        return
    # A maximum may by chance be where both agree; not often.
    layer, inputs = _made(case, batch=1 + 256 // math.prod(case.input_shape))
    try:
        error = equivariance_error(layer, inputs, **case.measure)
    except ValueError:  # it takes the input but not the turned one
        error = math.inf
    if not case.generic or _is_blind(layer, inputs):
        report.outcomes["refused_unproven"] += 1
        return
    assert error > BROKEN, f"refused, but the error is only {error:.1e}"
    report.least_broken = min(report.least_broken, error)
    report.outcomes["refused_and_broken"] += 1


def _is_blind(layer, inputs) -> bool:
    """Whether the layer sees nothing but padding."""
    seen, nothing = (keras.ops.convert_to_numpy(layer(x)) for x in (inputs, np.zeros_like(inputs)))
    return np.array_equal(seen, nothing)


def _check_remedies(case: Case, message: str) -> None:
    """The sizes and arguments that the message names do mend the axis that it names."""
    subject = re.search(r" with (depth|height|width)\b", message)
    if subject is None:
        return
    for mended in _remedies(case, message.split("What works: ")[1], subject[1]):
        again = _refusal(mended) or ""
        assert "breaks equivariance" not in again or f" with {subject[1]}" not in again, (
            f"{message}\nbut {mended}: {again}"
        )


def _remedies(case: Case, works: str, axis_name: str):
    rank = case.layer.rank
    axis = AXIS_NAMES[rank].index(axis_name)
    kwargs = dict(case.kwargs)
    if sizes := re.search(r"an input size of ([\d or]+)", works):
        at = axis + (2 if kwargs["data_format"] == "channels_first" else 1)
        for size in _numbers(sizes[1]):
            shape = (*case.input_shape[:at], size, *case.input_shape[at + 1 :])
            yield dataclasses.replace(case, input_shape=shape)
    for argument, value in re.findall(r"(padding|interpolation)='(\w+)'", works):
        changed = {**kwargs, argument: value}
        if "without output_padding" in works:
            del changed["output_padding"]
        yield dataclasses.replace(case, kwargs=changed)
    for argument, values in re.findall(r"(output_padding=|target_size of )([\d or]+)", works):
        argument = re.match(r"\w+", argument)[0]
        for value in _numbers(values):
            old = on_each_axis(kwargs.get(argument) or 0, rank)
            new = (*old[:axis], value, *old[axis + 1 :])
            # Axes that the group exchanges must go together.
            for orbit in get_group(kwargs["group"], rank).axis_orbits:
                new = tuple(value if axis in orbit and i in orbit else n for i, n in enumerate(new))
            yield dataclasses.replace(case, kwargs={**kwargs, argument: new})


def _numbers(listed: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", listed)]


@pytest.mark.parametrize("family", FAMILIES)
def test_equivariant_or_refused(family, reports):
    report = reports.setdefault(family, Report())

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=CASES, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(FAMILIES[family])
    def holds(case):
        keras.utils.set_random_seed(0)
        check(case, report)

    start = time.perf_counter()
    try:
        holds()
        report.holds = True
    finally:
        report.seconds = time.perf_counter() - start
    assert report.outcomes["equivariant"] > CASES / 4


# The harness itself: each of these layers is wrong in one way.


class Overcareful(GroupConv2D):
    def _check_input_shape(self, shape, image_allowed):
        if not self.allow_non_equivariance:
            raise self._error(self._broken(0, 7, 3, 1))


class Speechless(GroupConv2D):
    def _error(self, message):
        return ValueError(message)


class Unhelpful(GroupConv2D):
    def _broken(self, *args):
        return "this breaks."


class Misleading(GroupConv2D):
    def _broken(self, *args):
        return super()._broken(*args).replace("size of", "size of 8 or")


class Unexpected(GroupConv2D):
    def build(self, input_shape):
        raise TypeError("an accident")


class Late(GroupConv2D):
    """It refuses only when it is built."""

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 4, self.filters)


class WrongShape(GroupConv2D):
    def compute_output_shape(self, input_shape):
        return (*super().compute_output_shape(input_shape)[:-1], 1)


WRONG = [
    (GroupConv2D, {"strides": 2, "allow_non_equivariance": True}, 8, AssertionError, "error 1"),
    (Overcareful, {}, 7, AssertionError, "refused, but the error is only"),
    (Speechless, {"strides": 2}, 8, AssertionError, "startswith"),
    (Unhelpful, {"strides": 2}, 8, AssertionError, "does not say what would work"),
    (Misleading, {"strides": 2, "padding": "valid"}, 8, AssertionError, "but Case"),
    (Unexpected, {}, 7, TypeError, "an accident"),
    (Late, {"strides": 2}, 8, AssertionError, "do not agree"),
    (WrongShape, {}, 7, AssertionError, "compute_output_shape"),
]


@pytest.mark.parametrize(("layer", "kwargs", "size", "error", "message"), WRONG)
def test_the_check_finds_what_is_wrong(layer, kwargs, size, error, message):
    kwargs = {"filters": 2, "kernel_size": 3, "group": "P4", "dtype": "float32", "data_format": None, **kwargs}
    with pytest.raises(error, match=message):
        check(Case(layer, kwargs, (1, size, size, 2)), Report())


# What was measured once, with more cases than a test run has time for.


def test_the_table_is_of_long_runs_without_failures():
    for row in read_rows(TABLE):
        assert row.family in FAMILIES
        assert row.cases >= (60 if row.backend == "jax" else 2000), (row.backend, row.family)
        assert sum(getattr(row, outcome) for outcome in OUTCOMES) == row.cases
        for dtype, tolerance in TOLERANCE.items():
            assert not getattr(row, dtype) or float(getattr(row, dtype)) <= tolerance


def test_rows_are_replaced_not_repeated(tmp_path):
    path = tmp_path / "table.csv"
    report = Report()
    report.outcomes["equivariant"] = 3
    write_rows(path, [report.row("one"), report.row("two")])
    report.outcomes["equivariant"] = 4
    write_rows(path, [report.row("one")])
    assert [(row.family, row.cases) for row in read_rows(path)] == [("one", 4), ("two", 3)]


def test_page_is_what_the_script_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m docs.write_properties"
