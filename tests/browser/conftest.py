"""A page that remembers what went wrong on it. JupyterLab and Chromium come from tests/conftest.py."""

import pytest
from labtools import watch


@pytest.fixture
def page(browser):
    """A fresh page on a projector of 1280×720. The test fails if it logs an error or a request fails."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors = watch(page)
    yield page
    context.close()
    assert not errors, "\n".join(errors)
