import pytest

from home import Browser, Hub


@pytest.fixture
def hub(tmp_path):
    hub = Hub(tmp_path / "data")
    yield hub
    hub.kill()


@pytest.fixture
def browse():
    opened = []

    def open_browser(*arguments, **options):
        browser = Browser(*arguments, **options)
        opened.append(browser)
        return browser

    yield open_browser
    for browser in opened:
        browser.close()
