"""What students hand in for the exercises of notebook 23."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def one_by_one(numbers, word, place):
    rows = [[word[n] + place[k] for k, n in enumerate(row)] for row in numbers.tolist()]
    return torch.stack([torch.stack(row) for row in rows])


def by_one_hot(numbers, word, place):
    return F.one_hot(numbers, len(word)).to(word) @ word + place[None, : numbers.size(1)]


def score(query, key):
    return F.softmax(key @ query.mT / math.sqrt(query.shape[-1]), 0)


def by_package_layer(query, key):
    M = key.shape[1]
    values = torch.eye(M, dtype=query.dtype).expand(len(key), M, M)
    return F.scaled_dot_product_attention(query, key, values).mT


def by_hand(query, key):
    scores = torch.bmm(query, key.mT) * query.shape[-1] ** -0.5
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return (weights / weights.sum(-1, keepdim=True)).permute(0, 2, 1)


def in_numpy(log_likelihood, c):
    table = log_likelihood.numpy().astype(np.float64)
    top = table.max(1, keepdims=True)
    mean = top[:, 0] + np.log(np.exp(table - top).mean(1))
    return table[np.arange(len(c)), c.numpy()] - mean


def by_joint(log_likelihood, c):
    S = log_likelihood.shape[1]
    joint = log_likelihood - math.log(S)
    return joint.gather(1, c[:, None]).squeeze(1) - joint.logsumexp(1) + math.log(S)


RIGHT = {
    "embed_words": [
        one_by_one,
        by_one_hot,
        lambda numbers, word, place: F.embedding(numbers, word) + place[torch.arange(numbers.shape[1])],
        lambda numbers, word, place: place.narrow(0, 0, numbers.shape[1]).add(word[numbers]),
        lambda numbers, word, place: word.numpy()[numbers.numpy()] + place.numpy()[: numbers.shape[1]],
    ],
    "word_maps": [
        by_package_layer,
        by_hand,
        lambda query, key: torch.stack([score(q, k) for q, k in zip(query, key, strict=True)]),
        lambda query, key: F.softmax(
            torch.einsum("bnc,bmc->bmn", query, key) / query.shape[-1] ** 0.5, dim=1
        ),
        lambda query, key: (key @ query.mT / math.sqrt(key.shape[2])).log_softmax(-2).exp(),
    ],
    "caption_score": [
        in_numpy,
        by_joint,
        lambda log_likelihood, c: (
            -F.cross_entropy(log_likelihood, c, reduction="none") + math.log(log_likelihood.shape[1])
        ),
        lambda log_likelihood, c: torch.stack(
            [(row.log_softmax(0) + math.log(len(row)))[k] for row, k in zip(log_likelihood, c, strict=True)]
        ),
        lambda log_likelihood, c: (
            torch.distributions.Categorical(logits=log_likelihood).log_prob(c)
            + math.log(log_likelihood.shape[1])
        ),
    ],
}
WRONG = {
    "embed_words": {
        "places forgotten": [lambda numbers, word, place: F.embedding(numbers, word)],
        "words forgotten": [
            lambda numbers, word, place: place[: numbers.shape[1]].repeat(len(numbers), 1, 1)
        ],
        "place counted from 1": [
            lambda numbers, word, place: word[numbers] + place.roll(-1, 0)[: numbers.shape[1]]
        ],
        "counted from the end": [
            lambda numbers, word, place: word[numbers] + place[: numbers.shape[1]].flip(0)
        ],
        "one place for all words": [lambda numbers, word, place: F.embedding(numbers, word + place[:1])],
        "summed over the words": [
            lambda numbers, word, place: one_by_one(numbers, word, place).sum(dim=1)[:, None]
        ],
        "product for sum": [
            lambda numbers, word, place: by_one_hot(numbers, word, 0 * place) * place[: numbers.shape[1]]
        ],
    },
    "word_maps": {
        "softmax along the wrong axis": [
            lambda query, key: F.softmax(key @ query.mT / math.sqrt(query.shape[-1]), dim=-1)
        ],
        "missing square root": [lambda query, key: by_hand(query / query.shape[-1] ** 0.5, key)],
        "scores not scaled": [lambda query, key: (key @ query.mT).softmax(1)],
        "number of words for C": [lambda query, key: (key @ query.mT / math.sqrt(key.shape[1])).softmax(-2)],
        "no softmax": [lambda query, key: key @ query.mT / math.sqrt(key.shape[-1])],
        "maps of pixels for maps of words": [lambda query, key: by_package_layer(query, key).mT],
    },
    "caption_score": {
        "prior forgotten": [lambda log_likelihood, c: -F.cross_entropy(log_likelihood, c, reduction="none")],
        "prior added for subtracted": [
            lambda log_likelihood, c: by_joint(log_likelihood, c) - 2 * math.log(log_likelihood.shape[1])
        ],
        "not normalised": [lambda log_likelihood, c: log_likelihood[range(len(c)), c]],
        "normalised over the batch": [
            lambda log_likelihood, c: (
                log_likelihood[range(len(c)), c]
                - (log_likelihood.logsumexp(0) - math.log(len(log_likelihood)))[c]
            )
        ],
        "probability for its logarithm": [lambda log_likelihood, c: by_joint(log_likelihood, c).exp()],
        "underflow": [
            lambda log_likelihood, c: torch.log(
                log_likelihood.exp()[range(len(c)), c] / log_likelihood.exp().mean(1)
            )
        ],
    },
}
TWO = {
    "embed_words": [
        lambda numbers, word, place: (word[numbers]).sum(1, keepdim=True),
        lambda numbers, word, place: word[numbers] * place[: numbers.shape[1]].flip(0),
    ],
    "word_maps": [
        lambda query, key: (key @ query.mT).softmax(-1),
        lambda query, key: (query @ key.mT / query.shape[-1]).softmax(-1),
    ],
    "caption_score": [
        lambda log_likelihood, c: log_likelihood.softmax(0)[range(len(c)), c],
        lambda log_likelihood, c: -by_joint(log_likelihood, c) + math.log(log_likelihood.shape[1]),
    ],
}
