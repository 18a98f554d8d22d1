"""Take the README's pictures of every explorer, light and dark, in notebooks/images/: make gallery.

Look at each of them: no test can tell whether it shows what it should.
"""

import sys

from nbtools import NOTEBOOKS, SCALE, WIDTH

from diffusion_lab import explorers
from diffusion_lab.engine import pictures

IMAGES = NOTEBOOKS / "images"
LARGEST = 150_000  # bytes
# Where an explorer has more to show than in the state in which it opens
STATES = {
    "Denoising": dict(step=12),
    "NoiseSchedules": dict(third="sigmoid", T=100, t=60),
    "TrainingReplay": dict(step=300),
    "Guidance": dict(label="blob 1", w=3.0),
    "Repair": dict(method="DPS"),
    "SampleMetrics": dict(how="copies", s=0.7),
    "SdeAndOde": dict(u=0.1),
    "SdEdit": dict(t0=600),
    "SuperResolution": dict(picture=2, w=1.0),
}


def path(name: str, dark: bool):
    """Where the picture of an explorer is kept: under the name of the file that defines it."""
    module = getattr(explorers, name).__module__.split(".")[-1]
    return IMAGES / f"{module}{'_dark' * dark}.png"


def main():
    IMAGES.mkdir(exist_ok=True)
    fragments = [getattr(explorers, n)(**STATES.get(n, {})).to_fragment(()) for n in explorers.__all__]
    for dark in (False, True):
        taken = pictures.stills(fragments, dark=dark, scale=SCALE, width=WIDTH)
        for name, picture in zip(explorers.__all__, taken, strict=True):
            file = path(name, dark)
            file.write_bytes(pictures.png(picture))
            size = file.stat().st_size
            print(f"{file.name}  {size / 1000:.0f} kB")
            if size > LARGEST:
                sys.exit(f"{file.name} has more than {LARGEST / 1000:.0f} kB")


if __name__ == "__main__":
    main()
