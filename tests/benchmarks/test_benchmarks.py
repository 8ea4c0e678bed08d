"""The benchmarks run and compare like with like; what they find is not tested."""

import ast

import keras
import numpy as np
import pytest

import groco
from benchmarks import __main__ as command
from benchmarks import cases, measure, results, write_docs
from benchmarks.timing import BOTH, FORWARD, compiled, interleaved, predictor
from docs import write_implementations


def test_functions_are_timed_in_turns():
    called = []
    functions = {name: lambda name=name: called.append(name) for name in ("plain", "ours")}
    times = interleaved(functions, "plain", rounds=4, shortest=0.0)
    assert called[-8:] == ["plain", "ours", "ours", "plain"] * 2
    assert times["plain"].ratio == times["plain"].low == times["plain"].high == 1
    assert times["ours"].rounds == 4
    assert times["ours"].milliseconds > 0


@pytest.mark.parametrize("case", cases.layer_cases(), ids=lambda case: case.name)
def test_layers_have_plain_ones_of_the_same_width(case):
    models = case.models()
    (plain, merged), (ours, inputs) = models["plain"], models["groco"]
    assert merged.size == inputs.size
    assert np.prod(plain.output_shape[1:]) == np.prod(ours.output_shape[1:])


def test_nets_are_compared_with_planar_ones_of_the_same_width():
    case = cases.NetCase("p4cnn", (28, 28, 1), 2, {"width": 2})
    models = case.models()
    outputs = {name: keras.ops.convert_to_numpy(model(inputs)) for name, (model, inputs) in models.items()}
    assert list(outputs) == ["plain", "groco", "exported", "exported, folded"]
    for name in ("exported", "exported, folded"):
        np.testing.assert_allclose(outputs[name], outputs["groco"], atol=1e-5)
    plain, exported = (models[name][0] for name in ("plain", "exported"))
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
    for mine, other in zip(plain.layers[:-3], exported.layers, strict=False):
        assert (type(mine), mine.output.shape) == (type(other), other.output.shape)


@pytest.mark.parametrize(("mode", "inner"), [(FORWARD, False), (BOTH, False), (BOTH, True)])
def test_a_pass_runs(mode, inner):
    model, inputs = cases.NetCase("p4cnn", (28, 28, 1), 2, {"width": 1}).models()["groco"]
    compiled(model, inputs, mode, inner)()


def test_the_command_writes_a_table(tmp_path, capsys):
    command.main(["layers", "--rounds", "1", "--only", "ReLU", "--results", str(tmp_path)])
    assert "ReLU (P4M)" in capsys.readouterr().out
    rows = results.read(f"layers-{results.engine()}", tmp_path)
    assert [(row["variant"], row["pass"]) for row in rows] == [
        (variant, mode) for mode in (FORWARD, BOTH) for variant in ("plain", "groco")
    ]
    assert rows[0]["ratio"] == "1.0000"
    assert rows[0]["keras"] == keras.__version__
    command.main(["layers", "--rounds", "2", "--only", "average", "--results", str(tmp_path)])
    command.main(["layers", "--rounds", "3", "--only", "ReLU", "--results", str(tmp_path)])
    rows = results.read(f"layers-{results.engine()}", tmp_path)
    assert [(row["case"], row["rounds"]) for row in rows] == [
        *[("ReLU (P4M)", "3")] * 4,
        *[("average pooling 2x2 (P4M)", "2")] * 4,
    ]
    with pytest.raises(SystemExit):
        command.main(["layers", "--rounds", "1", "--only", "nothing", "--results", str(tmp_path)])


def test_scaling_leaves_out_what_is_too_large():
    made = {case.name: case for _, case in cases.scaling_cases(1)}
    assert len(made) == 8 * len(cases.SCALING_WIDTHS)
    assert made["Oh 3x3x3, 8 channels"].order == 48


def test_scaling_compares_both_implementations_with_the_plain_convolution():
    rows = list(measure.scaling(1, "P4 3x3, 8 channels"))
    assert [(row["variant"], row["pass"]) for row in rows] == [
        (variant, mode) for mode in (FORWARD, BOTH) for variant in ("plain", "dense", "fourier")
    ]
    assert {(row["group"], row["kernel"], row["channels"]) for row in rows} == {("P4", 3, 8)}


def test_kept_kernels_are_compared_with_those_made_anew(monkeypatch):
    case = cases.NetCase("p4cnn", (28, 28, 1), 2, {"width": 1})
    monkeypatch.setattr(cases, "net_cases", lambda large: [case])
    rows = list(measure.inference(1))
    ways = ["anew", "kept"]
    if keras.backend.backend() != "torch":
        ways += ["compiled", "compiled, chosen", "compiled, exported"]
    assert [(row["batch"], row["variant"]) for row in rows] == [(batch, way) for batch in (1, 2) for way in ways]
    assert {row["ratio"] for row in rows if row["variant"] in ("anew", "compiled")} == {"1.0000"}


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="compiles nothing in predict")
def test_kernels_that_a_program_keeps_are_those_of_its_weights(rng):
    """What is timed computes the same, also after the weights have changed."""
    case = cases.NetCase("p4cnn", (28, 28, 1), 2, {"width": 1})
    net, inputs = measure._choosing(case), case.inputs()
    for _ in range(2):
        plain = case.build()
        plain.set_weights(net.get_weights())
        np.testing.assert_allclose(predictor(net)(inputs), predictor(plain)(inputs), atol=1e-5)
        net.set_weights([rng.normal(size=weight.shape) for weight in net.get_weights()])


def test_importing_groco_loads_and_computes_nothing_heavy():
    """Groups, their tables and the data are made when they are first asked for; extras are imported when used."""
    program = """
import sys, keras
before = set(sys.modules)
import groco
extras = {"scipy", "matplotlib", "PIL", "onnx", "tf2onnx", "tensorflow_datasets", "huggingface_hub"}
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} & extras))
print(sorted(name for name in sys.modules if name.startswith("groco.") and name.count(".") == 1))
from groco.groups import _holohedry
print(_holohedry.holohedry.cache_info().currsize)
print([name for name in groco.__all__ if not hasattr(groco, name)], set(groco.__all__) - set(dir(groco)))
"""
    extras, packages, groups, missing = measure._run(program)
    assert (extras, groups, missing) == ("[]", "0", "[] set()")
    assert not {"groco.finetuning", "groco.pretrained", "groco.surgery"} & set(ast.literal_eval(packages))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        groco.nothing  # noqa: B018


def test_processes_of_their_own_are_measured():
    assert float(measure._run(measure._TIMED.format(program="pass"))[-1]) >= 0
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        measure._run("1 / 0")


def test_the_page_is_written_from_the_results():
    """Run python -m benchmarks.write_docs if this fails."""
    assert write_docs.PAGE.read_text(encoding="utf-8") == "\n".join(write_docs._page())


def test_the_page_of_implementations_is_written_from_the_results():
    """Run python -m docs.write_implementations if this fails."""
    assert write_implementations.PAGE.read_text(encoding="utf-8") == write_implementations.page()


def test_choices_of_the_slower_implementation_are_listed():
    measured = {("P4M", 1, 96, variant, mode): 1.0 for variant in cases.WAYS for mode in (FORWARD, BOTH)}
    assert not write_implementations._mischosen(measured, "tensorflow")
    measured["P4M", 1, 96, "fourier", BOTH] = 1.2
    (line,) = write_implementations._mischosen(measured, "tensorflow")[1:]
    assert line == "- P4M 1x1, 96 channels, forward+backward: 1.20 (fourier) against 1.00"
    assert not write_implementations._mischosen(measured, "tensorflow-gpu")
    del measured["P4M", 1, 96, "dense", BOTH]  # as a run that was stopped leaves it
    assert not write_implementations._mischosen(measured, "tensorflow")


def test_rows_are_kept_as_they_are_measured(monkeypatch, tmp_path):
    def stopped(rounds, only):
        yield {"case": "one", "ratio": "1"}
        raise KeyboardInterrupt

    monkeypatch.setitem(command.COMMANDS, "layers", stopped)
    results.write(f"layers-{results.engine()}", [{"case": "two", "ratio": "2", "old": "x"}], tmp_path)
    with pytest.raises(KeyboardInterrupt):
        command.main(["layers", "--results", str(tmp_path)])
    rows = results.read(f"layers-{results.engine()}", tmp_path)
    assert [row["case"] for row in rows] == ["two"], "of a case that was not finished the old rows stay"


def test_starts_are_compared(monkeypatch):
    rows = [
        {"case": case, "backend": "jax", "variant": variant, "seconds": seconds}
        for case, plain, ours in (("import", "1.0", "0.3"), ("build 44 layers", "1.0", "1.4"))
        for variant, seconds in (("plain", plain), ("groco", ours))
    ]
    monkeypatch.setattr(write_docs, "_rows", lambda name: rows)
    imported, built = write_docs._starts()
    assert imported[4:] == ("+0.30 s", "+0.30 s, more than the goal")
    assert built[4:] == ("1.40 times", "")


def test_missed_goals_say_why():
    row = {"backend": "jax", "case": "conv", "variant": "groco", "pass": FORWARD, "rounds": "9"}
    row |= {"ratio_low": "1.02", "ratio": "1.05", "ratio_high": "1.08"}
    assert "has an error of 0.03, and the goal is within it" in write_docs._reason("layers", row, 1.03)
    assert write_docs._reason("layers", {**row, "rounds": "100"}, 1.03) == "not explained"
    assert "Keras" in write_docs._reason("layers", {**row, "case": "ReLU (P4M)", "rounds": "100"}, 1.03)
