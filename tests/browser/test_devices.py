"""The view of a device that the page does not simulate, and of the shadow of any device."""

import json
import urllib.error
import urllib.request

import pytest

from agent import Agent, bundle_of
from home import PATIENCE
from steps import DESKTOP, PHONE, head_moves, is_at, link, other_than_outage, said, say, start_device


@pytest.fixture
def own_device(tmp_path):
    """Starts Ana's own device with the bundle of her newest mail."""
    started = []

    def start(hub):
        place = tmp_path / f"device-{len(started)}"
        place.mkdir()
        started.append(Agent(bundle_of(hub, place), place))
        return started[-1]

    yield start
    for agent in started:
        agent.kill()


def post(hub, path, body):
    """Posts JSON; returns the status and the body of the response."""
    request = urllib.request.Request(hub.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def with_mail(browser, hub):
    """Links Ana's account and waits for the mail with the bundle; no device uses the bundle."""
    browser.open(hub.url)
    link(browser)
    browser.until(lambda: browser.next_steps() in (["say-next"], ["start"]), "what comes after linking")
    if browser.next_steps() == ["say-next"]:
        browser.press_next()
    browser.until(lambda: is_at(browser, "start"), "the mail with the bundle")


@pytest.mark.parametrize(("name", "size", "scheme"), [("phone-light", PHONE, "light"), ("desktop-dark", DESKTOP, "dark")])
def test_an_owners_own_device_is_shown_by_its_shadow_and_no_simulated_one_is_offered(hub, browse, own_device, name, size, scheme):
    browser = browse(f"own-device-{name}", *size, scheme)
    with_mail(browser, hub)
    agent = own_device(hub)
    browser.until(lambda: browser.text("#connection") == "Connected", "the owner's own device")
    browser.until(lambda: browser.text("#fact-power") == "on", "what it has reported")
    browser.until(lambda: browser.one("#elsewhere").is_displayed() and not browser.one("#controls").is_displayed(), "no controls for it")
    browser.until(lambda: not browser.one("#start").is_displayed(), "that no other device is offered")
    assert "take its connection away" in browser.text("#started")
    browser.judge("connected")
    # A direct request to the hub cannot start another device either.
    mail = json.loads(urllib.request.urlopen(f"{hub.url}/api/mail?user=ana").read())["mail"][-1]["id"]
    status, refusal = post(hub, "/api/device", {"user": "ana", "do": "start", "mail": mail})
    assert status == 409 and "already" in refusal["detail"]

    browser.until(lambda: browser.text("#say-next-words") == "ask my printer to print a vase", "the offer to print")
    say(browser, "ask my printer to print a cup")
    browser.until(lambda: browser.text("#doing") == "Printing a cup", "a print on the owner's own device")
    head_moves(browser)
    browser.judge("printing")

    # The device disconnects. It stays on the page, and no step is marked that would replace it.
    agent.stop()
    browser.until(lambda: browser.text("#connection") == "Offline", "that the device is gone")
    browser.until(lambda: browser.next_steps() == [] and "Switch it on" in browser.hint(), "what to do with it")
    browser.until(lambda: browser.one("#start").is_displayed(), "that a simulated device can still be started")
    browser.judge("offline")
    agent.run()
    browser.until(lambda: browser.text("#connection") == "Connected", "the device again")
    assert browser.complaints() == []


def test_a_simulated_device_stops_for_the_owners_own_one_and_stays_off_after_a_restart(hub, browse, own_device):
    browser = browse("gives-way", *DESKTOP, "light")
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    agent = own_device(hub)
    browser.until(lambda: browser.one("#elsewhere").is_displayed(), "the owner's own device")
    browser.until(lambda: "switched off" in browser.text("#log"), "why the simulated one is off")
    browser.judge("gave-way")
    hub.kill()
    browser.until(lambda: "Reconnecting" in browser.text("#reconnecting"), "that the hub is away")
    hub.start()
    browser.until(lambda: browser.text("#reconnecting") == "", "that the hub is back")
    browser.until(lambda: browser.text("#connection") == "Connected" and browser.one("#elsewhere").is_displayed(), "the device again")
    assert json.loads(urllib.request.urlopen(f"{hub.url}/api/device?user=ana").read())["running"] is False
    assert other_than_outage(browser.complaints()) == []
    agent.stop()


def test_a_difference_is_shown_only_while_the_device_has_something_to_do(hub, browse):
    browser = browse("they-differ", *DESKTOP, "light")
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    shadow = lambda: browser.text("#shadow-version").partition(", ")[2]
    browser.until(lambda: shadow() == "no difference", "a shadow at rest")
    say(browser, "ask my printer to print a cup")
    browser.until(lambda: browser.text("#doing") == "Printing a cup", "a print")
    browser.until(lambda: shadow() == "they differ", "a command under way")
    say(browser, "ask my printer to cancel the print")
    say(browser, "yes")
    browser.until(lambda: browser.text("#doing").startswith("Unfinished") or browser.text("#doing") == "Idle", "a cancelled print")
    browser.until(lambda: shadow() == "no difference", "that nothing is pending")
    assert browser.all("#shadow td[data-pending]") == []
    # A setting for a disconnected device waits for the device.
    browser.ask("document.querySelector('#connect').click()")
    browser.until(lambda: browser.text("#connection") == "Offline", "a device without a network")
    say(browser, "ask my printer to set the nozzle to fifty degrees")
    browser.until(lambda: shadow() == "they differ", "a setting that waits")
    browser.judge("waits")
    browser.press_next()
    browser.until(lambda: shadow() == "no difference", "that it is set")
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("state", "pending"),
    [
        ({"desired": {"commands": {}}, "delta": {"commands": {}}}, []),
        ({"desired": {"commands": {"a": {"expiresAt": 50}}}, "delta": {"commands": {"a": {}}}}, []),
        ({"desired": {"commands": {"a": {"expiresAt": 150}}}, "delta": {"commands": {"a": {}}}}, ["commands"]),
        ({"desired": {"command": {"id": "a", "expiresAt": 150}}, "delta": {"command": {"id": "a"}}}, ["command"]),
        ({"desired": {"command": {"id": "a", "expiresAt": 50}}, "delta": {"command": {"id": "a"}}}, []),
        ({"desired": {"command": {"id": "a"}}, "reported": {"command": {"id": "a", "status": "accepted"}}, "delta": {"command": {}}}, ["command"]),
        ({"desired": {"command": {"id": "a"}}, "reported": {"command": {"id": "a", "status": "failed"}}, "delta": {"command": {}}}, []),
        (
            {
                "desired": {"command": {"id": "a"}, "commands": {}},
                "reported": {"command": {"id": "b", "status": "accepted"}, "commandQueue": True},
                "delta": {"command": {}, "commands": {}},
            },
            [],
        ),
        ({"desired": {"status": "idle", "power": "ON", "new": 1}, "delta": {"status": "idle", "power": "ON", "new": 1}}, ["power", "new"]),
    ],
)
def test_what_is_pending_is_what_the_device_can_still_do(pages_scripts, state, pending):
    model = {"properties": [{"name": "power", "writtenBy": "owner"}, {"name": "status", "writtenBy": "device"}]}
    found = pages_scripts.driver.execute_async_script(
        "import('/pending.js').then(({ pendingOf }) => arguments[2]([...pendingOf(arguments[0], arguments[1], 100)]))", state, model
    )
    assert sorted(found) == sorted(pending)


@pytest.fixture(scope="module")
def pages_scripts(tmp_path_factory):
    """A browser on a page of a hub, for calls of the scripts of the page."""
    from home import Browser, Hub

    hub = Hub(tmp_path_factory.mktemp("scripts") / "data")
    browser = Browser("scripts", *DESKTOP, "light")
    browser.open(hub.url)
    yield browser
    browser.close()
    hub.kill()


def test_the_certificate_in_use_is_the_one_that_is_shown(hub, browse):
    browser = browse("certificate", *DESKTOP, "light")
    browser.open(hub.url)
    link(browser)
    start_device(browser)
    certificates = lambda: json.loads(urllib.request.urlopen(f"{hub.url}/api/things?user=ana").read())["things"][0]["certificates"]
    [first] = certificates()
    browser.until(lambda: browser.text("#certificate") == f"Certificate {first['id'][:8]} ACTIVE, in use", "the first certificate")
    # A new certificate is mailed; the device uses the old one until it is started with the new bundle.
    mails = lambda: len(browser.all("#mails .mail"))
    answer = lambda: browser.text("#turns li:last-child .alexa-words")
    say(browser, "ask my printer to send my certificate again")
    say(browser, "yes")
    while "try again" in answer().lower():
        # On a busy machine the certificate may not be created in time; then the skill says so, and the user repeats the
        # request.
        say(browser, "ask my printer to send my certificate again")
        say(browser, "yes")
    browser.until(lambda: mails() == 2, "the second mail")
    [second] = [one for one in certificates() if one["id"] != first["id"]]
    both = lambda: browser.text("#certificate")
    browser.until(lambda: both().startswith(f"Certificate {first['id'][:8]} ACTIVE, in use; "), "both")
    browser.ask("document.querySelector('#start').click()")
    browser.until(lambda: both().startswith(f"Certificate {second['id'][:8]} ACTIVE, in use"), "the second certificate in use")
    browser.judge("second")
    assert browser.complaints() == []
