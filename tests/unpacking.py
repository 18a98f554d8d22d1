"""A page's scenes put together again, as alone.js does it, from what packing.py made of them."""

import base64
import gzip
import json
import re

import numpy as np


def scenes_of(page: str):
    """The state on a page, and its rows put together again."""
    texts = re.findall(r'<script type="text/plain">([\w+/=]+)</script>', page)
    text, planes = (gzip.decompress(base64.b64decode(text)) for text in texts)
    state, low = json.loads(text), np.frombuffer(planes, np.uint8).reshape(2, -1).astype(int)
    changes, rows, start = low[0] + 256 * low[1], [], 0
    for before, length in state["_rows"]:
        row = [(change // 2) ^ -(change % 2) for change in changes[start : start + length].tolist()]
        last = rows[before][:length] if before >= 0 else []
        row[: len(last)] = [a + b for a, b in zip(row, last, strict=False)]
        rows.append([(value + 2**15) % 2**16 - 2**15 for value in row])
        start += length
    return state, rows


def whole(value, state, rows):
    """A packed value as it was, arrays as NumPy's."""
    if isinstance(value, list):
        return [whole(part, state, rows) for part in value]
    if not isinstance(value, dict):
        return value
    if "$" in value:
        return whole(state["_parts"][value["$"]], state, rows)
    if "row" in value:
        row = np.array(rows[value["row"]])
        return np.where(row == -(2**15), np.nan, row * float(value["step"]))
    if "bdata" in value:
        return np.frombuffer(base64.b64decode(whole(value["bdata"], state, rows)), value["dtype"])
    return {key: whole(part, state, rows) for key, part in value.items()}
