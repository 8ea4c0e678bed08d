"""`groco check` and `groco verify`: is it equivariant, and is it what was published?"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from groco.cli.common import CommandError, add_json, add_name, start_keras, write_json, write_table

TOLERANCE = 1e-4
_EXAMPLES = 4


def add_commands(commands) -> None:
    check = commands.add_parser("check", help="is a trained model equivariant, element by element, and what it was?")
    add_name(check)
    check.add_argument("--group", help="a group to test; by default that of the model, the turns for a planar one")
    check.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="T",
        help="the largest error that passes, relative to the outputs' scale (default: %(default)g)",
    )
    add_json(check)
    check.set_defaults(run=_check)

    verify = commands.add_parser("verify", help="are the files of trained models those that were published?")
    verify.add_argument("names", nargs="*", metavar="NAME", help="trained models; by default all in the package")
    add_json(verify)
    verify.set_defaults(run=_verify)


def _check(options) -> int:
    if not options.tolerance > 0:
        raise CommandError(f"--tolerance is a number above 0, got {options.tolerance:g}")
    start_keras()
    from groco._precision import single_precision
    from groco.groups import get_group
    from groco.pretrained.loading import DESCRIPTION, load_from, read_description
    from groco.pretrained.preprocessor import PREPROCESSOR, Preprocessor
    from groco.pretrained.safety import read_golden
    from groco.pretrained.source import locate
    from groco.pretrained.verification import GOLDEN
    from groco.testing import equivariance_errors

    source = locate(options.name)
    with single_precision():
        model = load_from(source)
    ndim = len(model.input_shape) - 2
    own = _own_group(read_description(source.folder / DESCRIPTION)) if _has(source.folder, DESCRIPTION) else None
    expected = own is not None or options.group is not None
    group = get_group(options.group, ndim) if options.group else own or _turns(ndim)
    images, _ = read_golden(source.folder / GOLDEN)
    prepared = Preprocessor.load(source.folder / PREPROCESSOR)(images[:_EXAMPLES])
    errors = equivariance_errors(model, prepared, group, ndim=ndim)
    rows: list[dict[str, Any]] = [
        {"check": "equivariance", "of": f"{group.name} {element}", "error": error, "passed": _passed(error, options)}
        for element, error in errors.items()
    ]
    if not expected:
        for row in rows:
            row["passed"] = None
    rows.append(_golden(source, model))
    return _report(options, rows)


def _has(folder: Path, file: str) -> bool:
    return (folder / file).is_file()


def _own_group(description: dict[str, Any]):
    from groco.models import symmetry_group

    return symmetry_group(description["architecture"], **description["arguments"])


def _turns(ndim: int):
    from groco.groups import get_group

    return get_group({1: "PM", 2: "P4", 3: "O"}[ndim], ndim)


def _passed(error: float, options) -> bool:
    return bool(error <= options.tolerance)


def _golden(source, model) -> dict[str, Any]:
    from groco.pretrained.manifest import PretrainedError
    from groco.pretrained.verification import golden_error

    try:
        count, error = golden_error(source, model)
    except PretrainedError as problem:
        return {"check": "golden", "of": "inputs", "error": None, "passed": False, "problem": str(problem)}
    return {"check": "golden", "of": f"{count} inputs", "error": error, "passed": True}


def _report(options, rows: list[dict[str, Any]]) -> int:
    if options.json:
        finite = [{**row, "error": _finite(row["error"])} for row in rows]
        write_json({"name": options.name, "checks": finite})
    else:
        words = {True: "ok", False: "FAILED", None: "not expected"}
        table = [
            (row["check"], row["of"], "-" if row["error"] is None else f"{row['error']:.1e}", words[row["passed"]])
            for row in rows
        ]
        write_table(("check", "of", "error", "result"), table)
        for row in rows:
            if "problem" in row:
                print(f"groco check: {row['problem']}", file=sys.stderr)
    return 1 if any(row["passed"] is False for row in rows) else 0


def _finite(error: float | None) -> float | None:
    """JSON has no infinity."""
    return error if error is not None and math.isfinite(error) else None


def _verify(options) -> int:
    from groco.pretrained.manifest import list_pretrained

    names = options.names or list_pretrained()
    for name in names:
        _must_exist(name)
    start_keras()
    from groco.pretrained import verify
    from groco.pretrained.manifest import PretrainedError

    found: list[dict[str, Any]] = []
    for name in names:
        try:
            result = verify(name)
        except PretrainedError as problem:
            found.append({"name": name, "passed": False, "problem": " ".join(str(problem).split())})
            continue
        figures = {"files": len(result.files), "golden_inputs": result.golden_inputs}
        found.append(
            {"name": name, "passed": True, "vouched": result.vouched, **figures, "golden_error": result.golden_error}
        )
    if options.json:
        write_json(found)
    else:
        write_table(("name", "files", "golden inputs", "error", "result"), [_row(entry) for entry in found])
        for entry in found:
            if not entry["passed"]:
                print(f"groco verify: {entry['problem']}", file=sys.stderr)
    return 0 if all(entry["passed"] for entry in found) else 1


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    if not entry["passed"]:
        return (entry["name"], "-", "-", "-", "FAILED")
    files = f"{entry['files']} ok" if entry["vouched"] else "unverified"
    return (entry["name"], files, str(entry["golden_inputs"]), f"{entry['golden_error']:.1e}", "ok")


def _must_exist(name: str) -> None:
    """Raises an error if there is nothing of that name, which is not a check that failed."""
    from groco.pretrained.manifest import model_info

    if not name.startswith("hf://") and not Path(name).is_dir():
        model_info(name)
