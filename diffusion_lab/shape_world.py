"""A world of pictures with captions, so small that whether a picture shows what it should can be read off it.

A scene is one shape with its place ("a large red circle on the left") or two with their relation ("a small
green square above a large blue circle"). `shapes` draws as many pictures as you like. `read_shapes` looks at
a picture and writes its caption, or None if it is not a picture of this world. Some combinations are held
out, to see whether a model can put together what it has never seen together.
"""

import functools
import itertools
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_batch, check_generator, check_int

SIDE = 32
COLORS = {
    "red": (0.9, -0.7, -0.7),
    "green": (-0.7, 0.6, -0.6),
    "blue": (-0.6, -0.3, 0.9),
    "yellow": (0.9, 0.8, -0.7),
}
KINDS = ("circle", "square", "triangle")
SIZES = {"small": 3.2, "large": 5.2}  # half the height of a shape, in pixels
PLACES = {
    "in the middle": (16.0, 16.0),
    "on the left": (8.0, 16.0),
    "on the right": (24.0, 16.0),
    "at the top": (16.0, 8.0),
    "at the bottom": (16.0, 24.0),
}
RELATIONS = {"left of": ("on the left", "on the right"), "above": ("at the top", "at the bottom")}
JITTER = 1.25  # how far a shape may be from its place, in x and in y; pixels
GROUND = -0.85  # the background, in all three channels
HELD_OUT = (("green", "triangle"), ("yellow", "circle"))  # these two are in no training picture
SPLITS = ("train", "scenes", "pairs")
FINE = 4  # points along each side of a pixel, so that edges are smooth


@dataclass(frozen=True)
class Shape:
    """One shape of a scene; `str` says it as a caption does."""

    size: str
    color: str
    kind: str

    def __str__(self) -> str:
        return f"a {self.size} {self.color} {self.kind}"


@dataclass(frozen=True)
class Scene:
    """One shape and its place, or two and their relation. `str` is its caption, and no other scene has it."""

    shapes: tuple[Shape, ...]
    where: str  # one of PLACES, or of RELATIONS

    def __str__(self) -> str:
        return f" {self.where} ".join(map(str, self.shapes)) + f" {self.where}" * (len(self.shapes) == 1)

    @property
    def places(self) -> tuple[str, ...]:
        """The place of each shape."""
        return RELATIONS.get(self.where, (self.where,))


def shapes(
    n: int, generator: torch.Generator | None = None, split: str = "train"
) -> tuple[Tensor, list[str]]:
    """n pictures and their captions; there is no end of them, since no shape is exactly at its place.

    One scene in four has a single shape. "scenes" are scenes that no training picture shows, though it shows
    their shapes; "pairs" have a colour and a kind that no training picture shows together.

    :param split: "train", "scenes" or "pairs"
    :returns: images [n, 3, 32, 32], float32 in [−1, 1], and n captions
    :raises ValueError: for n < 1 and for any other split
    """
    check_generator(generator)
    n, known = check_int(n, "n", 1), scenes(split)
    groups = [[scene for scene in known if len(scene.shapes) == count] for count in (1, 2)]
    lot = torch.rand(n, 2, generator=generator).tolist()
    drawn = []
    for kind, which in lot:
        group = groups[kind >= 0.25] or groups[1]  # the scenes of "scenes" all have two shapes
        drawn.append(group[int(which * len(group))])
    moved = JITTER * (2 * torch.rand(n, 2, 2, generator=generator) - 1)
    centres = torch.full((n, 2, 2), 16.0)
    for i, scene in enumerate(drawn):
        for k, place in enumerate(scene.places):
            centres[i, k] = torch.tensor(PLACES[place]) + moved[i, k]
    return painted(drawn, centres), [str(scene) for scene in drawn]


@functools.cache
def scenes(split: str = "train") -> tuple[Scene, ...]:
    """Every scene of a split: there are 1 272 scenes in all. Raises ValueError for another split."""
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
    every = [Shape(*parts) for parts in itertools.product(SIZES, COLORS, KINDS)]
    found = [Scene((shape,), place) for shape in every for place in PLACES]
    found += [Scene(pair, relation) for pair in itertools.product(every, every) for relation in RELATIONS]
    new = [scene for scene in found if any((s.color, s.kind) in HELD_OUT for s in scene.shapes)]
    if split == "pairs":
        return tuple(new)
    known = [scene for scene in found if scene not in new]
    pairs = [scene for scene in known if len(scene.shapes) == 2]
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0)).tolist()
    held_out = {pairs[i] for i in order[: len(pairs) // 8]}
    return tuple(scene for scene in known if (scene in held_out) == (split == "scenes"))


def scene_of(caption: str) -> Scene:
    """The scene of a caption; "right of" and "below" are understood too, and articles may be left out.

    Raises ValueError for a caption of another form, naming the words that it does not know.
    """
    text = " ".join(caption.lower().replace(",", " ").replace(".", " ").split())
    words = {*SIZES, *COLORS, *KINDS, *" ".join([*PLACES, *RELATIONS, "right of below a an the"]).split()}
    if unknown := [word for word in text.split() if word not in words]:
        raise ValueError(f"caption has words that this world does not know: {', '.join(unknown)}")
    one = rf"(?:an? |the )?({'|'.join(SIZES)}) ({'|'.join(COLORS)}) ({'|'.join(KINDS)})"
    if found := re.fullmatch(rf"{one} ({'|'.join(PLACES)})", text):
        return Scene((Shape(*found.groups()[:3]),), found[4])
    if found := re.fullmatch(rf"{one} (left of|right of|above|below) {one}", text):
        first, second = Shape(*found.groups()[:3]), Shape(*found.groups()[4:])
        swap = {"right of": "left of", "below": "above"}
        pair = (second, first) if found[4] in swap else (first, second)
        return Scene(pair, swap.get(found[4], found[4]))
    raise ValueError(f'caption must be like "{scenes()[0]}" or "{scenes()[-1]}"; got {caption!r}')


# ------------------------------------------------------------------------------------ from scene to picture
def painted(drawn: list[Scene], centres: Tensor) -> Tensor:
    """The pictures [n, 3, 32, 32] of scenes whose shapes are at `centres` [n, 2, 2] (x and y, in pixels)."""
    pictures = torch.full((len(drawn), 3, SIDE, SIDE), GROUND)
    for k in range(2):
        rows = [i for i, scene in enumerate(drawn) if k < len(scene.shapes)]
        if rows:
            chosen = [drawn[i].shapes[k] for i in rows]
            cover = covered([s.kind for s in chosen], [s.size for s in chosen], centres[rows, k])
            colors = torch.tensor([COLORS[s.color] for s in chosen])[:, :, None, None]
            pictures[rows] += cover * (colors - pictures[rows])
    return pictures


def covered(kinds: list[str], sizes: list[str], centres: Tensor) -> Tensor:
    """What share of each pixel a shape covers: [n, 1, 32, 32]; centres [n, 2]."""
    ticks = (torch.arange(FINE * SIDE) + 0.5) / FINE
    half = torch.tensor([SIZES[size] for size in sizes])[:, None, None]
    x, y = (ticks - centres[:, :1])[:, None, :] / half, (ticks - centres[:, 1:])[:, :, None] / half
    inside = {
        "circle": x**2 + y**2 <= 1.1,
        "square": torch.maximum(x.abs(), y.abs()) <= 0.9,
        "triangle": (y <= 0.8) & (x.abs() <= (y + 1.2) * 0.52),
    }
    which = torch.stack([inside[kind][i] for i, kind in enumerate(kinds)])
    return torch.nn.functional.avg_pool2d(which.float()[:, None], FINE)


# ------------------------------------------------------------------------------------ from picture to caption
def read_shapes(images: Tensor) -> list[str | None]:
    """The caption of each picture [n, 3, 32, 32], or None where it is not a picture of this world.

    Shapes are one or two pieces that stand out from the background. A piece has a color if it is close to
    that color all over: a shape that is half red, or orange, has none, although some color is the nearest.
    Its kind and size are those of the shape that covers the same pixels best, and well enough. At the end the
    scene is drawn again, and must look like the picture. Raises ValueError for images of another shape.
    """
    check_batch(images, "images", (3, SIDE, SIDE))
    images = images.detach().cpu().float()
    return [_read(image, label) for image, label in zip(images, _pieces(images), strict=True)]


STANDS_OUT = 0.5  # of the 1.45 or more by which a shape's brightest channel differs from the background
FEWEST = 8  # pixels of a piece
COLOR_OFF, UNEVEN = 0.3, 0.3  # how far a piece's color may be from its name's, and its pixels from each other
COVER_OFF = 0.25  # what share of a shape may be covered wrongly
PICTURE_OFF = 0.05  # how far the picture may be from the scene drawn again, on average


def _pieces(images: Tensor) -> Tensor:
    """Which piece each pixel belongs to, 0 for none: [n, 32, 32]. Pixels that touch are one piece."""
    stands_out = (images - GROUND).abs().amax(1, keepdim=True) > STANDS_OUT
    label = (torch.arange(SIDE * SIDE).reshape(SIDE, SIDE) + 1.0) * stands_out
    while True:  # the largest number of a piece spreads over all of it
        wider = torch.nn.functional.max_pool2d(label, 3, 1, 1) * stands_out
        if torch.equal(wider, label):
            return label[:, 0].long()
        label = wider


def _read(image: Tensor, label: Tensor) -> str | None:
    numbers, counts = label[label > 0].unique(return_counts=True)
    numbers = numbers[counts >= FEWEST].tolist()
    if not 1 <= len(numbers) <= 2:
        return None
    tried = [_shape(image, label == number, (label > 0) & (label != number)) for number in numbers]
    found = [pair for pair in tried if pair is not None]
    if len(found) < len(tried):
        return None
    found.sort(key=lambda pair: pair[1].sum().item())  # the upper or left one first
    (first, at), (second, other) = found[0], found[-1]
    if len(found) == 1:
        where = min(PLACES, key=lambda place: (torch.tensor(PLACES[place]) - at).norm().item())
        scene = Scene((first,), where)
    else:
        across, down = (other - at).tolist()
        scene = Scene((first, second), "left of" if across > abs(down) else "above")
    expected = torch.tensor([PLACES[place] for place in scene.places])
    centres = torch.stack([at, other][: len(found)])
    if (centres - expected).abs().max() > JITTER + 1:
        return None
    again = painted([scene], torch.stack([at, other])[None])[0]
    return str(scene) if (_coarse(again) - _coarse(image)).abs().mean() < PICTURE_OFF else None


def _shape(image: Tensor, piece: Tensor, others: Tensor) -> tuple[Shape, Tensor] | None:
    """The shape that a piece is, and its centre; None if it is none."""
    off = (image - GROUND).abs().amax(0)
    core = image[:, piece & (off >= 0.85 * off[piece].max())]  # without the edges
    color = min(COLORS, key=lambda name: (core.mean(1) - torch.tensor(COLORS[name])).abs().max().item())
    true = torch.tensor(COLORS[color])[:, None]
    if (core.mean(1, keepdim=True) - true).abs().max() > COLOR_OFF:
        return None
    if core.shape[1] > 1 and core.std(1).max() > UNEVEN:  # of one pixel torch has no spread, and says so
        return None
    direction = true[:, 0] - GROUND
    cover = torch.einsum("chw,c->hw", image - GROUND, direction) / direction.square().sum()
    near = torch.nn.functional.max_pool2d(piece[None].float(), 5, 1, 2)[0].bool() & ~others
    cover = cover.clamp(0, 1) * near
    ticks = torch.arange(SIDE) + 0.5
    middle = torch.stack([(cover.sum(0) * ticks).sum(), (cover.sum(1) * ticks).sum()]) / cover.sum()
    names = list(itertools.product(SIZES, KINDS))
    centres = torch.stack([middle - torch.tensor([0.0, _LOW[kind] * SIZES[size]]) for size, kind in names])
    masks = covered([kind for _, kind in names], [size for size, _ in names], centres)
    wrong = (_coarse(masks) - _coarse(cover[None])).abs().sum((1, 2, 3)) / masks.sum((1, 2, 3))
    best = int(wrong.argmin())
    size, kind = names[best]
    return (Shape(size, color, kind), centres[best]) if wrong[best] < COVER_OFF else None


_LOW = {"circle": 0.0, "square": 0.0, "triangle": 0.8 - 2 / 3}  # how far the middle is below the centre


def _coarse(picture: Tensor) -> Tensor:
    """Means over 3 × 3 pixels, so that soft edges and sharp ones look alike."""
    return torch.nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)
