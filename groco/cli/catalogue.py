"""`groco list` and `groco info`."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from groco.cli.common import CommandError, add_json, start_keras, write_json, write_table


def add_commands(commands) -> None:
    listing = commands.add_parser("list", help="the trained models, or the architectures")
    listing.add_argument("pattern", nargs="?", default="*", help="a shell pattern, for instance '*rotmnist'")
    listing.add_argument("--models", action="store_true", help="the architectures, which are not trained")
    add_json(listing)
    listing.set_defaults(run=_list)

    info = commands.add_parser("info", help="what is known of a trained model, or of an architecture")
    help = "a trained model or an architecture (see `groco list`), or the folder of a trained model"
    info.add_argument("name", metavar="NAME", help=help)
    add_json(info)
    info.set_defaults(run=_info)


def _list(options) -> int:
    if options.models:
        return _list_architectures(options)
    from groco.pretrained.manifest import list_pretrained, model_info

    names = list_pretrained(options.pattern)
    if not names:
        raise CommandError(f"no trained model matches {options.pattern!r}")
    found = [model_info(name) for name in names]
    if options.json:
        write_json([_summary(info) for info in found])
        return 0
    rows = []
    for info in found:
        metric = next(iter(info.measured.values()))
        figures = (metric.label, metric.percent, metric.paper_percent or "-", info.metrics["dataset"])
        rows.append((info.name, info.parameters, *figures, info.status))
    write_table(("name", "parameters", "metric", "%", "paper %", "data", "status"), rows)
    return 0


def _summary(info) -> dict[str, Any]:
    kept = ("name", "architecture", "task", "parameters", "status", "repo_id", "revision")
    figures = {name: dataclasses.asdict(metric) for name, metric in info.measured.items()}
    return {**{key: getattr(info, key) for key in kept}, "dataset": info.metrics["dataset"], "measured": figures}


def _info(options) -> int:
    from groco.pretrained.manifest import list_pretrained, model_info

    if options.name not in list_pretrained():
        if _is_folder(options.name):
            return _folder(options)
        if "." not in options.name:
            return _architecture(options)
    content = dataclasses.asdict(model_info(options.name))
    files = content.pop("files")
    _write({**content, "files": files}, options.json)  # last, there are many
    return 0


def _is_folder(name: str) -> bool:
    """Whether it can only be a folder: that of a trained model, or one whose name is none of an architecture."""
    return Path(name).is_dir() and ((Path(name) / "groco.json").is_file() or bool(set("./\\") & set(name)))


def _folder(options) -> int:
    start_keras()
    from groco.pretrained.loading import DESCRIPTION, read_description
    from groco.pretrained.source import locate

    folder = locate(Path(options.name)).folder
    description = read_description(folder / DESCRIPTION)
    files = {path.name: {"size": path.stat().st_size} for path in sorted(folder.iterdir()) if path.is_file()}
    _write({"name": folder.resolve().name, "folder": str(folder), **description, "files": files}, options.json)
    return 0


def _write(content: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json(content)
    else:
        write_table(("field", "value"), _flat(content))


def _flat(content: Any, path: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested tables, each with the path to it: `metrics.test_error`; without those that are None."""
    if isinstance(content, dict):
        return [leaf for key, value in content.items() for leaf in _flat(value, f"{path}.{key}" if path else str(key))]
    if isinstance(content, (list, tuple)):
        content = ", ".join(map(str, content))
    return [] if content is None else [(path, " ".join(str(content).split()))]


def _list_architectures(options) -> int:
    start_keras()
    from groco.models import list_models, symmetry_group

    names = list_models(options.pattern)
    if not names:
        raise CommandError(f"no architecture matches {options.pattern!r}")
    found: list[dict[str, Any]] = []
    for name in names:
        group = symmetry_group(name)
        found.append({"name": name, "equivariant_to": group and group.name, "arguments": _arguments(name)})
    if options.json:
        write_json(found)
        return 0
    shown = ("group", "widths", "width", "growth", "depth", "widen")
    rows = []
    for entry in found:
        arguments = entry["arguments"]
        listed = ", ".join(f"{key}={arguments[key]!r}" for key in shown if arguments.get(key) is not None)
        rows.append((entry["name"], entry["equivariant_to"] or "-", listed))
    write_table(("name", "equivariant to", "arguments"), rows)
    return 0


def _architecture(options) -> int:
    start_keras()
    from groco.models import create_model, get_builder, list_models, parameters, symmetry_group
    from groco.pretrained.manifest import list_pretrained

    name = options.name
    if name not in list_models():
        trained = ", ".join(list_pretrained(f"{name}.*") or list_pretrained())
        raise CommandError(f"there is no trained model or architecture {name!r}; trained are {trained}")
    group = symmetry_group(name)
    content = {
        "name": name,
        "description": (inspect.getdoc(get_builder(name)) or "").partition("\n\n")[0],
        "trained": list_pretrained(f"{name}.*"),
        "equivariant_to": group and group.name,
        "parameters": parameters(create_model(name)),
        "arguments": _arguments(name),
    }
    _write(content, options.json)
    return 0


def _arguments(name: str) -> dict[str, Any]:
    from groco.models import get_builder

    return {key: parameter.default for key, parameter in inspect.signature(get_builder(name)).parameters.items()}
