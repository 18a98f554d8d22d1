"""Data whose denoiser is known in closed form: the oracle that everything learned is held against.

Noise added to a mixture of Gaussians gives a mixture of Gaussians, so its density, its score and the best
possible guess E[x_0|x_t] can be written down at every t. A finite data set is a mixture too, of one point
mass per example: `Empirical` is what a network would become if it learned its training set by heart.
"""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .checks import check_batch, check_data, check_generator, check_int, check_t, noise_like
from .schedules import NoiseSchedule, signal_sigma
from .views import Denoiser, Prediction, named

DIRECT = "donot_use_mm_for_euclid_dist"  # torch.cdist's way to sum squared differences


def _at_one_time(t, schedule: NoiseSchedule) -> tuple[float, float]:
    """signal_t and sigma_t at a single t in 0…T, whole or real."""
    t = check_t(t, schedule.T, real=True)
    if t.ndim > 0:
        raise ValueError(f"t must be one time, since one density is asked for; got shape {list(t.shape)}")
    signal, sigma = signal_sigma(schedule, t, torch.empty(1, dtype=torch.float64))
    return signal.item(), sigma.item()


class GaussianMixture:
    """Σ_k w_k N(means_k, stds_k² I), or with a full covariance matrix for each component.

    means [K, *D], for data of any shape; either stds [K] (standard deviations) or covariances [K, D, D]
    over the flattened data; weights [K], equal unless given, are normalised. Everything is computed in the
    dtype of the x that is asked about. Raises ValueError for shapes that do not fit, or a variance or
    weight that is not positive.
    """

    def __init__(self, means: Tensor, stds=None, covariances: Tensor | None = None, weights=None):
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
            self.var, self.axes = (stds**2)[:, None], None  # the same variance along every axis: [K, 1]
        else:
            covariances = check_data(torch.as_tensor(covariances), "covariances", [K, D, D])
            if not torch.allclose(covariances, covariances.mT, rtol=1e-5, atol=1e-8):
                raise ValueError("covariances must be symmetric")
            # Noise makes Σ signal² Σ + sigma² I: new eigenvalues [K, D] on the same axes [K, D, D]
            var, axes = torch.linalg.eigh(covariances.double())
            self.var, self.axes = var.to(self.means), axes.to(self.means)
        if not (self.var > 0).all():
            raise ValueError(
                f"covariances must be positive definite; one has the eigenvalue {self.var.min()}"
            )
        weights = torch.ones(K) if weights is None else torch.as_tensor(weights, dtype=self.means.dtype)
        self.weights = check_data(weights.to(self.means), "weights", [K])
        if not (self.weights > 0).all():
            raise ValueError(f"weights must be above 0; got {weights.tolist()}")
        self.weights = self.weights / self.weights.sum()

    @classmethod
    def fit(cls, x: Tensor, label: Tensor | None = None, ridge: float = 1e-4) -> "GaussianMixture":
        """One Gaussian per class, by maximum likelihood: the mean and covariance of each class.

        x [N, *D]; label [N] (a tensor, an array or a list), component k fits x[label == k], k in 0…K − 1
        (all one class unless given). `ridge` is added to every variance, since a pixel that never changes has
        none. Raises ValueError for a class without any example.
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
        D = flat[0].shape[1]
        covariances = torch.stack([torch.cov(g.mT, correction=0).reshape(D, D) for g in flat])
        covariances.diagonal(dim1=1, dim2=2).add_(ridge)
        return cls(torch.stack([g.mean(0) for g in groups]), covariances=covariances, weights=counts.to(x))

    def given(self, label: int) -> "GaussianMixture":
        """The one component `label`: the data of a class, if every class is one component."""
        k = check_int(label, "label", 0)
        if k >= len(self.means):
            raise ValueError(f"label must lie in 0…{len(self.means) - 1}; got {label}")
        axes = None if self.axes is None else self.axes[[k]]
        return self._changed(
            means=self.means[[k]], var=self.var[[k]], axes=axes, weights=self.weights.new_ones(1)
        )

    def noised(self, t: float, schedule: NoiseSchedule) -> "GaussianMixture":
        """q_t, the density of x_t: means signal_t μ_k, covariances signal_t² Σ_k + sigma_t² I.

        t in 0…T, one time, whole or real.
        """
        signal, sigma = _at_one_time(t, schedule)
        return self._changed(means=signal * self.means, var=signal**2 * self.var + sigma**2)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws: [n, *D]."""
        check_generator(generator)
        weights = self.weights if generator is None else self.weights.to(generator.device)
        k = torch.multinomial(weights, check_int(n, "n", 1), replacement=True, generator=generator)
        k = k.to(self.means.device)
        noise = noise_like(self.means[k].flatten(1), generator)
        if self.axes is None:
            noise = self.var[k].sqrt() * noise
        else:  # by the symmetric root of the covariance: the signs of the axes differ between machines
            noise = self.var[k].sqrt() * torch.einsum("bde,bd->be", self.axes[k], noise)
            noise = torch.einsum("bde,be->bd", self.axes[k], noise)
        return self.means[k] + noise.reshape(self.means[k].shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """log density in nats: [B, *D] -> [B]."""
        log_joint, _, _ = self._components(check_batch(x, "x", self.means.shape[1:]))
        return log_joint.logsumexp(1)

    def log_posterior(self, x: Tensor) -> Tensor:
        """log p(k|x) in nats, of each component k (Bayes): [B, *D] -> [B, K]. Autograd differentiates it."""
        log_joint, _, _ = self._components(check_batch(x, "x", self.means.shape[1:]))
        return log_joint.log_softmax(1)

    def score(self, x: Tensor) -> Tensor:
        """∇_x log density: −Σ_k p(k|x) Σ_k⁻¹ (x − μ_k). [B, *D] -> [B, *D]."""
        log_joint, deviation, var = self._components(check_batch(x, "x", self.means.shape[1:]))
        return -self._mix(log_joint, deviation / var).reshape(x.shape)

    def denoiser(self, schedule: NoiseSchedule) -> Denoiser:
        """The best possible denoiser, E[x_0|x_t]; t in 0…T, and real t too.

        Given component k it is linear (Bayes): μ_k + signal Σ_k (signal² Σ_k + sigma² I)⁻¹ (x_t − signal
        μ_k); the components are averaged with their posterior probabilities p(k|x_t).
        """

        def denoise(x_t: Tensor, t) -> Prediction:
            log_joint, deviation, var, signal, _ = self._components_at(x_t, t, schedule)
            mean = torch.einsum("bk,kd->bd", log_joint.softmax(1), self.means.to(x_t).flatten(1))
            x0 = mean + self._mix(log_joint, signal * self.var.to(x_t) / var * deviation)
            return Prediction.from_x0(x0.reshape(x_t.shape), x_t, t, schedule)

        return named(denoise, schedule, self.means.shape[1:])

    def posterior_covariance(self, x_t: Tensor, t, schedule: NoiseSchedule) -> Tensor:
        """Cov[x_0|x_t], how sure the best guess is: [B, *D] -> [B, D, D], over the flattened data.

        Given component k it is sigma² Σ_k (signal² Σ_k + sigma² I)⁻¹, and to the average of these comes the
        covariance of the components' guesses. Equal to sigma²/signal² (I + sigma² ∇² log q_t(x_t)), Tweedie's
        formula of the second order. t in 0…T, real t too, one time or [B].
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

    def _components_at(self, x_t: Tensor, t, schedule: NoiseSchedule) -> tuple[Tensor, ...]:
        """`_components` of x_t at time t, and signal_t and sigma_t: one number, or [B, 1, 1]."""
        check_batch(x_t, "x_t", self.means.shape[1:], finite=False)
        signal, sigma = signal_sigma(schedule, t, x_t.flatten(1)[:, None])
        return *self._components(x_t, signal, sigma), signal, sigma

    def _components(self, x: Tensor, signal=1.0, sigma=0.0) -> tuple[Tensor, Tensor, Tensor]:
        """Component by component: log(w_k N_k(x)) [B, K], and what it is made of.

        That is the deviation x − signal μ_k along the component's own axes [B, K, D], and its variance there.
        """
        deviation = x.flatten(1)[:, None] - signal * self.means.to(x).flatten(1)
        if self.axes is not None:
            deviation = torch.einsum("bkd,kde->bke", deviation, self.axes.to(x))
        var = signal**2 * self.var.to(x) + sigma**2
        log_normal = -0.5 * (deviation**2 / var + (2 * math.pi * var).log()).sum(2)
        return self.weights.to(x).log() + log_normal, deviation, var

    def _mix(self, log_joint: Tensor, offsets: Tensor) -> Tensor:
        """Σ_k p(k|x) offset_k [B, D], the offsets [B, K, D] turned back from the components' axes."""
        offsets = log_joint.softmax(1)[:, :, None] * offsets
        if self.axes is None:
            return offsets.sum(1)
        return torch.einsum("bke,kde->bd", offsets, self.axes.to(offsets))

    def _changed(self, **parts) -> "GaussianMixture":
        other = copy.copy(self)
        vars(other).update(parts)
        return other


class Empirical:
    """A finite data set as a distribution: each of its N examples y_n with probability 1/N.

    data [N, *D]; `std`, the standard deviation of a Gaussian blur, is 0 unless given. Its denoiser is the
    ideal one for exactly these examples: it minimises every diffusion loss on them, and all it can ever
    produce is copies of them. Without a blur there is no density, hence no log_prob and no score, until
    noise is added: `noised(t, schedule)` for t > 0.

    Squared distances are ‖x‖² − 2x·y + ‖y‖², a matrix product, in float64 (in float32 the differences are
    lost at low noise). Where float64 loses them too, at a std below some 1e-5 of the data's norm, and on
    devices without float64, they are sums of squared differences, which takes several times as long.
    Everything goes in pieces that need some 200 MB whatever N is.
    """

    PIECE = 2**23  # log-weights (float64) held at a time

    def __init__(self, data: Tensor, std: float = 0.0):
        self.data = check_data(data, "data")
        if data.ndim < 2 or data[:1].numel() == 0:
            raise ValueError(f"data must have shape [N, *D] with N ≥ 1; got {list(data.shape)}")
        if not 0 <= std < math.inf:
            raise ValueError(f"std must be at least 0; got {std}")
        self.std = float(std)
        low, high = data.aminmax()
        self._largest = data[0].numel() * max(abs(low.item()), abs(high.item())) ** 2  # ‖y_n‖², or above it

    def noised(self, t: float, schedule: NoiseSchedule) -> "Empirical":
        """q_t: N Gaussians of variance signal_t² std² + sigma_t² around signal_t y_n.

        t in 0…T, one time, whole or real.
        """
        signal, sigma = _at_one_time(t, schedule)
        return Empirical(signal * self.data, math.hypot(signal * self.std, sigma))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws with replacement: [n, *D]."""
        check_generator(generator)
        device = generator.device if generator is not None else "cpu"
        k = torch.randint(len(self.data), (check_int(n, "n", 1),), generator=generator, device=device)
        draw = self.data[k.to(self.data.device)]
        return draw + self.std * noise_like(draw, generator) if self.std else draw

    def log_prob(self, x: Tensor) -> Tensor:
        """log density in nats: [B, *D] -> [B]. Raises ValueError without a blur."""
        log_sum = torch.cat([weights.logsumexp(1) for weights in self._blurred(x)]).to(x.dtype)
        D = math.prod(x.shape[1:])
        return log_sum - math.log(len(self.data)) - D / 2 * math.log(2 * math.pi * self.std**2)

    def log_posterior(self, x: Tensor) -> Tensor:
        """log p(n|x) in nats, of each example y_n (Bayes): [B, *D] -> [B, N]. ValueError without a blur."""
        return torch.cat([weights.log_softmax(1) for weights in self._blurred(x)]).to(x.dtype)

    def score(self, x: Tensor) -> Tensor:
        """∇_x log density = (E[y|x] − x)/std²: [B, *D] -> [B, *D]. Raises ValueError without a blur."""
        return (self._mean(self._blurred(x), x) - x) / self.std**2

    def denoiser(self, schedule: NoiseSchedule) -> Denoiser:
        """The best denoiser for these examples, E[x_0|x_t] (Karras et al. 2022, appendix B.3).

        A softmax picks among the examples: Σ_n softmax_n(−‖x_t − signal y_n‖²/(2 sigma²)) y_n. Raises
        ValueError at t = 0, unless there is a blur.
        """

        def denoise(x_t: Tensor, t) -> Prediction:
            check_batch(x_t, "x_t", self.data.shape[1:], finite=False)
            # on the CPU, so that looking at them waits for no GPU: one number each, or [B, 1]
            exact_enough = torch.promote_types(x_t.dtype, torch.float32)
            signal, sigma = signal_sigma(schedule, t, torch.empty(len(x_t), 1, dtype=exact_enough))
            var = signal**2 * self.std**2 + sigma**2  # of x_t around signal y_n
            mean = self._mean(self._log_weights(x_t, signal, var), x_t)
            gain = signal * self.std**2 / var  # 0 without a blur
            if gain.ndim:
                signal, gain = (c.to(x_t).reshape(-1, *[1] * (x_t.ndim - 1)) for c in (signal, gain))
            return Prediction.from_x0(mean + gain * (x_t - signal * mean), x_t, t, schedule)

        return named(denoise, schedule, self.data.shape[1:])

    def _blurred(self, x: Tensor) -> Iterator[Tensor]:
        check_batch(x, "x", self.data.shape[1:])
        return self._log_weights(x, torch.ones(()), torch.tensor(self.std**2, dtype=torch.float64))

    def _mean(self, log_weights: Iterator[Tensor], x: Tensor) -> Tensor:
        """Σ_n softmax_n(log weights) y_n, of x's shape and dtype."""
        y = self.data.to(x.device).flatten(1)
        means = [weights.softmax(1).to(y.dtype) @ y for weights in log_weights]
        return torch.cat(means).reshape(x.shape).to(x.dtype)

    def _log_weights(self, x: Tensor, signal: Tensor, var: Tensor) -> Iterator[Tensor]:
        """−‖x − signal y_n‖²/(2 var): rows [·, N], of as many x at a time as fit into PIECE.

        signal and var are on the CPU, one number or [B, 1].
        """
        if (var == 0).any():
            raise ValueError("a finite data set has no density at t = 0: use t ≥ 1, or give it a std")
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        signal, var = signal.to(wide), var.to(wide)
        rounding = torch.finfo(wide).eps * signal**2 / var * self._largest  # of the expansion below, in nats
        direct = wide == torch.float32 or bool((rounding > 1e-6).any())
        y = self.data.to(x.device).flatten(1)
        piece = self.PIECE // 64 if x.device.type == "cpu" else self.PIECE  # 1 MB stays in a CPU's cache
        pieces = y.split(max(1, piece // y.shape[1]))
        rows = max(1, self.PIECE // len(y))
        signal, var = (c.expand(len(x), 1).to(x.device).split(rows) for c in (signal, var))
        for at, a, v in zip(x.flatten(1).to(wide).split(rows), signal, var, strict=True):
            parts, of_y, of_x = [], -(a**2) / (2 * v), -at.square().sum(1, keepdim=True) / (2 * v)
            for c in (piece.to(wide) for piece in pieces):
                if direct:  # the floor keeps x/signal finite at zero SNR, where all weights are alike
                    parts.append(of_y * torch.cdist(at / a.clamp(min=1e-12), c, compute_mode=DIRECT) ** 2)
                else:
                    squares = of_y * torch.linalg.vector_norm(c, dim=1) ** 2 + of_x
                    parts.append(torch.addmm(squares, a / v * at, c.mT))
            yield torch.cat(parts, 1)
