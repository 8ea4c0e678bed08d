"""Writes docs/models.md: every architecture with its parameters, and the published number where there is one.

python -m docs.write_models
"""

from __future__ import annotations

import inspect
from pathlib import Path

from groco.models import create_model, get_builder, list_models
from groco.models.twin import parameters
from tests.models.test_models import PUBLISHED

PAGE = Path(__file__).with_name("models.md")
SHOWN = ("group", "groups", "widths", "width", "growth", "depth", "widen")


def main() -> None:
    lines = [
        "# Architectures",
        "",
        "Written by `python -m docs.write_models`: the trainable parameters of each architecture as",
        "`groco.create_model` builds it by default. Those that the papers publish (Cohen & Welling 2016; for the",
        "planar large ResNets every public implementation) are tested; All-CNN-C has them in both forms, the residual",
        'nets of depth 6n + 2 with `form="paper"`, whose classifier sees the orientations and which is not exactly',
        "equivariant.",
        "",
        "| architecture | arguments | parameters | published |",
        "|---|---|---|---|",
    ]
    for name in list_models():
        defaults = {key: p.default for key, p in inspect.signature(get_builder(name)).parameters.items()}
        arguments = ", ".join(f"{key}={defaults[key]!r}" for key in SHOWN if defaults.get(key) is not None)
        published = f"{PUBLISHED[name]:,}" if name in PUBLISHED else ""
        lines.append(f"| `{name}` | {arguments} | {parameters(create_model(name)):,} | {published} |")
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
