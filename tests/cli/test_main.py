"""What the shell is told, whatever the command."""

import builtins
import os
import subprocess
import sys

import pytest

import groco
from groco import cli

COMMANDS = ["list", "info", "predict", "evaluate", "finetune", "check", "verify", "plot", "demo"]
COMMANDS += ["export", "card", "publish"]


def test_usage(capsys):
    for arguments, status in ((["--version"], 0), (["--help"], 0), ([], 2), (["fly"], 2)):
        with pytest.raises(SystemExit) as raised:
            cli.main(arguments)
        assert raised.value.code == status
    out = capsys.readouterr().out
    assert groco.__version__ in out
    assert "exit status: 0 all is well, 1 a check failed" in out
    assert all(f"\n    {command} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main([command, "--help"])
    assert raised.value.code == 0
    assert f"usage: groco {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["info", "p4cnn.rotmnist"], ["predict", "nothing", "a.png"]]
)
def test_what_needs_no_net_does_not_wait_for_keras(arguments):
    code = f"""
import sys
sys.argv[0] = "/usr/bin/groco"
from groco.cli import main
try:
    status = main({arguments!r})
except SystemExit as done:
    status = done.code
assert "keras" not in sys.modules and "tensorflow" not in sys.modules, "Keras was imported"
sys.exit(status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == (2 if "nothing" in arguments else 0), done.stderr
    assert done.stdout or done.stderr.startswith("groco predict: There is no trained model 'nothing'")


def test_the_command_starts_keras_quietly_and_has_all_of_groco():
    code = """
import sys
sys.argv[0] = "groco"
import groco
assert not hasattr(groco, "layers") and "keras" not in sys.modules
from groco.cli.common import start_keras
start_keras()
assert groco.create_model and groco.pretrained.verify and groco.layers.GroupConv2D
import keras
assert keras.saving.get_registered_object("groco>GroupConv2D") is groco.layers.GroupConv2D
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_reader_that_has_seen_enough():
    """`groco list | head -1`"""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "groco", "list"], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (141, "")


def test_interrupted(run, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("groco.pretrained.manifest.list_pretrained", interrupt)
    assert run("list") == (130, "", "")


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("PIL", "it needs PIL: pip install 'groco[plot]'"),
        (
            "tensorflow",
            "Keras is set to the backend tensorflow, which is not installed: pip install 'groco[tensorflow]'",
        ),
    ],
)
def test_missing_packages(missing, advice, run, monkeypatch, files):
    original = builtins.__import__

    def imports(name, *arguments, **kwargs):
        if name.partition(".")[0] == "PIL":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return original(name, *arguments, **kwargs)

    monkeypatch.setattr(builtins, "__import__", imports)
    status, out, err = run("predict", "p4cnn.rotmnist", files[0][0])
    assert (status, out) == (2, "")
    assert err.startswith("groco predict: ")
    assert advice in err


def test_tables_are_for_people_on_a_terminal_and_for_programs_in_a_pipe(run, monkeypatch, capsys):
    from groco.cli.common import write_table

    rows = [("a", 12345, "x y"), ("long name", 2, "-")]
    write_table(("name", "number", "text"), rows)
    assert capsys.readouterr().out == "a\t12345\tx y\nlong name\t2\t-\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    write_table(("name", "number", "text"), rows)
    assert capsys.readouterr().out.splitlines() == [
        "name       number  text",
        "a          12,345  x y",
        "long name  2       -",
    ]


def test_demo(run, tmp_path):
    picture = tmp_path / "new" / "demo.png"
    status, out, _ = run("demo", "--picture", picture)
    assert status == 0
    assert "images per second" in out
    assert out.count("ok    ") == 4
    assert picture.stat().st_size > 1000


def test_demo_fails_if_a_check_fails(run, tmp_path, monkeypatch):
    monkeypatch.setattr("groco.demo.run", lambda picture: False)
    assert run("demo", "--picture", tmp_path / "demo.png")[0] == 1
