"""The programs of `examples/`, as their first comment says to run them."""

import subprocess

from conftest import built
from home import Owner


def test_a_program_that_embeds_the_agent_connects(hub):
    bundle = Owner(hub).links().mail()
    program = built("ONETHING_EMBEDDING_EXAMPLE", "examples/embedding-the-agent")
    done = subprocess.run([program, bundle, "--once"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "connected", done.stdout + done.stderr


def test_a_program_that_calls_the_skill_gets_its_responses(binary):
    done = subprocess.run([built("ONETHING_CALLING_EXAMPLE", "examples/calling-the-skill")], capture_output=True, text=True, timeout=60)
    spoken = [line for line in done.stdout.splitlines() if line.startswith("Alexa: ")]
    assert done.returncode == 0 and len(spoken) == 3, done.stdout + done.stderr
    assert "please link your Amazon account" in spoken[0] and "Printing 1 vase." in spoken[2], spoken
