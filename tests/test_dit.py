"""The DiT: its parts against other code, what it starts as, and that it stands where a U-Net stands."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from diffusion_lab import samplers, schedules
from diffusion_lab.applications import dit
from diffusion_lab.applications.dit import DiT, patchify, positions, unpatchify
from diffusion_lab.model import ModelDenoiser
from diffusion_lab.weights import drawn, loaded


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_dit(seed=0, std=0.2, **arguments):
    """A DiT with no weight at 0, in float64."""
    net = DiT(**(dict(channels=2, image_size=8, patch=2, width=16, depth=2, heads=4) | arguments)).double()
    for weight in net.parameters():
        nn.init.normal_(weight, std=std, generator=seeded(seed := seed + 1))
    return net


def picture(B=3, C=2, S=8, seed=9):
    return torch.randn(B, C, S, S, generator=seeded(seed), dtype=torch.float64)


# --- patches and places ---


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_patches_are_those_of_torchs_unfold_and_go_back(B, C, patch, side):
    x = torch.randn(B, C, patch * side, patch * side, generator=seeded(B + 10 * C))
    tokens = patchify(x, patch)
    assert torch.equal(tokens, F.unfold(x, patch, stride=patch).mT)
    assert torch.equal(unpatchify(tokens, patch), x)


def test_patches_that_do_not_fit():
    with pytest.raises(ValueError, match="patch must divide the sides of x, 6 and 6; got 4"):
        patchify(torch.zeros(1, 1, 6, 6), 4)


def test_every_place_has_its_own_vector_and_its_distance_to_others_depends_on_the_shift_alone():
    where = positions(6, 32).double().reshape(6, 6, 32)
    flat = where.reshape(36, 32)
    apart = torch.cdist(flat, flat) + 10 * torch.eye(36)
    assert apart.min() > 0.3
    one = (where[1:, 2:] - where[:-1, :-2]).norm(dim=-1)
    assert torch.allclose(one, one[0, 0].expand_as(one), atol=1e-5)


# --- the parts ---


def test_attention_is_torchs():
    attention = dit.SelfAttention(12, 3).double()
    x = torch.randn(2, 5, 12, generator=seeded(), dtype=torch.float64)
    other = nn.MultiheadAttention(12, 3, batch_first=True).double()
    other.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.out.weight,
            "out_proj.bias": attention.out.bias,
        }
    )
    assert torch.allclose(attention(x), other(x, x, x)[0], atol=1e-12)


def test_a_block_starts_as_nothing_and_the_network_as_zero():
    net = drawn(lambda: DiT(2, 8, width=16, num_classes=3), seeded())
    x, c = torch.randn(2, 16, 16, generator=seeded()), torch.randn(2, 16, generator=seeded(1))
    assert torch.equal(net.blocks[0](x, c), x)
    assert not net(picture().float(), 5.0, [0, 1, 2]).any()


def test_modulate_is_a_number_for_each_feature_of_each_example():
    x, scale, shift = (torch.randn(s, generator=seeded(k)) for k, s in enumerate([(3, 5, 4), (3, 4), (3, 4)]))
    found = dit.modulate(x, scale, shift)
    for b in range(3):
        for n in range(5):
            assert torch.allclose(found[b, n], x[b, n] * (1 + scale[b]) + shift[b])


# --- the whole ---


def test_it_treats_patches_as_a_set_but_for_where_they_are():
    """Without positions, shuffled patches come out shuffled; with them, not."""
    net, x = random_dit(), picture()
    order = torch.randperm(16, generator=seeded(4))
    shuffled = unpatchify(patchify(x, 2)[:, order], 2)

    def difference():
        return (patchify(net(shuffled, 3.0), 2) - patchify(net(x, 3.0), 2)[:, order]).abs().max()

    assert difference() > 1e-2
    net.where.zero_()
    assert difference() < 1e-12


def test_forward_mode_derivatives_are_those_of_differences_and_of_the_way_back():
    net, x, direction = random_dit(), picture(), picture(seed=10)
    t = torch.tensor([1.0, 200.0, 900.0])
    value, slope = torch.func.jvp(lambda x: net(x, t), (x,), (direction,))
    h = 1e-5
    assert torch.allclose((net(x + h * direction, t) - net(x - h * direction, t)) / (2 * h), slope, atol=1e-7)
    back = torch.func.vjp(lambda x: net(x, t), x)[1](value)[0]
    assert torch.allclose((back * direction).sum(), (value * slope).sum(), rtol=1e-9)


def test_one_time_for_all_is_that_time_for_each_and_labels_may_be_hidden():
    net, x = random_dit(num_classes=3), picture()
    assert torch.allclose(net(x, 7.0, 2), net(x, torch.full((3,), 7.0), [2, 2, 2]), atol=1e-12)
    hidden = torch.tensor([True, False, True])
    half = net(x, 7.0, [0, 1, 2], hidden)
    assert torch.allclose(half[hidden], net(x, 7.0)[hidden], atol=1e-12)
    assert torch.allclose(half[1], net(x, 7.0, [0, 1, 2])[1], atol=1e-12)
    assert (net(x, 7.0, 1) - net(x, 7.0)).abs().max() > 1e-3


def test_examples_do_not_see_each_other():
    net, x = random_dit(), picture()
    alone = torch.cat([net(x[k : k + 1], 3.0) for k in range(3)])
    assert torch.allclose(net(x, 3.0), alone, atol=1e-12)


def test_any_sampler_takes_it_and_its_weights_load():
    net = random_dit(num_classes=3, image_size=4).float()
    again = loaded(lambda: DiT(2, 4, 2, 16, 2, 4, 3), net.state_dict())
    schedule = schedules.cosine(100)
    x_T = torch.randn(2, 2, 4, 4, generator=seeded())
    ends = []
    for one in (net, again):
        denoiser = ModelDenoiser(one, schedule, "v", [0, 2])
        assert denoiser.shape == (2, 4, 4)
        *_, last = samplers.ddim(denoiser, x_T, schedule, [100, 50, 0])
        ends.append(last.x)
    assert torch.equal(*ends) and ends[0].isfinite().all()


def test_half_the_patch_is_the_same_weights_in_the_blocks():
    coarse, fine = DiT(3, 32, 8, 64), DiT(3, 32, 4, 64)
    shapes = [[w.shape for w in net.blocks.parameters()] for net in (coarse, fine)]
    assert shapes[0] == shapes[1] and len(fine.where) == 4 * len(coarse.where)
    copy.deepcopy(fine).blocks.load_state_dict(coarse.blocks.state_dict())


def test_xl_2_has_the_papers_number_of_weights():
    """675 million (Peebles & Xie 2022); their time embedding is a little smaller than ours."""
    with torch.device("meta"):
        net = DiT(4, 32, 2, 1152, 28, 16, 1000)
    assert sum(w.numel() for w in net.parameters()) == pytest.approx(675e6, rel=2e-3)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (dict(image_size=8, patch=3), "patch must divide image_size, 8; got 3"),
        (dict(width=18, heads=4), "width must be a multiple of 4 and of heads, 4; got 18"),
        (dict(width=20, heads=3), "width must be a multiple of 4 and of heads, 3; got 20"),
        (dict(depth=0), "depth must be an integer of at least 1; got 0"),
    ],
)
def test_bad_arguments(arguments, said):
    with pytest.raises(ValueError, match=said):
        DiT(**arguments)


def test_bad_input():
    net = DiT(num_classes=3)
    with pytest.raises(
        ValueError, match=r"pictures \[B, 1, 8, 8\]; got torch.float32 of shape \[2, 1, 6, 6\]"
    ):
        net(torch.zeros(2, 1, 6, 6), 1)
    with pytest.raises(ValueError, match="label must be an integer in 0…2"):
        net(torch.zeros(2, 1, 8, 8), 1, 3)
    assert net.num_classes == 3 and math.prod(net.shape) == 64
