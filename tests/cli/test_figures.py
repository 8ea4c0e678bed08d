"""`groco plot`."""

import numpy as np
import pytest
from PIL import Image

import groco
from groco.plotting import signal_layers
from tests.cli.conftest import NAME


def test_plot(files, run, tmp_path):
    picture = tmp_path / "new" / "maps.png"
    status, out, _ = run("plot", NAME, files[0][0], "--output", picture.with_suffix(""))
    assert (status, out) == (0, f"{picture}\n")
    with Image.open(picture) as image:
        wide = image.size
        assert np.asarray(image.convert("L")).std() > 10
    status, _, _ = run("plot", NAME, files[0][0], "--output", picture, "--layer", "relu1", "--channel", "2")
    assert status == 0
    with Image.open(picture) as image:
        assert image.size == wide


def test_plot_of_a_net_for_any_size(unet, run, tmp_path):
    Image.new("L", (16, 16)).save(tmp_path / "image.png")
    assert run("plot", unet, tmp_path / "image.png", "--output", tmp_path / "maps.png")[0] == 0
    assert (tmp_path / "maps.png").stat().st_size > 1000


def test_layers_with_signals():
    layers = signal_layers(groco.create_model("p4m_resnet20", depth=8, widths=(1, 1, 1)))
    assert next(iter(layers)) == "stem_conv"
    assert list(layers)[-1] == "final_relu"
    assert {group.name for group in layers.values()} == {"P4M"}
    assert list(signal_layers(groco.create_model("p4cnn_rp", width=1)))[-1] == "head"
    assert signal_layers(groco.create_model("z2cnn")) == {}
    wide = signal_layers(groco.create_model("p4m_wide_resnet16_4", depth=10, widths=(1, 1, 1)))
    assert [group.name for group in dict.fromkeys(wide.values())] == ["P4M", "P2MM", "P1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "{good}"], "no trained model 'nothing'"),
        ([NAME, "nowhere.png"], "no image file 'nowhere.png'"),
        ([NAME, "{good}", "--layer", "relu7"], "no layer 'relu7' that writes signals on a group; there are conv1"),
        ([NAME, "{good}", "--channel", "99"], "has channels 0 to 9, got 99"),
        ([NAME, "{good}", "--group", "P4M"], "not a signal on 'P4M'"),
        ([NAME, "{good}", "--output", "{folder}"], "is a folder; give the path of a file"),
        ([NAME, "{good}", "--output", "{folder}/a.xyz"], "xyz"),
        (["z2cnn.rotmnist", "{good}"], "it is a planar net"),
    ],
)
def test_errors_are_one_line(arguments, message, files, run, tmp_path):
    places = {"good": files[0][0], "folder": tmp_path}
    status, out, err = run("plot", *[a.format(**places) for a in arguments])
    assert (status, out) == (2, "")
    assert err.startswith("groco plot: ")
    assert message in err
    assert err.count("\n") == 1
