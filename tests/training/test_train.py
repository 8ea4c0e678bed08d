"""A run is the same each time, broken off or not, and what goes wrong is said and loses nothing."""

import csv
import json
import re
import shutil
import statistics
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from groco.layers import GlobalGroupAveragePooling2D, GroupBatchNormalization, GroupConv2D
from groco.models import create_model, list_models
from groco.pretrained.manifest import parse_manifest
from training import checkpoints, devices, evaluate, make_zoo, tasks, train
from training import results as training_results
from training.batches import Batches
from training.config import list_configs, load_config, recipe

CHANGES = ["epochs=4", "checkpoint_every=2", "batch_size=64"]


def _config(name="z2cnn_rotmnist", *changes):
    """A short one that does not say that it was changed, so that zoo entries can be made of it."""
    return {**load_config(name, [*CHANGES, *changes]), "changes": []}


def _history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return [(line["epoch"], line["loss"], line["accuracy"]) for line in csv.DictReader(file)]


def _weights(folder):
    return keras.saving.load_model(folder / "last.keras", compile=False).get_weights()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, mnist_file):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.datasets.rotated_mnist.NUM_TRAIN", 256)
        patch.setattr("training.datasets.rotated_mnist.NUM_TEST", 100)
        result = train.run(_config(), 1, folder, str(mnist_file))
    return folder, result


def test_a_run_leaves_what_it_says(unbroken):
    folder, result = unbroken
    assert [line[0] for line in _history(folder)] == ["1", "2", "3", "4"]
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["parameters"] == 21_750
    assert result["test_examples"] == 100
    assert {f.name for f in folder.iterdir()} == {
        "config.json", "curves.png", "final.keras", "history.csv", "last.keras", "previous.keras", "result.json",
    }  # fmt: skip


@pytest.mark.parametrize("broken_at", [1, 2, 3])
def test_a_run_broken_off_and_resumed_is_the_same(broken_at, unbroken, mnist_file, small, tmp_path, monkeypatch):
    """z2cnn has dropout, so that its random state counts as well."""
    folder = tmp_path / "broken"
    fit, epochs = keras.Model.fit, []

    def killed(model, *args, **kwargs):
        if len(epochs) == broken_at:
            raise KeyboardInterrupt
        epochs.append(1)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        train.run(_config(), 1, folder, str(mnist_file))
    monkeypatch.setattr(keras.Model, "fit", fit)
    keras.utils.set_random_seed(99)
    train.run(_config(), 1, folder, str(mnist_file), resume=True)
    assert _history(folder) == _history(unbroken[0])
    for a, b in zip(_weights(folder), _weights(unbroken[0]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_is_another_run(unbroken, mnist_file, small, tmp_path):
    train.run(_config("z2cnn_rotmnist", "epochs=1"), 2, tmp_path / "run", str(mnist_file))
    assert _history(tmp_path / "run")[0] != _history(unbroken[0])[0]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(unbroken, mnist_file, small, tmp_path):
    folder = tmp_path / "run"
    train.run(_config(), 1, folder, str(mnist_file))
    (folder / "last.keras").write_bytes(b"half a checkpoint")
    train.run(_config(), 1, folder, str(mnist_file), resume=True)
    assert _history(folder) == _history(unbroken[0])
    for a, b in zip(_weights(folder), _weights(unbroken[0]), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in checkpoints.CHECKPOINTS:
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(train.TrainingError, match=r"no checkpoint in .* can be read"):
        train.run(_config(), 1, folder, str(mnist_file), resume=True)


def test_it_is_said_of_a_checkpoint_what_is_wrong_and_what_is_tried(unbroken, mnist_file, small, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(unbroken[0], folder)
    for name in checkpoints.CHECKPOINTS:
        (folder / name).write_bytes(b"")
    with pytest.raises(train.TrainingError, match="remove that folder to train from the beginning"):
        train.run(_config(), 1, folder, str(mnist_file), resume=True)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" cannot be read ")[2] for line in said if "cannot be read" in line] == [
        "(it is not a whole .keras file); trying the one before",
        "(it is not a whole .keras file)",
    ]


def test_a_checkpoint_that_does_not_say_its_epoch_is_damaged(unbroken, mnist_file, small, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(unbroken[0], folder)
    with zipfile.ZipFile(folder / "last.keras", "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name that is there twice
        file.writestr(checkpoints.PROGRESS, '{"epoch": "x"}')
    train.run(_config(), 1, folder, str(mnist_file), resume=True)
    assert "last.keras cannot be read (its epoch is 'x'); trying the one before" in capsys.readouterr().err
    assert _history(folder) == _history(unbroken[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,loss,accuracy\n1,2,0.1\n", r"history\.csv cannot be read .*its columns are epoch, loss, accuracy"),
        ("epoch,loss,accuracy,val,seconds\n1,2,0.1,3,1\n", r"history\.csv has other columns than this run \(val\)"),
    ],
)
def test_a_history_of_other_columns(text, message, unbroken, mnist_file, small, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(unbroken[0], folder)
    (folder / "last.keras").unlink()
    (folder / "history.csv").write_text(text)
    with pytest.raises(train.TrainingError, match=message):
        train.run(_config(), 1, folder, str(mnist_file), resume=True)
    (folder / "history.csv").unlink()
    assert train.run(_config(), 1, folder, str(mnist_file), resume=True)["test_error"] == unbroken[1]["test_error"]


def test_files_of_a_run_that_cannot_be_read_are_named(unbroken, tmp_path, capsys):
    for name, text, message in (
        ("config.json", "[]", "config.json has no table"),
        ("result.json", '{"name"', "result.json cannot be read"),
        ("final.keras", "half", "final.keras cannot be read (it is not a whole .keras file)"),
    ):
        folder = tmp_path / name
        shutil.copytree(unbroken[0], folder)
        (folder / name).write_text(text)
        if name == "final.keras":
            with pytest.raises(ValueError, match=re.escape(message)):
                checkpoints.load_final(folder)
            continue
        assert evaluate.main([str(folder)]) == 1
        assert message in capsys.readouterr().err


def test_a_run_that_came_to_nothing_is_not_in_the_way(unbroken, mnist_file, small, tmp_path):
    """It has left its config, and nothing that could be lost."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(unbroken[0] / "config.json", folder)
    assert train.run(_config("z2cnn_rotmnist", "epochs=1"), 1, folder, str(mnist_file))["seed"] == 1


def test_what_making_a_batch_raises_is_said(mnist_file, small, tmp_path, capsys, monkeypatch):
    """On TensorFlow, where tf.data has it made, as well."""

    def fail(batches, index):
        if index == 1:
            raise ValueError("the disk has gone")
        return get(batches, index)

    get = Batches.__getitem__
    monkeypatch.setattr(Batches, "__getitem__", fail)
    arguments = ["z2cnn_rotmnist", "--data", str(mnist_file), "--runs", str(tmp_path), "--set", "batch_size=64"]
    assert train.main(arguments) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "training: the disk has gone"


def test_a_damaged_config_can_be_removed(unbroken, mnist_file, small, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(unbroken[0], folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(train.TrainingError, match=r"config\.json cannot be read .* Where it is removed --resume"):
        train.run(_config(), 1, folder, str(mnist_file), resume=True)
    (folder / "config.json").unlink()
    assert train.run(_config(), 1, folder, str(mnist_file), resume=True)["test_error"] == unbroken[1]["test_error"]


def test_the_final_net_is_without_its_training(unbroken):
    net = keras.saving.load_model(unbroken[0] / "final.keras")
    assert not net.compiled
    assert not hasattr(net, "optimizer") or net.optimizer is None
    sizes = [(unbroken[0] / name).stat().st_size for name in ("final.keras", "last.keras")]
    assert 2 * sizes[0] < sizes[1]


def test_a_run_is_not_overwritten(unbroken, mnist_file):
    with pytest.raises(train.TrainingError, match="exists already; add --resume"):
        train.run(_config(), 1, unbroken[0], str(mnist_file))


def test_a_loss_that_is_not_finite_stops_the_run(mnist_file, small, tmp_path, capsys):
    arguments = ["z2cnn_rotmnist", "--data", str(mnist_file), "--runs", str(tmp_path), "--set", "epochs=3"]
    status = train.main([*arguments, "--set", "optimizer.config.learning_rate=1e30"])
    assert status == 1
    said = capsys.readouterr().err
    assert "the loss is nan in epoch" in said
    assert "A smaller learning rate may help, in a run from the beginning: with another folder by --runs" in said


def test_a_net_that_is_not_finite_has_no_score():
    model = create_model("z2cnn", width=1)
    head = model.get_layer("head")
    head.set_weights([np.full_like(weight, np.nan) for weight in head.get_weights()])
    arrays = {"test": (np.zeros((2, 28, 28, 1), "float32"), np.zeros(2, "uint8"))}
    with pytest.raises(train.TrainingError, match="z2cnn gives values that are not finite for the split 'test'"):
        train.evaluate(model, None, lambda images: images, arrays, 2)


@pytest.mark.parametrize("change", ["epochs=1", "optimizer.config.learning_rate=0.5"])
def test_changes_that_leave_the_schedule_as_it_is(change, tmp_path, capsys):
    for others, told in (((), 1), (("schedule=None",), 0), (("schedule.config.decay_steps=2",), 0)):
        arguments = [part for each in (change, *others) for part in ("--set", each)]
        missing = ("--data", str(tmp_path / "none"), "--runs", str(tmp_path / "runs"))
        assert train.main(["resnet20_cifar10", *missing, *arguments]) == 1
        assert capsys.readouterr().err.count("the schedule of the learning rate") == told
        shutil.rmtree(tmp_path / "runs")


def test_the_first_examples_are_of_all_classes():
    images, labels = np.arange(12), np.repeat([0, 1, 2], 4)
    assert train.first_examples(images, labels, None) == (images, labels)
    chosen, classes = train.first_examples(images, labels, 4)
    assert chosen.tolist() == [0, 4, 7, 11]
    assert set(classes) == {0, 1, 2}
    assert train.first_examples(images, labels[::-1], 3)[0].tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="train_examples is 13, and there are 12"):
        train.first_examples(images, labels, 13)


def test_l2_is_a_part_of_the_loss(mnist_file, small, tmp_path):
    squares, losses = {}, {}
    for l2 in (0.0, 0.1):
        folder = tmp_path / str(l2)
        train.run(_config("z2cnn_rotmnist", "epochs=1", "train_examples=128", f"l2={l2}"), 0, folder, str(mnist_file))
        model = keras.saving.load_model(folder / "final.keras")
        assert not model.losses, "the net that is kept has no part in it"
        squares[l2] = sum(float((weight.numpy() ** 2).sum()) for weight in model.trainable_weights)
        losses[l2] = float(_history(folder)[0][1])
    assert losses[0.1] > losses[0.0] + 0.08 * squares[0.1]
    assert squares[0.1] < squares[0.0]


def test_command_line(mnist_file, small, tmp_path, capsys):
    arguments = ["p4cnn_rotmnist", "--data", str(mnist_file), "--runs", str(tmp_path), "--set", "epochs=1"]
    assert train.main([*arguments, "--set", "train_examples=64", "--seed", "3"]) == 0
    assert "p4cnn.rotmnist: test error" in capsys.readouterr().out
    assert (tmp_path / "p4cnn.rotmnist-seed3" / "result.json").exists()
    assert train.main([*arguments, "train_examples=64", "--seed", "4"]) == 0  # several changes after one --set
    assert train._one_change_each(["--set", "a=1", "b=2", "c=3", "name", "--seed", "3"]) == [
        *("--set", "a=1", "--set", "b=2", "--set", "c=3", "name", "--seed", "3")
    ]
    two = [json.loads((tmp_path / f"p4cnn.rotmnist-seed{seed}" / "config.json").read_text()) for seed in (3, 4)]
    assert two[0] == {**two[1], "seed": 3}
    assert train.main(["p4cn_rotmnist"]) == 1
    assert "no config 'p4cn_rotmnist'. Close names: p4cnn_rotmnist" in capsys.readouterr().err
    assert train.main(["p4cnn_rotmnist", "--data", "nowhere.npz", "--runs", str(tmp_path)]) == 1
    assert "no file or folder 'nowhere.npz'" in capsys.readouterr().err


@pytest.mark.parametrize("name", list_configs())
def test_configs(name):
    config = load_config(name)
    assert load_config(config["name"]) == load_config(f"training/configs/{name}.py") == config
    assert config["model"] in list_models()
    model = create_model(config["model"], **config["model_args"])
    keras.optimizers.deserialize(config["optimizer"])
    assert config["name"].replace(".", "_") == name
    assert config["paper"] is None or config["paper"]["arxiv"]
    assert config["card"]["about"]
    module = __import__(f"training.configs.{name}", fromlist=["CONFIG"])
    for word in ("Paper:", "Recipe:", "Expect:", "Time:", "Command:", f"python -m training.train {name}"):
        assert word in module.__doc__
    told = re.search(r"^Expect: (.*)$", module.__doc__, re.MULTILINE).group(1)
    changes = re.findall(r"--set (\S+)", module.__doc__)
    runs = training_results.results_of(load_config(name, changes))
    means = (
        [statistics.mean(100 * run[score] for run in runs) for score in training_results.scores(runs[0])]
        if runs
        else []
    )
    assert re.findall(r"[\d.]+(?= %)", told) == [f"{mean:.2f}" for mean in means]
    assert not runs or f"{len(runs)} seed" in told
    assert model.count_params() > 0


@pytest.mark.parametrize(
    "names",
    [
        ("unet_em", "p4_unet_em", "p4m_unet_em"),
        ("resnet20_cifar10", "p4m_resnet20_cifar10"),
        ("resnet44_cifar10", "p4m_resnet44_cifar10"),
        ("resnet3d_modelnet10", "o_resnet3d_modelnet10"),
    ],
)
def test_nets_that_are_compared_have_as_many_parameters_and_the_same_recipe(names):
    configs = [load_config(name) for name in names]
    nets = [create_model(config["model"], **config["model_args"]) for config in configs]
    numbers = [sum(w.size for w in net.get_weights()) for net in nets]
    assert max(numbers) < 1.02 * min(numbers)
    of_the_net = {"name": "", "model": "", "model_args": {}}
    assert len({json.dumps({**recipe(config), **of_the_net}) for config in configs}) == 1


@pytest.mark.parametrize("name", [n for n in list_configs() if "_cifar10" in n and "resnet20" not in n])
def test_two_steps_on_photographs(name, rng, monkeypatch):
    """On made-up ones, of the configs that want a GPU."""
    config = {**load_config(name), "jit_compile": False}
    task = tasks.make("classification", 10, config["label_smoothing"])
    inputs, labels = rng.normal(size=(8, 32, 32, 3)).astype("float32"), np.arange(8)
    batches = Batches(
        inputs, labels, batch_size=4, seed=0, epoch=0, augmentations=config["augment"], targets=task.targets
    )
    monkeypatch.setattr(keras.config, "dtype_policy", lambda: keras.DTypePolicy(config["precision"]))
    model = train.new_model(config, task, inputs.shape[1:], len(batches))
    model.run_eagerly = True  # TensorFlow takes half a minute to make a graph of 44 layers
    before = model.get_weights()
    assert np.isfinite(model.fit(batches, verbose=0).history["loss"]).all()
    assert all(
        np.isfinite(new).all() and not np.array_equal(old, new)
        for old, new, weight in zip(before, model.get_weights(), model.weights, strict=True)
        if weight.trainable
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs", "form key=value"),
        ("epoch=3", "has no 'epoch'"),
        ("model.width=3", "no section 'model'"),
        ("epochs=0", "epochs is a positive int, got 0"),
        ("train_examples=none", "train_examples is None or a positive int, got 'none'"),
        ("batch_size={[]:1}", "batch_size is a positive int"),
        ("model_args=3", "model_args is a table, got 3"),
        ("dataset_args.foo=1", "dataset_args is a table of the variant, got .*foo"),
        ("optimizer=adam", "optimizer is a table of class_name and config, got 'adam'"),
        ("schedule=cosine", "schedule is None or a table of class_name and config"),
        ("label_smoothing=lots", "label_smoothing is 0.0 or a number between 0 and 1"),
        ("ema_momentum=1.5", "ema_momentum is None or a number between 0 and 1"),
        ("precision=16", "precision is one of float32, mixed_bfloat16"),
        ("precision=int8", "precision is one of float32, mixed_bfloat16"),
        ("name=" + 101 * "x", "name is the name of a file of at most 100 letters"),
        ("optimizer.config.beta_1=1", "optimizer is a table with beta_1 below 1"),
        ("optimizer.config.gradient_accumulation_steps=2.5", "optimizer is a table with steps to accumulate from 2"),
        ("optimizer.config={1: 2}", "optimizer is a table of class_name and config"),
        (
            "schedule={'class_name': 'PiecewiseConstantDecay', 'config': {'boundaries': [2, 1], 'values': [1, 1, 1]}}",
            "schedule is a table whose boundaries ascend",
        ),
        (
            "schedule={'class_name': 'CosineDecay', 'config': {'initial_learning_rate': 'x', 'decay_steps': 1}}",
            "schedule is a table without text for initial_learning_rate",
        ),
        ("augment=[['flip',{'probability':7}]]", "flip has a probability of at least 0 and at most 1, got 7"),
        ("augment=[['cutout',{'size':-3}]]", "cutout has a size of at least 0, got -3"),
        ("jit_compile=never", "jit_compile is auto, True or False"),
        ("preprocess=['none']", "preprocess is one of"),
        ("augment=None", "augment is a list of augmentations, got None"),
        ("augment=3", "augment is a list of augmentations, got 3"),
        ("augment=[[['flip'],{}]]", "an augmentation is a pair"),
        ("augment=[['flip',{'p':1}]]", "flip has no argument p; it has probability"),
        ("l2=-1", "l2 is a number from 0.0, got -1"),
        ("l2=True", "l2 is a number from 0.0, got True"),
        ("name=../evil", "name is the name of a file .* got '../evil'"),
        ("name=..", "name is the name of a file"),
        ("paper=5", "paper is None or a table with a title, got 5"),
        ("paper={}", "paper is None or a table with a title"),
        ("model=[]", r"model is the name of a model, got \[\]"),
        ("changes=3", "'changes=3': changes are kept of what --set is given"),
        ("card={'about': 3}", "card is a table of sentences: about, usage, "),
        ("card.colour=red", "card is a table of sentences"),
        ("optimizer.config.clipnorm=-1", "optimizer is a table whose numbers are finite and from 0, got .*-1"),
        ("optimizer.config.learning_rate=1e999", "optimizer is a table whose numbers are finite and from 0"),
        ("optimizer.config.learning_rate=fast", "optimizer is a table without text for learning_rate"),
        ("optimizer.config.learning_rate=None", "optimizer is a table whose config has a number as learning_rate"),
        ("optimizer.config={}", "optimizer is a table whose config has a number as learning_rate, or goes with a sche"),
        (
            "schedule={'class_name': 'PiecewiseConstantDecay', 'config': {'boundaries': [1], 'values': [0.1, -0.1]}}",
            "schedule is a table whose numbers are finite and from 0",
        ),
        ("model_args.num_classes=3", "model_args is a table without num_classes, which the data says"),
    ],
)
def test_wrong_changes(change, message):
    with pytest.raises(ValueError, match=message):
        load_config("p4cnn_rotmnist", [change])


def test_a_model_or_optimizer_that_cannot_be_made(mnist_file, small, tmp_path, capsys):
    for change, message in (
        ("model_args.dropout=yes", "z2cnn cannot be built with {'dropout': 'yes'}"),
        ("optimizer.config.speed=1", "no optimizer can be made of {'class_name': 'Adam', 'config': {'learning_rate'"),
        ("optimizer.class_name=Adamm", "Adamm"),
        ("schedule={'class_name': 'CosineDecay', 'config': {'decay_steps': None}}", "epochs are counted in numbers"),
        ("schedule={'class_name': 'CosineDecay', 'config': {'speed': 1}}", "no schedule can be made of"),
        ("augment=[['flip', {'probability': 'x'}]]", "flip with {'probability': 'x'} cannot be applied to inputs"),
    ):
        arguments = ["--data", str(mnist_file), "--runs", str(tmp_path / change), "--set", change]
        assert train.main(["z2cnn_rotmnist", *arguments]) == 1
        said = capsys.readouterr().err
        assert message in said
        assert said.startswith("training: ")


def test_changes_stay_in_one_config():
    assert load_config("p4cnn_rotmnist", ["dataset_args.variant=original"])["dataset_args"] == {"variant": "original"}
    assert load_config("z2cnn_rotmnist")["dataset_args"] == {}


def test_changes():
    config = load_config("p4cnn_rotmnist", ["epochs=3", "model_args.group=P4M", "optimizer.config.learning_rate=0.1"])
    assert config["epochs"] == 3
    assert config["model_args"] == {"group": "P4M"}
    assert config["optimizer"]["config"]["learning_rate"] == 0.1


def test_changes_that_make_no_other_net_are_not_told():
    config = load_config("p4cnn_rotmnist", ["workers=7", "epochs=3", "evaluate_batch=5", "l2=1"])
    assert (config["workers"], config["changes"]) == (7, ["epochs=3", "l2=1"])
    assert recipe(config) == recipe(load_config("p4cnn_rotmnist", ["epochs=3", "l2=1"]))
    assert recipe(config) != recipe(load_config("p4cnn_rotmnist", ["l2=1"]))


def test_configs_of_ones_own(tmp_path):
    path = tmp_path / "p4cnn_rotmnist.py"  # as one that there is
    path.write_text("from training.configs.p4cnn_rotmnist import CONFIG\nCONFIG = {**CONFIG, 'epochs': 3}\n")
    assert load_config(str(path))["epochs"] == 3
    assert load_config("p4cnn_rotmnist")["epochs"] == 100
    for text, message in (("CONFIG = 1 /", "SyntaxError"), ("", "no table CONFIG"), ("CONFIG = {}", "lacks name")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            load_config(str(path))
    path.unlink()
    with pytest.raises(ValueError, match=r"no config file .*p4cnn_rotmnist\.py"):
        load_config(str(path))


def test_zoo_entries_from_runs(unbroken, tmp_path, monkeypatch):
    folder, result = unbroken
    monkeypatch.setattr(make_zoo, "load_config", lambda name: _config())
    zoo, results, manifest = tmp_path / "zoo", tmp_path / "results", tmp_path / "manifest.json"
    zoo.mkdir()
    results.mkdir()
    where = ["--zoo", str(zoo), "--results", str(results), "--manifest", str(manifest)]
    (zoo / ".DS_Store").touch()
    (zoo / ".z2cnn.rotmnist-left").mkdir()
    for _ in range(2):  # an entry that is there is replaced whole
        assert make_zoo.main([str(folder), *where]) == 0
    (entry,) = parse_manifest(json.loads(manifest.read_text())).values()
    assert entry.name == "z2cnn.rotmnist"
    assert (entry.metrics["test_error"], entry.metrics["test_error_std"]) == (result["test_error"], None)
    assert {f.name for f in (zoo / "z2cnn.rotmnist").iterdir()} == set(entry.files)
    assert {f.name for f in zoo.iterdir()} == {".DS_Store", ".z2cnn.rotmnist-left", "z2cnn.rotmnist"}
    (zoo / "z2cnn.rotmnist" / ".DS_Store").touch()
    loaded = keras.saving.load_model(Path(zoo / "z2cnn.rotmnist"))
    for a, b in zip(loaded.get_weights(), _weights(folder), strict=True):
        np.testing.assert_array_equal(a, b)
    # Another seed adds to the metrics and the card, the weights stay.
    other = {**result, "seed": 2, "test_error": result["test_error"] / 2}
    training_results.record(other, results)
    assert make_zoo.main(where) == 0
    (again,) = parse_manifest(json.loads(manifest.read_text())).values()
    assert again.files["model.weights.h5"] == entry.files["model.weights.h5"]
    assert set(again.files) == set(entry.files)
    assert again.metrics["seeds"] == [1, 2]
    assert again.metrics["test_error_mean"] == pytest.approx(0.75 * result["test_error"])
    card = (zoo / "z2cnn.rotmnist" / "README.md").read_text()
    assert "mean of 2 seeds" in card
    assert again.recipe["epochs"] == 4
    # Of results that the config, as it was edited meanwhile, does not give, the card says nothing.
    monkeypatch.setattr(make_zoo, "load_config", load_config)
    training_results.record({**other, "seed": 3}, results)
    assert make_zoo.main(where) == 0
    assert (zoo / "z2cnn.rotmnist" / "README.md").read_text() == card


def test_the_recipe_of_a_run_of_before_it_was_in_the_result(unbroken, tmp_path):
    for name in ("result.json", "config.json"):
        content = json.loads((unbroken[0] / name).read_text())
        content.pop("recipe", None)
        content.pop("l2", None)
        (tmp_path / name).write_text(json.dumps(content))
    assert make_zoo._read_result(tmp_path) == unbroken[1]


def test_zoo_entries_are_of_unchanged_configs(unbroken, tmp_path):
    result = json.loads((unbroken[0] / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps({**result, "changes": ["epochs=4"]}))
    with pytest.raises(ValueError, match="changed config, epochs=4"):
        make_zoo.main([str(tmp_path), "--zoo", str(tmp_path), "--results", str(tmp_path)])
    (tmp_path / "result.json").write_text(json.dumps({**result, "preprocess": "contrast_zca"}))
    with pytest.raises(ValueError, match="was trained on whitened images"):
        make_zoo.main([str(tmp_path), "--zoo", str(tmp_path), "--results", str(tmp_path)])
    with pytest.raises(FileNotFoundError, match="nowhere' is no folder of a finished run"):
        make_zoo.main(["nowhere", "--zoo", str(tmp_path), "--results", str(tmp_path)])


def test_a_run_that_cannot_be_read_leaves_no_result(unbroken, tmp_path):
    results, run = tmp_path / "results", tmp_path / "run"
    results.mkdir()
    run.mkdir()
    for name in ("result.json", "config.json"):
        (run / name).write_bytes((unbroken[0] / name).read_bytes())
    net = (unbroken[0] / "final.keras").read_bytes()
    where = ["--zoo", str(tmp_path), "--results", str(results), "--manifest", str(tmp_path / "manifest.json")]
    for content in (net[: len(net) // 2], net[:4000] + b"xx" + net[4002:]):
        (run / "final.keras").write_bytes(content)
        with pytest.raises(ValueError, match=r"final\.keras cannot be read"):
            make_zoo.main([str(run), *where])
    (run / "result.json").write_text('{"name": "x"}')
    with pytest.raises(ValueError, match="is no result of a run: it lacks changes, seed"):
        make_zoo.main([str(run), *where])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "run"]
    assert list(results.iterdir()) == []


def test_a_run_that_is_refused_leaves_no_folder(tmp_path, capsys):
    arguments = ["--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "nothing")]
    assert train.main(["z2cnn_rotmnist", *arguments]) == 1
    assert "There is no file or folder" in capsys.readouterr().err
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("precision=float7", "precision is one of float32, mixed_bfloat16"),
        ("augment=[['crop', {'size': 0}]]", "a window of 0 points does not fit inputs of 28 x 28"),
        ("augment=[['elastic', {'size': 0}]]", "a window of 0 pixels does not fit images of 28 x 28"),
        ("augment=[['crop', {'size': 21}]]", "z2cnn takes inputs (28, 28, 1), not (21, 21, 1), as they are"),
        ("model_args={'input_shape': (28, 28, 2)}", "z2cnn takes inputs (28, 28, 2), not (28, 28, 1), as they are"),
    ],
)
def test_what_the_net_does_not_take_is_refused_before_anything_is_written(
    change, message, mnist_file, small, tmp_path, capsys
):
    arguments = ["--runs", str(tmp_path / "runs"), "--data", str(mnist_file), "--set", change]
    assert train.main(["z2cnn_rotmnist", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "runs").exists() or list((tmp_path / "runs").iterdir()) == []


def test_averages_that_the_optimizer_asks_for_have_their_statistics_too(mnist_file, small, tmp_path):
    weights = []
    for name, changes in (
        ("a", ["ema_momentum=0.9"]),
        ("b", ["optimizer.config.use_ema=True", "optimizer.config.ema_momentum=0.9"]),
    ):
        train.run(_config("z2cnn_rotmnist", "epochs=1", *changes), 0, tmp_path / name, str(mnist_file))
        weights.append(keras.saving.load_model(tmp_path / name / "final.keras", compile=False).get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name", ["p4m_resnet44_cifar10", "resnet44_cifar10", "p4m_allcnn_cifar10", "z2_allcnn_cifar10"]
)
@pytest.mark.parametrize("number", [2, 4, 8])
def test_batches_of_large_configs_can_be_shared(name, number):
    cluster = devices.OneDevice()
    cluster.replicas = number
    cluster.check(load_config(name))


def test_the_net_of_a_run_is_evaluated_again(unbroken, mnist_file, small, tmp_path, capsys):
    folder, result = unbroken
    assert evaluate.main([str(folder), "--data", str(mnist_file)]) == 0
    stated = f"{100 * result['test_error']:.2f} %"
    assert f"test error {stated}, stated: {stated}" in capsys.readouterr().out
    for name in ("result.json", "config.json"):
        content = json.loads((folder / name).read_text())
        content.pop("l2", None)  # of before there was one
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "final.keras").write_bytes((folder / "final.keras").read_bytes())
    assert evaluate.main([str(tmp_path), "--data", str(mnist_file)]) == 0
    (tmp_path / "final.keras").write_bytes(b"half a net")
    capsys.readouterr()
    assert evaluate.main([str(tmp_path), "--data", str(mnist_file)]) == 1
    assert capsys.readouterr().err.startswith(f"training: {tmp_path / 'final.keras'} cannot be read")


def test_statistics_are_those_of_the_averaged_weights():
    rng = np.random.default_rng(0)
    inputs = rng.normal(3, 2, size=(48, 8, 8, 1)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            GroupConv2D(2, 3, group="P4", use_bias=False),
            GroupBatchNormalization(name="norm"),
            GlobalGroupAveragePooling2D(group="P4"),
        ]
    )
    norm, weights = model.get_layer("norm"), [np.array(ops.convert_to_numpy(w)) for w in model.trainable_weights]
    train.renew_statistics(model, Batches(inputs, np.zeros(48), batch_size=16, seed=0, epoch=0))
    features = ops.convert_to_numpy(model.layers[0](inputs))
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_mean), features.mean(axis=(0, 1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_variance), features.var(axis=(0, 1, 2, 3)), rtol=0.05)
    assert norm.momentum == 0.99
    for weight, before in zip(model.trainable_weights, weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), before)
