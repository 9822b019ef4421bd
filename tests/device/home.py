"""An owner: utterances to the Echo, their effects, and the bundles in the mail."""

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
        """Says the words to the skill; returns the speech of the response."""
        return speech(self.hub.say(self.user, f"ask my printer {words}"))

    def wants(self, words):
        """Says a command; returns the id of the command."""
        before = self.desired().get("command", {}).get("id")
        self.says(words)
        command = self.desired()["command"]
        assert command["id"] != before, f"{words!r} was no new command"
        return command["id"]

    def disables_the_skill(self):
        """Sends the skill event until the certificates are INACTIVE, as Alexa repeats it: an event from the second of
        the link is ignored."""

        def told():
            self.hub.post("/echo", {"user": self.user, "request": {"type": "AlexaSkillEvent.SkillDisabled"}})
            return {"INACTIVE"} == set(self.certificates().values())

        eventually("the certificates are INACTIVE", told)

    def asks_for_another_certificate(self):
        """Asks for another certificate and confirms it, again and again until the hub has issued it. Returns the
        attachment of the mail."""
        before = self.certificates()

        def came():
            self.says("to send my certificate again")
            self.hub.say(self.user, "yes")
            return not self.certificates().keys() <= before.keys()

        eventually("another certificate exists", came, every=0.5)
        return self.mail()

    def leaves(self):
        """Asks for deletion and confirms it twice. Right after linking, the hub asks the user to try again."""

        def forgotten():
            self.says("to forget me")
            self.hub.say(self.user, "yes")
            return speech(self.hub.say(self.user, "yes")).startswith("I have forgotten you")

        eventually("the deletion is done", forgotten, every=0.5)

    def is_left_with(self, certificate):
        """Requires that only this certificate is left after the next access to the registry. The hub answers speech
        from a cache for some minutes, and does nothing within seconds of another request; so the owner links again
        until it is done."""

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
        """Waits until the command has one of these ends. Returns the reported command."""

        def answer():
            told = self.reported().get("command", {})
            return told if told.get("id") == command and told["status"] in ends else None

        eventually(f"{command} is {ends}", answer, limit)
        return answer()

    def mail(self):
        """Saves the attachment of the newest mail; returns the file."""
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
    """Changes fields of `connection.json`."""
    file = folder / "connection.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def credentials_of(agent):
    """The credentials of an agent, for the foreign MQTT client."""
    folder, told = agent.credentials()
    files = (folder / name for name in (told["certificate"], told["privateKey"], told["rootCas"][0]))
    return Bundle(told["endpoint"], told["port"], told["thingName"], *files)
