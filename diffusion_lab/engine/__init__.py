"""What every explorer stands on: controls, scenes, the widget, pages without a kernel, and pictures.

An explorer is a list of controls, and one pure function from their values to a `Scene`:

    class Powers(Explorer):
        title = "Powers"
        sign = Choice("plus", ["plus", "minus"])
        n = Slider(2, 1, 9, main=True)                      # the main slider picks a frame of the scene

        def scene(self, *, sign):                           # every control but the main one
            x, s = np.linspace(-1, 1, 101), {"plus": 1, "minus": -1}[sign]
            frames = [
                Frame(n, {"power": {"y": s * x**n}}, {"f(0.5)": s * 0.5**n}, "Odd powers keep the sign of x.")
                for n in range(1, 10)
            ]
            return Scene({"power": curve(BLUE, x=x)}, layout(panel(1, (0, 1), (0, 1), "xⁿ"), height=300), frames)

The whole scene travels to the browser, where the main slider needs no kernel. Any other control asks for a
new scene. Nothing in here knows an exhibit.
"""

from .controls import Choice, Control, Points, Slider, Toggle
from .listing import listing
from .page import page_scripts
from .scene import Frame, Scene, text
from .widget import STATE, Explorer

__all__ = [
    "STATE",
    "Choice",
    "Control",
    "Explorer",
    "Frame",
    "Points",
    "Scene",
    "Slider",
    "Toggle",
    "listing",
    "page_scripts",
    "text",
]
