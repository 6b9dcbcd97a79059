"""Whatever a Dockerfile, an ignore file or a glob holds: it is read, or an error says why not."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksci.core.errors import AksciError
from aksci.images.context.ignore import parse_ignore
from aksci.images.context.walk import parse_sources
from aksci.images.discovery.globs import Exclude, find_files
from aksci.images.dockerfile.expand import UnresolvedError, expand, shell_words
from aksci.images.dockerfile.parser import parse_dockerfile, parse_onbuild
from aksci.images.dockerfile.stages import resolve_stages

MANY = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PIECES = [
    "FROM scratch", "FROM a AS b", "FROM b", "FROM $A", "from ${A:-b} as C", "ARG A", "ARG A=$A$A",
    "ARG A=${A//*a*/$A}", "ENV A=1 B=$A", "ENV $A=1", "ENV A $B", "COPY . /", "COPY --from=b a /",
    "COPY --from=0 a /", "COPY --from=$A a /", 'COPY ["a", "b"]', "COPY [", "COPY <<A /", "A",
    "ADD http://x /", "ADD git@h:x#a /", "ADD --checksum=$A x /", "RUN --mount=from=b,source=$A x",
    "RUN --mount=type=bind,src=a x", 'RUN --mount="a,b', "RUN <<A <<'B c'", "B c", "RUN <<-A",
    "ONBUILD COPY --from=b a /", "ONBUILD RUN <<A", "ONBUILD", "ONBUILD ONBUILD RUN x", "\\",
    "# syntax=x", "# escape=`", "#", "", " ", "${A", "${A%%*}", "'", '"', "$", "--", '--a="b',
]  # fmt: skip
BITS = ["a", "b", "$A", "${A", "}", ":-", "//", "/", "#", "%", "*", "?", "\\", "'", '"', "<<", "\n",
        " ", "${A:-", "\0", "\udc80", "é"]  # fmt: skip
GLOB_BITS = ["a", "b", "*", "**", "?", "[", "]", "[!a]", "[^a-z]", "/", "!", "\\", "^", "-", ".",
             "..", "#", " ", "\n", "\0", "é"]  # fmt: skip


def texts(bits, size=12):
    return st.lists(st.sampled_from(bits), max_size=size).map("".join)


LINES = st.lists(st.one_of(st.sampled_from(PIECES), texts(BITS)), min_size=1, max_size=12).map(
    "\n".join
)


@MANY
@given(text=st.one_of(LINES, LINES.map("FROM scratch AS b\n{}".format)), value=texts(BITS))
def test_any_dockerfile_is_read_or_refused(text, value):
    with contextlib.suppress(AksciError):
        dockerfile = parse_dockerfile(text.encode("utf-8", "surrogateescape"), name="Dockerfile")
        triggers = parse_onbuild([value], name="x") if value.strip() else ()
        for target in (None, "b", "1"):
            resolve_stages(
                dockerfile,
                target=target,
                args={"A": value},
                platform={"TARGETARCH": "amd64"},
                contexts={"a": "image:b"},
                triggers={"a": triggers, "b": triggers},
            )


@MANY
@given(content=st.binary(max_size=80))
def test_any_bytes_are_a_dockerfile_or_refused(content):
    with contextlib.suppress(AksciError):
        dockerfile = parse_dockerfile(content, name="Dockerfile")
        resolve_stages(dockerfile, target=None, args={}, platform={})


@MANY
@given(text=texts(BITS), value=texts(BITS))
def test_any_word_is_expanded_or_refused(text, value):
    for complete in (False, True):
        with contextlib.suppress(UnresolvedError):
            expand(text, {"A": value, "B": None}, complete=complete)
    with contextlib.suppress(UnresolvedError):
        shell_words(text, raw=True)


@MANY
@given(text=texts(GLOB_BITS, 30), paths=st.lists(texts("ab/.", 9), max_size=4))
def test_any_ignore_file_and_any_source_is_read(text, paths):
    ignore = parse_ignore(text)
    selection = parse_sources([text, *paths])
    for path in paths:
        ignore.ignores(path)
        ignore.enters(path)
        selection.step(path)


@MANY
@given(globs=st.lists(texts(GLOB_BITS), min_size=1, max_size=3), path=texts("ab/.", 9))
def test_any_glob_is_read_or_refused(tmp_path, globs, path):
    (tmp_path / "a/b").mkdir(parents=True, exist_ok=True)
    (tmp_path / "a/b/a").touch()
    with contextlib.suppress(AksciError):
        Exclude(tuple(globs)).excludes(path)
        find_files(tmp_path, globs)
