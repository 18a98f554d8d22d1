"""Say it: a caption becomes pictures, at every scale of guidance, and what is wrong is said below."""

import torch

from .. import drawing as draw
from ..applications.text_to_image import FILES
from ..applications.words import LENGTH, WORDS, tokens
from ..drawing import panel
from ..engine import Choice, Explorer, Frame, Scene, Slider, Words, listing
from ..experiments.said import PARTS
from ..experiments.said_exactly import oracle
from ..experiments.saying import CAPTIONS, EACH, SCALES, Drawn, drawn_at_each, saying
from ..shape_world import scene_of

PAGE = dict(height=390, margin=dict(l=8, r=8, t=26, b=8))
PICTURE, MAP = 33, 5  # pixels from one picture to the next, and from one map to the next
MOST = 0.5  # the weight that is drawn brightest


class SayIt(Explorer):
    """The main slider is w, the scale of guidance: 0 does not listen, 1 is as trained, more is guided.

    Type what you would like to see. Above are pictures from four noises, the same at every w, and a draw of
    the world itself. Below each picture stands what a reader that knows nothing of the network finds wrong
    with it. Early in its training, after 150 steps, the network has hardly heard the words. In the second
    row, for the first picture half way, how much each pixel looks at each word: the weights of the
    cross-attention, which add up to 1 over the ten words.
    """

    title = "Say it"
    portable = ("caption", "trained")
    caption = Words(CAPTIONS[1], examples=CAPTIONS, label="caption")
    trained = Choice(600, list(FILES), label="steps of training")
    seed = Slider(1, 0, 20)
    w = Slider(1.0, 0.0, 8.0, step=0.5, label="w, scale of guidance", main=True)

    def scene(self, *, caption: str, trained: int, seed: int) -> Scene:
        said = str(scene_of(caption))  # a ValueError names the words that are not of this world
        truth, frames = oracle(said, 1, torch.Generator().manual_seed(seed)), []
        for k, (w, drawn) in enumerate(zip(SCALES, drawn_at_each(said, trained, seed), strict=True)):
            numbers = {"all of it right": f"{sum(drawn.right)} of {EACH}"}
            for part in PARTS:
                numbers[f"{part} right"] = f"{sum(part not in wrong for wrong in drawn.wrong)} of {EACH}"
            frames.append(
                Frame(
                    w,
                    changes=changes(drawn, truth),
                    numbers=numbers,
                    sentence=says(w, drawn),
                    code=listing(saying, f"pictures[{k}]", caption=said, trained=trained, seed=seed),
                    alt=describe(said, w, drawn),
                )
            )
        first = frames[0].changes
        across = [PICTURE * i + 15.5 for i in range(EACH + 1)]
        below = [MAP * j + 1.5 for j in range(LENGTH)]
        words = [WORDS[number] for number in tokens(said)[0]]
        text = dict(type="scatter", mode="text", hoverinfo="skip", cliponaxis=False, textfont=dict(size=13))
        maps = draw.image(first["maps"]["z"], 2) | dict(zmin=0, zmax=MOST, colorscale="Viridis")
        traces = {
            "pictures": draw.color_image(first["pictures"]["z"], 1),
            "marks": text | dict(x=across, y=[34.8] * (EACH + 1), **first["marks"]),
            "maps": maps,
            "words": text | dict(x=below, y=[4.6] * LENGTH, text=words, xaxis="x2", yaxis="y2"),
        }
        return Scene(traces, page(), frames)


def changes(drawn: Drawn, truth: torch.Tensor) -> dict:
    """What the figure shows at one w."""
    return {
        "pictures": {"z": draw.color_tiles(torch.cat([drawn.pictures, truth]), EACH + 1)},
        "marks": {"text": [*marks(drawn), "(the world's)"]},
        "maps": {"z": draw.tiles(drawn.maps[:, None], LENGTH)},
    }


def marks(drawn: Drawn) -> list[str]:
    """What is written under each picture."""
    pairs = zip(drawn.right, drawn.wrong, strict=True)
    return ["✓" if good else f"✗ {', '.join(wrong) or 'unclear'}" for good, wrong in pairs]


def page() -> dict:
    """Five pictures in a row, and below them a map for each word."""
    above = draw.framed(1, 37, (EACH + 1) * PICTURE - 1)
    below = draw.framed(2, 5.8, LENGTH * MAP - 1)
    for axes in (above, below):  # words stand inside the panels, so there is no line around them
        axes["xaxis"] |= dict(showline=False)
        axes["yaxis"] |= dict(showline=False)
    layout = draw.layout(
        panel(1, (0, 1), (0.4, 1), "from four noises, and what is wrong", **above),
        panel(2, (0.03, 0.97), (0, 0.27), "", **below),
        **PAGE,
    )
    heading = "where the first picture looks for each word, half way"
    layout["annotations"].append(draw.note(heading, 0.5, 0.28, yanchor="bottom"))
    return layout


def says(w: float, drawn: Drawn) -> str:
    """What to see at w."""
    good = sum(drawn.right)
    if w == 0:
        return "At w = 0 the caption is not heard: four pictures of this world, of anything."
    if w < 1:
        return f"Half heard: {good} of {EACH} are right, and others stop between two scenes."
    if w == 1:
        return f"p(x|caption), as well as it was learned: {good} of {EACH} are right in every word."
    return f"What the caption changes is made {w:g} times as large: {good} of {EACH} are right in every word."


def describe(said: str, w: float, drawn: Drawn) -> str:
    """The figure in words."""
    return (
        f"Four pictures for “{said}” at w = {w:g}, and one by the world itself. Marked: "
        f"{'; '.join(marks(drawn))}. Below them a map for each of ten words, bright where the first picture "
        "looks at that word."
    )
