"""The page, from "open my printer" to a printed vase, with the steps that the page itself offers.

Needs a built hub (`cargo build -p onething-hub`, or its path in ONETHING_HUB), Chromium with its driver, and `npm ci`
in this folder. Screenshots of each state are in target/browser.
"""

import pytest

from steps import (
    DESKTOP, PHONE, TABLET, follow_to_print, has_printed, is_at, link, other_than_outage, print_vase, said, say, start_device,
)


@pytest.mark.parametrize(("name", "size", "scheme"), [("phone-dark", PHONE, "dark"), ("desktop-light", DESKTOP, "light")])
def test_two_new_users_print_a_vase_each_with_the_offered_steps(hub, browse, name, size, scheme):
    browser = browse(name, *size, scheme)
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    first_thing = browser.text("#thing-name")
    conversation, cards = said(browser), len(browser.all("#cards .card"))
    assert conversation[0] == "open my printer"
    assert browser.complaints() == []

    hub.kill()
    browser.until(lambda: "Reconnecting" in browser.text("#reconnecting"), "that the hub is away")
    browser.judge("hub-away")
    hub.start()
    browser.until(lambda: browser.text("#reconnecting") == "", "that the hub is back")
    # During the outage the console reports failed connections.
    assert other_than_outage(browser.complaints()) == []
    # The Echo has been restarted too, so its session has ended; the conversation and the cards are still there.
    browser.until(lambda: said(browser) == conversation, "the conversation from before")
    browser.until(lambda: len(browser.all("#cards .card")) == cards > 0, "the cards from before")
    browser.until(lambda: browser.one("#mails .mail").is_displayed(), "the mail from before")
    browser.until(lambda: browser.text("#account") == "Linked as Ana", "the account from before")
    browser.until(lambda: browser.text("#thing-name") == first_thing, "the thing from before")
    assert not browser.one("#listening").is_displayed()

    # The device may or may not have reconnected by itself; the page offers the remaining step.
    browser.until(lambda: browser.text("#connection") in ("Connected", "Offline", "Not started"), "the device after the restart")
    while browser.text("#connection") != "Connected":
        browser.until(lambda: browser.next_steps() or browser.text("#connection") == "Connected", "a way to the device")
        if browser.next_steps() in (["start"], ["connect"]):
            browser.press_next()
            browser.until(lambda: browser.text("#connection") == "Connected", "the device again")
    print_vase(browser)

    # The page offers to switch to the other user.
    browser.until(lambda: browser.next_steps() == ["user ben"], "the offer to be Ben")
    browser.press_next()
    browser.until(lambda: browser.text("#account") == "Not linked", "Ben's own app")
    assert said(browser) == []
    assert browser.all("#mails .mail") == []
    link(browser)
    start_device(browser)
    browser.until(lambda: browser.text("#account") == "Linked as Ben", "Ben's account")
    browser.until(lambda: browser.text("#thing-name") not in ("", first_thing), "Ben's thing")
    print_vase(browser)

    # Ana's view is unchanged.
    browser.ask("document.querySelector('#users input[value=ana]').click()")
    browser.until(lambda: browser.text("#thing-name") == first_thing, "Ana's thing")
    assert has_printed(browser)
    assert browser.complaints() == []
    assert browser.strangers() == []


LOOKS = [("phone-light", PHONE, "light"), ("tablet-light", TABLET, "light"), ("tablet-dark", TABLET, "dark"), ("desktop-dark", DESKTOP, "dark")]


@pytest.mark.parametrize(("name", "size", "scheme"), LOOKS)
def test_a_failed_print_is_repeated_on_every_screen(hub, browse, name, size, scheme):
    browser = browse(name, *size, scheme)
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    browser.until(lambda: is_at(browser, "say-next"), "the offer to print")
    browser.ask("document.querySelector('#fail').click()")
    browser.until(lambda: is_at(browser, "fail"), "the offer to mend it")
    say(browser, "ask my printer to print a cup")
    browser.until(lambda: browser.text("#doing") == "It failed, as you wanted", "a print that fails")
    browser.judge("failed")
    browser.press_next()
    browser.until(lambda: is_at(browser, "say-next"), "the offer to print again")
    # The skill says what it cannot do, and the page suggests the right sentence.
    say(browser, "turn off my printer")
    browser.until(lambda: browser.all("#turns .hinted:not([hidden])"), "how to say it")
    assert browser.text("#turns li:last-child .hinted") == "Say “ask my printer to turn off my printer”"
    browser.judge("hint")
    browser.ask("document.querySelector('#turns li:last-child .hinted').click()")
    browser.until(lambda: browser.text("#doing") == "Switched off", "a printer that is off")
    browser.judge("off")
    browser.until(lambda: browser.next_steps(), "how to switch it on")
    browser.press_next()
    browser.until(lambda: browser.text("#fact-power") == "on", "a printer that is on")
    say(browser, "ask my printer to set the nozzle to two hundred degrees")
    browser.until(lambda: browser.text("#target-nozzle") == "set to 200", "what is wanted of the nozzle")
    say(browser, "ask my printer to print two cups")
    browser.until(lambda: browser.text("#percent").startswith("1 of 2"), "the first of two cups")
    browser.ask("document.querySelector('#connect').click()")
    browser.until(lambda: browser.text("#connection") == "Offline", "a device without a network")
    browser.judge("offline")
    browser.press_next()
    browser.until(lambda: browser.text("#connection") == "Connected", "the device again")
    browser.judge("printing")
    assert browser.complaints() == []
