"""A page that remembers what went wrong on it. JupyterLab and Chromium come from tests/conftest.py."""

import pytest


@pytest.fixture
def page(browser):
    """A fresh page on a projector of 1280×720. The test fails if it logs an error or a request fails."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(f"page error: {error}"))
    page.on("console", lambda m: m.type == "error" and errors.append(f"console: {m.text} {m.location}"))
    page.on("requestfailed", lambda request: errors.append(f"request: {request.url} {request.failure}"))
    yield page
    context.close()
    assert not errors, "\n".join(errors)
