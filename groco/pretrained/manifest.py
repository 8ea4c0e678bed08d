"""weights_manifest.json: every trained model, with the size and sha256 of each of its files."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from groco.pretrained.metrics import TASKS, Metric, measured

SCHEMA = 1
MANIFEST = "weights_manifest.json"
STATUSES = ("bundled", "pending-upload", "released")
REQUIRED_FILES = ("config.json", "model.weights.h5", "metadata.json", "groco.json", "preprocessor.json", "golden.npz")
REPO_ID = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"

_PACKAGE = Path(__file__).resolve().parent.parent


class PretrainedError(ValueError):
    """A trained model cannot be loaded; the message says which file or field, what was expected and what was found."""


@dataclass(frozen=True)
class FileInfo:
    """Size in bytes and sha256 (hexadecimal) of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class ModelInfo:
    """What the manifest says of a trained model.

    Attributes:
        name: `architecture.tag`, the tag for data set and recipe.
        architecture: name of the builder in `groco.models`.
        parameters: number of trainable parameters.
        files: size and sha256 of each file of its folder.
        status: `"bundled"`, `"pending-upload"` or `"released"`.
        repo_id, revision: repository and 40-hex commit on the Hugging Face Hub, None if it is not there.
        task: `"classification"` or `"segmentation"`.
        metrics: what `training/evaluate.py` measured, with the data set; see also `measured`.
        paper: the published figure, in percent, and where it is from; None where none is published.
        recipe: how it was trained.
        licence: of the weights and of the data.
    """

    name: str
    architecture: str
    parameters: int
    files: dict[str, FileInfo]
    status: str
    metrics: dict[str, Any]
    paper: dict[str, Any] | None
    recipe: dict[str, Any]
    licence: dict[str, str]
    task: str = "classification"
    repo_id: str | None = None
    revision: str | None = None

    @property
    def measured(self) -> dict[str, Metric]:
        """The figures among the metrics, with the paper's; the first is the one to compare models by."""
        return measured(self.metrics, self.paper)


def list_pretrained(pattern: str = "*") -> list[str]:
    """The names of all trained models that match a shell pattern, in alphabetical order."""
    return sorted(fnmatch.filter(_manifest(), pattern))


def model_info(name: str) -> ModelInfo:
    """What the manifest says of a trained model; raises PretrainedError with close names if there is none."""
    models = _manifest()
    if name not in models:
        close = difflib.get_close_matches(str(name), models, n=3, cutoff=0.4)
        hint = f" Close names: {', '.join(close)}." if close else ""
        raise PretrainedError(f"There is no trained model {name!r}.{hint} There are {', '.join(sorted(models))}.")
    return models[name]


def model_folder(name: str) -> Path:
    """The folder of a bundled model: in the package, or in the checkout one folder up."""
    return _bundled("zoo") / name


def manifest_path() -> Path:
    """Where the manifest is: in the package, or in the checkout one folder up."""
    return _bundled(MANIFEST)


def verify_file(folder: Path, name: str, expected: FileInfo) -> Path:
    """The path of a file whose size and sha256 are as expected; raises PretrainedError otherwise."""
    path = folder / name
    if not path.is_file():
        raise PretrainedError(f"{path} is missing; reinstall groco, or check out zoo/ again.")
    difference = mismatch(path, expected)
    if difference:
        raise PretrainedError(
            f"{path} {difference}; it was changed or not copied whole. Nothing was read from it. "
            f"Restore {path.name}, or reinstall groco."
        )
    return path


def mismatch(path: Path, expected: FileInfo) -> str | None:
    """How a file differs from what the manifest says of it: "has 3 bytes, the manifest expects 4"; None if not."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != expected.size:
            return f"has {size} bytes{_page(file.read(100))}, the manifest expects {expected.size}"
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return None if found == expected.sha256 else f"has sha256 {found}, the manifest expects {expected.sha256}"


def _page(beginning: bytes) -> str:
    return " and is an HTML page" if re.match(rb"\s*<(!doctype|html)", beginning, re.IGNORECASE) else ""


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def release(path: Path, name: str, repo_id: str, revision: str) -> None:
    """Writes into a manifest, whole or not at all, that a model is on the Hub.

    Args:
        path: the manifest.
        name: of the model; its entry must be there.
        repo_id, revision: the repository, and the commit of 40 hexadecimal digits.

    Raises:
        PretrainedError: if the manifest would not be valid; then it stays as it is.
    """
    content = _read_json(path)
    parse_manifest(content)
    if name not in content["models"]:
        raise PretrainedError(f"{path} has no model {name!r}.")
    content["models"][name] |= {"status": "released", "repo_id": repo_id, "revision": revision}
    write_manifest(path, content)


def write_manifest(path: Path, content: dict[str, Any]) -> None:
    """Writes a manifest that is valid, whole or not at all; raises PretrainedError if it is not valid."""
    parse_manifest(content)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _manifest.cache_clear()


def read_manifest(path: Path) -> dict[str, ModelInfo]:
    """The models of a manifest; raises PretrainedError if it cannot be read or is not valid."""
    return parse_manifest(_read_json(path))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PretrainedError(f"{path} cannot be read: {error}") from None


def parse_manifest(content: Any) -> dict[str, ModelInfo]:
    """The models of a manifest. Raises PretrainedError that names the first field that is wrong."""
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else content
        raise PretrainedError(f"{MANIFEST} has schema {found!r}; this version of groco reads schema {SCHEMA}.")
    models = _typed(content, "models", dict, MANIFEST)
    return {name: _parse_entry(name, entry) for name, entry in models.items()}


def _parse_entry(name: str, entry: Any) -> ModelInfo:
    where = f"{MANIFEST}: {name}"
    if not re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name):
        raise PretrainedError(f"{where}: a name has the form architecture.tag.")
    if not isinstance(entry, dict):
        raise PretrainedError(f"{where} is {entry!r}, not a table.")
    files = {}
    for file, info in _typed(entry, "files", dict, where).items():
        if PurePosixPath(file).name != file or file in ("", ".", "..") or "\\" in file:
            raise PretrainedError(f"{where}: {file!r} is not the plain name of a file.")
        size, sha256 = _typed(info, "size", int, f"{where}: {file}"), _typed(info, "sha256", str, f"{where}: {file}")
        if size <= 0 or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise PretrainedError(f"{where}: {file} needs a positive size and 64 hexadecimal digits of sha256.")
        files[file] = FileInfo(size, sha256)
    missing = sorted(set(REQUIRED_FILES) - set(files))
    if missing:
        raise PretrainedError(f"{where}: files lacks {', '.join(missing)}.")
    status = _typed(entry, "status", str, where)
    if status not in STATUSES:
        raise PretrainedError(f"{where}: status is one of {', '.join(STATUSES)}, not {status!r}.")
    repo_id, revision = entry.get("repo_id"), entry.get("revision")
    if repo_id is not None and not re.fullmatch(REPO_ID, str(repo_id)):
        raise PretrainedError(f"{where}: repo_id has the form organisation/name, or is null, not {repo_id!r}.")
    if revision is not None and not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
        raise PretrainedError(f"{where}: revision is a commit of 40 hexadecimal digits or null, not {revision!r}.")
    if (status == "released") != (revision is not None and repo_id is not None):
        raise PretrainedError(f"{where}: a released model, and no other, has repo_id and revision.")
    metrics, task = _typed(entry, "metrics", dict, where), entry.get("task", "classification")
    paper = None if entry.get("paper", 0) is None else _typed(entry, "paper", dict, where)
    if task not in TASKS:
        raise PretrainedError(f"{where}: task is one of {', '.join(TASKS)}, not {task!r}.")
    for key, kind in {"dataset": str, "source": str, "split": str, "seeds": list}.items():
        _typed(metrics, key, kind, f"{where}: metrics")
    try:
        figures = measured(metrics, paper)
    except ValueError as error:
        raise PretrainedError(f"{where}: {error}.") from None
    if not set(figures) & set(TASKS[task]):
        raise PretrainedError(f"{where}: the metrics of {task} are {', '.join(TASKS[task])}, not {', '.join(figures)}.")
    return ModelInfo(
        name=name,
        architecture=_typed(entry, "architecture", str, where),
        parameters=_typed(entry, "parameters", int, where),
        files=files,
        status=status,
        task=task,
        metrics=metrics,
        paper=paper,
        recipe=_typed(entry, "recipe", dict, where),
        licence=_typed(entry, "licence", dict, where),
        repo_id=repo_id,
        revision=revision,
    )


def _typed(table: Any, key: str, kind: type, where: str):
    value = table.get(key) if isinstance(table, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise PretrainedError(f"{where}: {key!r} must be of type {kind.__name__}, got {value!r}.")
    return value


@functools.cache
def _manifest() -> dict[str, ModelInfo]:
    return read_manifest(manifest_path())


def _bundled(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name
