"""A tiny explorer for the browser tests; the notebook and the tests import the same one."""

import numpy as np

from diffusion_lab.engine import Choice, Explorer, Frame, Scene, Slider, Toggle


class Wave(Explorer):
    title = "A travelling wave"
    shape = Choice("sine", ["sine", "square", "broken"])
    N = Slider(20, 10, 100, step=10)
    width = Slider(1.0, 0.5, 2.0, step=0.25)
    flip = Toggle(False, label="upside down")
    t = Slider(8, 0, 100, main=True)

    def scene(self, *, shape, N, width, flip):
        if shape == "broken":
            raise ValueError("this wave is broken")
        x, frames = np.linspace(0, 2 * np.pi, 41), []
        for t in range(N + 1):
            y = (-1 if flip else 1) * np.sin(x * width + 2 * np.pi * t / N + 0.1)
            y = np.sign(y) if shape == "square" else y
            frames.append(
                Frame(
                    t,
                    changes={"wave": {"y": y}, "layout": {"title": {"text": f"t = {t}"}}},
                    numbers={"y(0)": y[0], "y(2π)": y[-1], "N": N},
                    sentence=f"The wave has moved by {t / N:.2f} of its length.",
                    warning="with so few steps the wave jumps" if N < 20 else "",
                    code=f"y = np.sin(x + 2 * np.pi * {t} / {N})",
                    alt=f"a {shape} wave at t = {t}",
                )
            )
        return Scene({"wave": {"x": x, "y": x, "mode": "lines"}}, {"yaxis": {"range": [-1.2, 1.2]}}, frames)
