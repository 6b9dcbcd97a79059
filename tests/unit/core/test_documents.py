"""Documents of our own are of their shape, or an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from aksci.core.strict_json import read_document


@dataclass(frozen=True, kw_only=True)
class Service:
    revision: int
    workloads: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Record:
    schema: Literal[1]
    services: dict[str, Service] = field(default_factory=dict)


def test_a_document_becomes_the_dataclass_that_was_written():
    text = '{"schema": 1, "services": {"web": {"revision": 3, "workloads": ["a", "b"]}}}'
    record = Record(schema=1, services={"web": Service(revision=3, workloads=("a", "b"))})
    assert read_document(Record, text) == record
    assert read_document(Record, text.encode()) == record


def test_what_a_later_version_has_added_is_left_out():
    assert read_document(Record, '{"schema": 1, "more": {}}') == Record(schema=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "schema: "),
        ('{"schema": 2}', "schema: Input should be 1"),
        ('{"schema": 1, "services": []}', "services: "),
        ('{"schema": 1, "services": {"web": {}}}', r"services\.web\.revision: "),
        ('{"schema": 1, "services": {"web": {"revision": "3"}}}', "valid integer"),
        ('{"schema": 1, "services": {"web": {"revision": 3, "workloads": "ab"}}}', "workloads"),
        ('{"schema": 1, "services": {"web": {"revision": 3, "workloads": [1]}}}', "workloads.0"),
        ("[" * 100_000, "Invalid JSON"),
        (b'{"schema": 1, "\xff": 1}', "Invalid JSON"),
    ],
)
def test_another_shape_is_an_error_of_one_line_that_names_the_place(content, said):
    with pytest.raises(ValueError, match=said) as caught:
        read_document(Record, content)
    assert "\n" not in str(caught.value)


def test_an_error_does_not_repeat_the_content():
    with pytest.raises(ValueError, match="revision") as caught:
        read_document(Record, '{"schema": 1, "services": {"web": {"revision": "hunter2"}}}')
    assert "hunter2" not in str(caught.value)
