"""The U-Net drawn from itself, and without its parts: the drawing follows the network, the table its code."""

import pytest
import torch

from diffusion_lab import unet
from diffusion_lab.experiments import taken_away
from diffusion_lab.experiments.anatomy import anatomy, draw
from diffusion_lab.pretrained import recipes
from diffusion_lab.training import train

NETS = [
    dict(width=16, num_classes=10, image_size=8),
    dict(width=8, levels=3, blocks=2, image_size=16),
    dict(width=24, levels=1, channels=3, image_size=5),
]


@pytest.mark.parametrize("arguments", NETS)
def test_the_anatomy_is_that_of_the_network(arguments):
    net = unet.TinyUNet(**arguments)
    parts = {part.name: part for part in anatomy(net)}
    assert sum(part.weights for part in parts.values()) == sum(weight.numel() for weight in net.parameters())
    size = arguments["image_size"]
    assert parts["first"].sees == parts["last"].gives == (net.channels, size, size)
    for name, part in parts.items():
        assert part.told == (part.kind == "ResBlock")
        block = net.get_submodule(name)
        if part.kind == "ResBlock":
            assert part.sees[0] == block.conv1.in_channels and part.gives[0] == block.conv2.out_channels
    n = len(net.down)
    skips = {name: part.skip_to for name, part in parts.items() if part.skip_to}
    assert skips == {f"down.{i}": f"up.{n - 1 - i}" for i in range(n)}
    assert parts["middle1"].sees[1] == size // 2 ** (arguments.get("levels", 2) - 1)


def test_the_network_stays_as_it_was():
    net = unet.TinyUNet(width=8, image_size=8).train()
    anatomy(net)
    assert net.training and not any(part._forward_hooks for part in net.modules())
    assert len(anatomy(unet.TinyUNet(width=8), 4)) == len(anatomy(net))
    with pytest.raises(ValueError, match="size must be given"):
        anatomy(unet.TinyUNet(width=8))


@pytest.mark.parametrize("arguments", NETS)
def test_the_drawing_names_every_part_once_and_draws_every_skip(arguments):
    from matplotlib.figure import Figure

    parts, axes = anatomy(unet.TinyUNet(**arguments)), Figure().subplots()
    draw(parts, axes)
    first_lines = [text.get_text().split("\n")[0].split(":")[0] for text in axes.texts]
    for part in parts:
        assert first_lines.count(part.name) == 1
    arrows = sum(getattr(text, "arrow_patch", None) is not None for text in axes.texts)
    images = len(parts) - 1
    assert arrows == images - 1 + sum(part.skip_to is not None for part in parts)


@pytest.mark.parametrize("part", taken_away.PARTS)
def test_what_is_taken_away_is_gone_and_nothing_else(part):
    whole = taken_away.Ablated().make_network()
    net = taken_away.Ablated(without=part).make_network()
    with torch.no_grad():  # an untrained network says 0: here it shall speak
        for each in (whole, net):
            each.last.weight.fill_(0.1)
    x, shapes = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), dict(atol=1e-6, rtol=0)
    label = None if part == "class" else 3
    early, late = net(x, 1, label), net(x, 900, label)
    assert torch.allclose(early, late, **shapes) == (part == "time")
    assert (net.num_classes is None) == (part == "class")
    same = torch.allclose(early, whole(x, 1, label), **shapes)
    assert same == (part in ("nothing",))
    assert isinstance(net.attention, torch.nn.Identity) == (part == "attention")
    if part == "skips":
        beside = []
        hooks = [
            block.block.register_forward_pre_hook(lambda _, given: beside.append(given[0]))
            for block in net.up
        ]
        net(x, 1, label)
        for hook in hooks:
            hook.remove()
        assert all((seen[:, -block.partner :] == 0).all() for seen, block in zip(beside, net.up, strict=True))


def test_no_other_part_is_known():
    with pytest.raises(ValueError, match="part must be one of nothing, time"):
        taken_away.take_away(unet.TinyUNet(width=8), "middle")


@pytest.mark.slow
def test_the_table_is_what_its_command_makes(tmp_path):
    """The rows of a run of twelve steps: all that the command does, on a smaller scale."""
    recipe = taken_away.Ablated(without="skips", steps=12)
    result = train(recipe, progress=False)
    row = taken_away.measured(result.denoiser, taken_away.load_classifier())
    row |= dict(without="skips", seed=0, steps=12, weights="averaged")
    taken_away.save([row], tmp_path / "table.csv")
    (again,) = taken_away.table(tmp_path / "table.csv")
    assert again.pop("samples").shape == (10, 1, 8, 8)
    assert all(again[name] == row[name] for name in again)


def test_the_table_that_ships():
    rows = taken_away.table()
    keys = {(row["without"], row["seed"], row["steps"], row["weights"]) for row in rows}
    seeds = {row["seed"] for row in rows}
    assert len(keys) == len(rows) == len(taken_away.PARTS) * len(seeds) * 4
    assert taken_away.FILE.stat().st_size <= 30_000
    drawn = {row["without"] for row in rows if len(row["samples"]) == 10}
    assert drawn == set(taken_away.PARTS)
    assert taken_away.FILE.stem not in recipes() and "digits.taken_away" not in recipes()
