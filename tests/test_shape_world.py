"""Pictures with captions, and the reader that tells what a picture shows."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from diffusion_lab import data
from diffusion_lab.shape_world import (
    COLORS,
    HELD_OUT,
    KINDS,
    PLACES,
    SIZES,
    SPLITS,
    Scene,
    Shape,
    painted,
    read_shapes,
    scene_of,
    scenes,
    shapes,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blurred(images, std):
    return torch.from_numpy(gaussian_filter(images.numpy(), (0, 0, std, std), mode="nearest"))


def share_right(images, captions):
    return np.mean([a == b for a, b in zip(captions, read_shapes(images), strict=True)])


# ---- the world ---------------------------------------------------------------------------------------------


def test_every_scene_belongs_to_one_split():
    found = [set(scenes(split)) for split in SPLITS]
    assert sum(map(len, found)) == len(set.union(*found)) == 24 * 5 + 24 * 24 * 2
    assert not any(a & b for a, b in itertools.combinations(found, 2))


def test_what_is_held_out_was_never_seen_together_but_its_parts_were():
    seen = {(s.color, s.kind) for scene in scenes("train") for s in scene.shapes}
    assert seen == set(itertools.product(COLORS, KINDS)) - set(HELD_OUT)
    assert {color for color, _ in seen} == set(COLORS) and {kind for _, kind in seen} == set(KINDS)
    assert all(any((s.color, s.kind) in HELD_OUT for s in scene.shapes) for scene in scenes("pairs"))
    shown = {s for scene in scenes("train") for s in scene.shapes}
    assert all(set(scene.shapes) <= shown and len(scene.shapes) == 2 for scene in scenes("scenes"))


def test_a_caption_says_its_scene_and_no_other():
    every = [scene for split in SPLITS for scene in scenes(split)]
    captions = [str(scene) for scene in every]
    assert len(set(captions)) == len(every)
    assert [scene_of(caption) for caption in captions] == every


def test_other_ways_to_say_it():
    first, second = Shape("small", "red", "circle"), Shape("large", "blue", "square")
    assert scene_of("Small red circle, left of the large blue square.") == Scene((first, second), "left of")
    assert scene_of("a large blue square right of a small red circle") == Scene((first, second), "left of")
    assert scene_of("a large blue square below a small red circle") == Scene((first, second), "above")


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a large purple hexagon on the left", "does not know: purple, hexagon"),
        ("a red circle", "caption must be like"),
        ("", "caption must be like"),
        ("a large red circle on the left of a small blue square", "does not know: of|must be like"),
    ],
)
def test_what_is_no_caption_is_refused(caption, words):
    with pytest.raises(ValueError, match=words):
        scene_of(caption)


def test_pictures_are_seeded_endless_and_in_range():
    images, captions = data.shapes(300, seeded(3))
    again, said = data.shapes(300, seeded(3))
    assert torch.equal(images, again) and captions == said and images.shape == (300, 3, 32, 32)
    assert images.dtype == torch.float32 and images.abs().max() <= 1
    other, _ = data.shapes(300, seeded(4))
    assert not torch.equal(images, other)
    assert len(images.flatten(1).unique(dim=0)) == 300
    alone = np.mean([any(place in caption for place in PLACES) for caption in captions])
    assert abs(alone - 0.25) < 4 * (0.1875 / 300) ** 0.5
    before = torch.get_rng_state()
    data.shapes(5, seeded())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_shows_its_own_scenes(split):
    _, captions = data.shapes(400, seeded(1), split)
    assert {scene_of(caption) for caption in captions} <= set(scenes(split))


def test_two_shapes_never_touch_or_leave_the_picture():
    for relation, step in (("left of", (1.25, 0.0)), ("above", (0.0, 1.25))):
        for kinds in itertools.product(KINDS, repeat=2):
            pair = tuple(Shape("large", "red", kind) for kind in kinds)
            scene, step_ = Scene(pair, relation), torch.tensor(step)
            near = torch.stack([torch.tensor(PLACES[p]) for p in scene.places]) + torch.stack([step_, -step_])
            (picture,) = painted([scene], near[None])
            stands_out = (picture[0] > -0.5).any(0 if relation == "left of" else 1)
            gaps = (~stands_out[stands_out.nonzero().min() : stands_out.nonzero().max()]).sum()
            assert gaps >= 1, (relation, kinds)
            far = torch.stack([torch.tensor(PLACES[p]) for p in scene.places]) - torch.stack([step_, -step_])
            (picture,) = painted([scene], far[None])
            middle = [painted([Scene((s,), "in the middle")], torch.full((1, 2, 2), 16.0)) for s in pair]
            whole = sum((alone[0, 0] + 0.85).sum() for alone in middle)
            assert abs((picture[0] + 0.85).sum() / whole - 1) < 0.01, "nothing is cut off"


def test_a_shape_covers_its_area():
    """The areas of circle, square and triangle, in closed form."""
    areas = {"circle": np.pi * 1.1, "square": 1.8**2, "triangle": 2 * 2 * 0.52}
    for (kind, area), (size, half) in itertools.product(areas.items(), SIZES.items()):
        scene = Scene((Shape(size, "red", kind),), "in the middle")
        (picture,) = painted([scene], torch.tensor([[[16.3, 15.9], [0, 0]]]))
        cover = (picture[0] + 0.85) / (0.9 + 0.85)
        assert abs(cover.sum().item() / (area * half**2) - 1) < 0.03


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: shapes(0), "n must be an integer of at least 1"),
        (lambda: shapes(3, split="test"), "split must be one of train, scenes, pairs"),
        (lambda: shapes(3, generator=7), "generator must be None or a torch.Generator"),
        (lambda: read_shapes(torch.zeros(3, 32, 32)), "images must be a batch of"),
        (lambda: read_shapes(torch.full((1, 3, 32, 32), torch.nan)), "images must be finite"),
    ],
)
def test_bad_input_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


# ---- the reader --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", SPLITS)
def test_the_reader_is_right_on_clean_pictures_and_on_blurred_ones(split):
    images, captions = data.shapes(250, seeded(7), split)
    assert share_right(images, captions) >= 0.999
    assert share_right(blurred(images, 0.7), captions) >= 0.995


def test_a_little_noise_does_not_matter():
    images, captions = data.shapes(200, seeded(8))
    noisy = images + 0.08 * torch.randn(images.shape, generator=seeded(9))
    assert share_right(noisy, captions) >= 0.99


def test_what_is_not_of_this_world_is_not_read():
    images, captions = data.shapes(200, seeded(10))
    strange = {
        "noise": torch.randn(100, 3, 32, 32, generator=seeded(11)),
        "nothing": torch.full((2, 3, 32, 32), -0.85),
        "all white": torch.ones(2, 3, 32, 32),
        "washed out": 0.5 * images - 0.4,
        "very blurred": blurred(images, 3),
    }
    for name, pictures in strange.items():
        assert read_shapes(pictures) == [None] * len(pictures), name
    apart = [i for i in range(100) if captions[i] != captions[i + 100]]
    averages = (images[:100] + images[100:])[apart] / 2
    assert np.mean([said is None for said in read_shapes(averages)]) > 0.98


@pytest.mark.parametrize("color", COLORS)
def test_a_color_that_bleeds_is_wrong_not_nearest(color):
    """A shape half in its color and half in another, or between two colors, has no color."""
    scene, at = Scene((Shape("large", color, "square"),), "in the middle"), torch.full((1, 2, 2), 16.0)
    (clean,) = painted([scene], at)
    assert read_shapes(clean[None]) == [str(scene)]
    for other in set(COLORS) - {color}:
        (theirs,) = painted([Scene((Shape("large", other, "square"),), "in the middle")], at)
        halves = torch.cat([clean[..., :16], theirs[..., 16:]], -1)
        assert read_shapes(torch.stack([halves, (clean + theirs) / 2])) == [None, None], other


def test_a_shape_between_two_places_is_not_read():
    scene = Scene((Shape("large", "red", "circle"),), "in the middle")
    centres = torch.tensor([[[16.0, 16.0], [0, 0]], [[12.0, 16.0], [0, 0]], [[16.0, 20.5], [0, 0]]])
    assert read_shapes(painted([scene] * 3, centres)) == [str(scene), None, None]


def test_three_shapes_are_too_many():
    centres = torch.tensor([[[8.0, 16.0], [24.0, 16.0]]])
    (two,) = painted([Scene((Shape("small", "red", "circle"),) * 2, "left of")], centres)
    (third,) = painted(
        [Scene((Shape("small", "red", "circle"),), "at the top")], torch.tensor([[[16.0, 6.0], [0, 0]]])
    )
    assert read_shapes(torch.maximum(two, third)[None]) == [None]
