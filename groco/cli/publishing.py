"""`groco card` and `groco publish`."""

from __future__ import annotations

import sys
from pathlib import Path

from groco.cli.common import add_json, add_name, start_keras, write_json, write_table


def add_commands(commands) -> None:
    card = commands.add_parser("card", help="the card of a trained model, made of what was measured")
    add_name(card)
    card.add_argument("--check", action="store_true", help="only check the card that is there; exit status 1 if wrong")
    card.set_defaults(run=_card)

    publish = commands.add_parser(
        "publish", help="put a trained model on the Hugging Face Hub, in place of the files of its repository"
    )
    publish.add_argument("folder", type=Path, metavar="FOLDER", help="of the model, for instance zoo/p4cnn.rotmnist")
    publish.add_argument("--repo-id", required=True, metavar="ORGANISATION/NAME", help="the repository")
    publish.add_argument("--dry-run", action="store_true", help="check everything, show what would go, send nothing")
    publish.add_argument("--private", action="store_true", help="make a new repository private")
    publish.add_argument("--tag", default="v1", help="the name that the commit gets (default: %(default)s)")
    publish.add_argument("--manifest", type=Path, metavar="PATH", help="by default that of the checkout")
    add_json(publish)
    publish.set_defaults(run=_publish)


def _card(options) -> int:
    start_keras()
    from groco.pretrained.card import CARD, check_card, make_card
    from groco.pretrained.loading import DESCRIPTION, read_description
    from groco.pretrained.manifest import PretrainedError
    from groco.pretrained.preprocessor import PREPROCESSOR, Preprocessor
    from groco.pretrained.source import locate

    source = locate(options.name)
    name = source.info.name if source.info else source.folder.resolve().name
    description = read_description(source.folder / DESCRIPTION)
    if not options.check:
        print(make_card(name, description, Preprocessor.load(source.folder / PREPROCESSOR)), end="")
        return 0
    try:
        check_card(source.folder / CARD, name, description)
    except PretrainedError as problem:
        print(f"groco card: {problem}", file=sys.stderr)
        return 1
    print(f"{source.folder / CARD}\tok")
    return 0


def _publish(options) -> int:
    start_keras()
    from groco.pretrained import publish

    done = publish(
        options.folder,
        options.repo_id,
        private=options.private,
        tag=options.tag,
        dry_run=options.dry_run,
        manifest=options.manifest,
    )
    files = {name: {"size": file.size, "sha256": file.sha256} for name, file in done.files.items()}
    if options.json:
        kept = ("name", "repo_id", "private", "tag", "revision", "url", "golden_error")
        write_json({**{key: getattr(done, key) for key in kept}, "dry_run": options.dry_run, "files": files})
        return 0
    write_table(("file", "bytes", "sha256"), [(name, file["size"], file["sha256"]) for name, file in files.items()])
    if options.dry_run:
        visibility = "private" if done.private else "public"
        print(f"would go to {done.repo_id} ({visibility} if it is new), tag {done.tag}; nothing was sent")
    else:
        print(f"{done.name} is released: {done.url}")
    return 0
