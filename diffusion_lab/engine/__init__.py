"""The basis of every explorer: controls, scenes, the widget, pages without a kernel, and pictures.

An explorer is a list of controls and one pure function from their values to a `Scene`::

    class Powers(Explorer):
        title = "Powers"
        sign = Choice(1, [1, -1])
        n = Slider(2, 1, 9, main=True)                      # the main slider picks a frame of the scene

        def scene(self, *, sign):                           # every control but the main one
            x = np.linspace(-1, 1, 101)
            powers = range(1, 10)
            frames = [Frame(n, {"power": {"y": sign * x**n}}, {"f(½)": sign * 0.5**n}) for n in powers]
            return Scene({"power": curve("#0072B2", x=x)}, layout(panel(1, (0, 1)), height=300), frames)

The whole scene goes to the browser, where the main slider needs no kernel. Any other control asks for a new
scene. Nothing in here depends on a particular explorer.
"""

from .controls import Choice, Control, Points, Slider, Toggle, Words
from .listing import Source, listing
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
    "Source",
    "Toggle",
    "Words",
    "listing",
    "page_scripts",
    "text",
]
