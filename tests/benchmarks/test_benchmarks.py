"""The benchmarks run and compare like with like; what they find is not tested."""

import keras
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import cases, measure, results, write_docs
from benchmarks.timing import BOTH, FORWARD, compiled, interleaved


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


def test_nets_are_compared_with_the_same_plain_net():
    case = cases.NetCase("p4cnn", (28, 28, 1), 2, {"width": 2})
    models = case.models()
    outputs = {name: keras.ops.convert_to_numpy(model(inputs)) for name, (model, inputs) in models.items()}
    assert list(outputs) == ["plain", "groco", "exported", "exported, folded"]
    for output in outputs.values():
        np.testing.assert_allclose(output, outputs["groco"], atol=1e-5)


@pytest.mark.parametrize("mode", [FORWARD, BOTH])
def test_a_pass_runs(mode):
    model, inputs = cases.NetCase("p4cnn", (28, 28, 1), 2, {"width": 1}).models()["groco"]
    compiled(model, inputs, mode)()


def test_the_command_writes_a_table(tmp_path, capsys):
    command.main(["layers", "--rounds", "1", "--only", "ReLU", "--results", str(tmp_path)])
    assert "ReLU (P4M)" in capsys.readouterr().out
    rows = results.read(f"layers-{keras.backend.backend()}", tmp_path)
    assert [row["variant"] for row in rows] == ["plain", "groco"]
    assert rows[0]["ratio"] == "1.0000"
    assert rows[0]["keras"] == keras.__version__
    with pytest.raises(SystemExit):
        command.main(["layers", "--rounds", "1", "--only", "nothing", "--results", str(tmp_path)])


def test_scaling_leaves_out_what_is_too_large():
    sizes = {case.name: case.order for *_, case in cases.scaling_cases(8, 1)}
    assert sizes["Oh 3x3x3, 8 channels"] == 48
    assert len(sizes) == 8


def test_importing_groco_loads_and_computes_nothing_heavy():
    """Groups, their tables and the data are made when they are first asked for; extras are imported when used."""
    program = """
import sys, keras
before = set(sys.modules)
import groco
extras = {"scipy", "matplotlib", "PIL", "onnx", "tf2onnx", "tensorflow_datasets", "huggingface_hub"}
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} & extras))
from groco.groups import _holohedry
print(_holohedry.holohedry.cache_info().currsize)
"""
    assert measure._run(program) == ["[]", "0"]


def test_processes_of_their_own_are_measured():
    assert float(measure._run(measure._TIMED.format(program="pass"))[-1]) >= 0
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        measure._run("1 / 0")


def test_the_page_is_written_from_the_results():
    """Run python -m benchmarks.write_docs if this fails."""
    assert write_docs.PAGE.read_text(encoding="utf-8") == "\n".join(write_docs._page())


def test_missed_goals_say_why():
    row = {"backend": "jax", "case": "conv", "variant": "groco", "pass": FORWARD, "ratio_low": "1.02"}
    assert "cannot be told from the noise" in write_docs._reason("layers", row, 1.03)
    assert write_docs._reason("layers", {**row, "ratio_low": "1.2"}, 1.03) == "not explained"
    assert "the noise" in write_docs._reason("models", {**row, "variant": "exported", "ratio_low": "1.02"}, 1.00)
    assert "Keras" in write_docs._reason("layers", {**row, "case": "ReLU (P4M)", "ratio_low": "1.2"}, 1.03)
