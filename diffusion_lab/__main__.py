"""``python -m diffusion_lab``: train a network, draw samples from one, or write the course as web pages."""

import argparse
import dataclasses
import math
import sys
from pathlib import Path

import torch

from . import pretrained, samplers
from .checks import check_int
from .guidance import classifier_free
from .recipe import Recipe
from .training import check_device, train


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 2 for a mistake of the user, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError, ImportError) as error:  # printed in one line, without a traceback
        print(f"diffusion_lab {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffusion_lab", description=__doc__.partition(": ")[2])
    names = "train | sample | export | slides"
    commands = parser.add_subparsers(dest="command", required=True, metavar=names)

    known = ", ".join(pretrained.recipes())
    p = commands.add_parser(
        "train",
        help="train a network by its recipe",
        description="Train a network by its recipe. DIR/NAME.safetensors gets the weights, DIR/NAME.json the "
        "recipe and the quality measured. An interrupted run leaves DIR/NAME.checkpoint, for --resume.",
    )
    p.add_argument("name", nargs="?", help=f"a recipe of the package: {known}")
    p.add_argument("--all", action="store_true", help="every recipe of the package, one after the other")
    p.add_argument("--recipe", metavar="FILE", help="a recipe of your own: a JSON file of Recipe's fields")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    p.add_argument("--steps", type=int, help="number of steps, instead of the recipe's")
    p.add_argument("--out", metavar="DIR", default="runs", help="where to write (default: runs)")
    p.add_argument("--resume", action="store_true", help="go on from DIR/NAME.checkpoint")
    p.set_defaults(run=_train)

    p = commands.add_parser(
        "sample",
        help="draw samples from a trained network",
        description="Draw samples: images into a grid, points into a scatter plot (.png), or numbers (.npy).",
    )
    p.add_argument("name", help=f"one of {', '.join(pretrained.names()) or '(none yet)'}")
    p.add_argument("--label", type=int, help="draw this class only (default: any)")
    p.add_argument("--n", type=int, default=16, help="how many (default: 16)")
    p.add_argument("--steps", type=int, default=50, help="sampling steps (default: 50)")
    p.add_argument("--sampler", choices=samplers.SAMPLERS, default="ddim", help="default: ddim")
    p.add_argument("--spacing", choices=samplers.SPACINGS, default="trailing", help="default: trailing")
    p.add_argument("--guidance", type=float, metavar="W", help="above 1: lean further towards the label")
    p.add_argument("--seed", type=int, default=0, help="default: 0")
    p.add_argument("--out", metavar="FILE", help=".png or .npy (default: NAME.png)")
    p.add_argument(
        "--folder",
        metavar="DIR",
        default=pretrained.FOLDER,
        help="where NAME is, if not in the package: train's DIR",
    )
    p.set_defaults(run=_sample)

    p = commands.add_parser(
        "export",
        help="write the course as web pages",
        description="Write every notebook as a page whose explorers move without a kernel or the network: "
        "open SITE/index.html. SITE is made; an earlier export there is replaced.",
    )
    p.add_argument("site", metavar="SITE", help="the folder to write")
    p.add_argument("--notebooks", metavar="DIR", help="where the notebooks are, if not beside the package")
    p.set_defaults(run=_export)

    p = commands.add_parser(
        "slides",
        help="write the course as slides",
        description="Write every notebook as slides (reveal.js) whose explorers move without a kernel or the "
        "network: open FOLDER/03_forward.html, say. S shows the speaker's notes, Esc all slides.",
    )
    p.add_argument("folder", metavar="FOLDER", help="the folder to write")
    p.add_argument("--notebooks", metavar="DIR", help="where the notebooks are, if not beside the package")
    p.set_defaults(run=_slides)
    return parser


def _train(options: argparse.Namespace) -> int:
    if [options.name is not None, options.all, options.recipe is not None].count(True) != 1:
        raise ValueError(f"give one of NAME ({', '.join(pretrained.recipes())}), --all or --recipe FILE")
    check_device(options.device)  # before any data is loaded
    if options.recipe:
        file = Path(options.recipe)
        recipes = {file.stem: Recipe.from_json(file.read_text(encoding="utf-8"))}
    else:
        names = pretrained.recipes() if options.all else [options.name]
        recipes = {name: pretrained.read_recipe(name) for name in names}

    for name, recipe in recipes.items():
        if options.steps is not None:
            recipe = dataclasses.replace(recipe, steps=options.steps)
        checkpoint = Path(options.out) / f"{name}.checkpoint"
        print(f"{name}: {recipe.steps} steps on {options.device}")
        resume = options.resume and (checkpoint.exists() or not options.all)
        result = train(recipe, device=options.device, checkpoint=checkpoint, resume=resume)
        if result.interrupted:
            saved = (
                f"go on with --resume from {checkpoint}" if checkpoint.exists() else "nothing was saved yet"
            )
            print(f"{name}: {saved}")
            return 130
        quality = pretrained.measure(pretrained.rounded(result), recipe)
        pretrained.save(name, result, quality, options.out)
        checkpoint.unlink()
        print(f"{name}: {Path(options.out) / name}.safetensors", quality)
    return 0


def _sample(options: argparse.Namespace) -> int:
    denoiser = pretrained.load(options.name, options.folder)
    out = Path(options.out or f"{options.name}.png")
    if out.suffix not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy; got {str(out)!r}")
    if denoiser.shape is None:
        raise ValueError(f"the recipe of {options.name} must give the network's image_size; it does not")
    told = denoiser.given(options.label)
    if options.guidance is not None:
        if options.label is None:
            raise ValueError("--guidance needs the class to lean towards: give --label too")
        told = classifier_free(told, denoiser.given(None), options.guidance)
    x = samplers.sample(
        told,
        check_int(options.n, "--n", 1),
        samplers.SAMPLERS[options.sampler],
        options.steps,
        options.spacing,
        generator=torch.Generator().manual_seed(check_int(options.seed, "--seed", 0)),
    )
    _write(x, out)
    print(f"{options.n} samples of {options.name} in {out}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from . import export  # noqa: PLC0415 - needs packages that other commands do not

    site = export.export(options.site, options.notebooks or export.NOTEBOOKS)
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(f"{site / 'index.html'}: {size / 1e6:.1f} MB")
    return 0


def _slides(options: argparse.Namespace) -> int:
    from . import slides  # noqa: PLC0415 - as above

    folder = slides.slides(options.folder, options.notebooks or slides.NOTEBOOKS)
    print(f"{len(list(folder.glob('*.html')))} sets of slides in {folder}")
    return 0


def _write(x: torch.Tensor, out: Path) -> None:
    """Images [N, C, S, S] as a grid of squares, points [N, 2] as a scatter plot; or anything as numbers."""
    if out.suffix == ".npy":
        import numpy as np  # noqa: PLC0415 - as above

        np.save(out, x.numpy())
    elif x.ndim == 4:
        from PIL import Image  # noqa: PLC0415 - as above

        N, C, S, _ = x.shape
        columns = math.ceil(math.sqrt(N))
        rows = math.ceil(N / columns)
        tiles = torch.full((rows * columns, C, S, S), -1.0)
        tiles[:N] = x.clamp(-1, 1)
        grid = tiles.reshape(rows, columns, C, S, S).permute(0, 3, 1, 4, 2).reshape(rows * S, columns * S, C)
        pixels = ((grid + 1) * 127.5).round().byte().numpy()
        image = Image.fromarray(pixels.squeeze(2) if C == 1 else pixels)
        scale = max(1, 64 // S)  # 8×8 pixels are too small to see
        image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(out)
    else:
        from matplotlib.figure import Figure  # noqa: PLC0415 - as above; no window to manage

        figure = Figure(figsize=(5, 5))
        axes = figure.add_subplot(aspect="equal", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
        axes.scatter(*x.T.numpy(), s=4)
        figure.savefig(out, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
