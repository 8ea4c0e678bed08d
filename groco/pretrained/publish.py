"""Publishing a trained model on the Hugging Face Hub, and believing only what comes back from there."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from groco._precision import single_precision
from groco.pretrained import hub
from groco.pretrained.card import CARD, check_card
from groco.pretrained.loading import CONFIG, DESCRIPTION, load_from, read_description
from groco.pretrained.manifest import (
    REPO_ID,
    REQUIRED_FILES,
    FileInfo,
    ModelInfo,
    PretrainedError,
    manifest_path,
    mismatch,
    read_manifest,
    release,
)
from groco.pretrained.safety import check_config
from groco.pretrained.source import Source
from groco.pretrained.verification import golden_error

_log = logging.getLogger("groco")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Publication:
    """What `publish` did, or would do.

    Attributes:
        name: of the model.
        repo_id: the repository, `organisation/name`.
        private: whether a new repository is private.
        tag: the name that the commit gets.
        files: size and sha256 of each file that is in the repository.
        revision: the commit of 40 hexadecimal digits; None for a dry run.
        url: of that commit on the Hub; None for a dry run.
        golden_error: the largest relative difference of an output of the model, as downloaded, from the recorded;
            for a dry run, of the model in the folder.
    """

    name: str
    repo_id: str
    private: bool
    tag: str
    files: dict[str, FileInfo]
    golden_error: float
    revision: str | None = None
    url: str | None = None


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | None = None,
    private: bool = False,
    tag: str = "v1",
    dry_run: bool = False,
    manifest: str | Path | None = None,
) -> Publication:
    """Puts a trained model on the Hugging Face Hub, and says so in the manifest once it has come back whole.

    The folder and its card are checked; the files are uploaded, and become the only ones of the repository; the commit
    is tagged. Then it is downloaded to an empty cache, every file is compared, and the golden inputs are run. Only then
    the manifest gets the revision and the status `released`. Whatever fails before leaves the manifest as it is, and
    the same call can be made again: the Hub keeps what it has.

    Args:
        folder: of the model, for instance `zoo/p4cnn.rotmnist`; its files are those of its entry in the manifest.
        repo_id: the repository, `organisation/name`; it is made if it is not there.
        token: that may write there, if not the one that huggingface_hub knows (HF_TOKEN, `hf auth login`).
        private: whether a new repository is private.
        tag: the name that the commit gets; one that names another commit already is not moved.
        dry_run: True only checks, and returns what would go.
        manifest: the path of the manifest; by default that of the checkout.

    Raises:
        PretrainedError: if the folder is not fit to be published, which is told before anything is sent; or if the Hub
            refuses or cannot be reached, or what comes back is not what was sent.
    """
    folder = Path(folder)
    manifest = Path(manifest) if manifest is not None else manifest_path()
    if not re.fullmatch(REPO_ID, repo_id):
        raise PretrainedError(f"A repository has the form organisation/name, got {repo_id!r}.")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", tag):
        raise PretrainedError(f"A tag is made of letters, digits, dots, dashes and underscores, got {tag!r}.")
    info, error = check_folder(folder, manifest)
    plan = Publication(info.name, repo_id, private, tag, info.files, error)
    if dry_run:
        return plan
    revision = _upload(folder, plan, token)
    with tempfile.TemporaryDirectory(prefix="groco-publish-") as cache:
        error = _come_back(info, plan, revision, cache, token)
    release(manifest, info.name, repo_id, revision)
    _log.info("%s is released: %s@%s.", info.name, repo_id, revision)
    return replace(plan, revision=revision, url=_url(repo_id, revision), golden_error=error)


@single_precision()
def check_folder(folder: str | Path, manifest: str | Path | None = None) -> tuple[ModelInfo, float]:
    """Checks that a folder is fit to be published, without the Hub.

    Args:
        folder: of the model.
        manifest: the path of the manifest; by default that of the checkout.

    Returns:
        Its entry in the manifest, and the largest relative difference of a golden output.

    Raises:
        PretrainedError: that names what is wrong.
    """
    folder = Path(folder).resolve()
    manifest = Path(manifest) if manifest is not None else manifest_path()
    models = read_manifest(manifest)
    if not folder.is_dir():
        raise PretrainedError(f"There is no folder {str(folder)!r}.")
    if folder.name not in models:
        raise PretrainedError(f"{manifest} has no model {folder.name!r}; it has {', '.join(sorted(models))}.")
    info = models[folder.name]
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    if surplus := sorted(found - set(info.files)):
        raise PretrainedError(f"{folder} has files that the manifest does not know: {', '.join(surplus)}.")
    if missing := sorted({*info.files, *REQUIRED_FILES, CARD} - found):
        raise PretrainedError(f"{folder} lacks {', '.join(missing)}.")
    for file, expected in info.files.items():
        if difference := mismatch(folder / file, expected):
            raise PretrainedError(f"{folder / file} {difference}. Write the manifest anew if the file is right.")
    description = read_description(folder / DESCRIPTION)
    for key in ("architecture", "parameters", "metrics", "paper", "recipe", "licence"):
        if description.get(key) != getattr(info, key):
            raise PretrainedError(f"{folder / DESCRIPTION}: {key!r} is not that of the manifest.")
    check_config(folder / CONFIG)
    check_card(folder / CARD, info.name, description)
    source = Source(str(folder), folder, info)
    model = load_from(source)
    if model.count_params() != sum(int(np.prod(weight.shape)) for weight in model.weights):
        raise PretrainedError(f"{folder}: the model has weights that are not built.")
    _, error = golden_error(source, model)
    _same_by_keras(source)
    return info, error


def _same_by_keras(source: Source) -> None:
    """What `keras.saving.load_model` makes of the folder computes the same."""
    import keras

    try:
        model = keras.saving.load_model(str(source.folder), compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a config that does not fit makes it
        raise PretrainedError(f"{source.folder} cannot be loaded by Keras: {error}") from None
    golden_error(source, model)


def _upload(folder: Path, plan: Publication, token: str | None) -> str:
    """Puts the files into the repository and tags the commit; returns its hash."""
    from huggingface_hub import HfApi

    api = HfApi(token=token, **hub.LIBRARY)
    files = sorted(plan.files)

    def step(doing: str, call: Callable[[], _Answer]) -> _Answer:
        _log.info("%s: %s.", plan.name, doing)
        try:
            return call()
        except Exception as error:  # huggingface_hub lets the errors of its HTTP library through, and changes libraries
            raise PretrainedError(f"{doing}: {hub.explain(error)}. {_GO_ON}") from error

    step(
        f"making the repository {plan.repo_id}",
        lambda: api.create_repo(plan.repo_id, private=plan.private, repo_type="model", exist_ok=True),
    )
    commit = step(
        f"uploading {len(files)} files to {plan.repo_id}",
        lambda: api.upload_folder(
            repo_id=plan.repo_id,
            folder_path=folder,
            allow_patterns=files,
            delete_patterns="*",
            commit_message=f"{plan.name} {plan.tag}",
        ),
    )
    revision = commit.oid
    if not re.fullmatch(r"[0-9a-f]{40}", str(revision)):
        raise PretrainedError(f"{plan.repo_id}: the Hub calls the commit {revision!r}, not 40 digits. {_GO_ON}")
    refs = step(f"reading the tags of {plan.repo_id}", lambda: api.list_repo_refs(plan.repo_id))
    tagged = next((ref.target_commit for ref in refs.tags if ref.name == plan.tag), None)
    if tagged is None:
        step(
            f"tagging {revision} of {plan.repo_id} as {plan.tag}",
            lambda: api.create_tag(plan.repo_id, tag=plan.tag, revision=revision),
        )
    elif tagged != revision:
        raise PretrainedError(
            f"{plan.repo_id} has a tag {plan.tag} already, for the commit {tagged}, not {revision}. {_GO_ON} "
            "Give it another tag."
        )
    return revision


@single_precision()
def _come_back(info: ModelInfo, plan: Publication, revision: str, cache: str, token: str | None) -> float:
    """Downloads the commit to an empty cache, compares every file, and runs the golden inputs."""
    released = replace(info, status="released", repo_id=plan.repo_id, revision=revision)
    try:
        folder = hub.fetch_verified(released, released.files, cache_dir=cache, token=token)
        source = Source(plan.repo_id, folder, released)
        _, error = golden_error(source, load_from(source))
    except PretrainedError as problem:
        raise PretrainedError(f"{plan.repo_id}@{revision} was uploaded, but: {problem} {_GO_ON}") from problem
    return error


def _url(repo_id: str, revision: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repo_id}/tree/{revision}"


_GO_ON = "The manifest is as it was. Run the same again to go on: what the Hub has already is not sent twice."
