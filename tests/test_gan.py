"""The generative adversarial network: its losses, its penalties, and what training does."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.applications.gan import (
    GanRecipe,
    discriminator_loss,
    draw,
    generator_loss,
    gradient_penalty,
    train_gan,
)
from diffusion_lab.applications.plain import Waves, mlp
from diffusion_lab.data import toy_mixture
from diffusion_lab.training import moving_average
from diffusion_lab.weights import drawn


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def networks(seed=0, width=16):
    return drawn(lambda: mlp(2, 2, width, 2), seeded(seed)), drawn(
        lambda: mlp(2, 1, width, 2), seeded(seed + 1)
    )


# --- losses and penalties
def test_the_losses_are_cross_entropies():
    real, fake = (torch.randn(7, 1, generator=seeded(seed)) * 5 for seed in range(2))
    entropy = F.binary_cross_entropy_with_logits
    expected = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    assert torch.allclose(discriminator_loss(real, fake), expected)
    assert torch.allclose(generator_loss(fake), entropy(fake, torch.ones_like(fake)))


def test_the_best_discriminator_is_the_log_ratio_and_its_loss_the_jensen_shannon_divergence():
    x = torch.linspace(-12, 12, 401, dtype=torch.float64)
    data, model = torch.distributions.Normal(0.0, 1.0), torch.distributions.Normal(1.5, 0.7)
    p, q = (each.log_prob(x).exp() for each in (data, model))
    p, q = p / p.sum(), q / q.sum()

    def loss(logit):  # of logits at every x: the means of discriminator_loss, by quadrature
        at = [discriminator_loss(each, torch.full_like(each, -math.inf)) for each in logit]
        other = [discriminator_loss(torch.full_like(each, math.inf), each) for each in logit]
        return (p * torch.stack(at) + q * torch.stack(other)).sum()

    best = data.log_prob(x) - model.log_prob(x)
    js = 0.5 * (p * (2 * p / (p + q)).log()).nansum() + 0.5 * (q * (2 * q / (p + q)).log()).nansum()
    assert loss(best).item() == pytest.approx(2 * math.log(2) - 2 * js.item(), abs=1e-6)
    for wrong in (best + 0.1, 0.9 * best, best + 0.1 * x.sin()):
        assert loss(wrong) > loss(best) + 1e-4


def test_the_penalty_of_a_log_density_is_the_square_of_its_score():
    mixture, x = toy_mixture(), torch.randn(6, 2, generator=seeded(0), dtype=torch.float64)
    found = gradient_penalty(mixture.log_prob, x)
    assert torch.allclose(found, mixture.score(x).square().sum(1)) and found.shape == (6,)


def test_the_penalty_sums_over_all_axes_and_can_be_differentiated():
    weight = torch.randn(2, 3, 3, generator=seeded(0), requires_grad=True)
    found = gradient_penalty(lambda x: (x * weight).sum((1, 2, 3)), torch.zeros(4, 2, 3, 3))
    assert torch.allclose(found, weight.square().sum().expand(4))
    found.mean().backward()
    assert torch.allclose(weight.grad, 2 * weight.detach())


class Hinge(nn.Module):
    """w · max(x, 0): it has a slope only where x is above 0."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return self.weight * x.relu()


class Below(nn.Module):
    """Draws at or below −1 whatever happens."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.0))

    def forward(self, z):
        return -1 - (z + self.shift).square()


@pytest.mark.parametrize("name, acts", [("r1", True), ("r2", False)])
def test_r1_is_at_the_data_and_r2_at_the_draws(name, acts):
    ends = []
    for gamma in (0.0, 3.0):
        judge = Hinge()
        recipe = GanRecipe(latent=1, steps=5, batch=8, **{name: gamma})
        train_gan(Below(), judge, torch.ones(10, 1), recipe, progress=False)
        ends.append(judge.weight.item())
    assert (abs(ends[0] - ends[1]) > 1e-4) == acts


# --- training
def test_with_both_penalties_it_learns_a_gaussian():
    x0 = torch.randn(5000, 2, generator=seeded(0)) * torch.tensor([0.5, 0.1]) + torch.tensor([0.2, -0.3])
    recipe = GanRecipe(steps=800, batch=64, lr=5e-3, r1=0.1, r2=0.1, ema_decay=0.99)
    x = draw(train_gan(*networks(width=32), x0, recipe, progress=False), 5000, 2, seeded(1))
    assert torch.allclose(x.mean(0), x0.mean(0), atol=0.08)
    assert torch.allclose(x.std(0), x0.std(0), rtol=0.3)


def test_a_run_is_reproducible_and_touches_no_global_generator():
    x0, state = torch.randn(50, 2, generator=seeded(0)), torch.get_rng_state()
    recipe = GanRecipe(steps=3, batch=8, r1=0.1, r2=0.1)
    first, again = (train_gan(*networks(), x0, recipe, progress=False) for _ in range(2))
    other = train_gan(*networks(), x0, GanRecipe(steps=3, batch=8, r1=0.1, r2=0.1, seed=1), progress=False)
    x, same, changed = (draw(each, 5, 2, seeded(0)) for each in (first, again, other))
    assert torch.equal(x, same) and not torch.equal(x, changed)
    assert torch.equal(state, torch.get_rng_state())


def test_the_callback_gets_the_average_and_pictures_are_data_too():
    generator = nn.Sequential(drawn(lambda: mlp(3, 4, 8, 1), seeded(0)), nn.Unflatten(1, (1, 2, 2)))
    judge, seen = nn.Sequential(nn.Flatten(), drawn(lambda: mlp(4, 1, 8, 1), seeded(1))), []
    averaged = train_gan(
        generator, judge, torch.zeros(9, 1, 2, 2), GanRecipe(latent=3, steps=5, batch=4),
        callback=lambda step, net: seen.append((step, net)), callback_every=2, progress=False,
    )  # fmt: skip
    assert [step for step, _ in seen] == [2, 4, 5] and all(net is averaged for _, net in seen)
    assert not averaged.training and not any(weight.requires_grad for weight in averaged.parameters())
    assert draw(averaged, 7, 3, seeded(0)).shape == (7, 1, 2, 2)


def test_the_moving_average_starts_at_the_weights_and_then_follows_them():
    net, weights = nn.Linear(1, 1), []
    average = moving_average(net, 0.5)
    for value in (1.0, 2.0, 3.0):
        net.weight.data.fill_(value)
        average.update_parameters(net)
        weights.append(average.module.weight.item())
    # d = min(decay, (1 + n)/(10 + n)): 2/11 and 3/12 are below 0.5
    second = 2 / 11 * 1 + 9 / 11 * 2
    assert weights == pytest.approx([1, second, 0.25 * second + 0.75 * 3])


def test_waves_keep_the_input_and_repeat_with_their_longest_period():
    x = torch.randn(5, 2, generator=seeded(0), dtype=torch.float64)
    waves = Waves(3).double()
    assert waves(x).shape == (5, 14) and torch.equal(waves(x)[:, :2], x)
    assert torch.allclose(waves(x + 2)[:, 2:], waves(x)[:, 2:]) and torch.equal(Waves(0)(x), x)
    assert torch.allclose(waves(x)[:, 2:8].square() + waves(x)[:, 8:].square(), torch.ones(()).double())


@pytest.mark.parametrize(
    "told, message",
    [
        (dict(latent=0), "latent must be an integer of at least 1; got 0"),
        (dict(steps=0), "steps must be an integer of at least 1; got 0"),
        (dict(lr=0.0), "lr must be a number above 0; got 0.0"),
        (dict(r1=-1.0), "r1 must be a number of at least 0; got -1.0"),
        (dict(r2=math.inf), "r2 must be a number of at least 0; got inf"),
        (dict(betas=(0.5, 1.0)), "betas must be two numbers in"),
        (dict(ema_decay=1.0), "ema_decay must be a number in"),
    ],
)
def test_recipes_without_sense(told, message):
    with pytest.raises(ValueError, match=message):
        GanRecipe(**told)


def test_what_cannot_be_trained():
    with pytest.raises(ValueError, match="x0 must be finite; 1 of its values are not"):
        train_gan(*networks(), torch.tensor([[0.0, math.nan]]), GanRecipe(steps=1), progress=False)
    with pytest.raises(ValueError, match=r"lr = 1e\+30 must be lower: a loss is not a number at step"):
        train_gan(*networks(), torch.zeros(4, 2), GanRecipe(steps=50, lr=1e30), progress=False)
    with pytest.raises(ValueError, match="depth must be an integer of at least 1; got 0"):
        mlp(2, 2, 8, 0)
    with pytest.raises(ValueError, match="n must be an integer of at least 1; got 0"):
        draw(networks()[0], 0, 2)
