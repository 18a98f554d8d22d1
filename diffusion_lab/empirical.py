"""A finite data set and its exact denoiser: a network would become this if it memorised its training set."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .checks import Reals, check_batch, check_data, check_generator, check_int, noise_like
from .schedules import NoiseSchedule, numbers_at, signal_sigma
from .views import Denoiser, Prediction, named

DIRECT = "donot_use_mm_for_euclid_dist"  # torch.cdist's way to sum squared differences


class Empirical:
    """A finite data set as a distribution: each of its N examples y_n has probability 1/N.

    data `[N, *D]`; `std`, the standard deviation of a Gaussian blur, is 0 unless given. The denoiser is the
    ideal one for exactly these examples: it minimises every diffusion loss on them, and can only ever produce
    copies of them. Without a blur there is no density, so there is no log_prob and no score until noise is
    added: `noised(t, schedule)` for t > 0.

    Squared distances are computed as ‖x‖² − 2x·y + ‖y‖², by a matrix product in float64 (float32 loses the
    differences at low noise). Where float64 loses them too, at a std below some 1e-5 of the data's norm, and
    on devices without float64, they are sums of squared differences, which takes several times as long. The
    work is done in pieces that need some 250 MB for any N.
    """

    PIECE = 2**23  # log-weights (float64) held at a time

    def __init__(self, data: Tensor, std: float = 0.0) -> None:
        self.data = check_data(data, "data")
        if data.ndim < 2 or data[:1].numel() == 0:
            raise ValueError(f"data must have shape [N, *D] with N ≥ 1; got {list(data.shape)}")
        if not 0 <= std < math.inf:
            raise ValueError(f"std must be at least 0; got {std}")
        self.std = float(std)
        low, high = data.aminmax()
        self._largest = data[0].numel() * max(abs(low.item()), abs(high.item())) ** 2  # at least ‖y_n‖²

    def noised(self, t: Reals, schedule: NoiseSchedule) -> "Empirical":
        """q_t: N Gaussians of variance signal_t² std² + sigma_t² around signal_t y_n.

        t in 0…T, one time, whole or real.
        """
        signal, sigma = numbers_at(schedule, t)
        return Empirical(signal * self.data, math.hypot(signal * self.std, sigma))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws with replacement: `[n, *D]`."""
        check_generator(generator)
        device = generator.device if generator is not None else "cpu"
        k = torch.randint(len(self.data), (check_int(n, "n", 1),), generator=generator, device=device)
        draw = self.data[k.to(self.data.device)]
        return draw + self.std * noise_like(draw, generator) if self.std else draw

    def log_prob(self, x: Tensor) -> Tensor:
        """log density in nats: `[B, *D] -> [B]`. Raises ValueError without a blur."""
        log_sum = torch.cat([weights.logsumexp(1) for weights in self._blurred(x)]).to(x.dtype)
        D = math.prod(x.shape[1:])
        return log_sum - math.log(len(self.data)) - D / 2 * math.log(2 * math.pi * self.std**2)

    def log_posterior(self, x: Tensor) -> Tensor:
        """log p(n|x) in nats for each example y_n (Bayes): `[B, *D] -> [B, N]`. ValueError without a blur."""
        return torch.cat([weights.log_softmax(1) for weights in self._blurred(x)]).to(x.dtype)

    def score(self, x: Tensor) -> Tensor:
        """∇_x log density = (E[y|x] − x)/std²: `[B, *D] -> [B, *D]`. Raises ValueError without a blur."""
        return (self._mean(self._blurred(x), x) - x) / self.std**2

    def denoiser(self, schedule: NoiseSchedule) -> Denoiser:
        """The best denoiser for these examples, E[x_0|x_t] (Karras et al. 2022, appendix B.3).

        It is an average with softmax weights: Σ_n softmax_n(−‖x_t − signal y_n‖²/(2 sigma²)) y_n. Raises
        ValueError at t = 0 without a blur.
        """

        def denoise(x_t: Tensor, t: Reals) -> Prediction:
            check_batch(x_t, "x_t", self.data.shape[1:], finite=False)
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
        """−‖x − signal y_n‖²/(2 var): rows [·, N], for as many x at a time as fit into PIECE.

        signal and var are on the CPU, one number or [B, 1], so reading them does not wait for a GPU.
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
        each = [x.flatten(1).to(wide), *(c.expand(len(x), 1).to(x.device) for c in (signal, var))]
        for at, a, v in zip(*(c.split(rows) for c in each), strict=True):
            parts: list[Tensor] = []
            of_y, of_x = -(a**2) / (2 * v), -at.square().sum(1, keepdim=True) / (2 * v)
            for c in (piece.to(wide) for piece in pieces):
                if direct:  # the floor keeps x/signal finite at zero SNR, where all weights are equal
                    parts.append(of_y * torch.cdist(at / a.clamp(min=1e-12), c, compute_mode=DIRECT) ** 2)
                else:
                    squares = of_y * torch.linalg.vector_norm(c, dim=1) ** 2 + of_x
                    parts.append(torch.addmm(squares, a / v * at, c.mT))
            yield torch.cat(parts, 1)
