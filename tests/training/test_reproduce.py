"""A table is made of the runs it needs; missing ones are made; the page that is written says what was measured."""

import csv

import pytest

from training import reproduce, results, tables
from training.config import load_config, recipe
from training.tables import TABLES, Row, Table

TABLE = Table(
    "Digits",
    "Of nobody.",
    {"test_error": "error %"},
    (
        Row("a", "p4cnn_rotmnist", 2, published={"test_error": "2.28"}, group="a", x=1.0),
        Row("b", "p4cnn_rotmnist", 1, ("train_examples=10",), group="a", x=10.0),
        Row("c", "z2cnn_rotmnist", 1),
    ),
    plot=("test_error", "digits"),
)


@pytest.fixture
def made(monkeypatch, tmp_path):
    """What would be trained, and its made-up results."""
    monkeypatch.setitem(TABLES, "digits", TABLE)
    runs = []

    def run(config, seed, folder, data, resume):
        runs.append((config["name"], config["train_examples"], seed, folder.name))
        return {
            "name": config["name"],
            "changes": config["changes"],
            "seed": seed,
            "test_error": 0.01 * len(runs),
            "parameters": 24680,
            "seconds": 120.0,
            "hardware": "2 cores",
            "recipe": recipe(config),
        }

    reproduce.make_runs(TABLE, tmp_path / "runs", tmp_path / "results", run=run)
    return runs, tmp_path, run


def test_missing_runs_are_made(made):
    runs, folder, run = made
    assert runs == [
        ("p4cnn.rotmnist", None, 0, "p4cnn.rotmnist-seed0"),
        ("p4cnn.rotmnist", None, 1, "p4cnn.rotmnist-seed1"),
        ("p4cnn.rotmnist", 10, 0, "p4cnn.rotmnist-train_examples_10-seed0"),
        ("z2cnn.rotmnist", None, 0, "z2cnn.rotmnist-seed0"),
    ]
    reproduce.make_runs(TABLE, folder / "runs", folder / "results", run=run)
    assert len(runs) == 4, "what has a result is not made again"
    (folder / "results" / "z2cnn.rotmnist-seed0.json").unlink()
    reproduce.make_runs(TABLE, folder / "runs", folder / "results", run=run)
    assert runs[4:] == [("z2cnn.rotmnist", None, 0, "z2cnn.rotmnist-seed0")]


def test_results_of_another_recipe_are_none(made):
    """A config was edited after its runs: they are made again; what makes no other net may change."""
    _, folder, _ = made
    config = load_config("z2cnn_rotmnist")
    assert len(results.results_of(config, folder / "results")) == 1
    assert len(results.results_of({**config, "workers": 7}, folder / "results")) == 1
    assert results.results_of({**config, "epochs": 3}, folder / "results") == []


def test_what_is_no_result_is_named(made, capsys):
    _, folder, _ = made
    (folder / "results" / "broken.json").write_text("{")
    where = ["--results", str(folder / "results"), "--pages", str(folder / "pages"), "--report"]
    assert reproduce.main(["digits", *where]) == 1
    assert f"{folder / 'results' / 'broken.json'} is no result of a run" in capsys.readouterr().err


def test_runs_with_other_changes_have_other_names():
    names = [results.run_name("a", [change]) for change in ("b.c=-1", "b.c=1", "b.c=1e-3", "b.c=1e+3")]
    assert len(set(names)) == 4


def test_what_is_written(made):
    _, folder, _ = made
    where = ["--results", str(folder / "results"), "--pages", str(folder / "pages"), "--report"]
    (folder / "results" / "z2cnn.rotmnist-seed0.json").unlink()
    reproduce.write("digits", folder / "results", folder / "pages")
    page = (folder / "pages" / "digits.md").read_text()
    assert "| a | 24,680 | 1.50 ± 0.71 | 2.28 | 2 | 2, 2 cores |" in page
    assert "| b | 24,680 | 3.00 |  | 1 | 2, 2 cores |" in page
    assert "| c |  |  |  | 0 |  |" in page
    assert "![Digits](digits.png)" in page
    assert (folder / "pages" / "digits.png").stat().st_size > 1000
    with (folder / "results" / "digits.csv").open() as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert (rows["a"]["test_error_mean"], rows["a"]["seeds"], rows["c"]["test_error_mean"]) == ("1.5000", "2", "")
    assert reproduce.main(["rotmnist", *where]) == 0


@pytest.mark.parametrize("name", list(TABLES))
def test_tables(name):
    """Each line can be made, and no two are the same runs."""
    seen = set()
    for row in TABLES[name].rows:
        config = load_config(row.config, list(row.changes))
        key = results.run_name(config["name"], row.changes)
        assert key not in seen
        seen.add(key)
        assert set(row.published) <= set(TABLES[name].scores)
    assert len(tables.needed(TABLES[name])) == sum(row.seeds for row in TABLES[name].rows)


@pytest.mark.parametrize("name", list(TABLES))
def test_pages_are_up_to_date(name):
    picture = f"{name}.png" if (reproduce.PAGES / f"{name}.png").is_file() else None
    assert (reproduce.PAGES / f"{name}.md").read_text() == reproduce.as_markdown(name, picture=picture)
    assert (results.RESULTS / f"{name}.csv").read_text() == reproduce.as_csv(TABLES[name])
