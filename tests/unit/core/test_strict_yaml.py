"""YAML is read in one way or not at all. Helm is asked about the same cases by other tests."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.strict_yaml import YamlError, parse_yaml

READ = {
    "a: b": {"a": "b"},
    "a: on\nb: y\nc: 'on'": {"a": True, "b": True, "c": "on"},
    "a: 0644\nb: 08\nc: 0x1F\nd: 1_0\ne: 1:30\nf: 1e3\ng: .5": {
        "a": 420, "b": 8.0, "c": 31, "d": 10, "e": "1:30", "f": 1000.0, "g": 0.5,
    },
    "a: 2001-01-01\nb: 1.2.3\nc: 1e999": {"a": "2001-01-01", "b": "1.2.3", "c": "1e999"},
    "8080: a\n'8081': b\ntrue: c": {"8080": "a", "8081": "b", "true": "c"},
    "!!str 1: !!str 2\na: !!int '3'": {"1": "2", "a": 3},
    "a: &x {b: c}\nd: *x": {"a": {"b": "c"}, "d": {"b": "c"}},
    "a: &x {b: c}\nd: {<<: *x, e: f}": {"a": {"b": "c"}, "d": {"b": "c", "e": "f"}},
    "a: &x {b: c}\nd: {!!merge <<: *x, e: f}": {"a": {"b": "c"}, "d": {"b": "c", "e": "f"}},
    "a: |\n  ---\n  b\nc: >-\n  d\n  e": {"a": "---\nb\n", "c": "d e"},
    'a: "\\u0041\\/"': {"a": "A/"},
    "---\n# only a comment\n---\na:\n...\n": {"a": None},
}  # fmt: skip
REFUSED = [
    # A key twice, however it is written.
    "a: 1\na: 2", "a: 1\n'a': 2", 'a: 1\n"\\x61": 2', "a: 1\n!!str a: 2", "1: a\n'1': b",
    "true: a\n'true': b", "{a: 1, a: 2}", "- {a: 1, 'a': 2}", "? a\n: 1\na: 2",
    # Merges, which win or lose by their place.
    "a: 1\n<<: {a: 2}", "<<: {a: 2}\na: 1", "<<: [{a: 1}, {a: 2}]", "<<: {a: 1}\n<<: {b: 1}",
    "'<<': {a: 1}", "!!merge '<<': {a: 1}", "! <<: {a: 1}", "!!merge a: {a: 1}",
    "a: 1\n!!merge <<: {a: 2}", "<<: 1", "<<: [1]", "<<: *x",
    # Keys that some readers make another text of, or none.
    "on: 1", "0644: 1", "1.0: 1", "~: 1", ": 1", "? [a]\n: 1", "{a: 1}: 1", "!!binary YQ==: 1",
    "!!int 1: 1", "!x a: 1", "a: &x b\n*x : 1", "9007199254740993: 1", "+1: a", "True: a",
    # Tags.
    "a: !!binary YQ==", "a: !x b", "a: ! b", "a: !!set {b}", "a: !!omap [b: 1]", "a: !!float 1",
    "a: !!python/name:os.system", "a: !!timestamp 2001-01-01", "a: [!!str, b]", "a: !!int b",
    # Documents.
    "%YAML 1.1\n---\na: 1", "%TAG ! !x\n---\na: 1", "a: 1\n...\nb: 2", "--- a", "--- {a: 1}",
    "---# x\na: 1", "a: 1\n---# x: y", "a: 1\n---b: 2", "... b", "--- |\n a", "---\u00a0\na: 1",
    # Characters.
    "a: b\x85c: d", "a: b\u2028c: d", "a: b\u2029c: d", "a: b\rc: d", "a: b\x00", "a: \x07",
    "a: \ufeffb", "a: \x7f", 'a: "\\ud83d\\ude00"', "a: \ud800",
    # Anchors.
    "a: *x", "a: &x [*x]", "a: &x 1\nb: &x 2", "a: &x 1\n---\nb: *x", "&x a: {b: *x}\nc: &x d",
    # What one reader takes for a part of a name, and another for YAML's own.
    "a: {?b}", "a: [?b]", "a: {b:,}", "a: .inf", "a: .nan", "a: .5_0", "a: [", "a: b: c", "\ta: b",
]  # fmt: skip


@pytest.fixture(params=["LibYAML", "Python's own"])
def scanner(request, monkeypatch):
    """PyYAML with and without LibYAML: what is read must not depend on the machine."""
    if request.param != "LibYAML":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("text", READ)
def test_what_all_readers_read_alike_is_read(text):
    (found,) = parse_yaml(text)
    assert found == READ[text]
    # As text, too: true is not 1.
    assert json.dumps(found, sort_keys=True) == json.dumps(READ[text], sort_keys=True)
    assert parse_yaml(text.encode()) == [found]
    assert parse_yaml(text.replace("\n", "\r\n")) == [found]


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("text", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(text):
    with pytest.raises(YamlError, match=r"^line \d+: [a-z]"):
        parse_yaml(text)


def test_compose_files_know_other_words_and_merges_that_are_overridden():
    text = "a: &x {on: 1, b: y}\nc:\n  <<: *x\n  b: z"
    assert parse_yaml(text, dialect="compose") == [
        {"a": {"on": 1, "b": "y"}, "c": {"b": "z", "on": 1}}
    ]
    lists = "a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}"
    assert parse_yaml(lists, dialect="compose")[0]["c"] == {"k": 1, "l": 3}


def test_a_tag_of_the_caller_s_makes_what_it_says():
    tags = {"!x": lambda value: ("x", value)}
    text = "a: !x 1\nb: !x [c]\nd: !x 'on'\ne: !x on"
    (found,) = parse_yaml(text, tags=tags)
    assert found == {"a": ("x", 1), "b": ("x", ["c"]), "d": ("x", "on"), "e": ("x", True)}


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize(
    "text",
    [
        "SECRET: [",
        "SECRET\n  *: &",
        "a: *SECRET",
        "a: 'SECRET\nSECRET: 'b",
        "%SECRET",
        "@SECRET",
        'a: "\\SECRET"',
        "SECRET: 1\nSECRET: 2",
        "a: !SECRET b",
    ],
)
def test_an_error_quotes_nothing_of_the_file(text):
    with pytest.raises(YamlError) as error:
        parse_yaml(text)
    assert "SECRET" not in str(error.value)
    assert error.value.line >= 1


def laughs(line):
    names = "abcdefghij"
    return f"{names[0]}: &{names[0]} [x, x, x, x, x, x, x, x, x]\n" + "".join(
        line.format(name=name, before=before) for before, name in itertools.pairwise(names)
    )


ENDLESS = {
    "aliases": laughs("{name}: &{name} [" + ", ".join(["*{before} "] * 9) + "]\n"),
    "merges": "a: &a {"
    + ", ".join(f"k{n}: x" for n in range(30))
    + "}\nb: {<<: ["
    + ", ".join(["*a "] * 9999)
    + "]}",
    "a long text, often": f"a: &a {'x' * 999}\nb: [" + ", ".join(["*a "] * 9999) + "]",
    "brackets": "a: " + "[" * 50000,
    "braces": "a: " + "{a: " * 50000,
    "dashes": "- " * 50000,
    "questions": "? " * 50000,
    "indents": "".join(" " * n + "a:\n" for n in range(500)),
    "digits": "a: " + "9" * 100000,
    "octal digits": "a: 0" + "7" * 100000,
    "a fraction": "a: 0." + "9" * 100000 + "e9",
    "empty lines": "a: |\n" + "\n" * 100000,
    "lines of a text": 'a: "' + "\n" * 100000 + '"',
    "blanks": "a: b" + " " * 100000 + "c",
    "comments": "# a\n" * 20000,
    "keys": "".join(f"k{n}: a\n" for n in range(5000)),
    "anchors": "".join(f"k{n}: &a{n} b\n" for n in range(5000)),
    "documents": "---\na: b\n" * 5000,
    "colons": "a:" * 50000,
}
LIMITED = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
import yaml
from aksci.core.strict_yaml import YamlError, parse_yaml
if sys.argv[1] != "LibYAML": vars(yaml).pop("CSafeLoader", None)
for name, text in json.load(sys.stdin).items():
    try: parse_yaml(text, dialect="compose")
    except YamlError as error: assert len(str(error)) < 200
    print(name)
"""


@pytest.mark.parametrize("kind", ["LibYAML", "Python's own"])
def test_nothing_small_takes_long_or_much(kind):
    """Each takes well below a second and 50 MB; the limits only end what would not end."""
    argv = [sys.executable, "-c", LIMITED, kind]
    found = subprocess.run(
        argv, input=json.dumps(ENDLESS), capture_output=True, text=True, check=False
    )
    assert found.stdout.splitlines() == list(ENDLESS), found.stderr[-500:]


def test_what_is_expanded_or_nested_beyond_reason_is_refused():
    for name in ("aliases", "merges", "a long text, often", "brackets", "indents"):
        with pytest.raises(YamlError, match=r"aliases make much more|nested deeper"):
            parse_yaml(ENDLESS[name], dialect="compose")
    with pytest.raises(YamlError, match="larger than 10 bytes"):
        parse_yaml("a: 123456789", largest=10)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(), each, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values, max_size=4), st.booleans())
def test_what_a_program_writes_is_read_as_it_was_meant(value, flow):
    text = yaml.safe_dump(value, default_flow_style=flow, default_style='"')
    assert parse_yaml(text) == [value]


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"#% \n\t\r<=~0.1_on\\\x85\u2028\ufeff", max_size=60))
def test_no_text_ends_in_a_traceback_and_what_is_read_can_be_written_as_json(text):
    for dialect in ("helm", "compose"):
        with contextlib.suppress(YamlError):
            for found in parse_yaml(text, dialect=dialect):
                assert parse_yaml(json.dumps(found)) == [found]
