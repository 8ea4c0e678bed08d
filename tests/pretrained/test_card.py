"""A card says what was measured, in the form that the Hub reads."""

import json

import pytest

import groco
from groco.pretrained import Preprocessor, PretrainedError, check_card, make_card
from groco.pretrained.manifest import model_folder

NAME = "p4cnn.rotmnist"
DESCRIPTION = json.loads((model_folder(NAME) / "groco.json").read_text())
SLICES = Preprocessor((None, None), 1, 120.0, 40.0, ("membrane",), task="segmentation", multiple_of=8)
SEGMENTATION = {
    "architecture": "unet",
    "parameters": 1_234_567,
    "metrics": {
        "dataset": "em/slices",
        "source": "an atlas of slices",
        "split": "test",
        "seeds": [0, 1],
        "pixel_error": 0.051234,
        "pixel_error_mean": 0.06,
        "pixel_error_std": 0.01,
        "dice": 0.9,
    },
    "paper": None,
    "recipe": {"command": "train", "seconds": 10.0, "hardware": "2 cores", "backend": "jax", "keras": "3.15.1"},
    "licence": {"weights": "MIT", "data": "CC0"},
}


@pytest.mark.parametrize("name", groco.list_pretrained())
def test_cards_of_the_zoo_are_what_is_made_of_their_descriptions(name):
    folder = model_folder(name)
    description = json.loads((folder / "groco.json").read_text())
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text == make_card(name, description, Preprocessor.load(folder / "preprocessor.json"))
    check_card(folder / "README.md", name, description)


def test_a_card_of_segmentation_with_no_published_figure(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(make_card("unet.em", SEGMENTATION, SLICES), encoding="utf-8")
    check_card(path, "unet.em", SEGMENTATION)
    text = path.read_text(encoding="utf-8")
    assert "pipeline_tag: image-segmentation" in text
    assert "| this model (seed 0) | em/slices (test) | 5.12 | 90.00 |" in text
    assert "| mean of 2 seeds | the same | 6.00 ± 1.00 | 90.00 |" in text
    assert "No figure is published" in text
    assert "images of any x any pixels (a multiple of 8) and 1 channel" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("---\n", "", "does not begin with metadata"),
        ("library_name: keras", "library_name: [", "is not a card"),
        ("license: mit\n", "", "has no license"),
        ("value: 2.672", "value: 1.0", r"says test_error is 1.0 %, measured was 2.67 %"),
        ("name: p4cnn.rotmnist", "name: other", "model-index is of 'other'"),
        ("2.28 ± 0.04", "2.29", r"lacks the paper's test error, 2.28 ± 0.04 %"),
        ("## Not good for", "## Good for", "lacks the section 'Not good for'"),
        ('from_pretrained("p4cnn.rotmnist"', 'from_pretrained("x"', "does not say how to load"),
    ],
)
def test_what_is_wrong_with_a_card_is_named(old, new, message, tmp_path):
    text = (model_folder(NAME) / "README.md").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "README.md"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PretrainedError, match=message):
        check_card(path, NAME, DESCRIPTION)


@pytest.mark.parametrize("key", ["parameters", "metrics", "recipe", "licence", "paper"])
def test_a_card_needs_a_whole_description(key):
    description = {k: v for k, v in DESCRIPTION.items() if k != key}
    with pytest.raises(PretrainedError, match=f"no card can be made of its description: KeyError.*{key}"):
        make_card(NAME, description, SLICES)
