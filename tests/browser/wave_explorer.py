"""A tiny explorer for the browser tests; the notebook and the tests import the same one."""

import numpy as np

from diffusion_lab.explorers.core import Choice, Explorer, Scene, Slider, Toggle


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
        x, times = np.linspace(0, 2 * np.pi, 41), range(N + 1)
        waves = [(-1 if flip else 1) * np.sin(x * width + 2 * np.pi * t / N + 0.1) for t in times]
        waves = [np.sign(y) for y in waves] if shape == "square" else waves
        return Scene(
            figure={"data": [{"x": x, "y": x, "mode": "lines"}], "layout": {"yaxis": {"range": [-1.2, 1.2]}}},
            positions=times,
            frames=[{0: {"y": y}, "layout": {"title": {"text": f"t = {t}"}}} for t, y in enumerate(waves)],
            numbers=[{"y(0)": y[0], "y(2π)": y[-1], "N": N} for y in waves],
            sentences=[f"The wave has moved by {t / N:.2f} of its length." for t in times],
            warning="with so few steps the wave jumps" if N < 20 else "",
            code=[f"y = np.sin(x + 2 * np.pi * {t} / {N})" for t in times],
            alt=[f"a {shape} wave at t = {t}" for t in times],
        )
