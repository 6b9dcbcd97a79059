"""What goes to stdout is data, whatever it quotes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from aksci.core.text import safe_json


@given(st.text(alphabet="#vso[]:\n\r\x1b% a\u2028") | st.just("##vso[x]"))
def test_json_holds_no_command_of_a_ci_system_and_says_the_same(text):
    document = {text: [text]}
    shown = safe_json(document)
    assert "##" not in shown
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert "\x1b" not in shown
    assert json.loads(shown) == document
