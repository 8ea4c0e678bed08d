"""Where the files of a trained model are, and whether anyone vouches for them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groco.pretrained import hub
from groco.pretrained.manifest import (
    REQUIRED_FILES,
    ModelInfo,
    PretrainedError,
    list_pretrained,
    model_folder,
    model_info,
    verify_file,
)

_log = logging.getLogger("groco")


@dataclass(frozen=True)
class Source:
    """A folder with the files of a model.

    Attributes:
        label: what the user called it.
        folder: where the files are.
        info: what the manifest says of the model, if all files that were asked for are what it says; None if nobody
            vouches for them.
    """

    label: str
    folder: Path
    info: ModelInfo | None


def locate(
    name: str | Path,
    files: Sequence[str] | None = None,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Source:
    """Finds the files of a model: in the package, in the Hub's cache, or on the Hub at the revision of the manifest.

    Args:
        name: a name from `groco.list_pretrained()`, `hf://organisation/name[@revision]`, or a folder.
        files: names of the files that are needed; by default all that the manifest lists.
        revision: another branch, tag or commit on the Hub than that of the manifest, which nobody vouches for.
        cache_dir: the Hub's cache, if not that of huggingface_hub.
        local_files_only: True asks the Hub for nothing.
        token: for the Hub, if not the one that huggingface_hub knows.

    Raises:
        PretrainedError: if there is no such model; if a file cannot be had, or is not what the manifest says.
    """
    if not isinstance(name, (str, Path)):
        raise PretrainedError(f"The name of a model comes first, a text or a path, got {type(name).__name__}.")
    options = {"cache_dir": cache_dir, "local_files_only": local_files_only, "token": token}
    if isinstance(name, Path) or not str(name).startswith(hub.PREFIX):
        if isinstance(name, Path) or (name not in list_pretrained() and Path(name).is_dir()):
            if revision is not None:
                raise PretrainedError(f"{name} is a folder, which has no revision; got revision={revision!r}.")
            return _folder(Path(name))
        if str(name).startswith(("~", ".")) or set("/\\") & set(str(name)):
            raise PretrainedError(f"There is no folder {str(name)!r}; the names of models on the Hub begin with hf://.")
        info = model_info(name)
        if Path(name).is_dir() and Path(name).resolve() != model_folder(name).resolve():
            _log.warning("%s is the model that comes with groco, not the folder here, which is ./%s.", name, name)
        if revision is None or revision == info.revision:
            return Source(name, _verified(info, files, options), info)
        if info.repo_id is None:
            raise PretrainedError(f"{name} is not on the Hub yet, so it has no revision {revision!r}; leave it out.")
        repo_id = info.repo_id
    else:
        repo_id, at = hub.parse_uri(name)
        if revision is not None and at is not None and revision != at:
            raise PretrainedError(f"Two revisions are given: {name!r} and revision={revision!r}.")
        revision = revision or at
        if known := _known(repo_id, revision):
            return Source(str(name), hub.fetch_verified(known, files or known.files, **options), known)
    folder, commit = hub.fetch_unverified(repo_id, revision, files or REQUIRED_FILES, **options)
    if known := _known(repo_id, commit):  # a branch or a tag of the commit that is vouched for
        return Source(str(name), hub.fetch_verified(known, files or REQUIRED_FILES, **options), known)
    _log.warning("%s%s@%s is unverified: no manifest vouches for its files.", hub.PREFIX, repo_id, commit)
    return Source(str(name), folder, None)


def _known(repo_id: str, revision: str | None) -> ModelInfo | None:
    """The model of the manifest at that commit of that repository, if there is one."""
    infos = map(model_info, list_pretrained())
    return next((info for info in infos if revision and (info.repo_id, info.revision) == (repo_id, revision)), None)


def _verified(info: ModelInfo, files: Sequence[str] | None, options: dict) -> Path:
    folder = model_folder(info.name)
    if info.status == "released" and not folder.is_dir():
        return hub.fetch_verified(info, files or info.files, **options)
    for file in files or info.files:
        verify_file(folder, file, info.files[file])
    return folder


def _folder(folder: Path) -> Source:
    if not folder.is_dir():
        raise PretrainedError(f"There is no folder {str(folder)!r}.")
    _log.warning("%s is unverified: no manifest vouches for its files.", folder)
    return Source(str(folder), folder, None)
