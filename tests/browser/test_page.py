"""The page, from "open my printer" to a printed vase, by what it offers itself and nothing else.

Needs a built hub (`cargo build -p onething-hub`, or its path in ONETHING_HUB), Chromium with its driver, and
`npm ci` in this folder. Pictures of each stage go to target/browser.
"""

import io
import json
import socket
import ssl
import urllib.request
import zipfile

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from home import Browser, Hub

PHONE = (390, 844)
SMALL_PHONE = (360, 740)
TABLET = (768, 1024)
DESKTOP = (1440, 900)
# A whole print, with a heater that warms up first.
PRINT = 180


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


def said(browser):
    return browser.ask("return [...document.querySelectorAll('#turns .you-words')].map((node) => node.textContent)")


def is_at(browser, step):
    return browser.next_steps() == [step]


def has_printed(browser, model="a vase"):
    return browser.text("#doing") == f"Printed {model}"


def head_moves(browser):
    """Whether the head is elsewhere than it was at the first look."""
    look = lambda: browser.ask("return document.querySelector('#head').getAttribute('transform')")
    first = look()
    browser.until(lambda: look() != first, "a moving print head")


def link(browser):
    """The way to a linked account: one sentence, the card, the consent page and back."""
    browser.until(lambda: is_at(browser, "say-next"), "the first thing to say")
    assert browser.text("#say-next-words") == "open my printer"
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
    """From a linked account to a device that is connected."""
    browser.until(lambda: browser.next_steps() in (["say-next"], ["start"]), "what comes after linking")
    browser.judge("linked")
    if browser.next_steps() == ["say-next"]:
        browser.press_next()
        browser.until(lambda: is_at(browser, "start"), "the mail with the bundle")
    assert browser.text("#attachment-name").endswith(".zip")
    browser.judge("mail")
    browser.press_next()
    browser.until(lambda: browser.text("#connection") == "Connected", "a connected device")


def follow_to_print(browser):
    """Does what is offered until the printer prints."""

    def printing_or_offered():
        return browser.text("#doing").startswith("Printing") or browser.next_steps()

    while True:
        browser.until(printing_or_offered, "a next step or a print")
        if browser.text("#doing").startswith("Printing"):
            return
        before = browser.hint()
        browser.press_next()
        browser.until(lambda: browser.hint() != before, f"something after: {before}")


def other_than_outage(complaints):
    """Of the complaints since before the hub ended, until the page was connected to it again: those that the outage does not explain."""
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


@pytest.mark.parametrize(("name", "size", "scheme"), [("phone-dark", PHONE, "dark"), ("desktop-light", DESKTOP, "light")])
def test_two_newcomers_print_a_vase_each_by_what_the_page_offers(hub, browse, name, size, scheme):
    browser = browse(name, *size, scheme)
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    first_thing = browser.text("#thing-name")
    assert said(browser)[0] == "open my printer"
    assert browser.complaints() == []

    hub.kill()
    browser.until(lambda: "Reconnecting" in browser.text("#reconnecting"), "that the hub is away")
    browser.judge("hub-away")
    hub.start()
    browser.until(lambda: browser.text("#reconnecting") == "", "that the hub is back")
    # Until then the console says again and again that nobody is there, which is so.
    assert other_than_outage(browser.complaints()) == []
    # The Echo was without power, too: its session has ended, and it has forgotten what was said.
    browser.until(lambda: said(browser) == [], "an Echo that starts anew")
    assert browser.one("#mails .mail").is_displayed()
    assert browser.text("#account") == "Linked as Ana"
    assert browser.text("#thing-name") == first_thing

    # What the device does on its own after a power cut is its own affair; the page says what is left to do.
    browser.until(lambda: browser.text("#connection") in ("Connected", "Offline", "Not started"), "the device after the restart")
    while browser.text("#connection") != "Connected":
        browser.until(lambda: browser.next_steps() or browser.text("#connection") == "Connected", "a way to the device")
        if browser.next_steps() in (["start"], ["connect"]):
            browser.press_next()
            browser.until(lambda: browser.text("#connection") == "Connected", "the device again")
    print_vase(browser)

    # The page offers to be the other one.
    assert browser.next_steps() == ["user ben"]
    browser.press_next()
    browser.until(lambda: browser.text("#account") == "Not linked", "Ben's own app")
    assert said(browser) == []
    assert browser.all("#mails .mail") == []
    link(browser)
    start_device(browser)
    assert browser.text("#account") == "Linked as Ben"
    assert browser.text("#thing-name") not in ("", first_thing)
    print_vase(browser)

    # Ana's home is as she left it.
    browser.ask("document.querySelector('#users input[value=ana]').click()")
    browser.until(lambda: browser.text("#thing-name") == first_thing, "Ana's thing")
    assert has_printed(browser)
    assert browser.complaints() == []
    assert browser.strangers() == []


LOOKS = [("phone-light", PHONE, "light"), ("tablet-light", TABLET, "light"), ("tablet-dark", TABLET, "dark"), ("desktop-dark", DESKTOP, "dark")]


@pytest.mark.parametrize(("name", "size", "scheme"), LOOKS)
def test_a_print_that_fails_is_mended_and_done_again_on_every_screen(hub, browse, name, size, scheme):
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
    # Alexa says what she cannot do, and the page how it is said.
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


def say(browser, words):
    browser.until(lambda: not browser.one("#pending").is_displayed(), "the answer to what was said before")
    turns = len(said(browser))
    browser.one("#words").send_keys(words, Keys.ENTER)
    browser.until(lambda: len(said(browser)) > turns, f"an answer to: {words}")


@pytest.mark.parametrize(("name", "size", "scheme"), [("phone-dark", PHONE, "dark"), ("desktop-light", DESKTOP, "light")])
def test_a_hub_in_use_says_so(tmp_path, browse, name, size, scheme):
    in_use = ["--lwa-client-id", "amzn1.application-oa2-client.test", "--skill-id", "amzn1.ask.skill.test"]
    hub = Hub(tmp_path / "data", *in_use, LWA_ENDPOINT="http://127.0.0.1:1")
    try:
        browser = browse(f"in-use-{name}", *size, scheme)
        browser.open(hub.url)
        assert browser.text("h1") == "This hub is in use"
        browser.judge("in-use")
        assert browser.complaints() == []
    finally:
        hub.kill()


def test_a_mail_that_does_not_go_out_is_explained(tmp_path, browse):
    # Nothing listens there: ports below 1024 are given to nobody by chance.
    hub = Hub(tmp_path / "data", SMTP_URL="smtp://127.0.0.1:1", MAIL_FROM="hub@example.com")
    try:
        browser = browse("mail-waits", *DESKTOP, "light")
        browser.open(hub.url)
        link(browser)
        browser.until(lambda: "could not be sent yet" in browser.text("#guide-text"), "why there is no mail")
        assert "the mail server cannot be used" in browser.text("#guide-text")
        browser.judge("mail-waits")
        assert browser.complaints() == []
    finally:
        hub.kill()


def test_what_the_broker_has_refused_is_shown_at_the_shadow(hub, browse, tmp_path):
    browser = browse("refused", *PHONE, "light")
    browser.open(hub.url)
    link(browser)
    browser.until(lambda: browser.text("#thing-name"), "a thing")
    assert not browser.one("#refusal").is_displayed()
    connect(hub, tmp_path, client_id='<b>"another"')
    browser.until(lambda: browser.one("#refusal").is_displayed(), "the refusal")
    assert "iot:Connect of “<b>\"another\"”, to client “<b>\"another\"”: no policy statement allows it" in browser.text("#refusal")
    browser.judge("refused")
    assert browser.complaints() == []


def connect(hub, place, client_id):
    """CONNECT of MQTT 3.1.1 with Ana's certificate and this client id; waits for the end of the connection."""
    get = lambda path: urllib.request.urlopen(hub.url + path).read()
    mail = json.loads(get("/api/mail?user=ana"))["mail"][-1]
    zipfile.ZipFile(io.BytesIO(get(f"/api/mail/{mail['id']}/attachment"))).extractall(place)
    context = ssl.create_default_context(cafile=place / "RootCA.pem")
    context.load_cert_chain(place / "certificate.pem", place / "private.key.pem")
    host, port = "localhost", int(hub.mqtt.rpartition(":")[2])
    with socket.create_connection((host, port)) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        body = b"\0\4MQTT\4\2\0\x1e" + len(client_id).to_bytes(2, "big") + client_id.encode()
        secure.sendall(b"\x10" + bytes([len(body)]) + body)
        assert secure.recv(1) == b""


def press(browser, *keys):
    ActionChains(browser.driver).send_keys(*keys).perform()


def tab_to(browser, selector):
    """Goes on with the Tab key to what matches; each stop on the way must show that it has the focus."""
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
    raise AssertionError(f"the keyboard does not reach {selector}")


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
