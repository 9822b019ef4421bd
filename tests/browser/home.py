"""The hub as a program, and a browser that opens its page."""

import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.parse

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
PICTURES = ROOT / "target" / "browser"
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
# The limit of a wait in seconds, for everything except a whole print. Debug builds generate RSA keys slowly.
PATIENCE = 60
# The hosts that the page may contact.
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Hub:
    """The program of the hub, on free ports that the first start chooses and a restart keeps."""

    def __init__(self, data, *options, **variables):
        self.data = data
        self.options = options
        self.variables = variables
        self.http = "127.0.0.1:0"
        self.mqtt = "127.0.0.1:0"
        self.process = None
        self.start()

    def start(self):
        program = os.environ.get("ONETHING_HUB", str(ROOT / "target" / "debug" / "onething-hub"))
        command = [program, "serve", "--data", str(self.data), "--http", self.http, "--mqtt", self.mqtt, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | self.variables)
        ready = json.loads(self.process.stdout.readline())
        assert ready["ready"] is True
        self.url = ready["http"].rstrip("/")
        self.http = urllib.parse.urlsplit(self.url).netloc
        self.mqtt = urllib.parse.urlsplit(ready["mqtt"]).netloc or ready["mqtt"]

    def kill(self):
        """Kills the hub, as a power failure would: it neither shuts down nor writes any more data."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


class Browser:
    """Headless Chromium with one window size and one colour scheme."""

    def __init__(self, name, width, height, scheme, motion="no-preference"):
        self.name = name
        driver = shutil.which("chromedriver")
        chromium = shutil.which("chromium")
        assert driver and chromium, "the test needs chromium and chromedriver (Debian: chromium, chromium-driver)"
        options = Options()
        options.binary_location = chromium
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            f"--window-size={max(width, 500)},{height}",
            # No host name other than this machine resolves.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        phone = width < 700
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone},
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.shot = 0

    def open(self, address):
        self.driver.get(address)

    def close(self):
        self.driver.quit()

    def until(self, condition, what, limit=PATIENCE):
        """Waits until a condition of the page holds, and fails with its description otherwise."""
        WebDriverWait(self.driver, limit, poll_frequency=0.1, ignored_exceptions=()).until(lambda _: condition(), f"never seen: {what}")

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The text of an element, even if it is not visible."""
        return self.driver.execute_script("return document.querySelector(arguments[0])?.textContent.trim() ?? ''", selector)

    def ask(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def next_steps(self):
        """The visible elements that the page marks as the next step: their ids, names or texts."""
        return self.ask(
            """return [...document.querySelectorAll('[data-next]')].filter((node) => node.checkVisibility()).map((node) =>
                 node.id || (node.name ? `${node.name} ${node.value}` : node.textContent.trim()))"""
        )

    def hint(self):
        return self.text("#guide-text")

    def press_next(self):
        """Clicks the element that the page marks as the next step."""
        [_] = self.next_steps()
        node = self.one("[data-next]")
        self.ask("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", node)
        if node.tag_name == "input":
            node = node.find_element(By.XPATH, "./..")
        node.click()

    def picture(self, stage):
        """Saves a screenshot; on a phone, of the whole page."""
        self.shot += 1
        PICTURES.mkdir(parents=True, exist_ok=True)
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": "phone" in self.name})
        (PICTURES / f"{self.name}-{self.shot:02}-{stage}.png").write_bytes(base64.b64decode(shot["data"]))

    def judge(self, stage):
        """Checks that hold in every state: axe finds nothing serious, and the page is not wider than the screen."""
        # Waits for the end of animations, except endless ones, before the check.
        at_rest = "return document.getAnimations().every((one) => one.playState !== 'running' || one.effect.getComputedTiming().endTime === Infinity)"
        self.until(lambda: self.ask(at_rest), f"{stage} at rest")
        self.ask(AXE.read_text())
        report = self.driver.execute_async_script("axe.run(document, { resultTypes: ['violations'] }).then(arguments[0])")
        found = [
            (violation["impact"], violation["id"], [node["target"] for node in violation["nodes"]])
            for violation in report["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
        assert not found, f"{stage}: {found}"
        wide, view = self.ask("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= view, f"{stage}: {wide} pixels wide in a view of {view}"
        assert len(self.next_steps()) <= 1, f"{stage}: {self.next_steps()}"
        self.picture(stage)

    def complaints(self):
        """The errors in the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def strangers(self):
        """The requests to other machines."""
        addresses = set()
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                addresses.add(event["params"]["request"]["url"])
        split = map(urllib.parse.urlsplit, addresses)
        return [address.geturl() for address in split if address.scheme not in ("data", "about") and address.hostname not in LOOPBACK]
