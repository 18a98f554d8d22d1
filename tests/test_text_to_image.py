"""Text to image: words, attention, the network, what ships, the measures, the exact world, the explorer."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from onscreen import run_code, shown
from scipy.ndimage import gaussian_filter
from scipy.stats import binomtest

from diffusion_lab import guidance, samplers
from diffusion_lab.applications import text_to_image, words
from diffusion_lab.applications.text_to_image import (
    FILES,
    RECIPE,
    WordRecipe,
    WordUNet,
    load_text_to_image,
    looks,
)
from diffusion_lab.applications.words import LENGTH, WORDS, Look, TextEncoder, tokens
from diffusion_lab.experiments import learned_to_say, said, said_exactly, saying
from diffusion_lab.explorers import SayIt
from diffusion_lab.shape_world import SPLITS, read_shapes, scenes, shapes
from diffusion_lab.training import train
from diffusion_lab.unet import ModelDenoiser, drawn

ONE, OTHER = "a small red circle above a large blue square", "a small blue circle above a large red square"
EVERY = [str(scene) for split in SPLITS for scene in scenes(split)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def network():
    return load_text_to_image()


# --- words ---


def test_every_caption_has_its_own_numbers_and_they_spell_it():
    numbers = tokens(EVERY)
    assert numbers.shape == (1272, LENGTH) and len({tuple(row) for row in numbers.tolist()}) == 1272
    spelled = [" ".join(WORDS[n] for n in row if n) for row in numbers.tolist()]
    assert spelled == EVERY
    assert len(set(WORDS)) == len(WORDS) and set(" ".join(EVERY).split()) == set(WORDS[1:])


def test_other_forms_of_a_caption_are_the_same_and_none_is_empty():
    below = "large blue square below the small red circle."
    assert torch.equal(tokens([below, ONE])[0], tokens(ONE)[0])
    assert not tokens(None).any() and tokens([None, ONE])[1].any()
    assert torch.equal(tokens(tokens(ONE)), tokens(ONE))


@pytest.mark.parametrize(
    "bad, message",
    [
        ("a large purple dog on the left", "does not know: purple, dog"),
        ("a red circle", "caption must be like"),
        ([], "captions must be a caption, or a list of at least one"),
        (3, "captions must be a caption, or a list"),
        ([3], "captions must be words, or None"),
        (torch.zeros(2, 9, dtype=torch.int64), r"got torch.int64 of shape \[2, 9\]"),
        (torch.zeros(2, LENGTH), "got torch.float32"),
        (torch.full((1, LENGTH), len(WORDS)), "in 0…21"),
    ],
)
def test_words_that_do_not_fit_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        tokens(bad)


@settings(max_examples=10)
@given(st.integers(0, 100), st.integers(1, 7), st.integers(1, 5))
def test_looking_is_torchs_multihead_attention(seed, N, M):
    look = drawn(lambda: Look(8, 6), seeded(seed)).double()
    x, others = (
        torch.randn(2, n, c, generator=seeded(seed + k), dtype=torch.float64)
        for k, (n, c) in enumerate([(N, 8), (M, 6)])
    )
    theirs = torch.nn.MultiheadAttention(8, 4, kdim=6, vdim=6, batch_first=True, dtype=torch.float64)
    state = {
        "q_proj_weight": look.query.weight,
        "k_proj_weight": look.key.weight, "v_proj_weight": look.value.weight,
        "in_proj_bias": torch.cat([look.query.bias, look.key.bias, look.value.bias]),
        "out_proj.weight": look.out.weight, "out_proj.bias": look.out.bias,
    }  # fmt: skip
    theirs.load_state_dict(state)
    answer, weights = theirs(look.norm(x), others, others, average_attn_weights=False)
    looked = []
    assert torch.allclose(look(x, others, looked), x + answer, atol=1e-10)
    assert torch.allclose(looked[0], weights, atol=1e-10)


def test_without_places_a_caption_is_a_bag_of_words():
    encoder = drawn(lambda: TextEncoder(8), seeded()).double()
    a, b = (encoder(tokens(caption)) for caption in (ONE, OTHER))
    assert (a.sum(1) - b.sum(1)).abs().max() > 1e-3
    encoder.place.weight.data.zero_()
    a, b = (encoder(tokens(caption)) for caption in (ONE, OTHER))
    assert (a.sum(1) - b.sum(1)).abs().max() < 1e-12
    order = [0, 1, 7, 3, 4, 5, 6, 2, 8, 9]  # the colours change places
    assert torch.allclose(a[:, order], b, atol=1e-12)


def test_places_are_drawn_as_large_as_words():
    encoder = drawn(TextEncoder, seeded())
    place, word = (table.weight.std().item() for table in (encoder.place, encoder.word))
    assert place == pytest.approx(word, rel=0.1)


# --- the network ---


@pytest.fixture(scope="module")
def untrained():
    """A small network with random last weights, in float64."""
    net = drawn(lambda: WordUNet(8, 8), seeded()).double()
    torch.nn.init.normal_(net.last.weight, generator=seeded(1))
    return net


def test_untrained_it_outputs_nothing_and_a_caption_stands_where_a_class_stood():
    net = drawn(lambda: WordUNet(8, 8), seeded())
    x = torch.randn(3, 4, 8, 8, generator=seeded())
    assert not net(x, 5, ONE).any()
    denoiser = ModelDenoiser(net, RECIPE.make_schedule(), "v")
    guess = denoiser.given([ONE, OTHER, None])(x, 500)
    assert guess.x0.shape == x.shape and denoiser.shape == (4, 8, 8)
    with pytest.raises(ValueError, match="does not know: dog"):
        denoiser.given("a small red dog on the left")(x, 500)
    with pytest.raises(ValueError, match="label must be one caption or 3, one for each x; got 2"):
        denoiser.given([ONE, OTHER])(x, 500)
    with pytest.raises(ValueError, match=r"x must be a batch of \[4, 8, 8\]"):
        net(x[:, :3], 5, ONE)


def test_dropped_captions_are_empty_ones_and_each_example_has_its_own(untrained):
    x = torch.randn(3, 4, 8, 8, generator=seeded(2), dtype=torch.float64)
    t, drop = torch.tensor([100, 500, 900]), torch.tensor([False, True, False])
    found = untrained(x, t, tokens([ONE, ONE, OTHER]), drop)
    for k, caption in enumerate([ONE, None, OTHER]):
        assert torch.allclose(found[k : k + 1], untrained(x[k : k + 1], t[k], caption), atol=1e-10)
    assert (untrained(x, 500, ONE) - untrained(x, 500, OTHER)).abs().max() > 1e-6


def test_it_has_a_forward_derivative(untrained):
    """Which torch's fused attention lacks on the CPU: MeanFlow and exact likelihoods need it."""
    x, v = (torch.randn(2, 4, 8, 8, generator=seeded(k), dtype=torch.float64) for k in (0, 1))
    _, slope = torch.func.jvp(lambda x: untrained(x, 500, ONE), (x,), (v,))
    h = 1e-5
    numeric = (untrained(x + h * v, 500, ONE) - untrained(x - h * v, 500, ONE)) / (2 * h)
    assert torch.allclose(slope, numeric, rtol=1e-5, atol=1e-7)


def test_training_follows_a_recipe_that_names_it_and_asks_for_captions(tmp_path):
    recipe = WordRecipe("shapes", arguments=dict(width=8, dim=8), steps=6, batch=4, label_dropout=0.5)
    z, captions = torch.randn(8, 4, 8, 8, generator=seeded()), EVERY[:8]
    whole = train(recipe, (z, captions), progress=False, checkpoint=tmp_path / "run", checkpoint_every=3)
    assert whole.denoiser.given(ONE)(z, 500).x0.isfinite().all()
    again = train(recipe, (z, tokens(captions)), progress=False)
    for a, b in zip(whole.denoiser.net.parameters(), again.denoiser.net.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="data must come with captions, one for each of 8 examples"):
        train(recipe, (z, captions[:3]), progress=False)
    with pytest.raises(ValueError, match="data must come with captions"):
        train(recipe, z, progress=False)


# --- what ships ---


@pytest.mark.parametrize("steps", FILES)
def test_what_ships_is_small_and_of_its_recipe(steps):
    denoiser = load_text_to_image(steps)
    assert (text_to_image.FOLDER / FILES[steps]).stat().st_size < 0.63e6
    assert not any(weight.requires_grad for weight in denoiser.net.parameters())
    assert sum(weight.numel() for weight in denoiser.net.parameters()) == 587_956
    assert denoiser.predicts == "v" and denoiser.schedule.T == 1000


def test_other_steps_do_not_ship():
    with pytest.raises(ValueError, match="steps must be one of 150, 300, 600, 2000; got 100"):
        load_text_to_image(100)


@pytest.mark.slow
def test_it_draws_what_it_is_told_also_what_it_has_never_seen():
    for split, least in (("train", 0.95), ("scenes", 0.95), ("pairs", 0.9)):
        _, captions = shapes(60, seeded(33), split)
        pictures = text_to_image.sample(captions, generator=seeded(1))
        right = [a == b for a, b in zip(read_shapes(pictures), captions, strict=True)]
        assert np.mean(right) >= least, split


def test_sampling_is_the_houses_sampling(network):
    pictures = text_to_image.sample([ONE, OTHER], w=3.0, steps=4, generator=seeded(5))
    guided = guidance.classifier_free(network.given([ONE, OTHER]), network.given(None), 3.0)
    x_T = samplers.p_sample_prior((2, 4, 8, 8), network.schedule, seeded(5))
    *_, last = samplers.ddim(guided, x_T, network.schedule, samplers.timesteps(network.schedule, 4))
    assert torch.allclose(pictures, text_to_image.load_autoencoder().pictures(last.x), atol=1e-6)
    assert pictures.shape == (2, 3, 32, 32) and pictures.abs().max() <= 1
    for bad in (dict(steps=0), dict(generator=0), dict(w=math.inf)):
        with pytest.raises(ValueError):
            text_to_image.sample(ONE, **bad)


def test_what_pixels_look_at_adds_up_to_one(network):
    x_t = torch.randn(2, 4, 8, 8, generator=seeded())
    maps = looks(network, x_t, 400, ONE)
    assert maps.shape == (2, LENGTH, 4, 4)
    assert torch.allclose(maps.sum(1), torch.ones(2, 4, 4), atol=1e-5) and (maps >= 0).all()


def test_pixels_look_at_the_words_of_the_shape_that_is_there():
    """Above: "small", "blue" and "square" are looked at in the upper half, the other three in the lower."""
    for caption in ("a small blue square above a large green circle", ONE):
        drawn_at_1 = saying.drawn_at_each(caption, 2000, 1)[saying.SCALES.index(1)]
        upper = drawn_at_1.maps[:, :2].sum((1, 2)) / drawn_at_1.maps.sum((1, 2))
        assert upper[1:4].min() > 0.6 and upper[6:9].max() < 0.4


def test_the_trained_network_needs_the_places(network):
    x_t = torch.randn(4, 4, 8, 8, generator=seeded())
    net = RECIPE.make_network(network.net.state_dict()).eval().requires_grad_(False)
    apart = (net(x_t, 900, ONE) - net(x_t, 900, OTHER)).abs().max()
    net.text.place.weight.zero_()
    assert (net(x_t, 900, ONE) - net(x_t, 900, OTHER)).abs().max() < 1e-4 < apart / 100


# --- what is measured ---


def test_the_verdict_on_real_pictures_is_right_and_a_wrong_word_is_found():
    for split in SPLITS:
        x, captions = shapes(40, seeded(9), split)
        for picture, caption in zip(x, captions, strict=True):
            assert all(map(all, said.verdicts(picture, caption).values())), caption
    picture = said_exactly.oracle("a large red circle on the left", 1, seeded())[0]
    for caption, wrong in {
        "a small red circle on the left": ["size"],
        "a large blue circle on the left": ["color"],
        "a large red square on the left": ["kind"],
        "a large red circle on the right": ["place"],
        "a small blue circle on the left": ["color", "size"],
    }.items():
        found = [part for part, good in said.verdicts(picture, caption).items() if not all(good)]
        assert sorted(found) == wrong, caption
    assert said.verdicts(picture, ONE)["number"] == [False]


def test_the_verdict_stands_a_blur_and_sees_a_bleeding_colour():
    x, captions = shapes(60, seeded(10))
    soft = torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, 0.7, 0.7), mode="nearest"))
    wrong = [not all(map(all, said.verdicts(*pair).values())) for pair in zip(soft, captions, strict=True)]
    assert np.mean(wrong) <= 0.05
    picture = said_exactly.oracle("a large red circle in the middle", 1, seeded())[0]
    blue = said_exactly.oracle("a large blue circle in the middle", 1, seeded())[0]
    picture[:, :, 16:] = blue[:, :, 16:]
    assert said.verdicts(picture, "a large red circle in the middle")["color"] == [False]


@pytest.mark.parametrize("k, n", [(0, 10), (7, 10), (96, 100), (1000, 1000)])
def test_the_interval_is_wilsons(k, n):
    expected = binomtest(k, n).proportion_ci(0.95, "wilson")
    assert said.interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_the_stored_table_says_what_it_must():
    table = said.table()
    assert set(table) == {*itertools.product(said.TRAINED, SPLITS, said.CAPTIONS)}
    for (_, _, w), row in table.items():
        assert row["low"] <= row["right"] <= row["high"] and row["n"] == said.CAPTIONS[w]
    for steps in said.TRAINED:
        guided = {split: table[steps, split, 2.0]["right"] for split in SPLITS}
        assert guided["train"] >= 0.96 and guided["scenes"] >= 0.95 and guided["pairs"] >= 0.88
        assert table[steps, "train", 0.0]["right"] < 0.02
    early = {split: table[600, split, 2.0]["right"] - table[600, split, 1.0]["right"] for split in SPLITS}
    assert min(early.values()) >= 0.06, early
    for split in SPLITS:
        parts = {part: table[600, split, 1.0][part] for part in said.PARTS}
        assert max(parts, key=parts.__getitem__) == "kind"


@pytest.mark.slow
def test_a_part_of_the_table_measured_anew_is_within_its_interval():
    captions = shapes(200, seeded(40))[1]
    pictures = text_to_image.sample(captions, 1.0, generator=seeded(3), network=load_text_to_image(600))
    low, high = said.interval(sum(said.right(pictures, captions)), 200, z=3.5)
    assert low < said.table()[600, "train", 1.0]["right"] < high


def test_what_was_learned_on_the_way_is_kept():
    found = learned_to_say.learned()
    steps, scales = len(learned_to_say.KEPT), len(learned_to_say.GUIDED)
    assert found["shares"].shape == (steps, len(SPLITS), scales) and found["heard"].shape == (steps, 3)
    assert (found["shares"][0] < 0.2).all() and (found["shares"][-1, :, 1] > 0.95).all()
    for caption in (caption for said_of in learned_to_say.SHOWN.values() for caption in said_of):
        assert found[caption].shape == (steps, scales, 4, 3, 32, 32) and found[caption].abs().max() <= 1
    last = learned_to_say.shown(ONE_OF_THEM, 2.0).float() / 127.5 - 1
    assert (last - found[ONE_OF_THEM][-1, 1]).abs().mean() < 0.02  # a level more or less


ONE_OF_THEM = learned_to_say.SHOWN["train"][0]


# --- the exact world ---


def test_the_oracle_draws_the_caption():
    for caption in (ONE, "a large green triangle in the middle", EVERY[0]):
        assert read_shapes(said_exactly.oracle(caption, 8, seeded())) == [caption] * 8


@pytest.mark.slow
def test_the_score_is_log_p_of_the_caption_by_hand_and_prefers_the_right_one():
    x = said_exactly.oracle(EVERY[3], 2, seeded(3))
    world = said_exactly.world()
    y = world.data.reshape(1272, said_exactly.EACH, -1).double()
    squares = (y - said_exactly.small(x[:1]).double().reshape(1, 1, -1)).square().sum(2)
    likelihood = torch.exp(-(squares - squares.min()) / (2 * said_exactly.BLUR**2)).mean(1)
    expected = math.log(likelihood[3] / likelihood.sum() * 1272)
    assert said_exactly.score(x, [EVERY[3]] * 2)[0].item() == pytest.approx(expected, abs=1e-6)
    pictures, captions = shapes(40, seeded(4))
    own = said_exactly.score(pictures, captions)
    assert own.max() <= math.log(1272) and own.median() > 5
    assert (own > said_exactly.score(pictures, captions[::-1])).float().mean() > 0.9


@pytest.mark.slow
def test_the_exact_denoiser_hears_all_and_a_deaf_one_nothing(network):
    deaf = ModelDenoiser(lambda x, t, label: torch.zeros_like(x), network.schedule, "x0")
    deaf.net.told = True
    assert said_exactly.heard(deaf, "kind") == 0
    assert 0.5 < said_exactly.heard(network, "color") < 1.2


# --- the explorer ---


def test_the_code_makes_the_pictures_on_the_screen():
    explorer = SayIt(caption=saying.CAPTIONS[4], trained=600, seed=2, w=3.0)
    pictures = run_code(explorer)["shown"].permute(0, 2, 3, 1).numpy()
    sheet = shown(explorer, "pictures", "z")
    for k in range(saying.EACH):
        here = sheet[:, 33 * k : 33 * k + 32] / 127.5 - 1
        assert np.abs(here - pictures[k]).max() < 8 / 127.5  # 32 levels
    truth = torch.from_numpy(sheet[:, 132:164] / 127.5 - 1).permute(2, 0, 1)
    assert read_shapes(truth[None]) == [saying.CAPTIONS[4]]


def test_marks_and_numbers_are_what_is_read_from_the_pictures():
    explorer = SayIt(caption=ONE, trained=600, seed=4)
    for w, drawn_at_w in zip(saying.SCALES, saying.drawn_at_each(ONE, 600, 4), strict=True):
        explorer.w = w
        read = [caption == ONE for caption in read_shapes(drawn_at_w.pictures)]
        marks = explorer.frame.changes["marks"]["text"][:-1]
        assert [mark == "✓" for mark in marks] == read
        assert explorer.numbers["all of it right"] == f"{sum(read)} of 4"
        kinds = [all(said.verdicts(picture, ONE)["kind"]) for picture in drawn_at_w.pictures]
        assert explorer.numbers["kind right"] == f"{sum(kinds)} of 4"
    assert len(explorer.numbers) <= 8 and explorer.w == 8


def test_a_typed_caption_is_understood_and_a_strange_word_named():
    explorer = SayIt(caption="large blue square, below small red circle")
    assert f'caption = "{ONE}"' in explorer.frame.code
    with pytest.raises(ValueError, match="does not know: purple"):
        explorer.caption = "a purple circle on the left"
    assert "purple" in explorer.describe() and explorer.caption == "a purple circle on the left"
    explorer.caption = ONE
    assert explorer._error == ""


def test_its_examples_are_of_all_splits_and_all_of_it_is_portable():
    of = {str(scene): split for split in SPLITS for scene in scenes(split)}
    assert {of[caption] for caption in saying.CAPTIONS} == set(SPLITS)
    values = [SayIt.controls[name].values for name in SayIt.portable]
    assert math.prod(map(len, values)) <= 100
    assert words.LENGTH == max(len(caption.split()) for caption in EVERY)
    assert F.one_hot(tokens(EVERY)).sum(1).shape == (1272, len(WORDS))
