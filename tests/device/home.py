"""An owner at home: what they say to their Echo, what becomes of it, and the bundles out of their mail."""

import io
import json
import zipfile

from hub import LIMIT, Bundle, eventually

ANA = "ana"


def speech(turn):
    spoken = turn["response"]["response"]["outputSpeech"]
    return spoken.get("text") or spoken["ssml"]


class Owner:
    def __init__(self, hub, user=ANA):
        self.hub, self.user = hub, user

    def links(self):
        self.hub.post("/link", {"user": self.user})
        return self

    def says(self, words):
        """Says it to the skill; returns what she hears."""
        return speech(self.hub.say(self.user, f"ask my printer {words}"))

    def wants(self, words):
        """Asks for something to be done; returns the id of the command."""
        before = self.desired().get("command", {}).get("id")
        self.says(words)
        command = self.desired()["command"]
        assert command["id"] != before, f"{words!r} was no new command"
        return command["id"]

    def disables_the_skill(self):
        """Alexa tells it again, as she does, until the certificates are out of service: an event as old as the link is not news."""

        def told():
            self.hub.post("/echo", {"user": self.user, "request": {"type": "AlexaSkillEvent.SkillDisabled"}})
            return {"INACTIVE"} == set(self.certificates().values())

        eventually("the certificates are out of service", told)

    def asks_for_another_certificate(self):
        """Says yes to what she is asked; where the hub is still at it, she asks again. Returns the mail's attachment."""
        before = self.certificates()

        def came():
            self.says("to send my certificate again")
            self.hub.say(self.user, "yes")
            return not self.certificates().keys() <= before.keys()

        eventually("another certificate is there", came, every=0.5)
        return self.mail()

    def leaves(self):
        """Says yes twice. Whoever has just linked is asked for a moment's patience."""

        def forgotten():
            self.says("to forget me")
            self.hub.say(self.user, "yes")
            return speech(self.hub.say(self.user, "yes")).startswith("I have forgotten you")

        eventually("all is forgotten", forgotten, every=0.5)

    def is_left_with(self, certificate):
        """With the next contact that the registry hears of, the others are gone. Speech is answered from memory for some minutes, and
        what comes within seconds of another contact leaves it to that one; so she links until it is done."""

        def alone():
            self.links()
            return self.certificates() == {certificate: "ACTIVE"}

        eventually("the old certificate is gone", alone, every=0.5)

    def thing(self):
        return self.hub.thing(self.user)

    def certificates(self):
        return {certificate["id"]: certificate["status"] for certificate in self.thing()["certificates"]}

    def shadow(self, section):
        return ((self.thing()["shadow"] or {}).get("state") or {}).get(section) or {}

    def desired(self):
        return self.shadow("desired")

    def reported(self):
        return self.shadow("reported")

    def hears_of(self, command, *ends, limit=LIMIT):
        """Waits for the answer to a command: one of these ends. Returns the answer."""

        def answer():
            told = self.reported().get("command", {})
            return told if told.get("id") == command and told["status"] in ends else None

        eventually(f"{command} is {ends}", answer, limit)
        return answer()

    def mail(self):
        """The newest mail's attachment, as it was saved."""
        mails = [mail for mail in json.loads(self.hub.get(f"/api/mail?user={self.user}"))["mail"] if mail.get("attachment")]
        newest = max(mails, key=lambda mail: (mail["at"], mail["id"]))
        file = self.hub.place / f"{self.user}-{len(mails)}.zip"
        file.write_bytes(self.hub.get(f"/api/mail/{newest['id']}/attachment"))
        return file


def unpacked(zip_file):
    folder = zip_file.with_suffix("")
    with zipfile.ZipFile(io.BytesIO(zip_file.read_bytes())) as files:
        files.extractall(folder)
    return folder


def reconnected(folder, **changes):
    """Changes what `connection.json` says."""
    file = folder / "connection.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def credentials_of(agent):
    """An agent's own credentials, as the foreign client takes them."""
    folder, told = agent.credentials()
    files = (folder / name for name in (told["certificate"], told["privateKey"], told["rootCas"][0]))
    return Bundle(told["endpoint"], told["port"], told["thingName"], *files)
