"""The page with the device of another maker: the page follows the device model, and does not show a printer."""

import json

import pytest

from home import ROOT, Hub
from steps import DESKTOP, PHONE, is_at, link_and_start, said, say

LAMP = ROOT / "examples" / "lamp"
ROOMS_LAMP = ROOT / "tests" / "fixtures" / "models" / "lamp"


def hub_with(tmp_path, model, interaction):
    return Hub(tmp_path / "data", "--device-model", str(model), "--interaction-model", str(interaction))


def nothing_of_a_printer(browser):
    shown = browser.ask("return document.body.innerText").lower()
    assert not [word for word in ("print", "nozzle", "bed ") if word in shown], shown
    assert not browser.one("#stage").is_displayed()


@pytest.mark.parametrize(("name", "size", "scheme"), [("phone-dark", PHONE, "dark"), ("desktop-light", DESKTOP, "light")])
def test_the_lamp_of_the_book_is_a_lamp_on_the_page(tmp_path, browse, name, size, scheme):
    hub = hub_with(tmp_path, LAMP / "device.toml", LAMP / "interaction-model.json")
    try:
        browser = browse(f"lamp-{name}", *size, scheme)
        browser.open(hub.url)
        link_and_start(browser, "open my lamp")
        browser.until(lambda: browser.text("#properties dd").startswith("off"), "a lamp that is off")
        nothing_of_a_printer(browser)
        browser.judge("off")
        browser.until(lambda: is_at(browser, "say-next"), "what a lamp can be asked for")
        assert browser.text("#say-next-words") == "ask my lamp to turn on"
        browser.press_next()
        browser.until(lambda: browser.text("#properties dd").startswith("on"), "a lamp that is on")
        # The device may be faster than the response of the skill.
        browser.until(lambda: browser.text("#turns li:last-child .alexa-words").startswith("Switching the lamp on."), "Alexa's answer")
        browser.until(lambda: browser.text("#doing") == "It is as it was set", "that it is as it was set")
        browser.until(lambda: browser.next_steps() == ["user ben"], "the offer to be the other one")
        browser.judge("on")

        say(browser, "ask my lamp for help")
        browser.until(lambda: "With your lamp, I can switch it on or off." in browser.text("#turns li:last-child .alexa-words"), "help about a lamp")
        say(browser, "stop")
        browser.ask("document.querySelector('#fail').click()")
        browser.until(lambda: is_at(browser, "fail"), "the offer to mend it")
        say(browser, "ask my lamp to turn off")
        browser.until(lambda: browser.text("#doing") == "It has something to do", "a setting that did not work")
        browser.judge("failed")
        nothing_of_a_printer(browser)
        assert browser.complaints() == []
    finally:
        hub.kill()


def test_every_property_of_a_model_has_its_tile_and_commands_are_done(tmp_path, browse):
    hub = hub_with(tmp_path, ROOMS_LAMP / "device.toml", ROOMS_LAMP / "en-US.json")
    invocation = json.loads((ROOMS_LAMP / "en-US.json").read_text())["interactionModel"]["languageModel"]["invocationName"]
    try:
        browser = browse("rooms-lamp", *DESKTOP, "light")
        browser.open(hub.url)
        link_and_start(browser, f"open {invocation}")
        tiles = lambda: browser.ask("return [...document.querySelectorAll('#properties dt')].map((node) => node.textContent)")
        browser.until(lambda: tiles(), "what the device has")
        properties = browser.ask("return fetch('/api/model').then((answer) => answer.json()).then((model) => model.properties.map(({ name }) => name))")
        assert len(tiles()) == len(properties) > 1
        say(browser, f"ask {invocation} to turn off after half an hour")
        browser.until(lambda: browser.text("#doing") == "Done: fade", "a command that is done")
        browser.judge("done")
        nothing_of_a_printer(browser)
        assert said(browser)[0] == f"open {invocation}"
        assert browser.complaints() == []
    finally:
        hub.kill()
