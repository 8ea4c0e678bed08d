"""`groco plot` and `groco demo`."""

from __future__ import annotations

from pathlib import Path

from groco.cli.common import CommandError, add_name, load_preprocessor, new_picture, start_keras


def add_commands(commands) -> None:
    plot = commands.add_parser("plot", help="draw the feature maps of an image under every element of the group")
    add_name(plot)
    plot.add_argument("image", metavar="IMAGE")
    plot.add_argument(
        "--output", type=Path, default=Path("feature_maps.png"), help="the picture (default: %(default)s)"
    )
    plot.add_argument("--layer", help="by default the last whose maps are at least half as large as the image")
    plot.add_argument("--group", help="a group that turns the image; by default that of the model")
    plot.add_argument("--channel", type=int, help="by default the one that varies most")
    plot.add_argument("--invert", action="store_true", help="the image is dark on light, but the model's are not")
    plot.set_defaults(run=_plot)

    demo = commands.add_parser("demo", help="classify 1,000 digits and show that turning them changes nothing")
    demo.add_argument("--picture", default="demo.png", help="where the picture goes (default: %(default)s)")
    demo.set_defaults(run=_demo)


def _plot(options) -> int:
    start_keras()
    from groco.plotting import plot_feature_maps, signal_layers
    from groco.pretrained import from_pretrained

    preprocess, model = load_preprocessor(options.name, options.invert), from_pretrained(options.name)
    if len(preprocess.size) != 2:
        raise CommandError(f"{options.name} is for volumes; only maps of images are drawn")
    image = preprocess.read([options.image])[0]
    layers = {name: group for name, group in signal_layers(model).items() if group.order > 1}
    if not layers:
        raise CommandError(f"{options.name} has no layer that writes signals on a group: it is a planar net")
    layer = options.layer or _default_layer(model, layers, image.shape)
    if layer not in layers:
        raise CommandError(f"no layer {layer!r} that writes signals on a group; there are {', '.join(layers)}")
    group = options.group or layers[layer]
    path = new_picture(options.output)
    picture = image[..., 0] if image.shape[-1] == 1 else image
    plot_feature_maps(model, preprocess(image)[0], layer, path, group=group, channel=options.channel, picture=picture)
    print(path)
    return 0


def _default_layer(model, layers, shape) -> str:
    """The last layer whose maps are at least half as large as the image; sizes may not be known before it is seen."""
    if None in model.input_shape[1:3]:
        return next(reversed(layers))
    large = [name for name in layers if model.get_layer(name).output.shape[1] >= shape[0] / 2]
    return (large or list(layers))[-1]


def _demo(options) -> int:
    start_keras()
    from groco.demo import run

    return 0 if run(new_picture(Path(options.picture))) else 1
