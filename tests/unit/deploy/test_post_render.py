"""What comes back to Helm are the values that were checked, which all readers read alike."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import ConfigError, TrustError
from aksci.core.strict_yaml import parse_yaml
from aksci.deploy.targets.post_render import PLUGIN, raise_refusal, rewrite, write_plugin

OURS = "localhost:5000/shop/web@sha256:" + "1" * 64
POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: '%s'}]}\n"
)


def checked(text):
    return rewrite(text, service="web", namespace="shop", allowed={OURS})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(), each, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_what_is_written_is_what_was_checked(value):
    document = {"kind": "ConfigMap", "apiVersion": "v1", "data": value}
    text = checked(yaml.safe_dump(document, default_style='"'))
    assert parse_yaml(text) == [document]
    assert text.splitlines()[0] == "# checked"
    assert len(text.split("\n")) == 4  # no value breaks a line


def test_numbers_are_written_as_go_writes_them_and_words_stay_words():
    text = checked(
        "kind: ConfigMap\na: 1e3\nb: 0644\nc: on\nd: 'on'\ne: 2001-01-01\nf: 1.5\ng: 1e300"
    )
    written = json.loads(text.split("---\n")[1])
    assert (
        json.dumps(list(written.values())[1:])
        == '[1000, 420, true, "on", "2001-01-01", 1.5, 1e+300]'
    )


def test_nothing_is_written_as_something_that_helm_does_not_take_for_a_failure():
    assert checked("") == checked("# nothing\n") == "# checked\n"


@pytest.fixture
def render(tmp_path):
    """The process that Helm starts, in a working directory of an attacker's."""
    (tmp_path / "plugins").mkdir()
    write_plugin(tmp_path / "plugins", service="web", namespace="shop", allowed={OURS})
    here = tmp_path / "here"
    (here / "aksci").mkdir(parents=True)
    for name in ("aksci/__init__.py", "yaml.py", "json.py"):
        (here / name).write_text("raise SystemExit('planted')")

    def run(text):
        script = tmp_path / "plugins" / PLUGIN / "run.sh"
        return subprocess.run(
            ["sh", script], input=text.encode(), cwd=here, capture_output=True, check=False
        )

    return run


def test_helm_s_process_answers_with_what_was_checked_and_runs_nothing_of_the_project(
    render, tmp_path
):
    result = render(POD % OURS)
    assert (result.returncode, result.stderr) == (0, b"")
    assert parse_yaml(result.stdout) == parse_yaml(POD % OURS)
    raise_refusal(tmp_path / "plugins")


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        (POD % "nginx:1", TrustError, "nginx:1"),
        (POD % OURS + "kind: Pod", ConfigError, "a key is there twice"),
        (
            (POD % OURS).replace("name: a", "name: a, namespace: b"),
            ConfigError,
            "another namespace",
        ),
        ("- a", ConfigError, "no object"),
    ],
)
def test_a_refusal_leaves_helm_with_nothing_and_is_told_as_what_it_is(
    render, tmp_path, text, error, reason
):
    result = render(text)
    assert (result.returncode, result.stdout) == (1, b"")
    with pytest.raises(error, match=reason) as found:
        raise_refusal(tmp_path / "plugins")
    assert type(found.value) is error
