"""What an explorer has on the screen, as numbers to be compared."""

import numpy as np


def run_code(explorer, **variables):
    """The lines shown behind "show the code", executed with `variables`; returns all variables they leave."""
    exec(explorer.shown.at("code", explorer._frame), variables)
    return variables


def shown(explorer, trace, key):
    """What the figure shows for one entry of one trace at the present frame, as an array."""
    return np.asarray(explorer.shown.frames[explorer._frame][trace][key], dtype=np.float64)
