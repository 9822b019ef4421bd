"""Adding and removing users."""

import json
import urllib.request

from selenium.webdriver.common.keys import Keys

from steps import DESKTOP, SMALL_PHONE, is_at, link, press, said, start_device


def open_users(browser):
    browser.one("#add-user").click()
    browser.until(lambda: browser.one("#new-user-name").is_displayed(), "the dialog")


def names(browser):
    return browser.ask("return [...document.querySelectorAll('#users .user-name')].map((node) => node.textContent)")


def test_a_user_with_any_first_name_can_be_added_and_the_input_survives_a_refusal(hub, browse):
    browser = browse("small-phone", *SMALL_PHONE, "dark")
    browser.open(hub.url)
    browser.until(lambda: is_at(browser, "say-next"), "the first thing to say")
    open_users(browser)
    browser.judge("add-user")
    press(browser, "Ana", Keys.ENTER)
    browser.until(lambda: browser.one("#new-user-problem").is_displayed(), "why there cannot be a second Ana")
    assert browser.ask("return document.querySelector('#new-user-name').value") == "Ana"
    browser.judge("refused")
    # The console logs every error response; this one was expected.
    assert all("/api/users" in line for line in browser.complaints())
    for name in ("Zoë", "Mr X", "李"):
        browser.one("#new-user-name").clear()
        browser.one("#new-user-name").send_keys(name, Keys.ENTER)
        browser.until(lambda: not browser.one("#new-user").is_displayed(), f"that {name} is added")
        browser.until(lambda: names(browser)[-1] in names(browser) and name in names(browser), name)
        open_users(browser)
    browser.one("#new-user-cancel").click()
    browser.until(lambda: is_at(browser, "say-next"), "a home of their own")
    link(browser)
    browser.until(lambda: browser.text("#account") == "Linked as 李", "that the account is theirs")
    assert browser.complaints() == []


def test_users_are_removed_with_all_their_data_and_the_hub_is_reset(hub, browse):
    browser = browse("remove", *DESKTOP, "light")
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    first = browser.text("#thing-name")
    things = lambda: json.loads(urllib.request.urlopen(f"{hub.url}/api/things").read())["things"]
    assert [thing["thing"] for thing in things()] == [first]
    open_users(browser)
    browser.one("[data-user=ana]").click()
    browser.until(lambda: names(browser) == ["Ben"], "that Ana is gone")
    assert things() == [] and not browser.one("[data-user=ben]").is_enabled()
    browser.judge("removed")
    # A new user with the same name has none of the old user's data.
    browser.one("#new-user-name").send_keys("Ana", Keys.ENTER)
    browser.until(lambda: names(browser) == ["Ana", "Ben"], "another Ana")
    browser.until(lambda: browser.text("#account") == "Not linked" and said(browser) == [], "a home of her own")
    assert browser.all("#mails .mail") == []
    link(browser)
    start_device(browser)

    open_users(browser)
    browser.one("#reset").click()
    browser.one("#reset-sure").click()
    # The page reloads: until then it is the old one, and for a moment there is none.
    at_first = lambda: browser.text("#account") == "Not linked" and said(browser) == [] and names(browser) == ["Ana", "Ben"]
    browser.until(at_first, "that all is as at first")
    assert things() == []
    assert json.loads(urllib.request.urlopen(f"{hub.url}/api/mail").read())["mail"] == []
    assert browser.complaints() == []
