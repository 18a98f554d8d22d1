"""What students hand in for the exercises of notebook 07."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from diffusion_lab.layers import time_embedding

# film


def film_by_loop(h, scale, shift):
    out = h.clone()
    for b in range(h.shape[0]):
        for c in range(h.shape[1]):
            out[b, c] = h[b, c] + h[b, c] * scale[b, c] + shift[b, c]
    return out


def film_in_place(h, scale, shift):
    h *= 1 + scale[..., None, None]
    h += shift[..., None, None]
    return h


def column(x):
    return x.reshape(*x.shape, 1, 1)


# embed_time


def time_by_math(t, dim):
    half = dim // 2
    rows = []
    for time in t.tolist():
        angles = [time * math.exp(-math.log(10_000) * i / half) for i in range(half)]
        rows.append([math.cos(a) for a in angles] + [math.sin(a) for a in angles])
    return rows


def time_by_numpy(t, dim):
    angle = np.outer(t.numpy(), np.power(10_000.0, -2 * np.arange(dim // 2) / dim))
    return np.concatenate([np.cos(angle), np.sin(angle)], -1)


def time_by_logspace(t, dim):
    frequency = torch.logspace(0, -4 * (dim // 2 - 1) / (dim // 2), dim // 2)
    angle = torch.outer(t.float(), frequency)
    return torch.hstack([torch.cos(angle), torch.sin(angle)])


def time_by_phase(t, dim):
    frequency = 10_000 ** (torch.arange(0, dim, 2).double() / -dim)
    angle = t[:, None].double() * torch.cat([frequency, frequency])
    angle[:, dim // 2 :] -= math.pi / 2
    return angle.cos()


def time_by_complex(t, dim):
    turned = torch.exp(1j * t.double()[:, None] * 10_000 ** (-torch.arange(dim // 2).double() / (dim // 2)))
    return torch.cat([turned.real, turned.imag], 1)


def time_with(divide, sign=-1, order="cs", first=0, turn=1.0):
    def function(t, dim):
        i = torch.arange(first, first + dim // 2).float()
        angle = turn * t.float()[:, None] * torch.exp(sign * math.log(10_000) * i / divide(dim))
        cos, sin = angle.cos(), angle.sin()
        if order == "turn":
            out = torch.zeros(len(t), dim)
            out[:, 0::2], out[:, 1::2] = cos, sin
            return out
        return torch.cat([cos, sin] if order == "cs" else [sin, cos], 1)

    return function


def half(dim):
    return dim / 2


# up_and_join


def up_by_package(h, seen):
    return torch.cat([F.interpolate(h, scale_factor=2.0, mode="nearest"), seen], dim=1)


def up_by_numpy(h, seen):
    return np.concatenate([np.kron(h.numpy(), np.ones((1, 1, 2, 2))), seen.numpy()], axis=1)


def up_by_index(h, seen):
    rows, columns = torch.arange(2 * h.shape[2]) // 2, torch.arange(2 * h.shape[3]) // 2
    return torch.hstack([h[:, :, rows][:, :, :, columns], seen])


def up_by_view(h, seen):
    B, C, H, W = h.shape
    wide = h[:, :, :, None, :, None].expand(B, C, H, 2, W, 2).reshape(B, C, 2 * H, 2 * W)
    return torch.concat((wide, seen), 1)


def up_in_four(h, seen):
    out = seen.new_empty(len(h), h.shape[1] + seen.shape[1], *seen.shape[2:])
    for i in (0, 1):
        for j in (0, 1):
            out[:, : h.shape[1], i::2, j::2] = h
    out[:, h.shape[1] :] = seen
    return out


def wide(h):
    return F.interpolate(h, scale_factor=2.0, mode="nearest")


# attend


def attend_by_torch(query, key, value):
    return F.scaled_dot_product_attention(query, key, value)


def attend_by_loop(query, key, value):
    out = torch.zeros_like(value)
    for b in range(len(query)):
        for i in range(query.shape[1]):
            score = torch.tensor([(query[b, i] * k).sum() for k in key[b]], dtype=query.dtype) / math.sqrt(
                query.shape[2]
            )
            weight = score.exp() / score.exp().sum()
            out[b, i] = sum(w * u for w, u in zip(weight, value[b], strict=True))
    return out


def attend_by_numpy(query, key, value):
    q, k, u = (x.double().numpy() for x in (query, key, value))
    score = np.einsum("bic,bjc->bij", q, k) / np.sqrt(q.shape[-1])
    weight = np.exp(score - score.max(-1, keepdims=True))
    return weight / weight.sum(-1, keepdims=True) @ u


def attend_by_einsum(query, key, value):
    score = torch.einsum("bic,bjc->bij", query * query.shape[-1] ** -0.5, key)
    return torch.einsum("bij,bjc->bic", F.softmax(score, -1), value)


def attend_by_logs(query, key, value):
    score = torch.bmm(query / query.shape[-1] ** 0.25, (key / query.shape[-1] ** 0.25).mT)
    return torch.bmm((score - score.logsumexp(2, keepdim=True)).exp(), value)


RIGHT = {
    "film": [
        film_by_loop,
        lambda h, scale, shift: h + h * column(scale) + column(shift),
        lambda h, scale, shift: torch.einsum("bchw,bc->bchw", h, 1 + scale) + column(shift),
        lambda h, scale, shift: (
            h.numpy() * (1 + scale.numpy()[..., None, None]) + shift.numpy()[..., None, None]
        ),
        lambda h, scale, shift: torch.addcmul(column(shift).double(), h.double(), 1 + column(scale).double()),
        lambda h, scale, shift: (h.permute(2, 3, 0, 1) * (scale + 1) + shift).permute(2, 3, 0, 1),
    ],
    "embed_time": [
        time_by_math,
        time_by_numpy,
        time_by_logspace,
        time_by_phase,
        time_by_complex,
        time_embedding,
    ],
    "up_and_join": [up_by_package, up_by_numpy, up_by_index, up_by_view, up_in_four],
    "attend": [attend_by_torch, attend_by_loop, attend_by_numpy, attend_by_einsum, attend_by_logs],
}
WRONG = {
    "film": {
        "scale for 1 + scale": [lambda h, scale, shift: h * column(scale) + column(shift)],
        "scale and shift swapped": [lambda h, scale, shift: h * (1 + column(shift)) + column(scale)],
        "shift before scale": [lambda h, scale, shift: (h + column(shift)) * (1 + column(scale))],
        "condition along the last axes": [
            lambda h, scale, shift: h * (1 + scale[None, None]) + shift[None, None],
            lambda h, scale, shift: h + h * scale + shift,
        ],
        "shift left out": [lambda h, scale, shift: h + h * column(scale)],
        "changed input": [film_in_place],
        "wrong dtype": [lambda h, scale, shift: (h * (1 + column(scale)) + column(shift)).half()],
    },
    "embed_time": {
        "sines before cosines": [time_with(half, order="sc")],
        "cosines and sines in turn": [time_with(half, order="turn")],
        "half − 1 for half": [time_with(lambda dim: max(dim // 2 - 1, 1))],
        "dim for half": [time_with(lambda dim: dim)],
        "wavelength for frequency": [
            lambda t, dim: np.concatenate(
                [f(np.outer(t.numpy(), 10_000 ** (2 * np.arange(dim // 2) / dim))) for f in (np.cos, np.sin)],
                1,
            )
        ],
        "turns for radians": [
            lambda t, dim: np.concatenate(
                [
                    f(2 * np.pi * np.outer(t.numpy(), 10_000 ** (-2 * np.arange(dim // 2) / dim)))
                    for f in (np.cos, np.sin)
                ],
                1,
            )
        ],
        "off by one in i": [time_with(half, first=1)],
        "wrong dtype": [lambda t, dim: time_embedding(t, dim).bfloat16()],
    },
    "up_and_join": {
        "tiles for larger pixels": [lambda h, seen: torch.cat([h.repeat(1, 1, 2, 2), seen], 1)],
        "seen before h": [lambda h, seen: torch.cat([seen, wide(h)], 1)],
        "sum for joining": [lambda h, seen: seen + wide(h)],
        "joined along the wrong axis": [lambda h, seen: torch.cat((wide(h), seen), -2)],
        "smooth for equal pixels": [
            lambda h, seen: torch.cat(
                [F.interpolate(h, size=seen.shape[2:], mode="bilinear", align_corners=False), seen], 1
            )
        ],
        "seen made smaller": [
            lambda h, seen: torch.cat([h, F.interpolate(seen, scale_factor=0.5, mode="area")], 1)
        ],
        "wrong dtype": [lambda h, seen: up_by_package(h, seen).half()],
    },
    "attend": {
        "missing square root": [lambda q, k, u: (q @ k.mT / q.shape[-1]).softmax(-1) @ u],
        "scores not scaled": [lambda q, k, u: F.softmax(torch.bmm(q, k.mT), -1) @ u],
        "N for C": [lambda q, k, u: F.scaled_dot_product_attention(q, k, u, scale=q.shape[1] ** -0.5)],
        "softmax along the wrong axis": [lambda q, k, u: (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-2) @ u],
        "query and key swapped": [lambda q, k, u: F.scaled_dot_product_attention(k, q, u)],
        "no softmax": [lambda q, k, u: (q @ k.mT) @ u / math.sqrt(q.shape[-1])],
        "wrong dtype": [lambda q, k, u: F.scaled_dot_product_attention(q, k, u).half()],
    },
}
TWO = {
    "film": [
        lambda h, scale, shift: h * column(scale),
        lambda h, scale, shift: h * column(shift) + column(scale),
    ],
    "embed_time": [time_with(lambda dim: dim, order="sc"), time_with(half, order="turn", first=1)],
    "up_and_join": [
        lambda h, seen: torch.cat([seen, h.repeat(1, 1, 2, 2)], 1),
        lambda h, seen: torch.cat([wide(h), -seen], 1),
    ],
    "attend": [
        lambda q, k, u: (q @ k.mT).softmax(-2) @ u,
        lambda q, k, u: (k @ q.mT / q.shape[-1]).softmax(-1) @ u,
    ],
}
AGREES = {
    "film": lambda h, scale, shift: torch.addcmul(column(shift), h, 1 + column(scale)),
    "embed_time": time_embedding,
    "up_and_join": up_by_package,
    "attend": attend_by_torch,
}
