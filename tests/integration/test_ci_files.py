"""The CI wrappers: valid, and as thin as they claim to be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from aksci.cli.sessions import SESSIONS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
WRAPPERS = [*WORKFLOWS, *sorted(ROOT.glob("azure-pipelines*.yml"))]
OURS = {*SESSIONS, "check", "image", "package", "tryout", "upload"}


def _scripts(node):
    """Find every script in a workflow or a pipeline."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"run", "bash", "script", "inlineScript"} and isinstance(value, str):
                yield value
            else:
                yield from _scripts(value)
    elif isinstance(node, list):
        for item in node:
            yield from _scripts(item)


def test_actionlint_finds_nothing_in_the_workflows(toolbox):
    argv = [toolbox.ensure("actionlint"), "-no-color", "-shellcheck=", "-pyflakes=", *WORKFLOWS]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("path", WRAPPERS, ids=lambda path: path.name)
def test_a_wrapper_has_no_logic_of_its_own(path):
    scripts = list(_scripts(yaml.safe_load(path.read_text())))
    assert scripts
    for script in scripts:
        assert len(script.strip().splitlines()) == 1, script
        sessions = re.search(r"\./dev -s ((?:[a-z]+ ?)+)", script)
        assert sessions, script
        assert set(sessions[1].split()) <= OURS


def test_nothing_is_signed_or_published_before_all_is_checked_and_tried():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]

    def before(name):
        needs = jobs[name].get("needs", [])
        names = [needs] if isinstance(needs, str) else needs
        return {*names, *(each for one in names for each in before(one))}

    able = {name for name, job in jobs.items() if "id-token" in job["permissions"]}
    assert able == {"attest", "publish", "image"}
    for name in able:
        assert {"check", "package", "tryout"} <= before(name)
    assert {name for name in able if "environment" in jobs[name]} == {"publish", "image"}


def test_what_was_tried_is_what_is_attested_and_published():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    fetched = {
        name: step["with"]
        for name, job in jobs.items()
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/download-artifact@")
    }
    assert {*fetched} == {"tryout", "attest", "publish"}
    # An artifact's name is whatever another job of the run uploads under it last; its id is one.
    assert jobs["package"]["outputs"] == {"dist": "${{ steps.dist.outputs.artifact-id }}"}
    for name, given in fetched.items():
        assert given["artifact-ids"] == "${{ needs.package.outputs.dist }}"
        assert "name" not in given
        assert "package" in jobs[name]["needs"]
