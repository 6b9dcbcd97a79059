"""Small inputs that cost a reader without limits hours or gigabytes, and what each costs now.

``python tests/worst_inputs.py [NAME …]`` measures them, each in a process of its own, and prints a
line of JSON for each. Without a registry, a project is read as far as ``aksci graph`` and the
hashes of contexts go.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 10
MEMORY = 2_000_000_000
"""Bytes of address space. Both limits are ten times what an input may cost: they end what has no
end, and judge no machine."""

PROJECT = 'schema = 1\n[project]\nname = "p"\n'
IMAGE = '[images.a]\ndockerfile = "Dockerfile"\n'
FROM = "FROM scratch\n"
COPY = FROM + "COPY . /\n"
STARS = "*a" * 30 + "*b"
LONG = "a" * 200
DEEP = "/".join("a" * 60)
TOO_DEEP = "/".join("a" * 1500)
HUNDRED = {f"f{at}/g": "" for at in range(100)}
ONE = "services:\n  a:\n    image: p/a:1\n    build: .\n"
BUILD = "services:\n  a:\n    build:\n      context: .\n"


def dockerfile(text, **further):
    """Return a project of one image."""
    return {"aksci.toml": PROJECT + IMAGE, "Dockerfile": text, **further}


def ignoring(text, *paths):
    """Return a project of one image, whose context is the project."""
    return dockerfile(COPY, **{".dockerignore": text}, **dict.fromkeys(paths, ""))


def discovering(**settings):
    """Return a project with a table [discover]."""
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in settings.items()]
    return {"aksci.toml": PROJECT + "[discover]\n" + "".join(lines), "Dockerfile": FROM}


def globbing(*globs, **further):
    """Return a project whose images globs find, beside one that has a table."""
    found = discovering(dockerfiles=globs)
    return {**found, "aksci.toml": found["aksci.toml"] + IMAGE, **further}


def compose(text, **further):
    """Return a project with a Compose file."""
    return {**discovering(compose=["c.yaml"]), "c.yaml": text, **further}


def image(name):
    """Return a project with a Compose file of one image."""
    return compose(ONE.replace("p/a:1", name))


def skaffold(text, **further):
    """Return a project with a skaffold.yaml."""
    text = f"apiVersion: skaffold/v1\n{text}"
    return {**discovering(skaffold=["skaffold.yaml"]), "skaffold.yaml": text, **further}


def artifacts(text):
    """Return a skaffold.yaml of some artifacts."""
    return skaffold(f"build:\n  artifacts:\n{text}")


def requiring(count, needed):
    """Return a project of images of which each requires others."""
    tables = [
        f'[images.b{at}]\ndockerfile = "Dockerfile"\nrequires = {json.dumps(needed(at))}\n'
        for at in range(count)
    ]
    return {"aksci.toml": PROJECT + "".join(tables), "Dockerfile": FROM}


def doubling(word="", form="$A{old}$A{old}", count=40):
    """Return lines of which each says the one before twice."""
    lines = [f"{word}A0={'x' * 10}"]
    lines += [f"{word}A{at + 1}=" + form.format(old=at) for at in range(count)]
    return "\n".join(lines) + "\n"


def each(count, text):
    """Return some text so many times, with a number and the one after it."""
    return "".join(text.format(at=at, next=at + 1) for at in range(count))


def nested(opening, closing="}", count=15000):
    """Return what is nested."""
    return opening * count + "b" + closing * count


ARGS = doubling("ARG ")
ENVS = doubling("ENV ")
PATTERN = f"ARG V={LONG}\nFROM a${{V"

EXPANDED = {
    "args": (lambda: dockerfile(ARGS + "FROM a$A40\n"), "line 15: ARG A14=$A13$A13 can't be"),
    "args-unused": (lambda: dockerfile(ARGS + FROM), "can't be expanded: it gets longer"),
    "args-in-stage": (lambda: dockerfile(FROM + ARGS + "COPY $A40 /\n"), ""),
    "args-in-long-lines": (
        lambda: dockerfile(f"{FROM}ARG A=xxxxxxxxxx\n" + f"ARG A={'$A' * 5000}\n" * 2
                           + "COPY $A /\n"), ""),
    "env": (lambda: dockerfile(FROM + ENVS + "COPY $A40 /\n"), ""),
    "env-names": (lambda: dockerfile(FROM + ENVS + "ENV $A40=1\n"), ""),
    "env-forgotten": (
        lambda: dockerfile(FROM + each(5000, "ENV E{at}=1\n") + "ENV" + " $X=1" * 8000 + "\n"), ""),
    "env-in-one-line": (
        lambda: dockerfile(f"{FROM}ENV{' A=$A$A' * 12000}\nCOPY $A /\n"), ""),
    "args-modifier": (
        lambda: dockerfile(doubling("ARG ", "${{A{old}:-}}${{A{old}:+$A{old}}}") + FROM),
        "can't be expanded"),
    "args-replaced": (
        lambda: dockerfile("ARG A=xxxxxxxxxx\n" + f"ARG A=${{A//x/{'x' * 20}}}\n" * 20 + FROM),
        "can't be expanded"),
    "copy-long-path": (
        lambda: dockerfile(FROM + doubling("ENV ", count=12) + "COPY $A12 /\n" * 3000), ""),
    "replaced": (lambda: dockerfile(PATTERN + f"//{STARS}/x}}\n"), ""),
    "prefix": (lambda: dockerfile(PATTERN + f"#{STARS}}}\n"), ""),
    "longest-prefix": (lambda: dockerfile(PATTERN + f"##{STARS}}}\n"), ""),
    "suffix": (lambda: dockerfile(PATTERN + f"%{STARS}}}\n"), ""),
    "longest-suffix": (lambda: dockerfile(PATTERN + f"%%{STARS}}}\n"), ""),
    "pattern-in-stage": (
        lambda: dockerfile(f"{FROM}ARG V={LONG}\nCOPY ${{V//{STARS}/x}} ${{V%%{STARS}}} /\n"), ""),
    "pattern-of-variables": (
        lambda: dockerfile(FROM + doubling("ARG ", "*a$A{old}$A{old}", 8) + f"ARG V={LONG}\n"
                           + "ARG W=" + "$V" * 300 + "\n" + "COPY ${W//$A8*b/x} /\n" * 1500), ""),
    "patterns": (
        lambda: dockerfile(FROM + f"ARG V={'a' * 4000}\n"
                           + each(4000, "COPY ${{V//*a?a*{at}*b/x}} /\n")), ""),
    "pattern-questions": (
        lambda: dockerfile(f"{FROM}ARG V={'a' * 100_000}\n"
                           + f"COPY ${{V//{'a?' * 100}b/x}} /\n" * 40), ""),
    "nested": (lambda: dockerfile(f"ARG A={nested('${A:-')}\n{FROM}"), "nested more than 50"),
    "nested-in-stage": (lambda: dockerfile(f"{FROM}ENV A={nested('${A:-')}\nCOPY $A /\n"), ""),
    "nested-in-run": (lambda: dockerfile(f"{FROM}RUN <<A {nested('${A:-')}\nA\n"), ""),
    "nested-quotes": (
        lambda: dockerfile("ARG A=" + nested('"${A:-', '}"') + f"\n{FROM}"), "nested more than"),
    "arg-uses": (
        lambda: dockerfile("ARG A0=x\n" + "".join(
            f"ARG A{at}={''.join(f'$A{one}' for one in range(max(0, at - 20), at))}\n"
            for at in range(1, 300)) + FROM), "can't be expanded"),
}  # fmt: skip

PARSED = {
    "open-braces": (lambda: dockerfile(f"{FROM}RUN <<A {'${A:-' * 15000}\nA\n"), ""),
    "open-quotes": (lambda: dockerfile(FROM + "COPY " + "\"'" * 30000 + " /\n"), ""),
    "quoted-words": (lambda: dockerfile(FROM + "ENV " + "\"a'" * 30001 + "\n"), ""),
    "flags": (lambda: dockerfile(f"{FROM}RUN {'--mount=from=a ' * 6000}x\n"), ""),
    "flag-quotes": (lambda: dockerfile(FROM + 'RUN --a="' + "\\" * 90001 + "\n"), ""),
    "mounts": (lambda: dockerfile(f"{FROM}RUN --mount={'a=b,' * 25000}from=x x\n"), ""),
    "mount-quotes": (lambda: dockerfile(FROM + "RUN --mount=" + "'\"a\",'" * 15000 + " x\n"), ""),
    "json": (lambda: dockerfile(f"{FROM}COPY {'[' * 90000}\n"), ""),
    "json-many": (lambda: dockerfile(FROM + f'COPY ["a", {"[" * 150}]\n' * 600), ""),
    "json-heredoc": (lambda: dockerfile(f'{FROM}COPY ["<<{" " * 90000}<", "x"]\n'), ""),
    "heredocs-open": (
        lambda: dockerfile(f"{FROM}RUN{' <<A' * 20000}\n" + "A\n" * 5), "has no closing line"),
    "heredocs": (lambda: dockerfile(f"{FROM}RUN{' <<A' * 14000}\n" + "A\n" * 14000), ""),
    "heredoc-quotes": (lambda: dockerfile(FROM + "RUN <<" + "''" * 45000 + "\n"), ""),
    "heredoc-words": (lambda: dockerfile(f"{FROM}RUN {'<<A;' * 22000}\n"), ""),
    "heredoc-blanks": (lambda: dockerfile(FROM + "RUN <<" + "\t " * 45000 + "<\n"), ""),
    "less-than": (lambda: dockerfile(f"{FROM}COPY {'<' * 90000}\n"), ""),
    "continuations": (lambda: dockerfile(FROM + "RUN x \\\n" * 14000), ""),
    "words": (lambda: dockerfile(f"{FROM}RUN {'x ' * 50000}\n"), ""),
    "blanks": (lambda: dockerfile(f"{FROM}RUN a{' ' * 90000}a\n"), ""),
    "directive-blanks": (lambda: dockerfile(f"#syntax=a{' ' * 90000}b\n{FROM}"), ""),
    "directive-open": (lambda: dockerfile(f"#{' ' * 90000}\n{FROM}"), ""),
    "syntax-json": (lambda: dockerfile('{"a":' * 18000 + f"\n{FROM}"), "before the first FROM"),
    "arg-pairs": (lambda: dockerfile(f"ARG {'a=b ' * 25000}\n{FROM}"), ""),
    "unknown-instructions": (lambda: dockerfile(FROM + each(9000, "X{at} y\n")), ""),
    "from-long": (lambda: dockerfile(f"FROM {'a_' * 40000}\n"), "is too long for the name"),
    "from-wrong": (lambda: dockerfile(f"FROM {'a ' * 40000}\n"), "is wrong"),
    "add-git": (lambda: dockerfile(f"{FROM}ADD git@h:{'#a' * 40000} /\n"), ""),
    "add-scheme": (lambda: dockerfile(f"{FROM}ADD {'a+' * 40000}://x /\n"), ""),
}  # fmt: skip

STAGES = {
    "stages": (lambda: dockerfile(FROM * 7000), ""),
    "stages-chain": (
        lambda: dockerfile("FROM scratch AS s0\n" + each(5000, "FROM s{at} AS s{next}\n")), ""),
    "stages-copied": (
        lambda: dockerfile(each(2000, "FROM scratch AS s{at}\n")
                           + each(1999, "COPY --from=s{at} a /\n")), ""),
    "stages-env": (
        lambda: dockerfile("FROM scratch AS s0\n" + each(2000, "ENV E{at}=1\n")
                           + each(2000, "FROM s{at} AS s{next}\n")), ""),
    "stages-env-growing": (
        lambda: dockerfile("FROM scratch AS s0\n"
                           + each(3300, "FROM s{at} AS s{next}\nENV E{at}=1\n")), ""),
    "stage-names": (
        lambda: {**dockerfile(each(4000, "FROM scratch AS a{at}\n")),
                 "aksci.toml": PROJECT + IMAGE + 'target = "x"\n'}, "and 3950 more"),
    "onbuild-chain": (
        lambda: dockerfile("FROM scratch AS s0\n" + "ONBUILD RUN x\n" * 3000
                           + each(2000, "FROM s{at} AS s{next}\n")), ""),
    "onbuild-fan": (
        lambda: dockerfile("FROM scratch AS s\n" + "ONBUILD COPY a b\n" * 3000
                           + "FROM s\n" * 5000), "adds more than 10000"),
    "onbuild-nested": (
        lambda: dockerfile("FROM scratch AS s0\n" + "ONBUILD " * 7000 + "RUN x\n"
                           + each(2000, "FROM s{at} AS s{next}\n")), "ONBUILD ONBUILD"),
    "onbuild-rounds": (
        lambda: compose(
            "services:\n" + each(400, "  b{at}: {{image: 'p/b{at}:1', build: "
                                      "{{context: ., dockerfile: b{at}}}}}\n")
            + "  app: {image: 'p/app:1', build: .}\n",
            **{f"b{at}": f"{FROM}ONBUILD COPY --from=s{at + 1} a b\n" for at in range(400)},
            Dockerfile="".join(f"FROM p/b{at}:1 AS s{at}\n" for at in range(399, -1, -1))
            + "FROM s0\n"), "more than 20 times"),
}  # fmt: skip

SOURCES = {
    "copy": (lambda: dockerfile(f"{FROM}COPY {STARS} /\n", **{LONG: ""}), ""),
    "copy-folders": (
        lambda: dockerfile(f"{FROM}COPY {'/'.join(['*a' * 20 + '*b'] * 50)} /\n",
                           **{LONG: "", f"{LONG}b/{LONG}b/{LONG}": ""}), ""),
    "copy-classes": (lambda: dockerfile(f"{FROM}COPY {'[a-b]*' * 15000}b /\n", **{LONG: ""}), ""),
    "copy-names": (
        lambda: dockerfile(f"{FROM}COPY {each(14000, 'a{at} ')}/\n", **HUNDRED), ""),
    "copy-json": (
        lambda: dockerfile(f"{FROM}COPY {json.dumps([f'a{at}' for at in range(11000)])}\n",
                           **HUNDRED), ""),
    "copy-patterns": (
        lambda: dockerfile(f"{FROM}COPY {each(14000, '{at}* ')}/\n", **HUNDRED), ""),
    "copy-dots": (lambda: dockerfile(f"{FROM}COPY {'../' * 30000}a /\n"), ""),
    "copy-parents": (lambda: dockerfile(f"{FROM}COPY --parents {'a/' * 30000} /\n"), ""),
    "ignore": (lambda: ignoring(STARS, LONG), ""),
    "ignore-takes-back": (lambda: ignoring(f"{STARS}\n!{STARS}c\n", LONG), ""),
    "ignore-anywhere": (lambda: ignoring("**/a" * 20 + "/b\n", DEEP), ""),
    "ignore-anything": (lambda: ignoring("**a" * 20 + "b\n", LONG), ""),
    "ignore-negated": (lambda: ignoring("[^b]*" * 20 + "b\n" + "*[^b]" * 20 + "b\n", LONG), ""),
    "ignore-questions": (lambda: ignoring("*?" * 40 + "b\n", LONG), ""),
    "ignore-long": (lambda: ignoring("*a" * 45000 + "b\n", LONG), ""),
    "ignore-many": (lambda: ignoring(each(14000, "{at}*b\n"), *HUNDRED), ""),
    "ignore-many-stars": (
        lambda: ignoring("*a*b\n" * 20000, *(f"{at}{LONG}" for at in range(20))), ""),
    "ignore-many-classes": (lambda: ignoring(each(9000, "[{at}a-z]*b\n"), LONG), ""),
    "ignore-many-taken-back": (lambda: ignoring("*\n!*\n" * 20000, *HUNDRED), ""),
    "ignore-deep": (lambda: ignoring("*\n!" + "a/" * 45000 + "b\n", DEEP), ""),
    "ignore-open-class": (lambda: ignoring(f"[{'a' * 90000}\n", LONG), ""),
    "ignore-one-class": (lambda: ignoring(f"[{'a-b' * 30000}]\n", LONG), ""),
    "tree-deep": (
        lambda: ignoring("*\n!**/f\n", *("a/" * depth + "f" for depth in range(1, 900, 2))), ""),
}  # fmt: skip

GLOBS = {
    "glob": (lambda: globbing(STARS, **{LONG: ""}), ""),
    "glob-anywhere": (lambda: globbing("**/" * 3000 + "x", **{DEEP: ""}), "more than 1000 parts"),
    "glob-folders": (
        lambda: globbing("**/a/" * 300 + "x", **{"/".join("a" * 300): ""}), ""),
    "glob-exclude": (
        lambda: {**discovering(
            dockerfiles=["**/*"], exclude=[STARS, "**/a/" * 25 + "b", "**/" * 30 + "*a" * 9 + "b"]),
            "Dockerfile": FROM, LONG: FROM, DEEP: FROM}, "has no FROM"),
    "glob-classes": (lambda: globbing("[z-a]x", "[!]x]", "[]", "[[:a:]]"), ""),
    "globs": (lambda: globbing(*(f"**/{at}*x*y" for at in range(4500)), **HUNDRED), ""),
    "glob-deep-tree": (lambda: globbing("**/x", **{TOO_DEEP: ""}), ""),
}  # fmt: skip

COMPOSE = {
    "compose-nested": (lambda: image(nested("${A:-")), "nested more than 50"),
    "compose-open": (lambda: image('"' + "${A:-" * 15000 + '"'), "has no end"),
    "compose-taken": (lambda: image(nested("${A:+")), ""),
    "compose-env": (lambda: compose(ONE, **{".env": doubling()}), ".env: line 15: with its"),
    "compose-env-lines": (
        lambda: compose(ONE, **{".env": "A=xxxxxxxxxx\n" + f"A={'$A' * 5000}\n" * 3}),
        ".env: line 3: "),
    "compose-env-quotes": (lambda: compose(ONE, **{".env": "A='\n" * 15000}), ""),
    "compose-env-open": (lambda: compose(ONE, **{".env": "A='" + "\n" * 40000}), ""),
    "compose-env-names": (lambda: compose(ONE, **{".env": each(12000, "A{at}=1\n")}), ""),
    "compose-env-wrong": (lambda: compose(ONE, **{".env": "x" * 90000 + "?\n"}), "line 1 is not"),
    "compose-env-blanks": (lambda: compose(ONE, **{".env": f"A=x{' ' * 90000}x\n"}), ""),
    "compose-values": (
        lambda: compose(f"{BUILD}      args:\n" + f"        A{{at}}: {'$A' * 100}\n".format(at=1),
                        **{".env": f"A={'x' * 60000}\n"}), "longer than"),
    "compose-extends-circle": (
        lambda: compose("services:\n" + each(3000, "  s{at}:\n    extends: s{next}\n")
                        + "  s3000:\n    extends: s0\n"), "more than 50 services"),
    "compose-extends-chain": (
        lambda: compose("services:\n" + each(3000, "  s{at}:\n    extends: s{next}\n")
                        + "  s3000:\n    build: .\n"), "more than 50 services"),
    "compose-extends-fan": (
        lambda: compose("services:\n  s0: {image: 'p/a:1', build: .}\n" + each(
            300, "  s{next}:\n    extends: {{file: c.yaml, service: s{at}}}\n")), ""),
    "compose-include-circle": (
        lambda: compose("include: [d.yaml]\n", **{"d.yaml": "include: [c.yaml]\n"}), "itself"),
    "compose-include-fan": (
        lambda: compose("include: [d0.yaml, d0.yaml]\n", **{
            f"d{at}.yaml": f"include: [d{at + 1}.yaml, d{at + 1}.yaml]\n" for at in range(30)},
            **{"d30.yaml": ONE}), "more than 1000 files"),
    "compose-include-many": (
        lambda: compose("include:\n" + "- d.yaml\n" * 9000, **{"d.yaml": ONE}), "more than 1000"),
    "compose-include-chain": (
        lambda: compose("include: [d0.yaml]\n", **{
            f"d{at}.yaml": f"include: [d{at + 1}.yaml]\n" for at in range(1500)}), "more than 50"),
    "compose-merge": (
        lambda: {**discovering(compose=["c.yaml", "d.yaml"]), **{
            f"{one}.yaml": f"{BUILD}      tags: [{each(6000, f'p/{one}:{{at}}, ')}]\n"
            for one in "cd"}}, ""),
    "compose-same": (lambda: compose("services:\n" + each(3000, "  s{at}: {{build: .}}\n")), ""),
    "compose-platforms": (
        lambda: compose(f"{BUILD}      platforms: [{each(5000, 'linux/amd64/v{at}, ')}]\n"), ""),
    "compose-contexts": (
        lambda: compose(f"{BUILD}      additional_contexts:\n"
                        + each(2500, "        c{at}: docker-image://debian:{at}\n")), ""),
    "compose-inline": (
        lambda: compose(f"{BUILD}      dockerfile_inline: |\n" + "".join(
            f"        {line}\n" for line in f"{ARGS}FROM a".replace("$", "$$").splitlines())),
        "can't be expanded"),
    "compose-reference": (lambda: image(f"p/a:{'1' * 90000}"), "is too long for the name"),
    "compose-number": (
        lambda: compose(f"{BUILD}      args: {{A: 0x{'1' * 90000}}}\n"), ""),
}  # fmt: skip

OTHERS = {
    "skaffold-circle": (
        lambda: skaffold("requires:\n- path: skaffold.yaml\n"), "There is no image"),
    "skaffold-requires": (
        lambda: skaffold(
            "---\n".join("apiVersion: skaffold/v1\n" * (at > 0) + f"metadata: {{name: m{at}}}\n"
                         "requires:\n" + "- path: skaffold.yaml\n" * 20 for at in range(60))),
        "There is no image"),
    "skaffold-artifacts": (lambda: artifacts(each(4000, "  - image: {at}/a\n")), ""),
    "skaffold-template": (
        lambda: artifacts("  - image: p/a\n    docker:\n      buildArgs:\n        A: '{{"
                          + " " * 90000 + "'\n"), "only Skaffold fills in templates"),
    "skaffold-env": (
        lambda: {**artifacts("  - image: p/a\n"), "skaffold.env": doubling()}, "line 15: with its"),
    "requires-circle": (
        lambda: requiring(1200, lambda at: [f"b{(at + 1) % 1200}"]), "(1181 more)"),
    "requires-chain": (
        lambda: requiring(1200, lambda at: [f"b{at + 1}"] if at < 1199 else []), ""),
    "requires-dense": (
        lambda: requiring(150, lambda at: [f"b{to}" for to in range(150) if to != at]), "circle"),
}  # fmt: skip

CASES = {**EXPANDED, **PARSED, **STAGES, **SOURCES, **GLOBS, **COMPOSE, **OTHERS}
"""Name -> what makes the files of a project, and what the error says that it ends in; none, if that
is empty."""


def read_project(root):
    """Read a project as far as can be without a registry."""
    from aksci.config.loader import load_config
    from aksci.images.context.hasher import TreeHasher
    from aksci.images.discovery.importers.imported import Importer
    from aksci.images.graph import build_graph, graph_document
    from aksci.images.keys import source_of

    graph = build_graph(root, load_config(root / "aksci.toml"), importer=Importer())
    json.dumps(graph_document(graph))
    hasher = TreeHasher(root)
    for one in graph.images.values():
        source_of(one, hasher)


def write_project(root, files):
    """Write the files of a project; a path that is too long for that, as folders in each other."""
    root.mkdir()
    for name, text in files.items():
        if name != TOO_DEEP:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            continue
        here = os.open(root, os.O_RDONLY)
        for part in name.split("/"):
            os.mkdir(part, dir_fd=here)
            above, here = here, os.open(part, os.O_RDONLY, dir_fd=here)
            os.close(above)
        os.close(here)


def measure(name):
    """Read one input within the limits: tell how it ended, seconds, and bytes at its peak."""
    root = Path(tempfile.mkdtemp(), "project")
    try:
        write_project(root, CASES[name][0]())
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _read_within_limits(root, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as stream:
            ended = stream.read().decode()
        _, status, used = os.wait4(child, 0)
    finally:
        # A tree that is deeper than a path can be long, or than Python's recursion.
        subprocess.run(["rm", "-rf", root.parent], check=True)
    return {
        "case": name,
        "ended": ended or f"killed by signal {os.WTERMSIG(status)}",
        "seconds": round(used.ru_utime + used.ru_stime, 3),
        "peak": used.ru_maxrss * 1024,
    }


def _read_within_limits(root, writing):
    from aksci.core.errors import AksciError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        read_project(root)
        ended = "result"
    except AksciError as error:
        ended = f"{error.code}: {error}"
    except BaseException as error:  # noqa: BLE001 - a traceback, which is what is looked for
        ended = f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):
        os.write(writing, ended.encode("utf-8", "replace")[:50_000])
    os._exit(0)


def main(names):
    """Print what each input costs."""
    # Here, so that no child has to.
    import aksci.config.loader
    import aksci.images.discovery.importers.compose
    import aksci.images.discovery.importers.skaffold
    import aksci.images.graph
    import aksci.images.keys  # noqa: F401

    for name in names or CASES:
        sys.stdout.write(json.dumps(measure(name)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
