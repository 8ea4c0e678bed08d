"""Files from the Hugging Face Hub, checked before anyone reads them. Cache, offline mode and tokens are
huggingface_hub's own; it is imported when it is first needed."""

from __future__ import annotations

import errno
import functools
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from groco._version import __version__
from groco.pretrained.manifest import REPO_ID, ModelInfo, PretrainedError, mismatch

PREFIX = "hf://"
LIBRARY: dict[str, Any] = {"library_name": "groco", "library_version": __version__}

_log = logging.getLogger("groco")


def parse_uri(uri: str) -> tuple[str, str | None]:
    """Repository and revision of `hf://organisation/name[@revision]`; raises PretrainedError if it is not one."""
    match = re.fullmatch(rf"{PREFIX}({REPO_ID})(?:@([\w./-]+))?", uri)
    if not match:
        raise PretrainedError(f"{uri!r} is not of the form hf://organisation/name or hf://organisation/name@revision.")
    return match[1], match[2]


def fetch_verified(info: ModelInfo, files: Iterable[str], **options: Any) -> Path:
    """The folder, in the Hub's cache, with files of a released model that are what the manifest says.

    Args:
        info: the model.
        files: names of files of it.
        **options: cache_dir, local_files_only and token, as of `huggingface_hub.hf_hub_download`.

    Raises:
        PretrainedError: if a file cannot be had, or is not what the manifest says even when downloaded afresh.
    """
    assert info.repo_id is not None
    assert info.revision is not None
    folder = Path()
    for file in files:
        problem_of = functools.partial(mismatch, expected=info.files[file])
        folder = _fetch(info.repo_id, file, info.revision, problem_of, options).parent
    return folder


def fetch_unverified(repo_id: str, revision: str | None, files: Iterable[str], **options: Any) -> tuple[Path, str]:
    """The folder, in the Hub's cache, with those of the files that a repository has, and the commit they are from.

    Nobody vouches for them; but they are what the Hub says they are: the names it gives to contents are their hashes.

    Args:
        repo_id: the repository.
        revision: a branch, a tag or a commit; the main branch if None.
        files: names of files.
        **options: cache_dir, local_files_only and token, as of `huggingface_hub.snapshot_download`.

    Raises:
        PretrainedError: if the repository cannot be reached and is not in the cache, or a file is damaged even when
            downloaded afresh.
    """
    import huggingface_hub

    names = list(files)
    asked = f"{PREFIX}{repo_id}" + (f"@{revision}" if revision else "")

    def snapshot() -> str:
        return huggingface_hub.snapshot_download(repo_id, revision=revision, allow_patterns=names, **LIBRARY, **options)

    folder = Path(_twice(snapshot, asked))
    for file in names:
        if (folder / file).is_file() or (folder / file).is_symlink():
            _fetch(repo_id, file, folder.name, _damage, options)
    return folder, folder.name


def explain(error: BaseException) -> str:
    """In one line, for a user: why huggingface_hub did not do what it was asked to."""
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        return f"it is not in the cache, and {explain(error.__cause__)}"
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "offline mode is on (HF_HUB_OFFLINE)"
    if isinstance(error, LocalEntryNotFoundError):
        return "it is not in the cache, and the Hub was not asked (local_files_only or offline mode)"
    if type(error).__name__ == "FileMetadataError":
        return "what answered is not a Hub: a login page of the network, a proxy, or a wrong HF_ENDPOINT"
    if isinstance(error, ValueError | RuntimeError) and error.__cause__ is not None:
        return explain(error.__cause__)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        detail = getattr(error, "server_message", None) or _first_line(error)
        if isinstance(error, GatedRepoError):
            meaning = "access to the repository must be asked for on its page"
        elif status == 401:
            meaning = "the token is wrong or missing, or there is no such repository; see `hf auth login` and token="
        elif status == 403:
            meaning = "the token does not allow it"
        elif isinstance(error, RepositoryNotFoundError):
            meaning = "there is no such repository, or the token may not see it"
        elif status == 404:
            meaning = "there is no such revision or file"
        elif status == 429:
            meaning = "too many requests; try again later"
        elif status >= 500:
            meaning = "the Hub has a problem of its own; try again later"
        else:
            meaning = "the Hub refused"
        return f"{meaning} (HTTP {status}: {detail})"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full ({_first_line(error)})"
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"the cache cannot be written ({_first_line(error)}); cache_dir= or HF_HUB_CACHE choose another"
    if isinstance(error, OSError):
        return _first_line(error)
    return f"the connection to the Hub failed ({type(error).__name__}: {_first_line(error)})"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else repr(error)


def _fetch(
    repo_id: str, file: str, revision: str, problem_of: Callable[[Path], str | None], options: dict[str, Any]
) -> Path:
    """A file in the cache without a problem; one that has one is thrown away and downloaded once more."""
    import huggingface_hub

    asked = f"{file} of {PREFIX}{repo_id}@{revision}"

    def download(force: bool = False) -> Path:
        return Path(
            huggingface_hub.hf_hub_download(
                repo_id, file, revision=revision, force_download=force, **LIBRARY, **options
            )
        )

    path = Path(_twice(download, asked))
    problem = _problem(path, problem_of)
    if problem is None:
        return path
    _log.warning("%s: the copy in the cache %s. It is downloaded once more.", asked, problem)
    try:
        _discard(path)
        if options.get("local_files_only"):
            raise PretrainedError(f"{asked} {problem}, and the Hub may not be asked for another (local_files_only).")
        path = download(force=True)
    except PretrainedError:
        raise
    except Exception as error:
        raise PretrainedError(f"{asked} {problem}, and another could not be had: {explain(error)}.") from error
    problem = _problem(path, problem_of)
    if problem is not None:
        _discard(path)
        raise PretrainedError(
            f"{asked} {problem}, also when downloaded once more. Nothing was read from it, and it is not kept."
        )
    return path


def _twice(download: Callable[[], Any], asked: str) -> Any:
    """A download; once more if the connection broke or what came had the wrong length; errors in our words."""
    for last in (False, True):
        try:
            return download()
        except Exception as error:  # huggingface_hub lets the errors of its HTTP library through, and changes libraries
            if not last and _may_pass(error):
                _log.warning("%s: %s: %s. It is asked for once more.", asked, type(error).__name__, _first_line(error))
                continue
            raise PretrainedError(f"{asked} cannot be had: {explain(error)}.") from error
    return None


def _may_pass(error: Exception) -> bool:
    """Whether it is an error of the connection, which need not come again, and not one of the Hub or the disk."""
    if isinstance(error, OSError):
        answered = getattr(error, "response", None) is not None
        return error.errno is None and not answered and not isinstance(error, FileNotFoundError)
    return not isinstance(error, ValueError | RuntimeError)


def _problem(path: Path, problem_of: Callable[[Path], str | None]) -> str | None:
    try:
        return problem_of(path)
    except FileNotFoundError:  # a link to nothing, or another process has just thrown it away
        return "is a link to a file that is missing"


def _discard(path: Path) -> None:
    """Removes a file of the cache, and the contents it is a link to, so that they are downloaded again."""
    content = path.parent / os.readlink(path) if path.is_symlink() else None
    path.unlink(missing_ok=True)
    if content is not None:
        content.unlink(missing_ok=True)


def _damage(path: Path) -> str | None:
    """How a file of the cache differs from the hash that the Hub calls it by, if the cache still knows that."""
    if not path.is_symlink():
        return None
    name = Path(os.readlink(path)).name
    if re.fullmatch(r"[0-9a-f]{64}", name):
        digest = hashlib.sha256()
    elif re.fullmatch(r"[0-9a-f]{40}", name):
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        return None
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    found = digest.hexdigest()
    return None if found == name else f"has the hash {found}, the Hub says {name}"
