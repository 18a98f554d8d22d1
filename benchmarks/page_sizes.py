"""What an explorer's page without a kernel weighs, packed as it is and in plainer ways.

    python benchmarks/page_sizes.py [EXPLORER ...]

packed     engine/packing.py: equal parts once, frames as differences, arrays in steps too small to be seen
distinct   float16, each different array once; compressed
float16    JSON with float16 arrays; compressed
float32    JSON as it travels to a browser beside a kernel; compressed

Megabytes of base64, all scenes that the controls in `portable` need.
"""

import base64
import gzip
import itertools
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from diffusion_lab import explorers


def halved(value, pool=None):
    """A scene with its float32 arrays in float16; with a `pool`, arrays go there, and places stay."""
    if isinstance(value, list):
        return [halved(part, pool) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("dtype") == "f4":
        numbers = np.frombuffer(base64.b64decode(value["bdata"]), "f4")
        data = base64.b64encode(np.clip(numbers, -65504, 65504).astype("f2").tobytes()).decode()
        return {"f2": data if pool is None else pool.setdefault(data, len(pool)), "shape": value["shape"]}
    return {key: halved(part, pool) for key, part in value.items()}


def megabytes(value) -> float:
    """The size of JSON, compressed, in base64."""
    return 4 / 3 * len(gzip.compress(json.dumps(value).encode(), 6)) / 1e6


def main(names) -> None:
    """Print the table."""
    print("| explorer | scenes | packed | distinct | float16 | float32 |\n|---|---|---|---|---|---|")
    total = np.zeros(4)
    for name in names:
        explorer = getattr(explorers, name)()
        options = [explorer.controls[control].values for control in explorer.portable]
        scenes = [
            json.loads(
                explorer.scene(
                    **explorer.values() | dict(zip(explorer.portable, chosen, strict=True))
                ).to_json()
            )
            for chosen in itertools.product(*options)
        ]
        pool = {}
        sizes = [
            len(explorer.to_fragment(each=lambda: None)) / 1e6,
            megabytes([halved(scenes, pool), list(pool)]),
        ]
        sizes += [megabytes(halved(scenes)), megabytes(scenes)]
        total += sizes
        print(f"| {name} | {len(scenes)} | {' | '.join(f'{size:.2f}' for size in sizes)} |", flush=True)
    print(f"| all | | {' | '.join(f'{size:.1f}' for size in total)} |")


if __name__ == "__main__":
    main(sys.argv[1:] or explorers.__all__)
