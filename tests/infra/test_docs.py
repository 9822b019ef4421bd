"""README, CONTRIBUTING and the book: every link resolves, every page is in the summary, the commands have the
options that the pages use, and the reference lists every variable, cause and metric of the code."""

import json
import re
import shlex
import subprocess
import tomllib
from functools import cache

import pytest
import yaml

from stack import ROOT
from test_skill_package import MODELS, heard_as, request_of

BOOK = ROOT / "docs" / "src"
SUMMARY = BOOK / "SUMMARY.md"
FRONT = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CODE_OF_CONDUCT.md"]
PAGES = [*FRONT, *sorted(BOOK.rglob("*.md"))]
COMMAND_LINES = BOOK / "reference" / "command-lines.md"
FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def page(name):
    return (BOOK / name).read_text()


@cache
def prose(path):
    """A page without its code blocks and comments."""
    text = FENCE.sub("", path.read_text())
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def links(path):
    """The targets of the links and pictures of a page. Inline code contains no links."""
    text = re.sub(r"`[^`\n]*`", "code", prose(path))
    yield from (target for target in re.findall(r"\]\(([^)\s]+)\)", text))
    yield from re.findall(r'(?:src|href)="([^"]+)"', text)


@cache
def anchors(path):
    """The ids of the headings of a page, as mdBook and GitHub generate them."""
    seen, ids = {}, set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(path), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        name = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words))
        count = seen.get(name, 0)
        seen[name] = count + 1
        ids.add(f"{name}-{count}" if count else name)
    return ids


def blocks(path):
    """Language and text of every code block."""
    return [(language.strip(), text) for _, language, text in FENCE.findall(path.read_text())]


def names(text):
    """All words in the inline code of a text."""
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", " ".join(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))))


@cache
def sources(*folders):
    """The sources of the programs, file by file, without their tests."""
    return [*source_files(*folders)]


def source_files(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.rs")):
            if not re.search(r"tests?\.rs$", path.name) and "tests" not in path.parts:
                yield path.read_text().split("\n#[cfg(test)]\nmod tests")[0]


def body(source, start):
    """The block in braces that begins after `start`."""
    depth, begin = 0, source.index("{", start)
    for at in range(begin, len(source)):
        depth += {"{": 1, "}": -1}.get(source[at], 0)
        if depth == 0:
            return source[begin:at]
    raise AssertionError("a block without a closing brace")


# Links and pages.


@every_page
def test_every_relative_link_and_anchor_resolves(page):
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists():
            broken.append(link)
        elif anchor and anchor not in anchors(file):
            broken.append(link)
        elif BOOK in page.parents and BOOK not in [file, *file.parents]:
            broken.append(f"{link}: the built book does not have this file")
    assert broken == []


PATHS = re.compile(r"`((?:src|hub|device|tests|infra|docs|fuzz|examples|bench|skill-package|\.ci|release)/[\w./*-]*)[^`]*`")


@every_page
def test_every_file_that_a_page_names_exists(page):
    named = {path for path in PATHS.findall(prose(page)) if "*" not in path}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("folder", ["src", "hub/src", "device/src"])
def test_the_maps_of_the_architecture_are_the_sources(folder):
    """Every folder and file at the top of a source folder has a line in its map, and each line has a folder or file."""
    [section] = [text[len(folder) + 2 :] for _, text in blocks(BOOK / "explanations" / "architecture.md") if text.startswith(f"{folder}/\n")]
    mapped = {name for line in re.findall(r"^  (\S.*?)(?:  |$)", section, re.MULTILINE) for name in line.rstrip().split(", ")}
    present = {path.name + "/" * path.is_dir() for path in (ROOT / folder).iterdir()} - {"lib.rs", "roots/", "scripted_server.rs"}
    assert mapped == {name for name in present if not name.endswith("_tests.rs")}


def test_the_check_of_links_finds_links_and_anchors():
    found = [link for page in PAGES for link in links(page)]
    assert len(found) > 100 and sum("#" in link for link in found) > 20
    assert "onething-hub-policy-check" in anchors(COMMAND_LINES)


@every_page
def test_every_included_file_exists(page):
    for file, anchor in re.findall(r"\{\{#include ([^:}\s]+)(?::([\w-]+))?\}\}", page.read_text()):
        text = (page.parent / file).resolve().read_text()
        assert not anchor or (f"ANCHOR: {anchor} " in text and f"ANCHOR_END: {anchor} " in text)


def test_every_page_is_in_the_summary_once():
    listed = [link.partition("#")[0] for link in links(SUMMARY)]
    pages = sorted(str(path.relative_to(BOOK)) for path in BOOK.rglob("*.md") if path != SUMMARY)
    assert sorted(listed) == pages


@every_page
def test_every_page_has_one_title(page):
    assert page == SUMMARY or len(re.findall(r"^# ", prose(page), re.MULTILINE)) == 1


def test_the_book_has_a_configuration():
    assert tomllib.loads((ROOT / "docs" / "book.toml").read_text())["book"]["src"] == "src"


def test_the_issue_forms_are_valid():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) >= 3
    for path in forms:
        form = yaml.safe_load(path.read_text())
        if path.name == "config.yml":
            assert "blank_issues_enabled" in form
            continue
        assert form["name"] and form["description"]
        ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
        assert ids and len(ids) == len(set(ids))
        assert all(field["attributes"] for field in form["body"])


# The README.


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_the_readme_has_the_two_commands_and_ci_runs_them():
    commands = [line.partition("#")[0].strip() for line in blocks(ROOT / "README.md")[1][1].splitlines()]
    assert commands == ["cargo run -p onething-hub", "cargo test --workspace"]
    first = (ROOT / ".ci" / "first-command").read_text()
    assert re.search(r"cargo run (--quiet )?-p onething-hub\b", first)
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert ".ci/first-command" in lines and "cargo test --workspace" in lines


def test_the_tutorial_begins_with_the_first_command():
    assert blocks(BOOK / "tutorial.md")[0] == ("sh", "cargo run -p onething-hub\n")


# Commands.


@cache
def synopses():
    """The options of each command on the generated page."""
    commands = {}
    for heading, text in re.findall(r"^##+ (onething-\S+(?: \S+)*)\n\n```text\n(.*?)```", COMMAND_LINES.read_text(), re.MULTILINE | re.DOTALL):
        commands[tuple(heading.split())] = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.MULTILINE))
    return commands


def uses(path):
    """The command lines of the hub and the agent in the blocks of a page, split into words."""
    for language, text in blocks(path):
        if language not in ("", "sh") or path == COMMAND_LINES:
            continue
        for line in re.sub(r"\\\n\s*", "", text).splitlines():
            line = re.sub(r"cargo run (?:--quiet )?-p (onething-\w+)(?: --(?= |$))?", r"\1", line)
            match = re.search(r"(?:^|\s)((?:\S*/)?onething-(?:hub|device)(?: .*)?)$", line.partition("  #")[0].rstrip())
            if match and not re.search(r"(build|test|install|journalctl|target|zigbuild)\b[^|]*onething-", line):
                words = shlex.split(match[1].split(" | ")[0], comments=True)
                yield [words[0].rpartition("/")[2], *words[1:]]


@every_page
def test_every_command_of_a_page_exists_with_its_options(page):
    commands = synopses()
    for words in uses(page):
        path = (words[0],)
        while len(path) < len(words) and (*path, words[len(path)]) in commands:
            path = (*path, words[len(path)])
        options = commands[path]
        assert len(path) > 1 or len(words) == 1 or words[1].startswith("--"), words
        for word in words[len(path) :]:
            name = word.partition("=")[0]
            # The options of all commands are on the first page of the agent.
            assert not name.startswith("--") or name in options or name in commands[path[:1]], (words, name)


def test_the_check_of_commands_finds_commands():
    found = [words for page in PAGES for words in uses(page)]
    assert len(found) > 15
    assert ["onething-hub", "say", "--as", "ben", "ask my printer to print a vase"] in found
    assert {"--thing", "--action", "--on"} <= synopses()[("onething-hub", "policy", "check")]


def spoken():
    """The sentences to the printer in README and book: in quotes, or after `say`."""
    for path in PAGES:
        text = " ".join(re.sub(r'\bsay "', 'say "Alexa, ', path.read_text()).split())
        for phrase in re.findall(r'"((?:Alexa, )?(?:[Oo]pen|[Aa]sk) my printer[^"…]*?)[.!?]?"', text):
            yield f"Alexa, {phrase.removeprefix('Alexa, ')}"


def test_every_sentence_to_the_printer_is_understood_in_one_way():
    phrases = set(spoken())
    assert len(phrases) >= 5
    for phrase in phrases:
        asked = request_of(MODELS["en-US"], phrase)
        assert asked is None or len(heard_as(MODELS["en-US"], asked)) == 1, phrase


def fake_program(folder, name, texts):
    """Writes a program that prints a text for each `… --help`."""
    cases = "\n".join(f"  '{arguments}') cat <<'END'\n{text}END\n  ;;" for arguments, text in texts.items())
    path = folder / name
    path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\n  *) exit 1 ;;\nesac\n')
    path.chmod(0o755)


def test_the_page_of_command_lines_has_every_command_and_the_check_finds_a_difference(tmp_path):
    front = "A program.\n\nUsage: x <COMMAND>\n\nCommands:\n  go      Goes,\n          and comes\n  help    Print this\n\nOptions:\n  -h, --help\n"
    go = "Goes.\n\nUsage: go\n\nCommands:\n  far  Far\n\nOptions:\n      --now\n"
    for name in ("onething-hub", "onething-device"):
        fake_program(tmp_path, name, {"--help": front, "go --help": go, "go far --help": "Far.\n"})
    written = tmp_path / "page.md"

    def run(*arguments):
        command = [ROOT / "docs" / "command-lines", "--binaries", tmp_path, "--page", written, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run("--check").returncode == 1
    assert run().returncode == 0 and run("--check").returncode == 0
    headings = re.findall(r"^##+ (.+)$", written.read_text(), re.MULTILINE)
    assert headings == [f"onething-{name}{rest}" for name in ("hub", "device") for rest in ("", " go", " go far")]
    fake_program(tmp_path, "onething-hub", {"--help": front, "go --help": go + "      --new\n", "go far --help": "Far.\n"})
    different = run("--check")
    assert different.returncode == 1 and "+      --new" in different.stderr


# The reference lists what the code has.


@cache
def causes():
    found = set()
    for source in sources("src", "hub/src"):
        found |= set(re.findall(r'\bcause = "([a-z_]+)"', source))
        for match in re.finditer(r"fn cause\(&self\) -> &'static str \{", source):
            found |= set(re.findall(r'"([a-z_]+)"', body(source, match.start())))
    return found


def test_every_cause_of_a_log_line_is_explained():
    rows = re.findall(r"^\| (`[^|]+) \|", page("guides/troubleshooting.md").partition("\n## Causes\n")[2], re.MULTILINE)
    explained = names(" ".join(rows))
    assert len(causes()) > 50
    assert causes() - explained == set()


def test_every_cause_that_is_explained_exists():
    text = "\n".join(sources("src", "hub/src"))
    rows = re.findall(r"^\| (`[^|]+) \|", page("guides/troubleshooting.md").partition("\n## Causes\n")[2], re.MULTILINE)
    assert [name for name in sorted(names(" ".join(rows))) if f'"{name}"' not in text] == []


def test_the_words_of_alexa_in_the_troubleshooting_are_those_of_the_skill():
    table = page("guides/troubleshooting.md").partition("\n## From the words to the cause\n")[2].partition("\n## ")[0]
    said = [quoted for row in re.findall(r"^\| (.+?) \|", table, re.MULTILINE) if "Alexa:" not in row for quoted in re.findall(r'"([^"]+)"', row)]
    (english,) = ROOT.glob("src/**/locales/en.rs")
    sentences = re.sub(r"\\\n\s*", "", english.read_text())
    assert len(said) > 20
    parts = [part.strip() for quoted in said for part in quoted.split("…") if len(part.strip()) > 3]
    assert [part for part in parts if part.replace("printer", "{device}") not in sentences] == []


def test_every_variable_of_the_function_is_explained():
    pattern = r'(?:variable|fault|mailbox)\(\s*"([A-Z][A-Z_]+)"|names = \[((?:"[A-Z_]+",? ?)+)\]'
    found = set()
    for path in [*(ROOT / "src").glob("config*"), *(ROOT / "src" / "config").glob("*.rs"), ROOT / "src" / "main.rs"]:
        if path.is_file() and not path.name.endswith("tests.rs"):
            source = path.read_text()
            found |= {name for one, several in re.findall(pattern, source) for name in [one, *re.findall(r"[A-Z_]+", several)] if name}
    assert {"SKILL_ID", "MAIL_FROM", "REGISTER_TERMS_FILE", "AWS_REGION"} <= found and len(found) > 22
    explained = names(page("reference/variables.md").partition("\n## Variables of the deployment\n")[0])
    assert found - explained == set()


def test_every_variable_of_the_hub_and_of_the_agent_is_explained():
    found = {name for source in sources("hub/src", "device/src") for name in re.findall(r'"(ONETHING_[A-Z_]+)"', source)}
    found |= set(re.findall(r"env: (ONETHING_[A-Z_]+)", COMMAND_LINES.read_text()))
    # A variable from the build script to the compiler is not for users.
    found -= {"ONETHING_BUILT_AT"}
    assert len(found) > 25
    assert found - names(page("reference/variables.md")) == set()


def test_every_variable_of_the_deployment_is_explained():
    usage = (ROOT / "infra" / "deploy").read_text().partition("<<'END'")[2].partition("\nEND\n")[0]
    found = set(re.findall(r"^  ([A-Z][A-Z_]+[A-Z])", usage, re.MULTILINE))
    assert len(found) > 15
    assert found - names(page("reference/variables.md")) == set()


def test_every_metric_is_explained():
    explained = names(page("reference/metrics.md"))
    function = set(re.findall(r'"([A-Z]\w+)", "(?:Count|Milliseconds)"|count\("([A-Z]\w+)"', (ROOT / "src" / "metrics.rs").read_text()))
    function = {name for pair in function for name in pair if name}
    hub = {name for source in sources("hub/src") for name in re.findall(r'"(onething_[a-z_]+)"', source)} - {"onething_device", "onething_hub"}
    template = (ROOT / "infra" / "template.yaml").read_text()
    stack = set(re.findall(r"MetricNamespace: .*\n\s+MetricName: (\w+)", template))
    assert len(function) >= 12 and len(hub) >= 20 and stack
    assert (function | hub | stack) - explained == set()


def test_every_reason_of_a_refusal_is_explained():
    found = set()
    for source in sources("hub/src/mqtt", "hub/src/policy"):
        for match in re.finditer(r"pub fn name\(self\) -> &'static str \{", source):
            found |= set(re.findall(r'=> "([a-z_]+)"', body(source, match.start())))
    assert len(found) > 25
    assert found - names(page("reference/mqtt.md")) == set()


def test_every_problem_of_a_registration_is_explained():
    document = json.loads((ROOT / "docs" / "register.openapi.json").read_text())
    found = set()

    def walk(value, name):
        if isinstance(value, dict):
            if name == "cause":
                found.update(value.get("enum", [value["const"]] if "const" in value else []))
            for key, inner in value.items():
                walk(inner, key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, name)

    walk(document, None)
    assert len(found) > 15
    assert found - names(page("reference/registration.md")) == set()


def test_every_key_of_a_device_model_is_explained():
    source = (ROOT / "device.toml").read_text()
    active = tomllib.loads(source)
    found = {key for table in [active["device"], *active["property"].values(), *active["intent"].values()] for key in table}
    found |= set(re.findall(r"^#?(\w+) = ", source, re.MULTILINE))
    assert {"simulates", "written_by", "set_one", "words", "gpio", "every"} <= found
    assert found - names(page("reference/device-model.md")) == set()


def test_every_address_of_the_hub_is_explained():
    found = {address for source in sources("hub/src/web") for address in re.findall(r'\.route\("(/[^"]*)"', source)}
    assert len(found) > 20
    text = page("reference/http.md")
    missing = [address for address in sorted(found) if address.partition("/{")[0] not in text]
    assert missing == []
