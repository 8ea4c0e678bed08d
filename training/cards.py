"""The card of a zoo entry: its README.md, from what was measured."""

from __future__ import annotations

from typing import Any

_CARD = """\
---
library_name: keras
license: mit
pipeline_tag: image-classification
tags: [keras, groco, equivariance, group-convolution]
---
# {name}

`{architecture}` of {title} (arXiv [{arxiv}](https://arxiv.org/abs/{arxiv})), trained with GroCo:
{parameters:,} parameters. {symmetry}

```python
import groco

model = groco.from_pretrained("{name}")
logits = model.predict(groco.preprocessor("{name}")(images))  # images (n, 28, 28) uint8, light digits on dark
```

To fine-tune it on other classes: `groco.from_pretrained("{name}", num_classes=k)`.

## Test error

| | data | error % |
|---|---|---|
| this model (seed {seed}) | regenerated rotated MNIST, {examples:,} digits | {error:.2f} |
{spread}| paper | original rotated MNIST, 50,000 digits, 5 seeds | {paper_error:.2f} ± {paper_std:.2f} |

The original data set cannot be regenerated exactly (its seed and interpolation are not known), so the figures are
comparable, not identical. Data: {source}.

## Recipe

`{command}`: {train_examples:,} digits, Adam 1e-3, batch {batch_size}, {epochs} epochs, last epoch;
{minutes:.0f} minutes on {hardware} with {backend}, Keras {keras}.

## Not good for

Images other than single, centred, light-on-dark digits of 28 x 28 pixels; a 6 and a 9 look alike once they are turned.

## Licence

Weights: {licence_weights}. Data: {licence_data}.

## Citation

Cohen and Welling, Group Equivariant Convolutional Networks, ICML 2016.
"""


def card(name: str, information: dict[str, Any]) -> str:
    """The text of a card.

    Args:
        name: of the entry.
        information: parameters, metrics, paper, recipe and licence, as in the manifest.
    """
    metrics, recipe, paper = information["metrics"], information["recipe"], information["paper"]
    spread = ""
    if len(metrics["seeds"]) > 1:
        spread = (
            f"| mean of {len(metrics['seeds'])} seeds | the same | "
            f"{100 * metrics['test_error_mean']:.2f} ± {100 * metrics['test_error_std']:.2f} |\n"
        )
    architecture = name.split(".")[0]
    return _CARD.format(
        name=name,
        architecture=architecture,
        title=paper["title"],
        arxiv=paper["arxiv"],
        parameters=information["parameters"],
        symmetry="A planar net, for comparison: its answers change when the image is turned."
        if architecture == "z2cnn"
        else "Its logits do not change when the image is turned by 90, 180 or 270 degrees.",
        seed=metrics["seeds"][0],
        examples=metrics["examples"],
        error=100 * metrics["test_error"],
        spread=spread,
        paper_error=paper["test_error"],
        paper_std=paper["std"],
        source=metrics["source"],
        minutes=recipe["seconds"] / 60,
        **{
            key: recipe[key]
            for key in ("command", "train_examples", "batch_size", "epochs", "hardware", "backend", "keras")
        },
        licence_weights=information["licence"]["weights"],
        licence_data=information["licence"]["data"],
    )
