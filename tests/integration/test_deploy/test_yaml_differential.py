"""Whatever YAML we accept, Helm reads the same: its own ``fromYaml`` is asked about many texts."""

from __future__ import annotations

import json
import random

import pytest

from aksci.core.strict_yaml import YamlError, parse_yaml

# One value a line of output, for there is no other way to ask Helm about many texts at once.
TEMPLATE = """\
{{- range $path, $_ := .Files.Glob "cases/*" }}
{{ base $path }}: {{ $.Files.Get $path | fromYaml | toJson | quote }}
{{- end }}
"""
# In these, a bar is a blank.
_WORDS = r"""
a b image on off yes n y ~ null true FALSE 1 01 0644 08 0o17 0x1F 0b11 1_0 -_1 +1 1.0 1.
1e3 .5 .5_0 .inf 1:30 1e999 2001-01-01 << = !!str|1 !!int|3 !!int|'3' !!float|1
!!float|1.5 !!binary|aW1hZ2U= !!null|'' !!bool|yes !x|a !|a 'a' "a" "\x61" "\u0061" "\/"
"\L" "\ud83d\ude00" 'it''s' *x *y &x|a &y|{a:|1} [a,|b] {a:|b} {a,|b:|c} [a:|b] {?a}
[?a] {a:b} {a:,} [a:b,|'c':d] {"a":b} a|b a#b a|#b - -- : a: :a a:b -a @a %a [ ] { } ,
a,b & * ! !!str !!map|{a:|1} !!seq|[a] !!set|{a} é 😀 !!str, | ||t ||u |- |||t > ||t ||u
||v "a\ |b" a ||b !<tag:yaml.org,2002:str>|1 &x, *x, ---
"""
WORDS = _WORDS.split()
_KEYS = r"""
a b image kind 'a' "a" on y 1 '1' true null ~ 0644 1.0 << '<<' !!str|a !!str|1
!!binary|YQ== ?|a *x &k|a [a] {a:|1} = é a|b a# a:b ---#x 8080 -1 Image "\x61" !|a
!!merge|<<
"""
KEYS = _KEYS.split()
STRANGE = "\n\t\r :-#'\"&*!|>{}[],?%@`\\<=~\x85\u2028\ufeff ab01"


def plain(word):
    return word.replace("|\\n", "\0").replace("|", " ").replace("\0", "|\\n").replace("\\n", "\n")


def a_flow(pick, depth):
    if depth == 0 or pick.random() < 0.4:
        return plain(pick.choice(WORDS))
    if pick.random() < 0.5:
        items = (a_flow(pick, depth - 1) for _ in range(pick.randint(0, 3)))
        return "[" + pick.choice([",", " , ", ",\n  "]).join(items) + pick.choice(["]", " ]", ",]"])
    pairs = (
        plain(pick.choice(KEYS)) + pick.choice([": ", ":", " :"]) + a_flow(pick, depth - 1)
        for _ in range(pick.randint(0, 3))
    )
    return "{" + ", ".join(pairs) + "}"


def a_mapping(pick, indent, depth):
    pad = "  " * indent
    return "".join(
        pad + plain(pick.choice(KEYS)) + pick.choice([":", ":", ":", " :", ":\t"])
        + a_value(pick, indent, depth) + pick.choice(["\n", "\n", " # c\n", "\r\n"])
        for _ in range(pick.randint(1, 3))
    )  # fmt: skip


def a_value(pick, indent, depth):
    kind = pick.random()
    if depth == 0 or kind < 0.5:
        return " " + plain(pick.choice(WORDS)).replace("\n", "\n" + "  " * indent)
    if kind < 0.7:
        return pick.choice(["", " &x", " !!map"]) + "\n" + a_mapping(pick, indent + 1, depth - 1)
    if kind < 0.85:
        pad = "  " * indent
        items = (a_value(pick, indent + 1, depth - 1) for _ in range(pick.randint(1, 3)))
        return pick.choice(["", " &y"]) + "\n" + "".join(f"{pad}-{each}\n" for each in items)
    return " " + a_flow(pick, depth)


def a_text(pick):
    text = a_mapping(pick, 0, pick.randint(0, 3))
    if pick.random() < 0.1:
        text = pick.choice(["---\n", "%YAML 1.1\n---\n", "--- # x\n", "# c\n"]) + text
    for _ in range(pick.choice([0, 0, 0, 1, 2])):
        at = pick.randrange(len(text) + 1)
        text = text[:at] + pick.choice(["", pick.choice(STRANGE)]) + text[at + pick.randint(0, 1) :]
    return text


def accepted(count):
    """Yield texts that we accept, and what we read, from a fixed row of random numbers."""
    pick, found = random.Random(13), 0  # noqa: S311 - no secret
    while found < count:
        text = a_text(pick)
        try:
            documents = parse_yaml(text)
        except YamlError:
            continue
        if len(documents) == 1:
            found += 1
            yield text, documents[0]


def same(ours, theirs):
    """Compare values; Helm's ``fromYaml`` makes a float of each number."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return ours == pytest.approx(theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and ours == theirs


def test_whatever_we_accept_helm_reads_the_same_or_refuses(toolbox, runner, tmp_path):
    cases = dict(enumerate(accepted(1500)))
    (tmp_path / "templates").mkdir()
    (tmp_path / "cases").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: cases\nversion: 1.0.0\n")
    (tmp_path / "templates" / "all.yaml").write_text(TEMPLATE)
    for number, (text, _) in cases.items():
        (tmp_path / "cases" / f"case{number}").write_bytes(text.encode())
    rendered = runner.run([toolbox.ensure("helm"), "template", "cases", tmp_path]).stdout
    (answers,) = parse_yaml(rendered)
    theirs = {number: json.loads(answers[f"case{number}"]) for number in cases}
    refused = [number for number, value in theirs.items() if set(value) == {"Error"}]
    different = [
        (cases[number], value)
        for number, value in theirs.items()
        if number not in refused and not same(cases[number][1], value)
    ]
    assert different == []
    assert len(refused) < len(cases) / 10
