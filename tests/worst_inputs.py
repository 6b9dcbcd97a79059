"""Small inputs that cost a reader without limits hours or gigabytes, and what each costs now.

``python tests/worst_inputs.py [NAME …]`` measures them, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

SECONDS = 10
MEMORY = 2_000_000_000
"""Bytes of address space. Both limits are ten times what an input may cost, so that they end a hang
and judge no machine."""

FROM = "FROM scratch\n"
PLAIN = 'schema = 1\n[project]\nname = "p"\n[images.a]\ndockerfile = "Dockerfile"\n'
COMPOSE = 'schema = 1\n[project]\nname = "p"\n[discover]\ncompose = ["c.yaml"]\n'
SKAFFOLD = 'schema = 1\n[project]\nname = "p"\n[discover]\nskaffold = ["skaffold.yaml"]\n'
STARS = "*a" * 30 + "*b"
LONG = "a" * 200


def dockerfile(text, **further):
    """Return a project of one image."""
    return {"aksci.toml": PLAIN, "Dockerfile": text, **further}


def compose(text, **further):
    """Return a project with a Compose file."""
    return {"aksci.toml": COMPOSE, "c.yaml": text, "Dockerfile": FROM, **further}


def service(image, build="."):
    """Return a Compose file of one service."""
    return f"services:\n  a:\n    image: {image}\n    build: {build}\n"


def doubling(word, first, form, count):
    """Return lines of which each says the one before twice."""
    lines = [f"{word}A0={first}"]
    lines += [word + form.format(new=at + 1, old=at) for at in range(count)]
    return "\n".join(lines) + "\n"


ARGS = doubling("ARG ", "x" * 10, "A{new}=$A{old}$A{old}", 40)
ENVS = doubling("ENV ", "x" * 10, "A{new}=$A{old}$A{old}", 40)
ALWAYS_HALF = "".join(f"ARG V=$V$V${{V#${{V%%{'?*' * 20}z}}}}\n" for _ in range(99))

CASES = {
    # Expansion
    "args": lambda: dockerfile(ARGS + "FROM a$A40\n"),
    "args-unused": lambda: dockerfile(ARGS + FROM),
    "args-in-stage": lambda: dockerfile(FROM + ARGS + "COPY $A40 /\n"),
    "args-in-one-line": lambda: dockerfile(FROM + "ARG A=xxxxxxxxxx\n" + "ARG A=" + "$A" * 5000
                                           + "\n" + "ARG A=" + "$A" * 5000 + "\nCOPY $A /\n"),
    "env": lambda: dockerfile(FROM + ENVS + "COPY $A40 /\n"),
    "env-names": lambda: dockerfile(FROM + ENVS + "ENV $A40=1\n"),
    "args-modifier": lambda: dockerfile(doubling("ARG ", "x", "A{new}=${{A{old}:-}}${{A{old}:+$A{old}}}", 40)
                                        + "FROM a$A40\n"),
    "args-replaced": lambda: dockerfile("ARG A=xxxxxxxxxx\n" + "ARG A=${A//x/xxxxxxxxxxxxxxxxxxxx}\n" * 20
                                        + "FROM $A\n"),
    "args-times-stages": lambda: dockerfile(ARGS.replace("A40", "B") + "FROM scratch\nARG A13\n" * 3000),
    "copy-long-path": lambda: dockerfile(FROM + ENVS[:ENVS.index("ENV A13")] + "COPY $A12 /\n" * 3000),
    "copy-dots": lambda: dockerfile(FROM + f"COPY {'../' * 30000}a /\n"),
    # Patterns in expansion
    "pattern-replace": lambda: dockerfile(f"ARG V={LONG}\nFROM ${{V//{STARS}/x}}\n"),
    "pattern-prefix": lambda: dockerfile(f"ARG V={LONG}\nFROM ${{V#{STARS}}}\n"),
    "pattern-longest-prefix": lambda: dockerfile(f"ARG V={LONG}\nFROM ${{V##{STARS}}}\n"),
    "pattern-suffix": lambda: dockerfile(f"ARG V={LONG}\nFROM ${{V%{STARS}}}\n"),
    "pattern-longest-suffix": lambda: dockerfile(f"ARG V={LONG}\nFROM ${{V%%{STARS}}}\n"),
    "pattern-in-stage": lambda: dockerfile(
        FROM + f"ARG V={LONG}\nCOPY ${{V//{STARS}/x}} ${{V%%{STARS}}} /\n"),
    "pattern-of-variables": lambda: dockerfile(
        FROM + doubling("ARG ", "*a", "A{new}=$A{old}$A{old}", 14) + f"ARG V={LONG}\n"
        + "ARG W=$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V$V\nARG X=$W$W$W$W$W$W$W$W$W$W$W$W$W$W\n"
        + "COPY ${X//$A14*b/x} /\n" * 1500),
    "pattern-many": lambda: dockerfile(
        FROM + f"ARG V={'a' * 4000}\n" + "".join(
            f"COPY ${{V//*a?a*{at}*b/x}} /\n" for at in range(4000))),
    "pattern-many-args": lambda: dockerfile(
        "".join(f"ARG V{at}={'a' * 100}\nARG W{at}=${{V{at}##*a*a*b}}\n" for at in range(700)) + FROM),
    # Nesting
    "nested-modifiers": lambda: dockerfile("ARG A=" + "${A:-" * 15000 + "}" * 15000 + "\n" + FROM),
    "nested-modifiers-in-stage": lambda: dockerfile(
        FROM + "ENV A=" + "${A:-" * 15000 + "}" * 15000 + "\nCOPY $A /\n"),
    "nested-in-run": lambda: dockerfile(FROM + "RUN <<A " + "${A:-" * 15000 + "}" * 15000 + "\nA\n"),
    "open-braces": lambda: dockerfile(FROM + "RUN <<A " + "${A:-" * 15000 + "\nA\n"),
    "open-quotes": lambda: dockerfile(FROM + "COPY " + "\"'" * 30000 + " /\n"),
    "quoted-words": lambda: dockerfile(FROM + "ENV " + "\"a'" * 30001 + "\n"),
    "flags": lambda: dockerfile(FROM + "RUN " + "--mount=from=a " * 6000 + "x\n"),
    "flag-quotes": lambda: dockerfile(FROM + 'RUN --a="' + "\\" * 90001 + "\n"),
    "mounts": lambda: dockerfile(FROM + "RUN --mount=" + "a=b," * 25000 + "from=x x\n"),
    "mount-quotes": lambda: dockerfile(FROM + 'RUN --mount=' + "'\"a\",'" * 15000 + " x\n"),
    "json": lambda: dockerfile(FROM + "COPY " + "[" * 90000 + "\n"),
    "json-many": lambda: dockerfile(FROM + 'COPY ["a", {}]\n'.replace("{}", "[" * 150) * 600),
    "json-sources": lambda: dockerfile(FROM + "COPY " + json.dumps([f"a{at}" for at in range(11000)])
                                       + "\n", **{f"f{at}": "" for at in range(100)}),
    # The parser
    "heredocs-in-line": lambda: dockerfile(FROM + "RUN" + " <<A" * 20000 + "\n" + "A\n" * 5),
    "heredocs-complete": lambda: dockerfile(FROM + "RUN" + " <<A" * 14000 + "\n" + "A\n" * 14000),
    "heredoc-quotes": lambda: dockerfile(FROM + "RUN <<" + "''" * 45000 + "\n"),
    "heredoc-words": lambda: dockerfile(FROM + "RUN " + "<<A;" * 22000 + "\n"),
    "less-than": lambda: dockerfile(FROM + "COPY " + "<" * 90000 + "\n"),
    "less-than-blanks": lambda: dockerfile(FROM + "RUN <<" + "\t " * 45000 + "<\n"),
    "continuations": lambda: dockerfile(FROM + "RUN x \\\n" * 14000),
    "continuation-blanks": lambda: dockerfile(FROM + ("RUN x \\" + " " * 300 + "x\n") * 300),
    "one-line": lambda: dockerfile(FROM + "RUN " + "x " * 50000 + "\n"),
    "one-line-of-blanks": lambda: dockerfile(FROM + "RUN a" + " " * 90000 + "a\n"),
    "directive-blanks": lambda: dockerfile("#syntax=a" + " " * 90000 + "b" + "\n" + FROM),
    "directive-open": lambda: dockerfile("#" + " " * 90000 + "\n" + FROM),
    "syntax-json": lambda: dockerfile('{"syntax": ' + "[" * 90000 + "\n" + FROM),
    "syntax-json-objects": lambda: dockerfile('{"a":' * 18000 + "\n" + FROM),
    "stages": lambda: dockerfile(FROM * 7000),
    "stages-chain": lambda: dockerfile(
        "FROM scratch AS s0\n" + "".join(f"FROM s{at} AS s{at + 1}\n" for at in range(5000))),
    "stages-copy-all": lambda: dockerfile(
        "".join(f"FROM scratch AS s{at}\n" for at in range(2000))
        + "".join(f"COPY --from=s{at} a /\n" for at in range(1999))),
    "stages-env": lambda: dockerfile(
        "FROM scratch AS s0\n" + "".join(f"ENV E{at}=1\n" for at in range(2000))
        + "".join(f"FROM s{at} AS s{at + 1}\n" for at in range(2000))),
    "stages-env-growing": lambda: dockerfile(
        "FROM scratch AS s0\n"
        + "".join(f"FROM s{at} AS s{at + 1}\nENV E{at}=1\n" for at in range(3300))),
    "onbuild-chain": lambda: dockerfile(
        "FROM scratch AS s0\n" + ("ONBUILD RUN x\n" * 3000)
        + "".join(f"FROM s{at} AS s{at + 1}\n" for at in range(2000))),
    "onbuild-fan": lambda: dockerfile(
        "FROM scratch AS s\n" + ("ONBUILD COPY a b\n" * 3000) + "FROM s\n" * 5000),
    "onbuild-fan-used": lambda: dockerfile(
        "FROM scratch AS s\n" + ("ONBUILD COPY a b\n" * 2500)
        + "".join(f"FROM s AS t{at}\n" for at in range(1500)) + FROM
        + "".join(f"COPY --from=t{at} a b\n" for at in range(1500))),
    "onbuild-nested": lambda: dockerfile(
        "FROM scratch AS s0\n" + "ONBUILD " * 7000 + "RUN x\n"
        + "".join(f"FROM s{at} AS s{at + 1}\n" for at in range(2000))),
    "onbuild-nested-alone": lambda: dockerfile(FROM + "ONBUILD " * 11000 + "RUN <<A\nA\n"),
    "arg-uses": lambda: dockerfile(
        "".join(f"ARG A{at}={''.join(f'$A{one}' for one in range(max(0, at - 20), at))}\n"
                for at in range(300)) + "FROM a$A299\n"),
    "arg-pairs": lambda: dockerfile("ARG " + "a=b " * 25000 + "\n" + FROM),
    "unknown-instructions": lambda: dockerfile(FROM + "".join(f"X{at} y\n" for at in range(9000))),
    "copy-sources": lambda: dockerfile(
        FROM + "COPY " + "".join(f"a{at} " for at in range(14000)) + "/\n",
        **{f"f{at}": "" for at in range(100)}),
    "copy-patterns": lambda: dockerfile(
        FROM + "COPY " + "".join(f"{at}* " for at in range(14000)) + "/\n",
        **{f"f{at}": "" for at in range(100)}),
    "copy-pattern": lambda: dockerfile(FROM + f"COPY {STARS} /\n", **{LONG: ""}),
    "copy-pattern-folders": lambda: dockerfile(
        FROM + "COPY " + "/".join(["*a" * 20 + "*b"] * 50) + " /\n", **{LONG: "", f"{LONG}b/{LONG}b/{LONG}": ""}),
    "copy-classes": lambda: dockerfile(FROM + f"COPY {'[a-b]*' * 15000}b /\n", **{LONG: ""}),
    # Ignore files
    "ignore": lambda: dockerfile(FROM + "COPY . /\n", **{".dockerignore": STARS, LONG: ""}),
    "ignore-takes-back": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": f"{STARS}\n!{STARS}c\n", LONG: ""}),
    "ignore-anywhere": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "**/a" * 20 + "/b\n", "/".join("a" * 60): ""}),
    "ignore-stars": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "**a" * 20 + "b\n", LONG: ""}),
    "ignore-negated": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "[^b]*" * 20 + "b\n" + "*[^b]" * 20 + "b\n", LONG: ""}),
    "ignore-questions": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "*?" * 40 + "b\n", LONG: ""}),
    "ignore-many": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "".join(f"{at}*b\n" for at in range(14000)),
                                **{f"f{at}/g": "" for at in range(100)}}),
    "ignore-many-stars": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "*a*b\n" * 20000,
                                **{f"{at}{LONG}": "" for at in range(20)}}),
    "ignore-many-classes": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "".join(
            f"[{at}a-z]*b\n" for at in range(9000)), LONG: ""}),
    "ignore-many-taken-back": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "*\n!*\n" * 20000,
                                **{f"f{at}/g": "" for at in range(100)}}),
    "ignore-takes-back-deep": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "*\n!" + "a/" * 45000 + "b\n", "/".join("a" * 60): ""}),
    "ignore-open-class": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "[" + "a" * 90000 + "\n", LONG: ""}),
    "ignore-one-class": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "[" + "a-b" * 30000 + "]\n", LONG: ""}),
    "ignore-long": lambda: dockerfile(
        FROM + "COPY . /\n", **{".dockerignore": "*a" * 45000 + "b\n", LONG: ""}),
    # Globs of aksci.toml
    "glob": lambda: {"aksci.toml": f'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["{STARS}"]\n'
                     '[images.a]\ndockerfile = "Dockerfile"\n', LONG: "", "Dockerfile": FROM},
    "glob-anywhere": lambda: {
        "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["' + "**/" * 3000
        + 'x"]\n[images.a]\ndockerfile = "Dockerfile"\n', "Dockerfile": FROM, "/".join("a" * 60): ""},
    "glob-anywhere-named": lambda: {
        "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["' + "**/a/" * 300
        + 'x"]\n[images.a]\ndockerfile = "Dockerfile"\n', "Dockerfile": FROM, "/".join("a" * 300): ""},
    "glob-exclude": lambda: {
        "aksci.toml": f'schema = 1\n[project]\nname = "p"\n[discover]\nexclude = ["{STARS}", "{"**/a/" * 25}b", "{"**/" * 30}{"*a" * 9}b"]\n'
        'dockerfiles = ["**/*"]\n[images.a]\ndockerfile = "Dockerfile"\n',
        LONG: FROM, "Dockerfile": FROM, "/".join("a" * 60): FROM},
    "glob-class": lambda: {
        "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["[z-a]x", "[!]x]", "[]", "[[:a:]]"]\n'
        '[images.a]\ndockerfile = "Dockerfile"\n', "Dockerfile": FROM},
    "glob-deep-tree": lambda: {
        "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["**/Dockerfile"]\n',
        "Dockerfile": FROM, "/".join("a" * 1500): ""},
    "glob-many": lambda: {
        "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["Dockerfile", '
        + ", ".join(f'"**/{at}*x*y"' for at in range(4500)) + "]\n", "Dockerfile": FROM,
        **{f"f{at}/g": "" for at in range(100)}},
    # Compose
    "compose-nested": lambda: compose(service("${A:-" * 15000 + "b" + "}" * 15000)),
    "compose-nested-open": lambda: compose(service('"' + "${A:-" * 15000 + '"')),
    "compose-open-many": lambda: compose(service('"' + "${A" * 25000 + '"')),
    "compose-taken": lambda: compose(service("${A:+" * 15000 + "b" + "}" * 15000)),
    "compose-env": lambda: compose(
        service("p/a$A40"), **{".env": doubling("", "x" * 10, "A{new}=$A{old}$A{old}", 40)}),
    "compose-env-line": lambda: compose(service("p/a:1"), **{
        ".env": "A=xxxxxxxxxx\nB=" + "$A" * 5000 + "\nC=" + "$B" * 5000 + "\nD=" + "$C" * 5000 + "\n"}),
    "compose-env-quotes": lambda: compose(service("p/a:1"), **{".env": "A='\n" * 15000}),
    "compose-env-quote-open": lambda: compose(service("p/a:1"), **{".env": "A='" + "\n" * 40000}),
    "compose-env-many": lambda: compose(
        service("p/a:1"), **{".env": "".join(f"A{at}=1\n" for at in range(12000))}),
    "compose-env-bad-line": lambda: compose(service("p/a:1"), **{".env": "x" * 90000 + "?\n"}),
    "compose-env-blanks": lambda: compose(service("p/a:1"), **{".env": "A=x" + " " * 90000 + "x\n"}),
    "compose-values": lambda: compose(
        "services:\n  a:\n    build:\n      context: .\n      args:\n"
        + "".join(f"        A{at}: {'$A' * 100}\n" for at in range(400)),
        **{".env": "A=" + "x" * 60000 + "\n"}),
    "compose-extends-circle": lambda: compose(
        "services:\n" + "".join(f"  s{at}:\n    extends: s{(at + 1) % 3000}\n" for at in range(3000))),
    "compose-extends-chain": lambda: compose(
        "services:\n" + "".join(f"  s{at}:\n    extends: s{at + 1}\n" for at in range(3000))
        + "  s3000:\n    build: .\n"),
    "compose-extends-fan": lambda: compose(
        "services:\n  s0:\n    build: .\n" + "".join(
            f"  s{at + 1}:\n    extends: {{file: c.yaml, service: s{at}}}\n" for at in range(300))),
    "compose-include-circle": lambda: compose("include: [d.yaml]\n", **{"d.yaml": "include: [c.yaml]\n"}),
    "compose-include-fan": lambda: compose("include: [d0.yaml, d0.yaml]\n", **{
        f"d{at}.yaml": f"include: [d{at + 1}.yaml, d{at + 1}.yaml]\n" for at in range(30)},
        **{"d30.yaml": service("p/a:1")}),
    "compose-include-many": lambda: compose("include:\n" + "- d.yaml\n" * 9000, **{"d.yaml": service("p/a:1")}),
    "compose-include-chain": lambda: compose("include: [d0.yaml]\n", **{
        **{f"d{at}.yaml": f"include: [d{at + 1}.yaml]\n" for at in range(1500)},
        "d1500.yaml": service("p/a:1")}),
    "compose-merge-lists": lambda: {
        "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ncompose = ["c.yaml", "d.yaml"]\n',
        "Dockerfile": FROM, **{one: "services:\n  a:\n    build:\n      context: .\n      tags: ["
        + ", ".join(f"p/{one[0]}:{at}" for at in range(6000)) + "]\n" for one in ("c.yaml", "d.yaml")}},
    "compose-same-build": lambda: compose(
        "services:\n" + "".join(f"  s{at}: {{build: .}}\n" for at in range(3000))),
    "compose-platforms": lambda: compose(
        "services:\n  a:\n    build:\n      context: .\n      platforms: ["
        + ", ".join(f"linux/amd64/v{at}" for at in range(5000)) + "]\n"),
    "compose-contexts": lambda: compose(
        "services:\n  a:\n    build:\n      context: .\n      additional_contexts:\n"
        + "".join(f"        c{at}: docker-image://debian:{at}\n" for at in range(2500))),
    "compose-circle": lambda: compose(
        "services:\n" + "".join(
            f"  s{at}: {{build: {{context: ., additional_contexts: {{x: 'service:s{(at + 1) % 1300}'}}}}}}\n"
            for at in range(1300))),
    "compose-dense-circle": lambda: compose(
        "services:\n" + "".join(
            f"  s{at}: {{build: {{context: ., additional_contexts: {{"
            + ", ".join(f"x{to}: 'service:s{to}'" for to in range(60) if to != at) + "}}}\n"
            for at in range(60))),
    "compose-inline": lambda: compose(
        "services:\n  a:\n    build:\n      context: .\n      dockerfile_inline: |\n"
        + "".join(f"        {line}\n" for line in (ARGS.replace("$", "$$") + "FROM a$$A40").splitlines())),
    "compose-number": lambda: compose(service(f"p/a:{'1' * 90000}")),
    "compose-number-tag": lambda: compose(
        "services:\n  a:\n    build:\n      context: .\n      args: {A: " + "1" * 90000 + "}\n"),
    "compose-hex": lambda: compose(
        "services:\n  a:\n    build:\n      context: .\n      args: {A: 0x" + "1" * 90000 + "}\n"),
    "compose-float": lambda: compose(
        "services:\n  a:\n    build:\n      context: .\n      args: {A: 1e99999, B: 1.e5, C: -1e400}\n"),
    # Skaffold
    "skaffold-circle": lambda: {"aksci.toml": SKAFFOLD, "Dockerfile": FROM, "skaffold.yaml":
        "apiVersion: skaffold/v1\nrequires:\n- path: skaffold.yaml\n"},
    "skaffold-requires": lambda: {"aksci.toml": SKAFFOLD, "Dockerfile": FROM, "skaffold.yaml":
        "---\n".join(
            f"apiVersion: skaffold/v1\nmetadata: {{name: m{at}}}\nrequires:\n"
            + "- path: skaffold.yaml\n" * 20 for at in range(60))},
    "skaffold-artifacts": lambda: {"aksci.toml": SKAFFOLD, "Dockerfile": FROM, "skaffold.yaml":
        "apiVersion: skaffold/v1\nbuild:\n  artifacts:\n"
        + "".join(f"  - image: {at}/a\n" for at in range(4000))},
    "skaffold-template": lambda: {"aksci.toml": SKAFFOLD, "Dockerfile": FROM, "skaffold.yaml":
        "apiVersion: skaffold/v1\nbuild:\n  artifacts:\n  - image: p/a\n    docker:\n      buildArgs:\n"
        "        A: '" + "{{" + " " * 90000 + "'\n"},
    "skaffold-env": lambda: {"aksci.toml": SKAFFOLD, "Dockerfile": FROM,
        "skaffold.env": doubling("", "x" * 10, "A{new}=$A{old}$A{old}", 40),
        "skaffold.yaml": "apiVersion: skaffold/v1\nbuild:\n  artifacts:\n  - image: p/a\n"},
    "skaffold-bad-version": lambda: {"aksci.toml": SKAFFOLD, "Dockerfile": FROM, "skaffold.yaml":
        "apiVersion: skaffold/v1\nbuild:\n  artifacts:\n  - image: p/a\n    docker: {buildArgs: {A: 0b1, B: 08, C: 1_0}}\n"},
}  # fmt: skip
"""Name -> what makes the files of a project."""


def read_project(root):
    """Read a project as far as can be without a registry: images, their order, their sources."""
    from aksci.config.loader import load_config
    from aksci.images.context.hasher import TreeHasher
    from aksci.images.discovery.importers.imported import Importer
    from aksci.images.graph import build_graph, graph_document
    from aksci.images.keys import source_of

    graph = build_graph(root, load_config(root / "aksci.toml"), importer=Importer())
    json.dumps(graph_document(graph))
    hasher = TreeHasher(root)
    for image in graph.images.values():
        source_of(image, hasher)


def _write(root, files):
    for name, text in files.items():
        path = root / name
        if name.count("/") > 500:  # deeper than one path can be: step by step
            here = os.open(root, os.O_RDONLY)
            for part in name.split("/"):
                os.mkdir(part, dir_fd=here)  # noqa: PTH102
                here = os.open(part, os.O_RDONLY, dir_fd=here)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def measure(name, read=read_project):
    """Read one input in a fork, within the limits: how it ended, seconds, bytes at its peak."""
    from aksci.core.errors import AksciError

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root, CASES[name]())
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
            signal.signal(signal.SIGXCPU, signal.SIG_DFL)
            try:
                read(root)
                told = "result"
            except AksciError as error:
                told = f"{error.code}: {error}"
            except BaseException as error:  # noqa: BLE001 - that is what is looked for
                told = f"traceback: {type(error).__name__}: {str(error)[:200]}"
                if os.environ.get("SHOW"):
                    traceback.print_exc()
            os.write(writing, f"{len(told)} {told[:2000]}".encode("utf-8", "replace")[:4000])
            os._exit(0)
        os.close(writing)
        started = time.monotonic()
        with os.fdopen(reading, "rb") as stream:
            told = stream.read().decode(errors="replace")
        _, status, used = os.wait4(child, 0)
        if status:
            told = f"0 killed by signal {os.WTERMSIG(status)}"
        length, _, told = told.partition(" ")
        os.system(f"rm -rf {folder}/a")
        del started
        return {"ended": told, "length": int(length or 0), "seconds": used.ru_utime + used.ru_stime,
                "peak": used.ru_maxrss * 1024}


def main(names):
    """Print what each input costs."""
    import aksci.config.loader
    import aksci.images.discovery.importers.compose
    import aksci.images.discovery.importers.skaffold
    import aksci.images.graph
    import aksci.images.keys  # noqa: F401

    for name in names or CASES:
        found = measure(name)
        print(json.dumps({"case": name, **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
