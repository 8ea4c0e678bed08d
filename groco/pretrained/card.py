"""The card of a trained model: the README.md of its repository, from what was measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from groco.pretrained.manifest import PretrainedError
from groco.pretrained.metrics import Metric, measured
from groco.pretrained.preprocessor import Preprocessor

CARD = "README.md"
PIPELINE_TAGS = {"classification": "image-classification", "segmentation": "image-segmentation"}
SECTIONS = ("How to load", "How to fine-tune", "Results", "Recipe", "Not good for", "Licence", "How to cite")
# What no measurement knows: the symmetry, what the images are, what the paper's figure was measured on, the difference
# from our data, what the model is not for, and how to cite it.
SENTENCES = ("about", "usage", "paper_data", "difference", "limits", "citation")

_BODY = """\
# {name}

{architecture}, trained with GroCo: {parameters:,} parameters. {about}

## How to load

```python
import groco

model = groco.from_pretrained("{name}")
outputs = model.predict(groco.preprocessor("{name}")(images))  # {usage}
```

## How to fine-tune

```python
model = groco.from_pretrained("{name}", num_classes=3, compile=True)  # all but the last layer keep their weights
model.fit(groco.preprocessor("{name}")(images), labels)
```

## Results

{results}

{difference}

## Recipe

{recipe}

## Not good for

{limits}

## Licence

Weights: {licence_weights}. Data: {licence_data}.

## How to cite

{citation}
"""


def make_card(name: str, description: dict[str, Any], preprocessor: Preprocessor) -> str:
    """The text of a card.

    Args:
        name: of the model, `architecture.tag`.
        description: the content of its groco.json: architecture, parameters, metrics, paper (None where no figure is
            published), recipe and licence as in the manifest. Its `card`, a table that may be left out, has some of
            `SENTENCES`.
        preprocessor: its preprocessor.

    Raises:
        PretrainedError: if the description lacks something.
    """
    try:
        metrics, paper = description["metrics"], description["paper"] or {}
        sentences = description.get("card") or {}
        figures = measured(metrics, paper)
        body = _BODY.format(
            name=name,
            architecture=_architecture(description["architecture"], paper),
            parameters=description["parameters"],
            about=sentences.get("about", ""),
            usage=sentences.get("usage", f"images {preprocessor.describe()}"),
            results=_results(figures, metrics, sentences),
            difference=_difference(figures, metrics, sentences),
            recipe=_recipe(description["recipe"]),
            limits=sentences.get(
                "limits",
                f"Anything else than what it was trained on, {metrics['source']}: images {preprocessor.describe()}.",
            ),
            licence_weights=description["licence"]["weights"],
            licence_data=description["licence"]["data"],
            citation=sentences.get("citation") or _citation(paper),
        )
        return f"---\n{_metadata(name, description, figures, preprocessor)}\n---\n{body}"
    except (KeyError, TypeError, ValueError) as error:
        raise PretrainedError(f"{name}: no card can be made of its description: {error!r}") from None


def check_card(path: Path, name: str, description: dict[str, Any]) -> None:
    """Checks that a card is what the Hub can read, and says what was measured.

    Args:
        path: the README.md.
        name, description: as of `make_card`.

    Raises:
        PretrainedError: that names what is missing or different.
    """
    from huggingface_hub import ModelCard

    try:
        text = path.read_text(encoding="utf-8")
        if not re.match(r"---\n.+?\n---\n", text, re.DOTALL):
            raise ValueError("it does not begin with metadata between lines of ---")
        data = ModelCard(text).data
    except Exception as error:  # PyYAML and huggingface_hub raise whatever metadata that is wrong makes them
        raise PretrainedError(f"{path} is not a card: {error}") from None
    for key in ("library_name", "license", "pipeline_tag", "tags"):
        if not data.get(key):
            raise PretrainedError(f"{path}: its metadata has no {key}.")
    if data.get("model_name") != name:
        raise PretrainedError(f"{path}: its model-index is of {data.get('model_name')!r}, not of {name!r}.")
    figures = _figures(path, description)
    stated = {result.metric_type: result.metric_value for result in data.get("eval_results") or []}
    for metric in figures.values():
        if (
            not isinstance(stated.get(metric.name), int | float)
            or abs(stated[metric.name] - 100 * metric.value) > 0.006
        ):
            raise PretrainedError(
                f"{path}: its model-index says {metric.name} is {stated.get(metric.name)} %, "
                f"measured was {100 * metric.value:.2f} %."
            )
        if metric.paper_percent is not None and metric.paper_percent not in text:
            raise PretrainedError(f"{path} lacks the paper's {metric.label}, {metric.paper_percent} %.")
    missing = [section for section in SECTIONS if f"\n## {section}\n" not in text]
    if missing:
        raise PretrainedError(f"{path} lacks the section {missing[0]!r}.")
    if f'from_pretrained("{name}")' not in text:
        raise PretrainedError(f"{path} does not say how to load {name}.")


def _figures(path: Path, description: dict[str, Any]) -> dict[str, Metric]:
    try:
        return measured(description["metrics"], description["paper"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PretrainedError(f"{path.parent}: its description has no figures to compare: {error}") from None


def _metadata(name: str, description: dict[str, Any], figures: dict[str, Metric], preprocessor: Preprocessor) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    metrics, pipeline_tag = description["metrics"], PIPELINE_TAGS[preprocessor.task]
    results = [
        EvalResult(
            task_type=pipeline_tag,
            dataset_type=re.sub(r"[^\w-]+", "-", metrics["dataset"]),
            dataset_name=metrics["dataset"],
            dataset_split=metrics["split"],
            metric_type=metric.name,
            metric_name=f"{metric.label}, %",
            metric_value=round(100 * metric.value, 3),
        )
        for metric in figures.values()
    ]
    data = ModelCardData(
        library_name="keras",
        license=description["licence"]["weights"].lower(),
        pipeline_tag=pipeline_tag,
        tags=["keras", "groco", "equivariance", "group-convolution"],
        model_name=name,
        eval_results=results,
    )
    return data.to_yaml().strip()


def _architecture(architecture: str, paper: dict[str, Any]) -> str:
    if not paper.get("title"):
        return f"`{architecture}`"
    arxiv = f" (arXiv [{paper['arxiv']}](https://arxiv.org/abs/{paper['arxiv']}))" if paper.get("arxiv") else ""
    return f"`{architecture}` of {paper['title']}{arxiv}"


def _results(figures: dict[str, Metric], metrics: dict[str, Any], sentences: dict[str, str]) -> str:
    examples = f", {_count(metrics['examples'], 'example')}" if metrics.get("examples") else ""
    data = f"{metrics['dataset']} ({metrics['split']}){examples}"
    rows = [
        ["", "data", *(f"{metric.label}, %" for metric in figures.values())],
        ["---"] * (2 + len(figures)),
        [f"this model (seed {_seeds(metrics)[0]})", data, *(f"{100 * m.value:.2f}" for m in figures.values())],
    ]
    if len(_seeds(metrics)) > 1:
        rows.append([f"mean of {len(_seeds(metrics))} seeds", "the same", *(m.percent for m in figures.values())])
    if any(metric.paper is not None for metric in figures.values()):
        data = sentences.get("paper_data", "the paper's own")
        rows.append(["paper", data, *(metric.paper_percent or "not reported" for metric in figures.values())])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _seeds(metrics: dict[str, Any]) -> list[int]:
    if not metrics["seeds"]:
        raise ValueError("metrics has no seeds")
    return metrics["seeds"]


def _difference(figures: dict[str, Metric], metrics: dict[str, Any], sentences: dict[str, str]) -> str:
    if "difference" in sentences:
        said = sentences["difference"]
    elif any(metric.paper is not None for metric in figures.values()):
        said = "The data and the recipe are not exactly the paper's, so the figures are comparable, not identical."
    else:
        said = "No figure is published for this architecture on this data."
    return f"{said} Our data: {metrics['source']}."


def _recipe(recipe: dict[str, Any]) -> str:
    parts = [_count(recipe["train_examples"], "training example")] if recipe.get("train_examples") else []
    parts += [f"batch size {recipe['batch_size']}"] if recipe.get("batch_size") else []
    parts += [_count(recipe["epochs"], "epoch")] if recipe.get("epochs") else []
    minutes = f"{max(recipe['seconds'] / 60, 1):.0f} minutes on {recipe['hardware']}"
    made = f"{', '.join(parts)}; {minutes}" if parts else minutes
    return f"`{recipe['command']}`: {made} with {recipe['backend']}, Keras {recipe['keras']}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _citation(paper: dict[str, Any]) -> str:
    if not paper.get("title"):
        return "GroCo, and the authors of the data."
    return f"{paper['title']}" + (f", arXiv {paper['arxiv']}." if paper.get("arxiv") else ".")
