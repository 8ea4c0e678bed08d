"""weights_manifest.json: every trained model, with the size and sha256 of each of its files."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

SCHEMA = 1
MANIFEST = "weights_manifest.json"
STATUSES = ("bundled", "pending-upload", "released")
REQUIRED_FILES = ("config.json", "model.weights.h5", "metadata.json", "groco.json", "preprocessor.json", "golden.npz")

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
        metrics: what `training/evaluate.py` measured, with the data set.
        paper: the published figure and where it is from.
        recipe: how it was trained.
        licence: of the weights and of the data.
    """

    name: str
    architecture: str
    parameters: int
    files: dict[str, FileInfo]
    status: str
    metrics: dict[str, Any]
    paper: dict[str, Any]
    recipe: dict[str, Any]
    licence: dict[str, str]
    repo_id: str | None = None
    revision: str | None = None


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


def verify_file(folder: Path, name: str, expected: FileInfo) -> Path:
    """The path of a file whose size and sha256 are as expected; raises PretrainedError otherwise."""
    path = folder / name
    if not path.is_file():
        raise PretrainedError(f"{path} is missing; reinstall groco, or check out zoo/ again.")
    size = path.stat().st_size
    if size != expected.size:
        raise PretrainedError(f"{path} has {size} bytes, the manifest expects {expected.size}; {_mend(path)}")
    found = sha256_of(path)
    if found != expected.sha256:
        raise PretrainedError(f"{path} has sha256 {found}, the manifest expects {expected.sha256}; {_mend(path)}")
    return path


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    if revision is not None and not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
        raise PretrainedError(f"{where}: revision is a commit of 40 hexadecimal digits or null, not {revision!r}.")
    if (status == "released") != (revision is not None and repo_id is not None):
        raise PretrainedError(f"{where}: a released model, and no other, has repo_id and revision.")
    return ModelInfo(
        name=name,
        architecture=_typed(entry, "architecture", str, where),
        parameters=_typed(entry, "parameters", int, where),
        files=files,
        status=status,
        metrics=_typed(entry, "metrics", dict, where),
        paper=_typed(entry, "paper", dict, where),
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
    path = _bundled(MANIFEST)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PretrainedError(f"{path} cannot be read: {error}") from None
    return parse_manifest(content)


def _bundled(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name


def _mend(path: Path) -> str:
    return f"it was changed or not copied whole. Nothing was read from it. Restore {path.name}, or reinstall groco."
