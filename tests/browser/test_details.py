"""Details of the page."""

from selenium.webdriver.common.keys import Keys

from steps import DESKTOP, PHONE, is_at, link, other_than_outage, press, said, say, start_device


def words(browser):
    return browser.ask("return document.querySelector('#words').value")


def test_the_skill_is_disabled_and_enabled_in_the_app(hub, browse):
    browser = browse("disable", *DESKTOP, "light")
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    browser.one("#disable").click()
    browser.until(lambda: browser.text("#account") == "Skill disabled", "a skill that is disabled")
    browser.until(lambda: is_at(browser, "enable"), "how to enable it")
    browser.judge("disabled")
    say(browser, "ask my printer to print a vase")
    browser.until(lambda: "I don't know that one" in browser.text("#turns li:last-child .alexa-words"), "an Alexa without the skill")
    browser.press_next()
    browser.until(lambda: browser.text("#account") == "Not linked", "a skill that is enabled and not linked")
    assert browser.complaints() == []


def test_what_was_typed_survives_an_outage_has_no_silent_limit_and_is_recalled(hub, browse):
    browser = browse("typed", *DESKTOP, "light")
    browser.open(hub.url)
    browser.until(lambda: is_at(browser, "say-next"), "the first thing to say")
    long = "ask my printer to print a vase " * 20
    browser.one("#words").send_keys(long)
    assert words(browser) == long
    browser.one("#words").clear()
    for text in ("open my printer", "what time is it"):
        say(browser, text)
    browser.one("#words").send_keys("half a word")
    for key, expected in [
        (Keys.ARROW_UP, "what time is it"), (Keys.ARROW_UP, "open my printer"), (Keys.ARROW_UP, "open my printer"),
        (Keys.ARROW_DOWN, "what time is it"), (Keys.ARROW_DOWN, "half a word"),
    ]:
        press(browser, key)
        assert words(browser) == expected
    assert browser.complaints() == []

    hub.kill()
    browser.one("#words").send_keys(Keys.ENTER)
    browser.until(lambda: words(browser) == "half a word", "what was typed")
    hub.start()
    browser.until(lambda: browser.text("#reconnecting") == "", "that the hub is back")
    assert words(browser) == "half a word" and len(said(browser)) == 2
    assert other_than_outage(browser.complaints()) == []


def test_the_page_shows_version_and_links_and_the_mail_is_readable_in_dark_mode(hub, browse):
    browser = browse("night", *DESKTOP, "dark")
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    about = browser.text(".about")
    assert about.startswith("onething hub 0.") and len(browser.all(".about a")) == 3
    assert browser.text("#mail-command code").startswith("onething-device setup 3D_Printer-")
    assert browser.one("#copy-command").is_displayed()
    address = browser.ask("return document.querySelector('#mail-html').src")
    browser.open(address)
    tree = browser.driver.execute_cdp_cmd("DOMSnapshot.captureSnapshot", {"computedStyles": ["color", "background-color", "display"]})
    strings, layout = tree["strings"], tree["documents"][0]["layout"]
    colours = {tuple(strings[index] for index in style[:2]) for style in layout["styles"] if len(style) >= 2}
    assert ("rgb(233, 238, 244)", "rgb(22, 29, 38)") in colours, colours
    assert ("rgb(233, 238, 244)", "rgb(29, 38, 49)") in colours, colours


def test_a_code_can_be_copied_from_its_card(hub, browse):
    browser = browse("code", *DESKTOP, "light")
    browser.open(hub.url)
    link(browser)
    say(browser, "ask my printer to give me a code")
    labels = lambda: browser.ask("return [...document.querySelectorAll('.copy-code')].map((node) => node.textContent)")
    browser.until(lambda: labels() == ["Copy the code", "Copy the command"], "buttons that copy code and command")
    browser.judge("code")


def test_on_a_phone_the_pane_where_something_happens_comes_into_view(hub, browse):
    browser = browse("phone-in-view", *PHONE, "light")
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    top = lambda pane: browser.ask("return document.querySelector(arguments[0]).getBoundingClientRect().top", pane)
    browser.until(lambda: is_at(browser, "say-next"), "the offer to print")
    browser.press_next()
    browser.until(lambda: browser.text("#doing") == "Printing a vase", "a print")
    browser.until(lambda: abs(top("#device")) < 30, "the device in view")
    assert browser.complaints() == []
