"""Steps of a user on the page that several tests share."""

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

PHONE = (390, 844)
SMALL_PHONE = (360, 740)
TABLET = (768, 1024)
DESKTOP = (1440, 900)
# The limit of a whole print in seconds, including the heating.
PRINT = 180


def said(browser):
    return browser.ask("return [...document.querySelectorAll('#turns .you-words')].map((node) => node.textContent)")


def is_at(browser, step):
    return browser.next_steps() == [step]


def has_printed(browser, model="a vase"):
    return browser.text("#doing") == f"Printed {model}"


def head_moves(browser):
    """Waits until the print head has moved."""
    look = lambda: browser.ask("return document.querySelector('#head').getAttribute('transform')")
    first = look()
    browser.until(lambda: look() != first, "a moving print head")


def link(browser, words="open my printer"):
    """From the first sentence to a linked account: the card, the consent page and back."""
    browser.until(lambda: is_at(browser, "say-next"), "the first thing to say")
    assert browser.text("#say-next-words") == words
    browser.judge("nothing-said")
    browser.press_next()
    browser.until(lambda: is_at(browser, "Link account"), "the card that asks to link")
    browser.judge("card")
    browser.press_next()
    browser.until(lambda: browser.one("#agree").is_enabled(), "the consent page")
    assert "No Amazon account is used" in browser.text(".trying")
    browser.judge("consent")
    browser.press_next()
    browser.until(lambda: browser.text("#account").startswith("Linked as"), "a linked account")


def start_device(browser):
    """From a linked account to a connected device."""
    browser.until(lambda: browser.next_steps() in (["say-next"], ["start"]), "what comes after linking")
    browser.judge("linked")
    if browser.next_steps() == ["say-next"]:
        browser.press_next()
        browser.until(lambda: is_at(browser, "start"), "the mail with the bundle")
    assert browser.text("#attachment-name").endswith(".zip")
    browser.judge("mail")
    browser.press_next()
    browser.until(lambda: browser.text("#connection") == "Connected", "a connected device")


def link_and_start(browser, words):
    link(browser, words)
    start_device(browser)


def follow_to_print(browser):
    """Follows the offered steps until the printer prints."""

    def printing_or_offered():
        return browser.text("#doing").startswith("Printing") or browser.next_steps()

    while True:
        browser.until(printing_or_offered, "a next step or a print")
        if browser.text("#doing").startswith("Printing"):
            return
        before = browser.hint()
        browser.press_next()
        browser.until(lambda: browser.hint() != before, f"another hint after: {before}")


def other_than_outage(complaints):
    """The console errors during an outage of the hub that the outage does not explain."""
    return [line for line in complaints if "net::ERR_" not in line]


def print_vase(browser):
    browser.until(lambda: browser.text("#say-next-words") == "ask my printer to print a vase", "the offer to print a vase")
    browser.judge("connected")
    follow_to_print(browser)
    head_moves(browser)
    half = lambda: browser.ask("return document.querySelector('#progress').value") >= 45
    browser.until(half, "half a vase", PRINT)
    browser.judge("printing")
    browser.until(lambda: has_printed(browser), "a printed vase", PRINT)
    grown = lambda: float(browser.ask("return document.querySelector('#printed-up-to').getAttribute('height')"))
    browser.until(lambda: grown() > 115, "the vase in full height")
    browser.judge("printed")


def say(browser, words):
    browser.until(lambda: not browser.one("#pending").is_displayed(), "the answer to what was said before")
    turns = len(said(browser))
    browser.one("#words").send_keys(words, Keys.ENTER)
    browser.until(lambda: len(said(browser)) > turns, f"an answer to: {words}")


def press(browser, *keys):
    ActionChains(browser.driver).send_keys(*keys).perform()
