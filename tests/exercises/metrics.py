"""What students hand in for the exercises of notebook 16."""

import math

import numpy as np
import torch
from scipy.linalg import sqrtm

from diffusion_lab import metrics

# ------------------------------------------------------------------------------------- inception_score


def score_by_numpy(probabilities):
    p = probabilities.numpy()
    return np.exp(np.mean(np.sum(p * (np.log(p) - np.log(p.mean(axis=0, keepdims=True))), axis=1)))


def score_by_entropies(probabilities):
    """H(y) − H(y|x), exponentiated."""
    p, q = probabilities.double(), probabilities.double().mean(0)
    return torch.exp(-(q * q.log()).sum() + (p * p.log()).sum() / len(p))


def score_by_loops(probabilities):
    rows = probabilities.tolist()
    q = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return math.exp(sum(a * math.log(a / b) for row in rows for a, b in zip(row, q, strict=True)) / len(rows))


def score_in_bits(probabilities):
    return 2 ** torch.einsum("nk,nk->", probabilities, torch.log2(probabilities / probabilities.mean(0))).div(
        len(probabilities)
    )


def score_by_product(probabilities):
    """A geometric mean."""
    return (probabilities / probabilities.mean(0)).pow(probabilities).prod(1).log().mean().exp().item()


def score_of_bits(probabilities):
    p = probabilities.numpy()
    return np.exp((p * np.log2(p / p.mean(0))).sum(1).mean())


# ------------------------------------------------------------------------------------- mmd2


def mmd2_by_mask(kernel_aa, kernel_bb, kernel_ab):
    off = [k[~torch.eye(len(k), dtype=torch.bool)].mean() for k in (kernel_aa, kernel_bb)]
    return off[0] + off[1] - 2 * kernel_ab.mean()


def mmd2_by_loops(kernel_aa, kernel_bb, kernel_ab):
    def within(k):
        n = len(k)
        return sum(k[i][j] for i in range(n) for j in range(n) if i != j) / (n * n - n)

    a, b, c = kernel_aa.tolist(), kernel_bb.tolist(), kernel_ab.tolist()
    return within(a) + within(b) - 2 * sum(map(sum, c)) / (len(a) * len(b))


def mmd2_of_upper_halves(kernel_aa, kernel_bb, kernel_ab):
    n, m = len(kernel_aa), len(kernel_bb)
    a, b = (
        np.triu(kernel_aa.numpy(), 1).sum() / math.comb(n, 2),
        np.triu(kernel_bb.numpy(), 1).sum() / math.comb(m, 2),
    )
    return a + b - 2 * kernel_ab.numpy().mean()


def mmd2_by_correction(kernel_aa, kernel_bb, kernel_ab):
    n, m = kernel_ab.shape
    a = (kernel_aa.double().mean() - kernel_aa.double().diagonal().mean() / n) * n / (n - 1)
    b = (kernel_bb.double().mean() - kernel_bb.double().diagonal().mean() / m) * m / (m - 1)
    return (a + b - 2 * kernel_ab.double().mean())[None]


def mmd2_of_one_matrix(kernel_aa, kernel_bb, kernel_ab):
    """wᵀ K w with the diagonal out."""
    n, m = kernel_ab.shape
    a = (kernel_aa - torch.diag(kernel_aa.diag())).sum() / n / (n - 1)
    b = (kernel_bb - kernel_bb.diag().diag()).sum() / m / (m - 1)
    return a + (b - kernel_ab.sum() / (n * m)) - kernel_ab.sum() / n / m


def mmd2_in_place(kernel_aa, kernel_bb, kernel_ab):
    kernel_aa.fill_diagonal_(0)
    kernel_bb.fill_diagonal_(0)
    n, m = kernel_ab.shape
    return kernel_aa.sum() / (n * n - n) + kernel_bb.sum() / (m * m - m) - 2 * kernel_ab.mean()


def mmd2_no_cross_diagonal(kernel_aa, kernel_bb, kernel_ab):
    off = [k[~torch.eye(*k.shape, dtype=torch.bool)].mean() for k in (kernel_aa, kernel_bb, kernel_ab)]
    return off[0] + off[1] - 2 * off[2]


def mmd2_half_counted(kernel_aa, kernel_bb, kernel_ab):
    a, b = (torch.triu(k, 1).sum() / (len(k) * (len(k) - 1)) for k in (kernel_aa, kernel_bb))
    return a + b - 2 * kernel_ab.mean()


# ------------------------------------------------------------------------------------- precision_recall


def pr_by_sorting(between, within_real, within_generated, k):
    r, g = within_real.sort(1).values[:, k], within_generated.sort(1).values[:, k]
    return (between.T <= r).any(1).double().mean().item(), (between <= g[None]).any(1).double().mean().item()


def pr_by_numpy(between, within_real, within_generated, k):
    d = between.numpy()
    r, g = (np.partition(w.numpy(), k, axis=1)[:, k] for w in (within_real, within_generated))
    return np.mean(np.any(d <= r[:, None], axis=0)), np.mean(np.any(d <= g[None, :], axis=1))


def pr_by_loops(between, within_real, within_generated, k):
    d, real, generated = between.tolist(), within_real.tolist(), within_generated.tolist()
    r, g = [sorted(row)[k] for row in real], [sorted(row)[k] for row in generated]
    hit = [any(d[i][j] <= r[i] for i in range(len(r))) for j in range(len(g))]
    covered = [any(d[i][j] <= g[j] for j in range(len(g))) for i in range(len(r))]
    return [sum(hit) / len(hit), sum(covered) / len(covered)]


def pr_without_diagonal(between, within_real, within_generated, k):
    def reach(within):
        n = len(within)
        others = within[~torch.eye(n, dtype=torch.bool)].reshape(n, n - 1)
        return others.topk(k, largest=False).values.amax(1)

    inside = between - reach(within_real).unsqueeze(1)
    covered = between - reach(within_generated).unsqueeze(0)
    return (inside.amin(0) <= 0).float().mean(), (covered.amin(1) <= 0).float().mean()


def pr_by_one_helper(between, within_real, within_generated, k):
    def share(d, within):
        reach = within.sort().values[:, k]
        return (d <= reach.unsqueeze(1)).sum(0).clamp(max=1).double().mean()

    return share(between, within_real), share(between.mT, within_generated)


def pr_with(place, reals="real", generateds="generated", axes=(0, 1), compare=torch.le, count="any"):
    """A student's function with something wrong."""

    def function(between, within_real, within_generated, k):
        r, g = (w.sort(1).values[:, k + place] for w in (within_real, within_generated))
        balls = {"real": compare(between, r[:, None]), "generated": compare(between, g[None, :])}
        picked = balls[reals], balls[generateds]
        if count == "any":
            found = [b.any(axis) for b, axis in zip(picked, axes, strict=True)]
        elif count == "all":
            found = [b.all(axis) for b, axis in zip(picked, axes, strict=True)]
        else:
            found = picked
        return tuple(f.double().mean().item() for f in found)

    return function


def pr_transposed(between, within_real, within_generated, k):
    r, g = (
        within_real.topk(k + 1, largest=False).values[:, -1],
        within_generated.topk(k + 1, largest=False).values[:, -1],
    )
    return (between <= r).any(dim=0).double().mean(), (between <= g).any(dim=1).double().mean()


def pr_transposed_generated(between, within_real, within_generated, k):
    r, g = (
        within_real.topk(k + 1, largest=False).values[:, -1:],
        within_generated.topk(k + 1, largest=False).values[:, -1:],
    )
    return (between <= r).any(dim=0).double().mean(), (between <= g).any(dim=1).double().mean()


# ------------------------------------------------------------------------------------- frechet_distance


def fd_by_scipy(mean_a, cov_a, mean_b, cov_b):
    covs = cov_a.double().numpy(), cov_b.double().numpy()
    root = sqrtm(covs[0] @ covs[1])
    return float(((mean_a - mean_b) ** 2).sum()) + np.trace(covs[0] + covs[1] - 2 * root.real)


def fd_symmetric(mean_a, cov_a, mean_b, cov_b):
    values, axes = torch.linalg.eigh(cov_a.double())
    half = axes @ torch.diag(values.sqrt()) @ axes.T
    middle = torch.linalg.eigvalsh(half @ cov_b.double() @ half).clamp(min=0).sqrt()
    gap = (mean_a - mean_b).double()
    return gap @ gap + torch.trace(cov_a) + torch.trace(cov_b) - 2 * middle.sum()


def fd_by_cholesky(mean_a, cov_a, mean_b, cov_b):
    L, K = torch.linalg.cholesky(cov_a.double()), torch.linalg.cholesky(cov_b.double())
    nuclear = torch.linalg.svdvals(L.T @ K).sum()
    return (
        torch.dist(mean_a.double(), mean_b.double()) ** 2 + L.square().sum() + K.square().sum() - 2 * nuclear
    )


def fd_by_numpy(mean_a, cov_a, mean_b, cov_b):
    a, b = cov_a.double().numpy(), cov_b.double().numpy()
    eigenvalues = np.linalg.eigvals(a @ b)
    gap = mean_a.numpy() - mean_b.numpy()
    return (
        np.linalg.norm(gap) ** 2
        + np.trace(a)
        + np.trace(b)
        - 2 * np.sqrt(eigenvalues.astype(complex)).real.sum()
    )


def fd_by_eig(mean_a, cov_a, mean_b, cov_b):
    values, axes = torch.linalg.eig((cov_a @ cov_b).to(torch.complex128))
    root = axes @ torch.diag(values.sqrt()) @ torch.linalg.inv(axes)
    return (mean_a - mean_b).double().pow(2).sum() + (cov_a + cov_b - 2 * root).trace().real


def fd(root, power=1.0, times=2.0, gap=lambda d: d @ d):
    def function(mean_a, cov_a, mean_b, cov_b):
        mean_a, cov_a, mean_b, cov_b = (x.double() for x in (mean_a, cov_a, mean_b, cov_b))
        return (gap(mean_a - mean_b) + torch.trace(cov_a + cov_b - times * root(cov_a, cov_b))) ** power

    return function


def matrix_root(cov):
    return torch.from_numpy(sqrtm(cov.numpy()).real)


def root_of_product(cov_a, cov_b):
    return matrix_root(cov_a @ cov_b)


def fd_of_stds(mean_a, cov_a, mean_b, cov_b):
    a, b = np.diag(cov_a.numpy()), np.diag(cov_b.numpy())
    return np.sum((mean_a.numpy() - mean_b.numpy()) ** 2 + a + b - 2 * np.sqrt(a * b))


def fd_of_package(mean_a, cov_a, mean_b, cov_b):
    def points(mean, cov):
        """2 F points that have this mean and this covariance."""
        F = len(mean)
        corners = math.sqrt((2 * F - 1) / 2) * torch.linalg.cholesky(cov.double()).T
        return mean.double() + torch.cat([corners, -corners])

    return metrics.frechet_distance(points(mean_a, cov_a), points(mean_b, cov_b))


RIGHT = {
    "inception_score": [score_by_numpy, score_by_entropies, score_by_loops, score_in_bits, score_by_product],
    "mmd2": [mmd2_by_mask, mmd2_by_loops, mmd2_of_upper_halves, mmd2_by_correction, mmd2_of_one_matrix],
    "precision_recall": [pr_by_sorting, pr_by_numpy, pr_by_loops, pr_without_diagonal, pr_by_one_helper],
    "frechet_distance": [fd_by_scipy, fd_symmetric, fd_by_cholesky, fd_by_numpy, fd_by_eig],
}
WRONG = {
    "inception_score": {
        "missing exponential": [lambda p: torch.log(score_by_entropies(p))],
        "exponential before the mean": [
            lambda p: np.exp((p.numpy() * np.log(p.numpy() / p.numpy().mean(0))).sum(1)).mean()
        ],
        "KL the other way round": [
            lambda p: (p.mean(0) * (p.mean(0).log() - p.log())).sum(-1).mean().exp(),
        ],
        "bits for nats": [score_of_bits],
        "mean for sum": [lambda p: torch.exp((p * p.log() - p * p.mean(0).log()).mean(1).mean())],
        "mean along the wrong axis": [
            lambda p: torch.exp((p * (p * p.shape[1]).log()).sum(1).mean()),
            lambda p: np.exp((p.numpy() * np.log(p.numpy() / p.numpy().mean(axis=1))).sum(1).mean()),
        ],
        "wrong sign": [lambda p: -score_by_entropies(p)],
    },
    "mmd2": {
        "pairs of a point with itself": [
            lambda kernel_aa, kernel_bb, kernel_ab: (
                kernel_aa.sum() / kernel_aa.numel()
                + kernel_bb.sum() / kernel_bb.numel()
                - 2 * kernel_ab.mean()
            ).item(),
            lambda kernel_aa, kernel_bb, kernel_ab: (
                (kernel_aa - kernel_aa.diag().diag()).mean()
                + (kernel_bb - kernel_bb.diag().diag()).mean()
                - 2 * kernel_ab.mean()
            ),
        ],
        "missing factor 2": [lambda *k: mmd2_by_mask(*k) + k[2].mean()],
        "root of the result": [lambda *k: mmd2_by_mask(*k) ** 0.5],
        "diagonal of the cross term left out": [mmd2_no_cross_diagonal],
        "sum for mean": [
            lambda kernel_aa, kernel_bb, kernel_ab: (
                (kernel_aa - kernel_aa.diag().diag()).sum()
                + (kernel_bb - kernel_bb.diag().diag()).sum()
                - 2 * kernel_ab.sum()
            )
        ],
        "half of the pairs": [mmd2_half_counted],
        "wrong sign": [lambda *k: 2 * k[2].mean() - mmd2_by_mask(*k) - 2 * k[2].mean()],
        "changed input": [mmd2_in_place],
    },
    "precision_recall": {
        "the point itself counted as a neighbour": [pr_with(-1)],
        "one neighbour too far": [pr_with(1)],
        "precision and recall swapped": [lambda *given: pr_by_numpy(*given)[::-1]],
        "balls of the wrong set": [
            pr_with(0, "real", "real"),
            pr_with(0, "generated", "generated"),
            pr_with(0, "generated", "real"),
        ],
        "all balls for some ball": [pr_with(0, count="all")],
        "pairs counted for points": [pr_with(0, count="pairs")],
        "radii along the wrong axis": [pr_transposed, pr_transposed_generated],
        "rim left out": [pr_with(0, compare=torch.lt)],
    },
    "frechet_distance": {
        "missing square root": [fd(lambda a, b: a @ b)],
        "root of each entry": [fd(lambda a, b: (a @ b).diagonal().sqrt().diag())],
        "product of roots for root of the product": [fd(lambda a, b: matrix_root(a) @ matrix_root(b))],
        "missing factor 2": [fd(root_of_product, times=1.0)],
        "root of the result": [fd(root_of_product, power=0.5)],
        "means not squared": [fd(root_of_product, gap=torch.linalg.norm)],
        "correlations left out": [fd_of_stds],
        "wrong sign": [lambda *given: -fd_symmetric(*given)],
    },
}
TWO = {
    "inception_score": [lambda p: score_by_entropies(p).log() / math.log(2), lambda p: score_of_bits(p) - 1],
    "mmd2": [lambda a, b, c: a.mean() + b.mean() - c.mean(), lambda a, b, c: a.sum() + b.sum() - c.sum()],
    "precision_recall": [pr_with(-1, "real", "real"), pr_with(1, count="pairs")],
    "frechet_distance": [
        fd(lambda a, b: a @ b, times=1.0),
        fd(root_of_product, gap=lambda d: d.square().mean()),
        fd(root_of_product, power=0.5, gap=torch.linalg.norm),
    ],
}
AGREES = {
    "inception_score": metrics.inception_score,
    "frechet_distance": fd_of_package,
}
