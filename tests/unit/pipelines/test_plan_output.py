"""What goes to stdout is data, whatever it quotes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.cli.options import Options
from aksci.core.errors import UsageError
from aksci.core.text import safe_json
from aksci.pipelines.output import renderer_of


@given(st.text(alphabet="#vso[]:\n\r\x1b% a\u2028") | st.just("##vso[x]"))
def test_json_holds_no_command_of_a_ci_system_and_says_the_same(text):
    document = {text: [text]}
    shown = safe_json(document)
    assert "##" not in shown
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert "\x1b" not in shown
    assert json.loads(shown) == document


def test_a_format_that_a_session_does_not_know_is_refused():
    table = {"text": 1, "json": 2}
    assert renderer_of("why", Options(format="json"), table) == 2
    with pytest.raises(UsageError, match=r"why can't be shown as 'dot'; it takes .* text, json\."):
        renderer_of("why", Options(format="dot"), table)
