"""Writes docs/faults.md: what happens when something goes wrong with a trained model, from the tests that make it go
wrong, and a transcript of publishing and loading against the loopback Hub of the tests.

python -m docs.write_faults
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

import huggingface_hub

from groco.pretrained.manifest import MANIFEST
from tests.hub import TOKEN, Hub

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path(__file__).with_name("faults.md")
TESTS = ["tests/pretrained/test_faults.py", "tests/pretrained/test_publish.py"]
NAME = "p4cnn.rotmnist"
LOG = 'import logging\nlogging.basicConfig(format="%(message)s")\nlogging.getLogger("groco").setLevel("INFO")\n'
PUBLISH = f"""\
from groco.pretrained import publish

done = publish("zoo/{NAME}", "groco-tests/{NAME}", tag="v1")
print(done.revision, f"golden inputs differ by {{done.golden_error:.0e}}")
"""
LOAD = f"""\
import groco

info = groco.model_info("{NAME}")
print(info.status, info.repo_id, info.revision)
found = groco.verify("{NAME}")
print(len(found.files), "files verified,", found.golden_inputs, f"golden inputs differ by {{found.golden_error:.0e}}")
print(groco.from_pretrained("{NAME}").output_shape)
"""

INTRODUCTION = """\
# When something goes wrong with a trained model

Written by `python -m docs.write_faults`, which runs the tests that make each of these go wrong, with huggingface_hub
{version} against a Hub of ours on the loopback device (tests/hub.py). In every case no code of a stranger runs, no
weights are loaded but those that were published, and the cache is fit for use afterwards. Every line is a test. Hashes
are shortened here.

| what goes wrong | what the user sees |
|---|---|
"""


def main() -> None:
    lines = [INTRODUCTION.format(version=huggingface_hub.__version__) + "\n".join(_outcomes())]
    with tempfile.TemporaryDirectory() as temporary, Hub() as hub:
        lines += ["", "## Publishing, and loading what was published", *_transcript(Path(temporary), hub)]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _outcomes() -> list[str]:
    """The rows of the table: what the tests record, in their order. Fails if a test does."""
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", *TESTS, f"--junitxml={report}", "-o", "junit_family=xunit1"]
        subprocess.run(command, cwd=ROOT, check=True)
        cases = xml.etree.ElementTree.parse(report).iter("testcase")
        recorded = [{p.attrib["name"]: p.attrib["value"] for p in case.iter("property")} for case in cases]
    return [f"| {row['fault']} | {_cell(row['outcome'])} |" for row in recorded if row]


def _cell(text: str) -> str:
    text = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{32,56}\b", r"\1…", " ".join(text.split()))
    return text.replace("|", "\\|").replace("<", "&lt;")


def _transcript(folder: Path, hub: Hub) -> list[str]:
    """A checkout publishes a model and loses its folder; another process with an empty cache loads it."""
    for name in ("groco", f"zoo/{NAME}"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / MANIFEST, folder / MANIFEST)
    published = _run(PUBLISH, folder, hub, HF_TOKEN=TOKEN)
    requests, hub.requests = _requests(hub), []
    shutil.rmtree(folder / "zoo" / NAME)
    loaded = _run(LOAD, folder, hub)
    return [
        "",
        "A checkout publishes (`groco publish` does the same):",
        *_block("python", PUBLISH),
        *_block("text", published),
        "",
        "What the Hub was asked for:",
        *_block("text", requests),
        "",
        "Another process, with an empty cache, no token, and a package that does not bring the model:",
        *_block("python", LOAD),
        *_block("text", loaded),
        "",
        "What the Hub was asked for:",
        *_block("text", _requests(hub)),
    ]


def _run(code: str, folder: Path, hub: Hub, **environment: str) -> str:
    """What a fresh process prints."""
    home = tempfile.mkdtemp(dir=folder)
    settings = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": home,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(folder),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "KERAS_BACKEND") if key in os.environ}
    command = [sys.executable, "-W", "ignore", "-c", LOG + code]
    done = subprocess.run(command, cwd=folder, env={**kept, **settings, **environment}, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    said = [line for line in done.stderr.splitlines() if line.startswith(NAME)]
    return "\n".join([*said, done.stdout.strip()])


def _requests(hub: Hub) -> str:
    return re.sub(r"([0-9a-f]{8})[0-9a-f]{32,56}", r"\1…", "\n".join(hub.requests))


def _block(language: str, text: str) -> list[str]:
    return ["", f"```{language}", text.rstrip(), "```"]


if __name__ == "__main__":
    main()
