""".ci/steps: the summary of a run has the seconds of each step, and names a step that failed."""

import re
import subprocess

from stack import ROOT


def run(tmp_path, script):
    """Runs a script of steps. Returns the finished process and the rows of the summary: the outcome and the name of
    each step."""
    begin = f"set -euo pipefail; cd {tmp_path}; source {ROOT}/.ci/steps; "
    done = subprocess.run(["bash", "-c", begin + script], capture_output=True, text=True, timeout=60)
    summary = done.stdout.partition("== summary\n")[2]
    rows = re.findall(r"^ *\d+s  (\w+) +(.+)$", summary, re.MULTILINE)
    assert len(rows) == len(summary.splitlines()), summary
    return done, rows


def test_the_summary_has_every_step_with_its_seconds(tmp_path):
    done, rows = run(tmp_path, 'step "one"; true; step "two"; true')
    assert (done.returncode, rows) == (0, [("ok", "one"), ("ok", "two"), ("ok", "in all")])


def test_the_summary_names_a_failed_step(tmp_path):
    done, rows = run(tmp_path, 'step "one"; step "two"; false; step "three"')
    assert (done.returncode, rows) == (1, [("ok", "one"), ("FAILED", "two"), ("FAILED", "in all")])


def test_background_commands_are_in_the_summary_and_their_failure_ends_the_run(tmp_path):
    good = 'step "one"; beside "lints" echo "no lint"; together; step "two"; true'
    done, rows = run(tmp_path, good)
    assert (done.returncode, rows) == (0, [("ok", "lints (beside)"), ("ok", "one"), ("ok", "two"), ("ok", "in all")])
    assert "no lint" in done.stdout
    bad = 'first() { echo "a lint"; false; echo "never"; }; step "one"; beside "lints" first; together; step "two"'
    done, rows = run(tmp_path, bad)
    assert (done.returncode, rows) == (1, [("FAILED", "lints (beside)"), ("FAILED", "one"), ("FAILED", "in all")])
    assert "a lint" in done.stdout and "never" not in done.stdout


def test_every_step_of_ci_is_in_the_summary(tmp_path):
    text = (ROOT / ".ci" / "run").read_text()
    assert "source .ci/steps" in text
    assert "SECONDS)" not in text, "only .ci/steps counts seconds"
