"""A page that remembers what went wrong on it. JupyterLab and Chromium come from tests/conftest.py."""

from contextlib import nullcontext

import pytest
from labtools import fresh_page, kernels_end


@pytest.fixture
def page(browser, request):
    """A fresh page on a projector of 1280×720. The test fails if it logs an error or a request fails.

    The kernels of its notebooks end with it.
    """
    live = "jupyterlab" in request.fixturenames
    with kernels_end(request.getfixturevalue("jupyterlab")) if live else nullcontext():
        with fresh_page(browser, viewport={"width": 1280, "height": 720}) as (page, errors):
            yield page
    assert not errors, "\n".join(errors)
