"""Makes a table of the docs from start to end: python -m training.reproduce TABLE [--data PATH] [--report].

It makes the runs of the table that have no result in training/results/ yet, one after the other, each resumed if it was
broken off, and writes training/results/TABLE.csv, docs/results/TABLE.md and, where the table has one, a plot. With
--report it makes no run and writes what there is. TABLE may be `all`.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groco._interruption import interruptible
from training.checkpoints import write_text
from training.config import load_config
from training.progress import save_figure
from training.results import RESULTS, mean_and_spread, record, results_of, run_name
from training.tables import TABLES, Row, Table, figures, needed

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "results"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.reproduce", description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=[*TABLES, "all"])
    parser.add_argument(
        "--data", help="the data's file or folder, or one it has a subfolder in; downloaded if possible"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    parser.add_argument("--pages", type=Path, default=PAGES, help="where the page is written")
    parser.add_argument("--report", action="store_true", help="make no run, write what there is")
    options = parser.parse_args(arguments)
    try:
        with interruptible():
            for name in TABLES if options.table == "all" else [options.table]:
                if not options.report:
                    make_runs(TABLES[name], options.runs, options.results, options.data)
                write(name, options.results, options.pages)
    except (RuntimeError, ValueError, OSError, ImportError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("training: broken off; the same command goes on", file=sys.stderr)
        return 130
    return 0


def make_runs(
    table: Table, runs: Path, results: Path, data: str | None = None, run: Callable[..., dict[str, Any]] | None = None
) -> None:
    """Makes the runs of a table that have no result yet; `run` is `training.train.run`."""
    if run is None:
        from training.train import run
    results.mkdir(parents=True, exist_ok=True)
    missing = [(row, seed) for row, seed in needed(table) if seed not in [r["seed"] for r in _results(row, results)]]
    for number, (row, seed) in enumerate(missing, start=1):
        print(f"run {number} of {len(missing)}: {row.label}, seed {seed}", flush=True)
        config = load_config(row.config, list(row.changes))
        folder = runs / f"{run_name(config['name'], row.changes)}-seed{seed}"
        record(run(config, seed, folder, data, resume=True), results)


def _results(row: Row, results: Path) -> list[dict[str, Any]]:
    return results_of(load_config(row.config, list(row.changes)), results)


def write(name: str, results: Path = RESULTS, pages: Path = PAGES) -> None:
    """Writes the csv, the page and the plot of a table from the results that there are."""
    table = TABLES[name]
    for folder in (results, pages):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(results / f"{name}.csv", as_csv(table, results))
    picture = pages / f"{name}.png"
    drawn = table.plot is not None and draw(table, picture, results)
    write_text(pages / f"{name}.md", as_markdown(name, results, picture=picture.name if drawn else None))
    print(f"wrote {pages / name}.md")


def as_csv(table: Table, results: Path = RESULTS) -> str:
    """One line for each line of the table: means, spreads and number of seeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *(f"{score}_{kind}" for score in table.scores for kind in ("mean", "std")), "seeds"])
    for row in table.rows:
        found = _results(row, results)
        cells: list[Any] = []
        for score in table.scores:
            values = figures(found, score)
            mean, spread = mean_and_spread(values) if values else (None, None)
            cells += ["" if value is None else f"{value:.4f}" for value in (mean, spread)]
        writer.writerow([row.label, *cells, len(found)])
    return text.getvalue()


def as_markdown(name: str, results: Path = RESULTS, picture: str | None = None) -> str:
    """The page of a table: heading, what must be known, and the table with the published figures."""
    table = TABLES[name]
    published = any(row.published for row in table.rows)
    heads = ["", "parameters", *table.scores.values(), *["published"] * published, "seeds", "minutes each, on"]
    lines = [
        f"# {table.title}",
        "",
        table.note,
        "",
        f"Made by `python -m training.reproduce {name}` (training/reproduce.py). In percent, mean ± standard deviation "
        "over the seeds; a line without figures has not been run yet.",
        "",
        *([f"![{table.title}]({picture})", ""] if picture else []),
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for row in table.rows:
        found = _results(row, results)
        cells = [row.label, f"{found[0]['parameters']:,}" if found else ""]
        cells += [in_words(figures(found, score)) for score in table.scores]
        cells += [", ".join(row.published.values())] * published
        cells += [str(len(found))]
        cells += [f"{found[0]['seconds'] / 60:.0f}, {found[0]['hardware']}" if found else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def in_words(values: list[float]) -> str:
    """Mean and standard deviation of percentages."""
    if not values:
        return ""
    mean, spread = mean_and_spread(values)
    return f"{mean:.2f}" + ("" if spread is None else f" ± {spread:.2f}")


def draw(table: Table, path: Path, results: Path = RESULTS) -> bool:
    """Draws a curve for each group of lines, with the spread over seeds; whether there was anything to draw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    assert table.plot is not None
    score, label = table.plot
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for row in table.rows:
        values = figures(_results(row, results), score)
        if values and row.x is not None:
            mean, spread = mean_and_spread(values)
            curves.setdefault(row.group, []).append((row.x, mean, spread or 0.0))
    if not curves:
        return False
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for group, points in curves.items():
        x, mean, spread = zip(*sorted(points), strict=True)
        axis.errorbar(x, mean, spread, marker="o", capsize=3, label=group)
    ticks = sorted({row.x for row in table.rows if row.x is not None})
    axis.set(xscale="log", yscale="log", xlabel=label, ylabel=table.scores[score], title=table.title)
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.minorticks_off()
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.grid(alpha=0.3, which="both")
    axis.legend()
    save_figure(figure, path, dpi=100)
    return True


if __name__ == "__main__":
    from groco._backend import leave_out_tensorflow
    from training.processor import keep_freed_memory
    from training.train import leave

    keep_freed_memory()
    leave_out_tensorflow()
    leave(main())
