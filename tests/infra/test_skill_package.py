"""The skill package: it meets the rules of Alexa and of certification, and matches device.toml."""

import json
import re
import struct
import tomllib

import pytest

from stack import ROOT, template

PACKAGE = ROOT / "skill-package"
MANIFEST = json.loads((PACKAGE / "skill.json").read_text())["manifest"]
MODELS = {
    path.stem: json.loads(path.read_text())["interactionModel"]
    for path in sorted((PACKAGE / "interactionModels" / "custom").glob("*.json"))
}
DEVICE = tomllib.loads((ROOT / "device.toml").read_text())

every_locale = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())

BUILT_IN_INTENTS = {
    f"AMAZON.{name}Intent" for name in ("Help", "Stop", "Cancel", "Fallback", "NavigateHome", "Yes", "No")
}
# The intents of every device, whatever is in device.toml.
OURS = {"SendCertificateIntent", "ForgetMeIntent", "GiveCodeIntent", "ConnectionIntent"}
BUILT_IN_TYPES = {"AMAZON.NUMBER"}

NUMBER = (
    r"(?:\d+|(?:(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty"
    r"|forty|fifty|sixty|seventy|eighty|ninety|hundred|and)\b ?)+(?<! ))"
)


def intents(model):
    return {intent["name"]: intent for intent in model["languageModel"]["intents"]}


def types(model):
    return {kind["name"]: kind["values"] for kind in model["languageModel"].get("types", [])}


def slots(intent):
    return {slot["name"]: slot["type"] for slot in intent.get("slots", [])}


def spoken(value):
    """All names and synonyms of a slot value."""
    return [value["name"]["value"], *value["name"].get("synonyms", [])]


def named(sample):
    """The slots of a sample utterance."""
    return re.findall(r"\{(\w+)\}", sample)


# The interaction model.


@every_locale
def test_the_invocation_name_is_valid_for_alexa(model):
    name = model["languageModel"]["invocationName"]
    assert name == DEVICE["device"]["invocation"]
    assert 2 <= len(name) <= 50
    assert re.fullmatch(r"[a-z][a-z' .]*[a-z.]", name), "lower-case letters, spaces, apostrophes and full stops"
    words = name.split()
    assert len(words) >= 2, "one word is for brands"
    taken = {"alexa", "amazon", "echo", "computer", "skill", "app"}
    launching = {"launch", "ask", "tell", "load", "begin", "enable", "open", "start", "play", "run", "use"}
    connecting = {"to", "from", "in", "using", "with", "about", "for", "that", "by", "if", "and", "whether", "of"}
    articles = {"a", "an", "the"}
    assert not set(words) & (taken | launching | connecting)
    assert not (len(words) == 2 and set(words) & articles)


@every_locale
def test_the_intents_that_certification_requires_exist(model):
    assert BUILT_IN_INTENTS <= intents(model).keys()
    # These two belong to skills that play audio.
    assert not {"AMAZON.PauseIntent", "AMAZON.ResumeIntent"} & intents(model).keys()


@every_locale
def test_every_intent_belongs_to_the_device_or_the_skill(model):
    assert intents(model).keys() == BUILT_IN_INTENTS | OURS | DEVICE["intent"].keys()


@every_locale
def test_names_are_unique_and_well_formed(model):
    language = model["languageModel"]
    for things in (language["intents"], language["types"], model["prompts"]):
        names = [thing.get("name") or thing["id"] for thing in things]
        assert len(names) == len(set(names))
    for name, intent in intents(model).items():
        assert re.fullmatch(r"(AMAZON\.)?[A-Za-z_]+", name)
        declared = [slot["name"] for slot in intent.get("slots", [])]
        assert len(declared) == len(set(declared))
        for slot in declared:
            assert re.fullmatch(r"[A-Za-z_]+", slot)


@every_locale
def test_slot_types_are_defined_and_used(model):
    used = {kind for intent in intents(model).values() for kind in slots(intent).values()}
    assert used - BUILT_IN_TYPES == types(model).keys()


@every_locale
def test_slot_values_cannot_be_confused(model):
    for name, values in types(model).items():
        ids = [value["id"] for value in values]
        assert len(ids) == len(set(ids)), name
        heard = [word for value in values for word in spoken(value)]
        assert len(heard) == len(set(heard)), name
        for word in heard:
            assert re.fullmatch(r"[a-z][a-z' .-]*", word), word


@every_locale
def test_samples_have_the_form_that_alexa_requires(model):
    for name, intent in intents(model).items():
        declared = slots(intent)
        samples = intent["samples"] + [s for slot in intent.get("slots", []) for s in slot.get("samples", [])]
        for sample in samples:
            assert re.fullmatch(r"(?:[a-z' .-]|\{\w+\})+", sample), f"{name}: {sample}"
            assert sample == sample.strip() and "  " not in sample, f"{name}: {sample}"
            assert set(named(sample)) <= declared.keys(), f"{name}: {sample} names a slot that is not declared"
            assert len(named(sample)) == len(set(named(sample))), f"{name}: {sample} names a slot twice"
        for slot in intent.get("slots", []):
            for sample in slot.get("samples", []):
                assert slot["name"] in named(sample), f"{name}: {sample} has no value for {slot['name']}"


@every_locale
def test_our_intents_have_enough_samples_and_every_slot_is_said(model):
    for name, intent in intents(model).items():
        if name in BUILT_IN_INTENTS:
            continue
        assert len(intent["samples"]) >= 10, name
        assert {slot for sample in intent["samples"] for slot in named(sample)} == slots(intent).keys(), name


@every_locale
def test_no_two_samples_are_the_same_to_alexa(model):
    seen = {}
    for name, intent in intents(model).items():
        for sample in intent["samples"]:
            # Alexa resolves a slot by its type, so the name of the slot does not matter.
            heard = re.sub(r"\{(\w+)\}", lambda slot: f"<{slots(intent)[slot.group(1)]}>", sample)
            assert heard not in seen, f"{sample!r} of {name} is also a sample of {seen[heard]}"
            seen[heard] = name


# The dialog.


@every_locale
def test_the_dialog_knows_the_intents_and_has_the_prompts(model):
    prompts = {prompt["id"]: prompt["variations"] for prompt in model["prompts"]}
    asked = set()
    # The skill asks the questions; the model only has to permit the dialog.
    assert model["dialog"]["delegationStrategy"] == "SKILL_RESPONSE"
    for dialog in model["dialog"]["intents"]:
        intent = intents(model)[dialog["name"]]
        assert {slot["name"]: slot["type"] for slot in dialog["slots"]} == slots(intent), dialog["name"]
        assert dialog["confirmationRequired"] == ("confirmation" in dialog["prompts"])
        asked |= set(dialog["prompts"].values())
        for slot in dialog["slots"]:
            assert slot["elicitationRequired"] == ("elicitation" in slot["prompts"])
            assert slot["confirmationRequired"] == ("confirmation" in slot["prompts"])
            asked |= set(slot["prompts"].values())
    assert asked == prompts.keys()
    for variations in prompts.values():
        assert variations
        for variation in variations:
            assert variation["type"] in ("PlainText", "SSML")
            assert variation["value"].endswith("?")


@every_locale
def test_only_irreversible_intents_are_confirmed(model):
    confirmed = {d["name"] for d in model["dialog"]["intents"] if d["confirmationRequired"]}
    assert confirmed & OURS == {"SendCertificateIntent", "ForgetMeIntent"}


@every_locale
def test_a_slot_that_is_asked_for_can_be_answered_by_itself(model):
    for dialog in model["dialog"]["intents"]:
        declared = {slot["name"]: slot for slot in intents(model)[dialog["name"]].get("slots", [])}
        for slot in dialog["slots"]:
            if slot["elicitationRequired"]:
                assert declared[slot["name"]].get("samples"), f"{dialog['name']}: {slot['name']}"


# The package matches device.toml.


def said(model, prompt):
    (variations,) = (p["variations"] for p in model["prompts"] if p["id"] == prompt)
    return [variation["value"] for variation in variations]


def check_slot(model, intent, slot, kind, allowed=None):
    """A slot can be spoken, and its values fit the property or argument."""
    declared = slots(intents(model)[intent])
    assert slot in declared, f"{intent} has no slot {slot}"
    slot_type = declared[slot]
    if kind in ("integer", "number"):
        assert slot_type == "AMAZON.NUMBER", f"{intent}: {slot} has to be a number"
    if allowed is not None:
        ids = {value["id"] for value in types(model)[slot_type]}
        assert ids and ids <= allowed, f"{intent}: {slot} can be {ids}, and may be {allowed}"


@every_locale
@pytest.mark.parametrize(("name", "meaning"), DEVICE["intent"].items(), ids=DEVICE["intent"].keys())
def test_every_intent_of_the_device_can_be_spoken(model, name, meaning):
    assert name in intents(model)
    mapped = set()
    for argument, slot in meaning.get("args", {}).items():
        check_slot(model, name, slot, DEVICE["command"][meaning["command"]][argument]["type"])
        mapped.add(slot)
    for property_name, slot in meaning.get("set", {}).items():
        prop = DEVICE["property"][property_name]
        allowed = {"switch": {"ON", "OFF"}, "choice": set(prop.get("values", []))}.get(prop["type"])
        check_slot(model, name, slot, prop["type"], allowed)
        mapped.add(slot)
    if "set_one" in meaning:
        selector, value = meaning["set_one"]["slot"], meaning["set_one"]["value"]
        choices = meaning["set_one"]["properties"]
        check_slot(model, name, selector, "choice", set(choices))
        ids = {v["id"] for v in types(model)[slots(intents(model)[name])[selector]]}
        assert ids == set(choices), f"{name}: the values of {selector} differ from those of the slot"
        for property_name in choices.values():
            check_slot(model, name, value, DEVICE["property"][property_name]["type"])
        mapped |= {selector, value}
    assert mapped == slots(intents(model)[name]).keys(), f"{name} has unused slots"


@pytest.mark.parametrize(("name", "meaning"), DEVICE["intent"].items(), ids=DEVICE["intent"].keys())
def test_the_questions_are_those_of_the_device(name, meaning):
    # The prompts in device.toml are in the language of the first locale.
    model = MODELS["en-US"]
    dialog = {dialog["name"]: dialog for dialog in model["dialog"]["intents"]}
    if "confirm" in meaning:
        assert said(model, dialog[name]["prompts"]["confirmation"]) == [meaning["confirm"]]
    arguments = DEVICE["command"].get(meaning.get("command"), {})
    with_default = {slot for arg, slot in meaning.get("args", {}).items() if "default" in arguments[arg]}
    for slot, question in meaning.get("ask", {}).items():
        (asked,) = (s for s in dialog[name]["slots"] if s["name"] == slot)
        # A slot with a default need not be spoken, so Alexa must not require it.
        assert asked["elicitationRequired"] == (slot not in with_default)
        if asked["elicitationRequired"]:
            assert said(model, asked["prompts"]["elicitation"]) == [question]


# Example utterances.


def heard_as(model, phrase):
    """The intents with a sample that matches a phrase, word for word."""

    def pattern(intent, sample):
        parts = []
        for part in re.split(r"(\{\w+\})", sample):
            if not part.startswith("{"):
                parts.append(re.escape(part))
            elif (kind := slots(intent)[part[1:-1]]) == "AMAZON.NUMBER":
                parts.append(NUMBER)
            else:
                words = [word for value in types(model)[kind] for word in spoken(value)]
                parts.append("(?:" + "|".join(map(re.escape, words)) + ")")
        return "".join(parts)

    return {
        name
        for name, intent in intents(model).items()
        if any(re.fullmatch(pattern(intent, sample), phrase) for sample in intent["samples"])
    }


def request_of(model, phrase):
    """The rest of a whole sentence after the invocation of the skill; None for a launch."""
    invocation = re.escape(model["languageModel"]["invocationName"])
    opened = re.fullmatch(rf"alexa, (?:open|start|launch) {invocation}", phrase.lower())
    asked = re.fullmatch(rf"alexa, (?:ask|tell) {invocation} (?:to |for |about )?(.+)", phrase.lower())
    assert opened or asked, f"{phrase!r} does not contain the invocation name"
    return asked and asked.group(1)


@pytest.mark.parametrize(
    ("phrase", "intent"),
    [
        ("print a vase", "PrintIntent"),
        ("print three vases", "PrintIntent"),
        ("print a benchy boat", "PrintIntent"),
        ("pause", "PauseIntent"),
        ("resume", "ResumeIntent"),
        ("cancel the print", "CancelPrintIntent"),
        ("turn the printer off", "SetPowerIntent"),
        ("set the nozzle to two hundred degrees", "SetTemperatureIntent"),
        ("set the bed to sixty", "SetTemperatureIntent"),
        ("the status", "StatusIntent"),
        ("what it is doing", "StatusIntent"),
        ("send my certificate again", "SendCertificateIntent"),
        ("forget me", "ForgetMeIntent"),
        ("delete my data", "ForgetMeIntent"),
        ("delete my account", "ForgetMeIntent"),
        ("give me a code", "GiveCodeIntent"),
        ("a code for my printer", "GiveCodeIntent"),
        ("register a device", "GiveCodeIntent"),
        ("is my printer connected", "ConnectionIntent"),
        ("is it online", "ConnectionIntent"),
        ("whether my device is connected", "ConnectionIntent"),
        ("when was it last seen", "ConnectionIntent"),
    ],
)
def test_every_example_utterance_has_one_intent(phrase, intent):
    assert heard_as(MODELS["en-US"], phrase) == {intent}


# The manifest.


def test_the_package_has_a_model_for_every_language_of_the_manifest():
    assert MANIFEST["manifestVersion"] == "1.0"
    offered = MANIFEST["publishingInformation"]["locales"].keys()
    assert offered == MODELS.keys()
    assert MANIFEST["privacyAndCompliance"]["locales"].keys() == offered


@pytest.mark.parametrize("locale", MODELS.keys())
def test_the_store_page_is_complete_and_within_its_limits(locale):
    page = MANIFEST["publishingInformation"]["locales"][locale]
    assert 2 <= len(page["name"]) <= 50
    assert 0 < len(page["summary"]) <= 160
    assert 0 < len(page["description"]) <= 4000
    assert 0 < len(page["keywords"]) <= 30
    privacy = MANIFEST["privacyAndCompliance"]
    for address in privacy["locales"][locale].values():
        assert address.startswith("https://")
    # Name and address are needed by every profile.
    assert privacy["usesPersonalInfo"] is True
    assert privacy["isExportCompliant"] is True
    assert MANIFEST["publishingInformation"]["testingInstructions"]


@pytest.mark.parametrize("locale", MODELS.keys())
def test_the_example_phrases_work(locale):
    phrases = MANIFEST["publishingInformation"]["locales"][locale]["examplePhrases"]
    assert 1 <= len(phrases) <= 3
    for phrase in phrases:
        request = request_of(MODELS[locale], phrase)
        assert request is None or len(heard_as(MODELS[locale], request)) == 1, phrase


@pytest.mark.parametrize("locale", MODELS.keys())
def test_the_phrases_of_the_store_page_and_the_testing_instructions_work(locale):
    publishing = MANIFEST["publishingInformation"]
    text = publishing["locales"][locale]["description"] + publishing["testingInstructions"]
    phrases = re.findall(r'"(Alexa, [^"]+)"', text)
    assert len(phrases) >= 5
    for phrase in phrases:
        request = request_of(MODELS[locale], phrase)
        assert request is None or len(heard_as(MODELS[locale], request)) == 1, phrase


@pytest.mark.parametrize("locale", MODELS.keys())
def test_the_store_page_says_for_how_long_an_identity_is_kept(locale):
    days = template()["Parameters"]["RetentionDays"]["Default"]
    assert f"after {days} days" in MANIFEST["publishingInformation"]["locales"][locale]["description"]


@pytest.mark.parametrize("locale", MODELS.keys())
@pytest.mark.parametrize(("key", "side"), [("smallIconUri", 108), ("largeIconUri", 512)])
def test_the_icons_are_png_files_of_the_right_size(locale, key, side):
    uri = MANIFEST["publishingInformation"]["locales"][locale][key]
    assert uri.startswith("file://assets/")
    data = (PACKAGE / uri.removeprefix("file://")).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[12:16] == b"IHDR"
    assert struct.unpack(">II", data[16:24]) == (side, side)


def test_requests_and_events_go_to_the_function():
    assert MANIFEST["apis"]["custom"]["endpoint"] == {"uri": "${FUNCTION_ARN}"}
    assert MANIFEST["events"]["endpoint"] == {"uri": "${FUNCTION_ARN}"}
    assert {s["eventName"] for s in MANIFEST["events"]["subscriptions"]} == {
        "SKILL_ENABLED",
        "SKILL_DISABLED",
        "SKILL_ACCOUNT_LINKED",
    }
    # The profile comes from account linking, so the skill needs no Alexa permission for it.
    assert MANIFEST["permissions"] == []


def test_owners_sign_in_with_amazon_before_anything_else_and_no_secret_is_kept_here():
    request = json.loads((PACKAGE / "accountLinking.json").read_text())["accountLinkingRequest"]
    assert request == {
        "type": "AUTH_CODE",
        "authorizationUrl": "https://www.amazon.com/ap/oa",
        "accessTokenUrl": "https://api.amazon.com/auth/o2/token",
        "accessTokenScheme": "HTTP_BASIC",
        "clientId": "${LWA_CLIENT_ID}",
        "clientSecret": "${LWA_CLIENT_SECRET}",
        "scopes": ["profile"],
        # The skill needs an account, so it cannot be enabled without linking.
        "skipOnEnablement": False,
    }


def test_the_ask_cli_deploys_the_package_and_no_code():
    resources = json.loads((ROOT / "ask-resources.json").read_text())
    assert resources["askcliResourcesVersion"] == "2020-03-31"
    # infra/deploy deploys the code.
    (profile,) = resources["profiles"].values()
    assert profile == {"skillMetadata": {"src": "./skill-package"}}
