"""The right answer, where the data is a Gaussian mixture: p(x_0|y) is a mixture too.

A linear function of a Gaussian, plus Gaussian noise, is Gaussian. So for each component Bayes' rule takes two
lines (Bishop 2006, eq. 2.113–2.117), and y also tells how probable each component is.
"""

import torch
from torch import Tensor

from ...checks import check_batch, check_data
from ...exact import GaussianMixture
from ...schedules import NoiseSchedule
from ...views import Denoiser
from .measurement import Measurement, check_y

ROUNDING = 1e-10  # relative: what is smaller than this is 0


def posterior(mixture: GaussianMixture, measurement: Measurement, y: Tensor) -> GaussianMixture:
    """p(x_0|y), for x_0 ~ mixture and y = A x_0 + std · noise, y [M]. A mixture again.

    Component k, N(μ, Σ) before, becomes with S = A Σ Aᵀ + std² I and the gain K = Σ Aᵀ S⁻¹::

        mean  μ + K (y − A μ),   covariance  (I − K A) Σ (I − K A)ᵀ + std² K Kᵀ,   weight ∝ w_k N(y; A μ, S)

    (Bishop 2006, eq. 2.113–2.117; the covariance in Joseph's form, which rounding cannot make negative.)
    Without noise some directions are known exactly. The posterior has no width there and hence no density,
    but it can be sampled, and it has a denoiser. float64. Raises ValueError for a y of another shape, and
    without noise also for a y that is not of the form A x.
    """
    A, y = _independent_rows(_checked(mixture, measurement), y)
    means, covariances = moments(mixture)
    S = A @ covariances @ A.mT + measurement.std**2 * torch.eye(len(A)).double()  # [K, M, M]
    gain = torch.linalg.solve(S, A @ covariances).mT  # [K, D, M]
    rest = torch.eye(A.shape[1]).double() - gain @ A
    covariances = rest @ covariances @ rest.mT + measurement.std**2 * gain @ gain.mT
    var, axes = torch.linalg.eigh((covariances + covariances.mT) / 2)
    var = torch.where(var < ROUNDING * mixture.var.double().max(), 0.0, var)
    new_means = means + torch.einsum("kdm,km->kd", gain, y - means @ A.mT)
    weights = GaussianMixture(means @ A.mT, covariances=S, weights=mixture.weights.double())
    return mixture.changed(
        means=new_means.reshape(mixture.means.shape),
        var=var,
        axes=axes,
        weights=weights.log_posterior(y[None])[0].exp(),
    )


def gaussian_posterior(
    mixture: GaussianMixture, measurement: Measurement, y: Tensor
) -> tuple[Tensor, GaussianMixture]:
    """p(x_0|y) for many y [B, M] at once, where x_0 ~ mixture is a single Gaussian.

    Its covariance is the same for every y: how sure one is was settled before anything was measured. So the
    answer is the means `[B, *D]`, and N(0, Cov[x_0|y]): what lies around each of them. One sample for each y
    is ``means + around.sample(B)``. float64. Raises ValueError for a mixture of several, and for y of another
    shape.
    """
    if len(mixture.means) != 1:
        raise ValueError(f"mixture must be a single Gaussian; got {len(mixture.means)} components")
    A = _checked(mixture, measurement).A
    check_batch(y, "y", [len(A)])
    (mean,), (covariance,) = moments(mixture)
    S = A @ covariance @ A.mT + measurement.std**2 * torch.eye(len(A)).double()
    gain = torch.linalg.lstsq(S, A @ covariance, driver="gelsd").solution.mT  # S may be singular
    means = mean + (y.double().cpu() - A @ mean) @ gain.mT
    one = posterior(mixture, measurement, A @ mean)  # any y will do
    return means.reshape(-1, *measurement.shape), one.changed(means=torch.zeros_like(one.means))


def measured(mixture: GaussianMixture, measurement: Measurement) -> GaussianMixture:
    """p(y), the distribution of what is measured: Σ_k w_k N(A μ_k, A Σ_k Aᵀ + std² I) over y [M].

    Raises ValueError where p(y) has no density: without noise, if some measured numbers follow from others.
    """
    A = _checked(mixture, measurement).A
    means, covariances = moments(mixture)
    if measurement.std == 0 and torch.linalg.matrix_rank(A) < len(A):
        rank = f"of the {len(A)} measured numbers only {torch.linalg.matrix_rank(A)} are independent"
        raise ValueError(f"measurement must have noise (std above 0) for p(y) to have a density: {rank}")
    S = A @ covariances @ A.mT + measurement.std**2 * torch.eye(len(A)).double()
    return GaussianMixture(means @ A.mT, covariances=(S + S.mT) / 2, weights=mixture.weights.double())


def evidence(mixture: GaussianMixture, measurement: Measurement, y: Tensor) -> Tensor:
    """log p(y) in nats, for y [M] or many of them [B, M]: how well the prior expected what was measured.

    -> one number, or [B]. Raises ValueError as `measured` does.
    """
    check_data(y, "y")
    rows = y.double().reshape(-1, *y.shape[-1:])
    if y.ndim not in (1, 2) or y.shape[-1] != len(measurement.A):
        raise ValueError(f"y must have shape [{len(measurement.A)}] or [B, …]; got {list(y.shape)}")
    return measured(mixture, measurement).log_prob(rows).reshape(y.shape[:-1])


def exact_guidance(
    mixture: GaussianMixture, measurement: Measurement, y: Tensor, schedule: NoiseSchedule
) -> Denoiser:
    """The best denoiser that was told y, E[x_0|x_t, y]: what `dps` and `pigdm` try to be.

    Its score is ∇ log q_t(x_t) + ∇ log p(y|x_t), without any approximation, since p(x_0|y) is a mixture and
    the denoiser of a mixture is known.
    """
    return posterior(mixture, measurement, y).denoiser(schedule)


def moments(mixture: GaussianMixture) -> tuple[Tensor, Tensor]:
    """The means [K, D] and the covariances [K, D, D] of the components, over flattened data; float64."""
    means, var = mixture.means.double().flatten(1), mixture.var.double()
    if mixture.axes is None:
        return means, torch.diag_embed(var.expand(means.shape))
    axes = mixture.axes.double()
    return means, (axes * var[:, None]) @ axes.mT


def _checked(mixture: GaussianMixture, measurement: Measurement) -> Measurement:
    if tuple(mixture.means.shape[1:]) != measurement.shape:
        expected = f"measurement must be of data of shape {list(mixture.means.shape[1:])}"
        raise ValueError(f"{expected}, as the mixture's; got one of {list(measurement.shape)}")
    return measurement


def _independent_rows(measurement: Measurement, y: Tensor) -> tuple[Tensor, Tensor]:
    """A and y; without noise, as many combinations of its rows as are independent, with orthogonal rows.

    Without noise S would be singular if some measured numbers follow from others.
    """
    A, y = measurement.A, check_y(y, measurement).detach().cpu().double()
    if measurement.std > 0 or len(A) == 0:
        return A, y
    left, sizes, right = torch.linalg.svd(A, full_matrices=False)
    kept = sizes > ROUNDING * sizes.max()
    left, A = left[:, kept], right[kept]
    inside = left.mT @ y
    if (left @ inside - y).norm() > 1e-5 * (1 + y.norm()):
        raise ValueError("y must be of the form A x, since there is no noise (std = 0); it is not")
    return A, inside / sizes[kept]
