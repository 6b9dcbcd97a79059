"""Secrets of the environment are hidden from the first line on, wherever a text quotes them."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest

from aksci.ci.choose import choose_reporter
from aksci.core.process import Runner
from aksci.core.secret import Concealer
from aksci.core.secret_variables import secret_values
from aksci.core.text import escape_markdown
from aksci.environment import Environment

CANARY = "ca%na_ry/c0ff'ee+12\"34"
DIALECTS = [{}, {"GITHUB_ACTIONS": "true"}, {"TF_BUILD": "True"}]
TOML = 'schema = 1\n[project]\nname = "shop"\n[discover]\ndockerfiles = ["*/Dockerfile"]\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "aksci.toml").write_text(TOML)
    return tmp_path


def aksci(folder, *words, **variables):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    return subprocess.run(
        [sys.executable, "-m", "aksci", "-C", str(folder), *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["COSIGN_PASSWORD", "GITHUB_TOKEN", "NPM"])
def test_no_error_quotes_a_secret(folder, dialect, name):
    (folder / "aksci.toml").write_text(TOML + '[build.secrets.npm]\nenv = "NPM"\n')
    done = aksci(folder, "plan", "--env", CANARY, **{name: CANARY}, **dialect)
    said = done.stdout + done.stderr
    assert done.returncode == 3
    assert "there is no environment '***'" in said.replace('"***"', "'***'")
    assert not any(form in said for form in ("ca%na", "ca%25na", "ca%AZP25na", "c0ff"))


def test_no_run_record_quotes_a_secret(folder):
    (folder / "aksci.toml").write_text(
        TOML.replace("dockerfiles", "compose").replace("*/Dockerfile", "c0ffee-12345.yaml")
    )
    done = aksci(folder, "build", COSIGN_PASSWORD="c0ffee-12345")
    assert done.returncode == 3
    (record,) = (folder / ".aksci/runs").glob("*.json")
    assert "***.yaml" in json.loads(record.read_text())["error"]
    found = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert sum("c0ffee-12345" in text for text in found) == 1, "aksci.toml itself"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_a_reporter_is_told_is_hidden_and_no_command_tells_it(dialect):
    stream = io.StringIO()
    reporter = choose_reporter({"GITHUB_TOKEN": CANARY, **dialect}, stream)
    assert stream.getvalue() == "", "masks would be lines that hold the secret"
    for tell in (reporter.line, reporter.warning, reporter.error):
        tell(f"a {CANARY} b")
    with reporter.group(CANARY):
        reporter.line(quote(CANARY, safe=""))
    task = reporter.task(f"t {CANARY}")
    task.step(CANARY)
    task.line(CANARY)
    task.warning(CANARY)
    task.done(CANARY)
    assert "c0ff" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 6


@pytest.mark.parametrize(("dialect", "key"), [(DIALECTS[1], "GITHUB_STEP_SUMMARY"),
                                              (DIALECTS[2], "AGENT_TEMPDIRECTORY")])  # fmt: skip
def test_a_summary_hides_it_too(tmp_path, dialect, key):
    place = tmp_path / "summary.md" if key == "GITHUB_STEP_SUMMARY" else tmp_path
    reporter = choose_reporter({"GITHUB_TOKEN": CANARY, key: str(place), **dialect}, io.StringIO())
    reporter.summary(f"plain {CANARY}, escaped {escape_markdown(CANARY)}")
    (written,) = (path.read_text() for path in tmp_path.iterdir())
    assert written == "plain ***, escaped ***\n"


def test_a_mask_of_a_value_that_is_hidden_already_reaches_the_ci_system_whole():
    stream = io.StringIO()
    reporter = choose_reporter({"GITHUB_ACTIONS": "true", "MY_TOKEN": "c0ffee-12345"}, stream)
    reporter.mask("c0ffee-12345")
    assert stream.getvalue() == "::add-mask::c0ffee-12345\n"


@pytest.mark.parametrize(
    "form",
    [
        str,
        lambda text: quote(text, safe=""),
        quote,
        quote_plus,
        lambda text: json.dumps(text)[1:-1],
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(f"user:{text}:x".encode()).decode(),
        lambda text: base64.urlsafe_b64encode(f"ab{text}".encode()).decode(),
    ],
)
def test_however_a_program_spells_a_secret_it_is_hidden(form):
    concealer = Concealer()
    concealer.learn(CANARY)
    shown = concealer.hide(f"before {form(CANARY)} after")
    assert "***" in shown
    assert form(CANARY)[4:-4] not in shown
    assert CANARY in concealer
    assert CANARY not in repr(concealer)


def test_each_line_of_a_key_is_hidden():
    concealer = Concealer()
    concealer.learn("-----BEGIN-----\nMIIEvQIBADANBg\nabc\n-----END-----")
    assert concealer.hide("key: MIIEvQIBADANBg, abc") == "key: ***, abc"


def test_what_is_hidden_is_told_by_names_and_values_and_short_words_stay_readable():
    hidden = set(
        secret_values(
            {
                "GITHUB_TOKEN": "c0ffee-12345",
                "PROXY": "http://user:pass-word@proxy:3128",
                "CERT": "-----BEGIN PRIVATE KEY-----\nx",
                "SORT_KEY": "name",
                "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/token",
                "ACTIONS_ID_TOKEN_REQUEST_URL": "https://vstoken.example/x",
                "KEY_ID": "1234567890",
                "TAG": "something-long",
            }
        )
    )
    assert hidden == {"c0ffee-12345", "pass-word", "-----BEGIN PRIVATE KEY-----\nx"}


def test_programs_get_no_secret_of_akscis_and_keep_what_logs_them_in(folder):
    (folder / "aksci.toml").write_text(
        TOML + '[build.secrets.npm]\nenv = "NPM"\n[build.secrets.az]\nenv = "AZURE_CLIENT_SECRET"\n'
    )
    variables = {
        "PATH": os.environ["PATH"],
        "COSIGN_PASSWORD": CANARY,
        "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": CANARY,
        "AKSCI_WEBHOOK_SECRET": CANARY,
        "NPM": CANARY,
        "AZURE_CLIENT_SECRET": "login",
        "AKSCI_RUN_ID": "7",
        "GITHUB_TOKEN": "login",
    }
    with Environment.open(root=folder, variables=variables) as env:
        shown = env.runner.run(["env"]).stdout
        assert {line.partition("=")[0] for line in shown.splitlines()} == {
            "PATH", "AZURE_CLIENT_SECRET", "AKSCI_RUN_ID", "GITHUB_TOKEN"
        }  # fmt: skip
        assert dict(env.toolbox.variables).keys() == env.runner.environment.keys()
        assert env.variables == variables, "steps read their own secrets"
        # Handed over by a call, it arrives.
        given = env.runner.run(["env"], env={"COSIGN_PASSWORD": env.variables["COSIGN_PASSWORD"]})
        assert "COSIGN_PASSWORD" in given.stdout


def test_a_runner_that_is_handed_in_hides_and_withholds_the_same(folder):
    lines = []
    runner = Runner(
        environment={"PATH": os.environ["PATH"], "COSIGN_PASSWORD": CANARY}, log=lines.append
    )
    with Environment.open(root=folder, variables={"COSIGN_PASSWORD": CANARY}, runner=runner) as env:
        env.runner.run(["true", CANARY, f"--x={quote(CANARY, safe='')}"])
        assert env.runner.run(["env"]).stdout == f"PATH={os.environ['PATH']}\n"
    assert "c0ff" not in "".join(lines)
