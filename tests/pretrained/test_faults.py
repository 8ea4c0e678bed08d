"""What goes wrong on the way from the Hub, on the disk and in files of strangers: no code of theirs runs, no wrong
weights are loaded, the message says what is wrong, and the cache is fit for use afterwards.

docs/write_faults.py makes docs/faults.md of the tests here and in test_publish.py that record an outcome.
"""

import errno
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import huggingface_hub
import keras
import numpy as np
import pytest
from huggingface_hub import constants, file_download

import groco
from groco.models import get_builder
from groco.pretrained import PretrainedError
from groco.pretrained.manifest import MANIFEST, release
from groco.pretrained.safety import check_weights
from groco.pretrained.source import locate
from tests.pretrained.conftest import NAME, REPO

WEIGHTS = "model.weights.h5"
OF_WEIGHTS = f"GET /cdn/{groco.model_info(NAME).files[WEIGHTS].sha256}"
CHECKOUT = Path(groco.__file__).parent.parent


def same_weights(model, checkout):
    """Whether the weights are those of the published file, read without GroCo."""
    reference = get_builder("p4cnn")()
    reference.load_weights(checkout / NAME / WEIGHTS)
    return all(np.array_equal(a, b) for a, b in zip(model.get_weights(), reference.get_weights(), strict=True))


def usable(hub):
    """After all faults are over, every file is had again and is what the manifest says; nothing half is left."""
    hub.heal()
    folder = locate(NAME).folder
    assert not list(hub.cache.rglob("*.incomplete"))
    return folder


# Downloads.


def test_from_an_empty_cache_then_without_the_hub(released, checkout, hub, caplog, outcome, monkeypatch):
    with caplog.at_level(logging.WARNING, "groco"):
        assert same_weights(groco.from_pretrained(NAME), checkout)
    assert not caplog.messages
    hub.requests.clear()
    hub.fault(500)
    assert groco.verify(NAME, local_files_only=True).vouched
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert groco.preprocessor(NAME).channels == 1
    assert hub.requests == []
    outcome("offline, or the Hub down, with the files in the cache", "Loaded; the Hub is not asked.")


TRANSIENT = {
    "the connection ends in the middle of the weights": ("truncate", OF_WEIGHTS),
    "the weights come with too few bytes": ("short", OF_WEIGHTS),
    "the weights come with one wrong byte": ("garble", OF_WEIGHTS),
    "a small file comes with one wrong byte": ("garble", r"GET .*/groco\.json"),
    "an HTML page comes instead of the weights": ("html", OF_WEIGHTS),
    "the connection is dropped before an answer": ("drop", "HEAD .*/config"),
    "the connection is dropped instead of a file": ("drop", OF_WEIGHTS),
}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_fault_that_passes(fault, released, checkout, hub, outcome):
    kind, path = TRANSIENT[fault]
    hub.fault(kind, path, times=1)
    folder = locate(NAME).folder
    for file in folder.iterdir():
        assert file.read_bytes() == (checkout / NAME / file.name).read_bytes()
    assert hub.faults[0].times == 0
    outcome(f"{fault}, once", "Downloaded once more; loaded.")


LASTING = {
    "the connection ends in the middle of the weights": ("truncate", OF_WEIGHTS, "the connection to the Hub failed"),
    "the weights come with too few bytes": ("short", OF_WEIGHTS, r"should be of size 165080 but has size 82540"),
    "the weights come with one wrong byte": (
        "garble",
        OF_WEIGHTS,
        r"has sha256 \w{64}, the manifest expects \w{64}, also when downloaded once more. Nothing was read from it",
    ),
    "an HTML page comes instead of the weights": ("html", OF_WEIGHTS, "should be of size"),
    "an HTML page comes instead of every answer": ("html", "", "what answered is not a Hub: a login page"),
    "the connection is dropped": ("drop", OF_WEIGHTS, "the connection to the Hub failed"),
    "no answer within the time": ("slow", OF_WEIGHTS, "the connection to the Hub failed .*[Tt]ime"),
    "HTTP 401": (401, "", r"the token is wrong or missing.*HTTP 401"),
    "HTTP 403": (403, "", r"the token does not allow it.*HTTP 403"),
    "HTTP 404": (404, "", r"there is no such revision or file.*HTTP 404"),
    "HTTP 429": (429, "", r"too many requests; try again later.*HTTP 429"),
    "HTTP 500": (500, "", r"the Hub has a problem of its own.*HTTP 500"),
    "HTTP 503": (503, "", r"the Hub has a problem of its own.*HTTP 503"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_that_lasts(fault, released, hub, monkeypatch, outcome):
    kind, path, message = LASTING[fault]
    hub.fault(kind, path, seconds=5)
    with monkeypatch.context() as patience:
        if kind == "slow":
            patience.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
        with pytest.raises(PretrainedError, match=message) as error:
            groco.from_pretrained(NAME)
    assert f"hf://{REPO}@{released}" in str(error.value)
    outcome(f"{fault}, every time", error.value)
    usable(hub)


def test_nobody_listens(released, hub, monkeypatch, outcome):
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    with pytest.raises(PretrainedError, match="not in the cache, and the connection to the Hub failed") as error:
        groco.from_pretrained(NAME)
    outcome("no network, and nothing in the cache", error.value)


@pytest.mark.parametrize("way", ["local_files_only", "HF_HUB_OFFLINE"])
def test_offline_with_nothing_in_the_cache(way, released, hub, monkeypatch, outcome):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", way == "HF_HUB_OFFLINE")
    with pytest.raises(PretrainedError, match=r"cannot be had: it is not in the cache, and .*off") as error:
        groco.from_pretrained(NAME, local_files_only=way == "local_files_only")
    assert hub.requests == []
    outcome(f"offline ({way}), and nothing in the cache", error.value)


def test_a_wrong_token_for_a_private_repository(released, hub, outcome):
    hub.repositories[REPO].private = True
    with pytest.raises(PretrainedError, match=r"the token is wrong or missing.*HTTP 401") as error:
        groco.from_pretrained(NAME, token="hf_wrong")
    outcome("a wrong token for a private repository", error.value)
    assert locate(NAME, token=hub.token).info.name == NAME


# The cache.


def overwrite(path, content):
    target = path.resolve()
    target.write_bytes(content(target.read_bytes()) if callable(content) else content)


DAMAGES = {
    "one wrong byte": lambda path: overwrite(path, lambda c: bytes([c[0] ^ 1]) + c[1:]),
    "half of it missing": lambda path: overwrite(path, lambda c: c[: len(c) // 2]),
    "emptied": lambda path: overwrite(path, b""),
    "its contents deleted": lambda path: path.resolve().unlink(),
    "replaced by another file": lambda path: (path.unlink(), path.write_bytes(b"<html>login</html>")),
}


@pytest.mark.parametrize("file", [WEIGHTS, "groco.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_healed(damage, file, released, checkout, hub, caplog, outcome):
    cached = locate(NAME).folder / file
    DAMAGES[damage](cached)
    if damage != "its contents deleted":
        with pytest.raises(PretrainedError, match="and the Hub may not be asked for another"):
            locate(NAME, local_files_only=True)
        DAMAGES[damage](locate(NAME).folder / file)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "groco"):
        assert locate(NAME).folder == cached.parent
    assert cached.read_bytes() == (checkout / NAME / file).read_bytes()
    if file == WEIGHTS and damage != "its contents deleted":  # a link to nothing is downloaded as if it were not there
        outcome(f"a file in the cache: {damage}", caplog.messages[-1])


def test_a_damaged_cache_without_links(released, checkout, hub, monkeypatch):
    """Where the system has no symbolic links, the cache has copies, which huggingface_hub does not replace."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    monkeypatch.setattr(file_download, "are_symlinks_supported", lambda *_: False)
    cached = locate(NAME).folder / WEIGHTS
    assert not cached.is_symlink()
    cached.write_bytes(b"<html>")
    locate(NAME)
    assert cached.read_bytes() == (checkout / NAME / WEIGHTS).read_bytes()


def test_a_damaged_cache_and_a_fault_of_the_hub(released, hub, outcome):
    cached = locate(NAME).folder / WEIGHTS
    overwrite(cached, b"<html>login</html>")
    hub.fault(503)
    with pytest.raises(
        PretrainedError, match=r"has 18 bytes and is an HTML page, the manifest expects 165080, and another .*HTTP 503"
    ) as error:
        groco.from_pretrained(NAME)
    outcome("a damaged file in the cache, and HTTP 503", error.value)
    usable(hub)


def test_a_full_disk(released, hub, monkeypatch, outcome):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(file_download, "http_get", full)
        with pytest.raises(PretrainedError, match="the disk is full") as error:
            groco.from_pretrained(NAME)
    outcome("a full disk", error.value)
    usable(hub)


def test_a_cache_that_cannot_be_written(released, hub, monkeypatch, outcome):
    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(file_download.os, "makedirs", refused)
        with pytest.raises(
            PretrainedError, match=r"the cache cannot be written .* cache_dir= or HF_HUB_CACHE"
        ) as error:
            groco.from_pretrained(NAME)
    outcome("a cache that cannot be written, and nothing in it", error.value)
    folder = usable(hub)
    with monkeypatch.context() as patch:
        for name in ("makedirs", "symlink", "replace", "unlink", "remove"):
            patch.setattr(os, name, refused)
        assert locate(NAME).folder == folder


LOAD = """
import sys, groco, hashlib, numpy
from groco.pretrained import manifest
from pathlib import Path
manifest._PACKAGE = Path(sys.argv[1])
model = groco.from_pretrained(sys.argv[2])
print(hashlib.sha256(b"".join(numpy.ascontiguousarray(w).tobytes() for w in model.get_weights())).hexdigest())
"""


def test_two_processes_at_once(released, checkout, hub, outcome):
    """Two fresh processes with one empty cache."""
    environment = {**os.environ, **hub.environment, "PYTHONPATH": str(CHECKOUT)}
    if importlib.util.find_spec("jax"):
        environment["KERAS_BACKEND"] = "numpy"  # which needs JAX to convolve, but starts much faster than TensorFlow
    arguments = [sys.executable, "-c", LOAD, str(checkout / "groco"), NAME]
    running = [subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=900)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    expected = groco.from_pretrained(NAME)
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(w).tobytes() for w in expected.get_weights())).hexdigest()
    assert printed == [[digest], [digest]]
    assert same_weights(expected, checkout)
    outcome("two processes at once, with an empty cache", "Both load the same weights.")


# Repositories and folders that nobody vouches for.


@pytest.fixture
def stranger(released, hub):
    """A repository that the manifest does not know."""
    files = dict(hub.repositories[REPO].commits[-1][1])
    return "stranger/net", hub.add("stranger/net", files), files


@pytest.mark.parametrize("form", ["hf://stranger/net", "hf://stranger/net@main", "hf://stranger/net@{commit}"])
def test_an_unknown_repository_is_loaded_and_said_to_be_unverified(form, stranger, checkout, hub, caplog):
    name = form.format(commit=stranger[1])
    with caplog.at_level(logging.WARNING, "groco"):
        model = groco.from_pretrained(name, num_classes=10)
    assert caplog.messages == [f"hf://stranger/net@{stranger[1]} is unverified: no manifest vouches for its files."]
    assert same_weights(model, checkout)
    hub.fault(500)
    assert groco.preprocessor(name, local_files_only=True).channels == 1


def test_the_pinned_commit_of_a_released_model_is_verified(released, hub, caplog):
    assert locate(f"hf://{REPO}@{released}").info.name == NAME
    assert locate(NAME, revision=released).info.name == NAME
    assert not caplog.messages
    newer = hub.add(REPO, {"README.md": b"changed"})
    assert locate(NAME).folder.name == released
    assert locate(NAME, revision=newer).info is None
    assert f"{newer} is unverified" in caplog.text


def test_a_damaged_file_of_an_unknown_repository(stranger, hub, outcome):
    hub.fault("garble", OF_WEIGHTS, times=1)
    folder = locate("hf://stranger/net").folder
    assert (folder / WEIGHTS).read_bytes() == stranger[2][WEIGHTS]
    overwrite(folder / "groco.json", lambda content: content.replace(b"28", b"29"))
    assert (locate("hf://stranger/net").folder / "groco.json").read_bytes() == stranger[2]["groco.json"]
    for file in (WEIGHTS, "golden.npz"):
        (folder / file).resolve().unlink(missing_ok=True)
    hub.fault("garble", OF_WEIGHTS)
    with pytest.raises(
        PretrainedError, match=r"has the hash \w{64}, the Hub says \w{64}, also when downloaded"
    ) as error:
        groco.from_pretrained("hf://stranger/net")
    outcome("one wrong byte in the weights of a repository that nobody vouches for, every time", error.value)


def test_keras_loads_from_the_hub_as_well(stranger, checkout, hub):
    assert same_weights(keras.saving.load_model("hf://stranger/net"), checkout)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hf://stranger/nothing", {}, "the token is wrong or missing, or there is no such repository"),
        ("hf://stranger/net@v9", {}, r"there is no such revision or file \(HTTP 404"),
        ("hf://stranger/net", {"revision": "v9"}, r"there is no such revision or file \(HTTP 404"),
        ("hf://stranger/net@main", {"revision": "v9"}, "Two revisions are given"),
        ("hf://stranger", {}, "not of the form hf://organisation/name"),
        ("hf://../../etc", {}, "not of the form hf://organisation/name"),
        ("hf://a/b/c", {}, "not of the form hf://organisation/name"),
        (Path("/nowhere"), {}, "There is no folder '/nowhere'"),
        (Path("."), {"revision": "v9"}, "is a folder, which has no revision"),
    ],
)
def test_names_that_lead_nowhere(name, options, message, stranger):
    with pytest.raises(PretrainedError, match=message):
        groco.from_pretrained(name, **options)


def test_a_bundled_model_has_no_revision():
    with pytest.raises(PretrainedError, match="is not on the Hub yet, so it has no revision 'v1'"):
        groco.from_pretrained("z2cnn.rotmnist", revision="v1")


@pytest.mark.parametrize("file", ["../../../evil", "/etc/passwd", "a/../../b"])
def test_a_manifest_that_leads_out_of_the_folder(file, released, checkout, hub, outcome):
    content = json.loads((checkout / MANIFEST).read_text())
    content["models"][NAME]["files"][file] = {"size": 1, "sha256": "0" * 64}
    (checkout / MANIFEST).write_text(json.dumps(content))
    groco.pretrained.manifest._manifest.cache_clear()
    with pytest.raises(PretrainedError, match="is not the plain name of a file") as error:
        groco.from_pretrained(NAME)
    assert hub.requests == []
    outcome(f"a manifest with a file {file!r}", error.value)


def test_a_manifest_with_a_short_revision(released, checkout, hub, outcome):
    with pytest.raises(PretrainedError, match="revision is a commit of 40 hexadecimal digits") as error:
        release(checkout / MANIFEST, NAME, REPO, released[:12])
    outcome("a manifest with a short revision", error.value)


def code_layers(marker: Path) -> dict[str, dict]:
    """Layers of configs that would make a file if they ran."""
    body = f"open({str(marker)!r}, 'w').close()"
    lambda_layer = keras.saving.serialize_keras_object(keras.layers.Lambda(eval(f"lambda x: ({body}, x)[1]")))
    plain = {"registered_name": None, "build_config": None}
    return {
        "a Lambda layer": lambda_layer,
        "a class of a foreign module": {
            **plain,
            "module": "evil_module",
            "class_name": "Evil",
            "config": {"name": "evil"},
        },
        "a function of a foreign module": {
            **plain,
            "module": "os",
            "class_name": "function",
            "config": "system",
            "registered_name": "system",
        },
        "a TFSMLayer": {
            **plain,
            "module": "keras.layers",
            "class_name": "TFSMLayer",
            "config": {"filepath": str(marker.parent / "saved"), "name": "tfsm"},
        },
    }


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize(
    "kind", ["a Lambda layer", "a class of a foreign module", "a function of a foreign module", "a TFSMLayer"]
)
def test_configs_that_would_run_code(kind, described, checkout, tmp_path, monkeypatch, outcome):
    marker = tmp_path / "evil_ran"
    (tmp_path / "evil_module.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    folder = checkout / "zoo" / NAME
    config = json.loads((folder / "config.json").read_text())
    layer = code_layers(marker)[kind]
    layer |= {
        "name": config["config"]["layers"][1]["name"],
        "inbound_nodes": config["config"]["layers"][1]["inbound_nodes"],
    }
    config["config"]["layers"][1] = layer
    (folder / "config.json").write_text(json.dumps(config))
    if not described:
        (folder / "groco.json").unlink()
    with pytest.raises(PretrainedError, match=r"config\.json (has|uses) .*; it is refused") as error:
        groco.from_pretrained(folder)
    with pytest.raises((ValueError, TypeError)):
        keras.saving.load_model(folder)
    assert not marker.exists()
    assert "evil_module" not in sys.modules
    if described:
        outcome(f"a config with {kind}", error.value)


def external_link(file, tmp_path):
    h5py.File(tmp_path / "other.h5", "w").close()
    file["layers"]["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")


def soft_link(file, tmp_path):
    file["layers"]["link"] = h5py.SoftLink("/layers")


def external_values(file, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(40))
    file["layers"].create_dataset("outside", (10,), "f4", external=[(str(tmp_path / "secret"), 0, 40)])


def virtual_values(file, tmp_path):
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (10,))
    file["layers"].create_virtual_dataset("virtual", layout)


def shape_bomb(file, tmp_path):
    file["layers"].create_dataset("bomb", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def loop(file, tmp_path):
    file["layers"]["loop"] = file["layers"]


def loop_to_the_top(file, tmp_path):
    file["layers"]["loop"] = file["/"]


def twin(file, tmp_path):
    name = next(iter(file["layers"]))
    file["layers"]["twin"] = file["layers"][name]


def texts(file, tmp_path):
    file["layers"].create_dataset("texts", data=["a", "b"])


H5_FAULTS = {
    "an external link": (external_link, "is a link to elsewhere .ExternalLink"),
    "a soft link": (soft_link, "is a link to elsewhere .SoftLink"),
    "values in another file": (external_values, "has its values in another file"),
    "a virtual array": (virtual_values, "has its values in another file"),
    "an array of 4 TiB in a small file": (shape_bomb, r"swells from 0 to 4,398,046,511,104 bytes when it is read"),
    "a group that contains itself": (loop, "is in the file twice"),
    "a group that contains the file": (loop_to_the_top, "is in the file twice"),
    "a group with two names": (twin, "is in the file twice"),
    "text": (texts, "not numbers"),
}


@pytest.mark.parametrize("kind", H5_FAULTS)
def test_weights_that_reach_out_or_swell(kind, checkout, tmp_path, outcome):
    damage, message = H5_FAULTS[kind]
    folder = checkout / "zoo" / NAME
    with h5py.File(folder / WEIGHTS, "a") as file:
        damage(file, tmp_path)
    with pytest.raises(PretrainedError, match=message) as error:
        groco.from_pretrained(folder)
    outcome(f"a file of weights with {kind}", error.value)


def test_weights_with_a_byte_that_is_wrong(checkout):
    """They are read, or refused by name, whatever h5py makes of it."""
    file = checkout / "zoo" / NAME / WEIGHTS
    content, refused = file.read_bytes(), 0
    for place in range(0, 4000, 40):
        file.write_bytes(content[:place] + bytes([255 - content[place]]) + content[place + 1 :])
        try:
            check_weights(file)
        except PretrainedError as error:
            assert WEIGHTS in str(error)
            refused += 1
    assert refused > 5


def test_weights_in_another_file_in_place_of_a_weight(checkout, tmp_path):
    """The same where Keras would look for the weight, and where only Keras' own files are there."""
    folder = checkout / "zoo" / NAME
    (folder / "groco.json").unlink()
    with h5py.File(folder / WEIGHTS, "a") as file:
        group = next(group for group in file["layers"].values() if "vars" in group and len(group["vars"]))["vars"]
        del group["0"]
        group["0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
    with pytest.raises(PretrainedError, match="is a link to elsewhere"):
        groco.from_pretrained(folder)


DESCRIPTIONS = {
    "an unknown schema": ({"schema": 2}, "not a description of schema 1: it has 2"),
    "an argument that is a table": (
        {"arguments": {"classifier_activation": {"class_name": "Lambda"}}},
        "argument 'classifier_activation' is a table",
    ),
    "a width of 100,000": (
        {"arguments": {"width": 100_000}},
        r"model\.weights\.h5 does not fit: it holds [\d,]+ numbers, the model has 1,800,067,900,010 weights",
    ),
    "an unknown argument": ({"arguments": {"wings": 2}}, r"groco\.json does not make a model: .*wings"),
    "an unknown architecture": (
        {"architecture": "p5cnn"},
        r"groco\.json does not make a model: .*no architecture 'p5cnn'",
    ),
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_descriptions_of_strangers(kind, checkout, outcome):
    change, message = DESCRIPTIONS[kind]
    folder = checkout / "zoo" / NAME
    content = json.loads((folder / "groco.json").read_text())
    (folder / "groco.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(PretrainedError, match=message) as error:
        groco.from_pretrained(folder)
    outcome(f"a groco.json with {kind}", error.value)


def test_a_model_that_only_keras_knows(tmp_path, caplog):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    keras.saving.save_model(model, tmp_path / "own", zipped=False)
    loaded = groco.from_pretrained(tmp_path / "own")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert "is unverified" in caplog.text
    with pytest.raises(
        PretrainedError, match=r"has no groco\.json, so it can only be loaded as it is; got num_classes"
    ):
        groco.from_pretrained(tmp_path / "own", num_classes=2)
    model.layers[0].kernel.assign(np.full((4, 3), np.inf))
    shutil.rmtree(tmp_path / "own")
    keras.saving.save_model(model, tmp_path / "own", zipped=False)
    with pytest.raises(PretrainedError, match="has values that are not finite"):
        groco.from_pretrained(tmp_path / "own")


def test_the_hub_library_is_the_real_one():
    assert huggingface_hub.__version__
