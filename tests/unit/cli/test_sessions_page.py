"""docs/sessions.md says what the table of sessions says: run this file to write it anew."""

from __future__ import annotations

import re
from pathlib import Path

from aksci.cli.sessions import SESSIONS
from aksci.cli.usage import session_usage, sessions_usage, status_meanings

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/sessions.md"
MARK = "<!-- What follows is written by tests/unit/cli/test_sessions_page.py from the tables. -->\n"


def tables():
    """Return the part of the page that is derived."""
    statuses = "\n".join(f"| {one} | {text} |" for one, text in status_meanings().items())
    sessions = "\n".join(
        f"### {spec.name}\n\n```\n{session_usage(spec)}```\n" for spec in SESSIONS.values()
    )
    return (
        f"{MARK}\n## Exit statuses\n\n| status | meaning |\n| --- | --- |\n{statuses}\n\n"
        f"## All sessions\n\n```\n{sessions_usage()}```\n\n{sessions}"
    )


def test_the_page_is_what_the_tables_say():
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(MARK)[1:] == tables().partition(MARK)[1:], f"python {__file__}"


def test_the_readme_names_every_session():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("| session | does |")[2].partition("\n\n")[0]
    named = [
        name
        for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`([a-z-]+)`", cell)
    ]
    assert sorted(named) == sorted(SESSIONS)


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(before + tables(), encoding="utf-8")
