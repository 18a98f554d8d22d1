"""What students hand in for the exercises of notebook 25."""

import math

import torch
from torch import nn

from diffusion_lab.applications import cost
from diffusion_lab.applications.dit import Block


def by_counting(side, a, b, k):
    layer = cost.on_meta(lambda: nn.Conv2d(a, b, k, padding=k // 2))
    return cost.counted(lambda: layer(torch.empty(1, a, side, side, device="meta")))


def by_products(N, d):
    """(rows, columns, columns of the other) of every product."""
    products = [(N, d, 3 * d), (N, d, N), (N, N, d), (N, d, d), (N, d, 4 * d), (N, 4 * d, d), (1, d, 6 * d)]
    return sum(math.prod(sizes) for sizes in products)


def counted_block(N, d):
    block = cost.on_meta(lambda: Block(d, 1))
    return cost.counted(lambda: block(torch.empty(1, N, d, device="meta"), torch.empty(1, d, device="meta")))


RIGHT = {
    "conv_multiply_adds": [
        by_counting,
        lambda side, a, b, k: math.prod([side, side, k, k, a, b]),
        lambda side, a, b, k: sum(a * k * k for _ in range(b)) * side * side,
        lambda side, a, b, k: (side * k) ** 2 * (a * b),
        lambda side, a, b, k: float(b * side**2) * float(a * k**2),
        lambda side, a, b, k: nn.Conv2d(a, b, k, bias=False).weight.numel() * side**2,
    ],
    "block_multiply_adds": [
        by_products,
        counted_block,
        lambda N, d: sum(cost.of_block(N, d).values()),
        lambda N, d: 2 * d * (N * (6 * d + N) + 3 * d),
        lambda N, d: d * d * (12 * N + 6) + d * N * N + N * d * N,
        lambda N, d: torch.tensor(12.0 * d * d * N + 2.0 * N * N * d + 6.0 * d * d).double(),
    ],
}
WRONG = {
    "conv_multiply_adds": {
        "additions counted too": [lambda side, a, b, k: by_counting(side, a, b, k) * 2],
        "side for its square": [lambda side, a, b, k: by_counting(side, a, b, k) // side],
        "kernel's side for its square": [lambda side, a, b, k: (side * side) * (a * k) * b],
        "each channel by itself": [lambda side, a, b, k: math.prod([side, side, k, k, b])],
        "one channel of the output": [lambda side, a, b, k: a * (k * side) ** 2],
        "sum of the channels": [lambda side, a, b, k: (k * side) ** 2 * a + (k * side) ** 2 * b],
        "no padding": [lambda side, a, b, k: len(range(k - 1, side)) ** 2 * k * k * a * b],
        "weights for work": [lambda side, a, b, k: nn.Conv2d(a, b, k, bias=False).weight.numel()],
    },
    "block_multiply_adds": {
        "additions counted too": [lambda N, d: by_products(N, d) * 2],
        "weights times v left out": [lambda N, d: by_products(N, d) - N * N * d],
        "attention left out": [lambda N, d: 6 * d * d * (2 * N + 1)],
        "one layer of the MLP": [lambda N, d: by_products(N, d) - 4 * d * d * N],
        "condition for every token": [lambda N, d: 2 * N * d * (9 * d + N)],
        "condition left out": [lambda N, d: 2 * N * d * (6 * d + N)],
        "N and d swapped": [lambda N, d: by_products(d, N) - 6 * N**2 + 6 * d**2],
    },
}
TWO = {
    "conv_multiply_adds": [
        lambda side, a, b, k: 2 * side * k**2 * a * b,
        lambda side, a, b, k: side * k * (a + b),
    ],
    "block_multiply_adds": [
        lambda N, d: 2 * (12 * d**2 * N + 2 * N**2 * d),
        lambda N, d: 8 * d**2 * N + N**2 * d,
    ],
}
AGREES = {
    "conv_multiply_adds": by_counting,
    "block_multiply_adds": lambda N, d: sum(cost.of_block(N, d).values()),
}
