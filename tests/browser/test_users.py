"""Who is at home: users come and go."""

from selenium.webdriver.common.keys import Keys

from steps import SMALL_PHONE, is_at, link, press


def test_one_more_user_is_added_and_a_bad_name_is_explained(hub, browse):
    browser = browse("small-phone", *SMALL_PHONE, "dark")
    browser.open(hub.url)
    browser.until(lambda: is_at(browser, "say-next"), "the first thing to say")
    browser.one("#add-user").click()
    browser.until(lambda: browser.one("#new-user-name").is_displayed(), "the dialog")
    browser.judge("add-user")
    press(browser, "Ana", Keys.ENTER)
    browser.until(lambda: browser.one("#notice").is_displayed(), "why there cannot be a second Ana")
    browser.judge("refused")
    # The browser's console notes every answer that is an error; this one was asked for.
    assert all("/api/users" in line for line in browser.complaints())
    browser.one("#notice-close").click()
    browser.one("#add-user").click()
    browser.until(lambda: browser.one("#new-user-name").is_displayed(), "the dialog again")
    press(browser, "Cleo", Keys.ENTER)
    browser.until(lambda: browser.ask("return document.querySelector('#users input:checked').nextElementSibling.textContent.trim()") == "Cleo", "Cleo")
    link(browser)
    assert browser.text("#account") == "Linked as Cleo"
    assert browser.complaints() == []
