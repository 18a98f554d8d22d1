"""How good is the digits network that ships? python benchmarks/digits_quality.py

Two tables. The first, over five seeds: are 1 800 samples recognised, are they distributed like the held-out
digits, are they copies of the training digits? Class-wise Gaussians do well in all three. The second is what
they cannot do: remove noise from digits that nobody trained on. The tests assert bounds on the same numbers.
"""

import math

import torch
from sklearn.svm import SVC
from tqdm import trange

from diffusion_lab import data, metrics, pretrained, samplers
from diffusion_lab.exact import Empirical, GaussianMixture
from diffusion_lab.forward import q_sample

N_SAMPLES, STEPS, SEEDS = 1800, 50, 5


def classifier() -> SVC:
    """A support-vector machine trained on the real training digits."""
    images, labels = data.digits("train")
    return SVC(C=10).fit(images.flatten(1).numpy(), labels.numpy())


def accuracy(svc: SVC, images, labels) -> float:
    """The share of the images recognised as their label."""
    return float((svc.predict(images.flatten(1).numpy()) == labels.numpy()).mean())


def draw(denoiser, seed: int, sampler=samplers.ddim, times=None) -> tuple[samplers.Step, torch.Tensor]:
    """N_SAMPLES samples, as many of each class and not clipped, as a run's last step; and their labels.

    One generator draws x_T and then whatever the sampler draws. DDIM in STEPS steps, unless told otherwise.
    """
    labels, schedule = torch.arange(N_SAMPLES) % 10, denoiser.schedule
    generator = torch.Generator().manual_seed(seed)
    x_T = samplers.p_sample_prior((N_SAMPLES, 1, 8, 8), schedule, generator)
    times = samplers.timesteps(schedule, STEPS) if times is None else times
    *_, last = sampler(denoiser.given(labels), x_T, schedule, times, generator=generator)
    return last, labels


def sample_quality(denoiser, svc: SVC, seed: int) -> dict[str, float]:
    """Share recognised; Fréchet distance to the held-out digits over that of the training digits; distance
    to the nearest training digit over that of the held-out digits. The distances are between pixels."""
    (train, _), (test, _) = data.digits("train"), data.digits("test")
    last, labels = draw(denoiser, seed)
    x = last.x
    return {
        "recognised": accuracy(svc, x, labels),
        "fréchet": metrics.frechet_distance(x, test) / metrics.frechet_distance(train, test),
        "nearest": metrics.memorisation(x, train, test).ratio,
    }


@torch.no_grad()
def held_out_errors(denoiser, snr: float, repeats: int = 8) -> dict[str, float]:
    """Mean squared error of x̂_0 on the held-out digits at the t nearest to this SNR, each told the class."""
    (train, train_labels), (test, labels) = data.digits("train"), data.digits("test")
    schedule = denoiser.schedule
    t = int((schedule.log_snr - math.log(snr)).abs().argmin())
    gaussians = GaussianMixture.fit(train.double(), train_labels)
    errors = dict.fromkeys(("network", "class Gaussians", "ideal for the training digits"), 0.0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(repeats):
        x_t = q_sample(test, t, schedule, generator=generator)
        for k in range(10):
            of_class = labels == k
            guesses = (
                denoiser.given(k)(x_t[of_class], t).x0,
                gaussians.given(k).denoiser(schedule)(x_t[of_class].double(), t).x0,
                Empirical(train[train_labels == k]).denoiser(schedule)(x_t[of_class], t).x0,
            )
            for name, guess in zip(errors, guesses, strict=True):
                error = (guess - test[of_class]).square().sum().item()
                errors[name] += error / (repeats * test.numel())
    return errors


if __name__ == "__main__":
    network, svc = pretrained.load("digits"), classifier()
    print(f"classifier on the held-out digits: {accuracy(svc, *data.digits('test')):.1%}")
    rows = [sample_quality(network, svc, seed) for seed in trange(SEEDS, desc="seeds")]
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(
            f"{name:10s} mean {sum(values) / SEEDS:.3f}   over seeds {' '.join(f'{v:.3f}' for v in values)}"
        )
    for snr in (3, 10):
        errors = held_out_errors(network, snr)
        print(f"SNR {snr:2d}: " + "   ".join(f"{name} {error:.4f}" for name, error in errors.items()))
