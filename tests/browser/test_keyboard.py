"""The page with the keyboard only."""

from selenium.webdriver.common.keys import Keys

from steps import DESKTOP, head_moves, is_at, press


def tab_to(browser, selector):
    """Presses Tab until an element that matches has the focus; every element on the way must show its focus."""
    for _ in range(150):
        press(browser, Keys.TAB)
        there, shown = browser.ask(
            """const node = document.activeElement;
               // What stands for a radio button or a switch is drawn beside it.
               const drawn = node.matches('[type=radio], [role=switch]') ? node.nextElementSibling : node;
               const style = getComputedStyle(drawn);
               const shown = style.outlineStyle !== 'none' || getComputedStyle(node.parentElement).boxShadow !== 'none';
               return [node.matches(arguments[0]), shown || node === document.body || node.matches('iframe')]""",
            selector,
        )
        assert shown, browser.ask("return document.activeElement.outerHTML.slice(0, 200)")
        if there:
            return
    raise AssertionError(f"the Tab key does not reach {selector}")


def focus_is_somewhere(browser):
    return browser.ask("return document.activeElement !== null && document.activeElement !== document.body")


def test_the_keyboard_alone_gets_to_a_moving_print_head(hub, browse):
    browser = browse("keyboard", *DESKTOP, "light", motion="reduce")
    browser.open(hub.url)
    browser.until(lambda: is_at(browser, "say-next"), "the first thing to say")
    press(browser, Keys.TAB)
    assert browser.ask("return document.activeElement.matches('.skip')")

    tab_to(browser, "#guide-go")
    press(browser, Keys.ENTER)
    assert browser.ask("return document.activeElement.id") == "say-next"
    press(browser, Keys.ENTER)
    browser.until(lambda: is_at(browser, "Link account"), "the card")
    assert focus_is_somewhere(browser)
    tab_to(browser, "[data-next]")
    press(browser, Keys.ENTER)
    browser.until(lambda: browser.one("#agree").is_enabled(), "the consent page")
    tab_to(browser, "#agree")
    press(browser, Keys.ENTER)
    browser.until(lambda: browser.text("#account") == "Linked as Ana", "a linked account")

    browser.until(lambda: browser.next_steps() in (["say-next"], ["start"]), "what comes after linking")
    tab_to(browser, "#words")
    press(browser, "open my printer", Keys.ENTER)
    browser.until(lambda: is_at(browser, "start"), "the mail")
    assert browser.ask("return document.activeElement.id") == "words"
    tab_to(browser, "#start")
    press(browser, Keys.SPACE)
    browser.until(lambda: browser.text("#connection") == "Connected", "a connected device")
    browser.until(lambda: is_at(browser, "say-next"), "the offer to print")
    assert focus_is_somewhere(browser)
    tab_to(browser, "#say-next")
    press(browser, Keys.ENTER)
    browser.until(lambda: browser.text("#doing") == "Printing a vase", "a print")
    head_moves(browser)
    browser.judge("printing")

    tab_to(browser, "#slow")
    press(browser, Keys.SPACE)
    browser.until(lambda: browser.ask("return document.querySelector('#slow').checked"), "a slow device")

    tab_to(browser, "#users input")
    press(browser, Keys.ARROW_RIGHT)
    browser.until(lambda: browser.text("#account") == "Not linked", "Ben's home")
    assert browser.ask("return document.activeElement.value") == "ben"
    assert browser.complaints() == []
    assert browser.strangers() == []
