"""`groco export`."""

from __future__ import annotations

from pathlib import Path

from groco.cli.common import CommandError, add_name, start_keras, write_table

_SUFFIXES = {"keras": ".keras", "tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite"}


def add_commands(commands) -> None:
    export = commands.add_parser("export", help="write a trained model as a plain net, for programs without groco")
    add_name(export)
    export.add_argument("--format", choices=tuple(_SUFFIXES), default="keras", help="(default: %(default)s)")
    export.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="the file or, for tf_saved_model, folder (default: the model's name)",
    )
    export.add_argument("--keep-batch-norm", action="store_true", help="do not fold it into the convolutions")
    export.add_argument(
        "--implementation",
        choices=("dense", "fourier", "auto"),
        default="dense",
        help="of group convolutions: fourier takes fewer multiplications, auto is what the model uses here in large "
        "batches (default: %(default)s)",
    )
    export.set_defaults(run=_export)


def _export(options) -> int:
    named = Path(options.name)
    path = options.output or Path((named.resolve() if named.is_dir() else named).name + _SUFFIXES[options.format])
    if not path.parent.is_dir():
        raise CommandError(f"there is no folder {str(path.parent)!r}")
    start_keras(tensorflow=options.format == "tf_saved_model")
    from groco.surgery import export_model

    fold = not options.keep_batch_norm
    export_model(options.name, path, options.format, fold_batch_norm=fold, implementation=options.implementation)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    write_table(("path", "bytes"), [(path, sum(file.stat().st_size for file in files))])
    return 0
