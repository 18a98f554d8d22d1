"""Data whose denoiser is known in closed form: the exact reference for everything that is learned.

Noise added to a mixture of Gaussians gives a mixture of Gaussians, so its density, its score and the best
possible guess E[x_0|x_t] can be written down at every t. A finite data set is a mixture too, with one point
mass per example: see `Empirical` in the module `empirical`, which can also be imported from here.
"""

import copy
import math

import torch
from torch import Tensor

from .checks import Numbers, Reals, check_batch, check_data, check_generator, check_int, noise_like
from .empirical import Empirical as Empirical
from .schedules import NoiseSchedule, numbers_at, signal_sigma
from .views import Denoiser, Prediction, named


class GaussianMixture:
    """Σ_k w_k N(means_k, stds_k² I), or with a full covariance matrix for each component.

    means `[K, *D]`, for data of any shape; either stds [K] (standard deviations) or covariances [K, D, D]
    over the flattened data; weights [K], equal unless given, are normalised. Everything is computed in the
    dtype of the given x. Raises ValueError for shapes that do not fit, or a variance or weight that is not
    positive.
    """

    def __init__(
        self,
        means: Tensor,
        stds: Numbers | None = None,
        covariances: Tensor | None = None,
        weights: Numbers | None = None,
    ) -> None:
        self.means = check_data(torch.as_tensor(means), "means")
        if self.means.ndim < 2:
            raise ValueError(f"means must have shape [K, *D]; got {list(self.means.shape)}")
        K, D = len(self.means), math.prod(self.means.shape[1:])
        if (stds is None) == (covariances is None):
            raise ValueError("give either stds or covariances")
        if stds is not None:
            stds = check_data(torch.as_tensor(stds, dtype=self.means.dtype), "stds", [K])
            if not (stds > 0).all():
                raise ValueError(f"stds must be above 0; got {stds.tolist()}")
            var, self.axes = (stds**2)[:, None], None  # the same variance along every axis: [K, 1]
        else:
            covariances = check_data(torch.as_tensor(covariances), "covariances", [K, D, D])
            if not torch.allclose(covariances, covariances.mT, rtol=1e-5, atol=1e-8):
                raise ValueError("covariances must be symmetric")
            var, axes = torch.linalg.eigh(covariances.double())  # [K, D], [K, D, D]: noise keeps the axes
            var, self.axes = var.to(self.means), axes.to(self.means)
        if not (var > 0).all():
            raise ValueError(f"covariances must be positive definite; one has the eigenvalue {var.min()}")
        self.var = var
        weights = torch.ones(K) if weights is None else torch.as_tensor(weights, dtype=self.means.dtype)
        self.weights = check_data(weights.to(self.means), "weights", [K])
        if not (self.weights > 0).all():
            raise ValueError(f"weights must be above 0; got {weights.tolist()}")
        self.weights = self.weights / self.weights.sum()

    @classmethod
    def fit(cls, x: Tensor, label: Numbers | None = None, ridge: float = 1e-4) -> "GaussianMixture":
        """One Gaussian per class, by maximum likelihood: the mean and covariance of each class.

        x `[N, *D]`; label [N] (a tensor, an array or a list; all one class unless given). Component k is
        fitted to x[label == k], k in 0…K − 1. `ridge` is added to every variance, since a pixel that never
        changes has none. Raises ValueError for a class without any example.
        """
        check_data(x, "x")
        if x.ndim < 2:
            raise ValueError(f"x must have shape [N, *D]; got {list(x.shape)}")
        try:
            label = torch.zeros(len(x)).long() if label is None else torch.as_tensor(label)
        except (TypeError, RuntimeError, ValueError):  # words, a ragged list
            raise ValueError(f"label must hold integers of at least 0; got {label!r}") from None
        if label.shape != x.shape[:1]:
            raise ValueError(f"label must have shape [{len(x)}], one for each x; got {list(label.shape)}")
        if label.is_floating_point() or label.is_complex() or label.dtype == torch.bool or (label < 0).any():
            raise ValueError(f"label must hold integers of at least 0; got {label.unique().tolist()[:8]}")
        label = label.to(x.device).long()
        counts = torch.bincount(label)
        if len(counts) == 0 or (counts == 0).any():
            raise ValueError(f"every class needs an example; the counts are {counts.tolist()}")
        groups = [x[label == k] for k in range(len(counts))]
        flat = [g.flatten(1).double() for g in groups]
        covariances = torch.stack([torch.cov(g.mT, correction=0).reshape(g.shape[1], -1) for g in flat])
        covariances.diagonal(dim1=1, dim2=2).add_(ridge)
        return cls(torch.stack([g.mean(0) for g in groups]), covariances=covariances, weights=counts.to(x))

    def given(self, label: int) -> "GaussianMixture":
        """Component `label` alone: the data of one class, if every class is one component."""
        k = check_int(label, "label", 0)
        if k >= len(self.means):
            raise ValueError(f"label must lie in 0…{len(self.means) - 1}; got {label}")
        axes, one = None if self.axes is None else self.axes[[k]], self.weights.new_ones(1)
        return self.changed(means=self.means[[k]], var=self.var[[k]], axes=axes, weights=one)

    def noised(self, t: Reals, schedule: NoiseSchedule) -> "GaussianMixture":
        """q_t, the density of x_t: means signal_t μ_k, covariances signal_t² Σ_k + sigma_t² I.

        t in 0…T, one time, whole or real.
        """
        signal, sigma = numbers_at(schedule, t)
        return self.changed(means=signal * self.means, var=signal**2 * self.var + sigma**2)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws: `[n, *D]`."""
        check_generator(generator)
        weights = self.weights if generator is None else self.weights.to(generator.device)
        k = torch.multinomial(weights, check_int(n, "n", 1), replacement=True, generator=generator)
        k = k.to(self.means.device)
        noise = noise_like(self.means[k].flatten(1), generator)
        if self.axes is None:
            noise = self.var[k].sqrt() * noise
        else:  # by the symmetric root of the covariance: the signs of the axes differ between machines
            for j, (var, axes) in enumerate(zip(self.var, self.axes, strict=True)):
                noise[k == j] = noise[k == j] @ (axes * var.sqrt()) @ axes.mT
        return self.means[k] + noise.reshape(self.means[k].shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """log density in nats: `[B, *D] -> [B]`."""
        return self._components(check_batch(x, "x", self.means.shape[1:]))[0].logsumexp(1)

    def log_posterior(self, x: Tensor) -> Tensor:
        """log p(k|x) in nats for each component k (Bayes): `[B, *D] -> [B, K]`. Differentiable."""
        return self._components(check_batch(x, "x", self.means.shape[1:]))[0].log_softmax(1)

    def score(self, x: Tensor) -> Tensor:
        """∇_x log density: −Σ_k p(k|x) Σ_k⁻¹ (x − μ_k). `[B, *D] -> [B, *D]`."""
        log_joint, deviation, var = self._components(check_batch(x, "x", self.means.shape[1:]))
        return -self._mix(log_joint, deviation / var).reshape(x.shape)

    def denoiser(self, schedule: NoiseSchedule) -> Denoiser:
        """The best possible denoiser, E[x_0|x_t]; t in 0…T, and real t too.

        Given component k it is linear in x_t: μ_k + signal Σ_k (signal² Σ_k + sigma² I)⁻¹ (x_t − signal μ_k).
        These are averaged with the components' posterior probabilities p(k|x_t).
        """

        def denoise(x_t: Tensor, t: Reals) -> Prediction:
            log_joint, deviation, var, signal, _ = self._components_at(x_t, t, schedule)
            mean = torch.einsum("bk,kd->bd", log_joint.softmax(1), self.means.to(x_t).flatten(1))
            x0 = mean + self._mix(log_joint, signal * self.var.to(x_t) / var * deviation)
            return Prediction.from_x0(x0.reshape(x_t.shape), x_t, t, schedule)

        return named(denoise, schedule, self.means.shape[1:])

    def posterior_covariance(self, x_t: Tensor, t: Reals, schedule: NoiseSchedule) -> Tensor:
        """Cov[x_0|x_t], how uncertain the best guess is: `[B, *D] -> [B, D, D]`, over the flattened data.

        Given component k it is sigma² Σ_k (signal² Σ_k + sigma² I)⁻¹. The result is the average of these plus
        the covariance of the components' guesses. It equals sigma²/signal² (I + sigma² ∇² log q_t(x_t)),
        Tweedie's formula of the second order. t in 0…T, real t too, one time or [B].
        """
        log_joint, deviation, var, signal, sigma = self._components_at(x_t, t, schedule)
        p, own = log_joint.softmax(1), self.var.to(x_t)
        guess = signal * own / var * deviation  # E[x_0|x_t, k] − μ_k, along the component's axes
        spread = (sigma**2 * own / var).expand(guess.shape)
        if self.axes is None:
            within = torch.diag_embed(torch.einsum("bk,bkd->bd", p, spread))
        else:
            axes = self.axes.to(x_t)
            guess = torch.einsum("bke,kde->bkd", guess, axes)
            within = torch.einsum("bk,kde,bke,kfe->bdf", p, axes, spread, axes)
        guess = guess + self.means.to(x_t).flatten(1)
        guess = guess - torch.einsum("bk,bkd->bd", p, guess)[:, None]
        return within + torch.einsum("bk,bkd,bkf->bdf", p, guess, guess)

    def _components_at(self, x_t: Tensor, t: Reals, schedule: NoiseSchedule) -> tuple[Tensor, ...]:
        """`_components` of x_t at time t, and signal_t and sigma_t: one number, or [B, 1, 1]."""
        check_batch(x_t, "x_t", self.means.shape[1:], finite=False)
        signal, sigma = signal_sigma(schedule, t, x_t.flatten(1)[:, None])
        return *self._components(x_t, signal, sigma), signal, sigma

    def _components(self, x: Tensor, signal: Reals = 1.0, sigma: Reals = 0.0) -> tuple[Tensor, ...]:
        """For each component: log(w_k N_k(x)) [B, K], and the parts it is made of.

        The parts are the deviation x − signal μ_k along the component's own axes [B, K, D], and the variance
        along them.
        """
        deviation = x.flatten(1)[:, None] - signal * self.means.to(x).flatten(1)
        if self.axes is not None:
            deviation = torch.einsum("bkd,kde->bke", deviation, self.axes.to(x))
        var = signal**2 * self.var.to(x) + sigma**2
        if not var.all():
            raise ValueError("a mixture of variance 0 along some axis has no density; noised(t ≥ 1) has one")
        log_normal = -0.5 * (deviation**2 / var + (2 * math.pi * var).log()).sum(2)
        return self.weights.to(x).log() + log_normal, deviation, var

    def _mix(self, log_joint: Tensor, offsets: Tensor) -> Tensor:
        """Σ_k p(k|x) offset_k [B, D], the offsets [B, K, D] turned back from the components' axes."""
        offsets = log_joint.softmax(1)[:, :, None] * offsets
        if self.axes is None:
            return offsets.sum(1)
        return torch.einsum("bke,kde->bd", offsets, self.axes.to(offsets))

    def changed(self, **parts: Tensor | None) -> "GaussianMixture":
        """The same mixture with other means, var, axes or weights, which are not checked again.

        A variance of 0 is allowed here: x is known along that axis. Such a mixture can be sampled and has a
        denoiser, but it has no density until noise is added.
        """
        other = copy.copy(self)
        vars(other).update(parts)
        return other
