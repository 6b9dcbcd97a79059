"""buildx's command line, one JSON file a case; progress as lines; builds that can't start."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import pytest

from aksci.core.errors import BuildError
from aksci.core.process import Runner
from aksci.core.secret import Secret
from aksci.images.engines.builder import (
    Attestations,
    BuildCache,
    BuildRequest,
    BuildSecret,
    BuildSsh,
)
from aksci.images.engines.buildx import ENGINE_BUILDER, BuildxBuilder, Progress, build_argv
from aksci.images.engines.buildx_builders import BuilderStore

CASES = sorted((Path(__file__).parent / "buildx-argv").glob("*.json"))
DEFAULTS = {
    "name": "web",
    "dockerfile": "/p/web/Dockerfile",
    "context": "/p/web",
    "target": None,
    "args": {},
    "platforms": [],
    "parents": {},
    "annotations": {},
    "secrets": [],
    "repository": "localhost:5000/shop/web",
    "tag": "in-abc",
    "fresh": False,
    "timeout": 60,
}


def request_of(document):
    values = DEFAULTS | document
    secrets = tuple(
        BuildSecret(
            id=one["id"],
            file=Path(one["file"]) if "file" in one else None,
            value=Secret(one["value"]) if "value" in one else None,
        )
        for one in values["secrets"]
    )
    ssh = tuple(
        BuildSsh(id=one["id"], keys=tuple(map(Path, one.get("keys", ()))))
        for one in values.pop("ssh", ())
    )
    cache = BuildCache(**values.pop("cache")) if "cache" in values else None
    attestations = Attestations(**values.pop("attestations", {}))
    paths = {key: Path(values[key]) for key in ("dockerfile", "context")}
    return BuildRequest(
        **{**values, **paths, "secrets": secrets, "platforms": tuple(values["platforms"])},
        ssh=ssh,
        cache=cache,
        attestations=attestations,
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_argv(path):
    case = json.loads(path.read_text())
    argv = build_argv(
        Path("/bin/buildx"),
        request_of(case["request"]),
        builder="aksci",
        metadata=Path("/tmp/m.json"),
        by_digest=case.get("by_digest", True),
    )
    assert argv == case["argv"]


def test_there_are_cases():
    assert len(CASES) >= 4


def test_secrets_whose_ids_differ_in_a_dash_alone_do_not_take_each_others_value():
    secrets = [{"id": "db-key", "value": "1"}, {"id": "db_key", "value": "2"}]
    request = request_of({"secrets": secrets})
    argv = build_argv(
        Path("/bin/buildx"), request, builder="aksci", metadata=Path("/m"), by_digest=True
    )
    sources = [
        argv[at + 1].rpartition("env=")[2] for at, word in enumerate(argv) if word == "--secret"
    ]
    assert len(set(sources)) == len(secrets)


def test_what_is_secret_is_in_no_argument():
    path = Path(__file__).parent / "buildx-argv" / "everything.json"
    assert "hunter2" in path.read_text()
    assert not [word for word in json.loads(path.read_text())["argv"] if "hunter2" in word]


def status(**fields):
    return json.dumps(fields)


def log(vertex, text):
    data = base64.b64encode(text.encode()).decode()
    return status(logs=[{"vertex": vertex, "stream": 1, "data": data}])


def test_progress_tells_each_step_once_and_whole_lines_of_output():
    lines = []
    progress = Progress(lines.append, str)
    step = {"digest": "d", "name": "[1/2] RUN x", "started": "t"}
    progress.line(status(vertexes=[step]))
    progress.line(status(vertexes=[step]))
    progress.line(status(vertexes=[{"digest": "i", "name": "[internal] load", "started": "t"}]))
    progress.line(log("d", "hel"))
    progress.line(log("d", "lo\n10%\r50%\r100%\n"))
    progress.line(status(vertexes=[{**step, "completed": "t", "cached": True}]))
    assert lines == ["[1/2] RUN x", "  hello", "  100%", "[1/2] RUN x (cached)"]


def test_a_failure_is_the_failing_steps_output_and_not_its_neighbours():
    progress = Progress(lambda _: None, str)
    progress.line(status(vertexes=[{"digest": "a", "name": "RUN a"}, {"digest": "b", "name": "B"}]))
    progress.line(log("a", "noise\n"))
    progress.line(log("b", "real cause"))
    progress.line(status(vertexes=[{"digest": "a", "name": "RUN a", "error": "context canceled"}]))
    progress.line(status(vertexes=[{"digest": "b", "name": "B", "error": "exit code: 1"}]))
    assert progress.failure() == "  B\n  real cause\n  exit code: 1"


def test_a_cache_that_does_not_exist_or_cant_be_written_is_not_the_failure():
    lines = []
    progress = Progress(lines.append, str)
    importing = {"digest": "i", "name": "importing cache manifest from r/x:cache-x"}
    exporting = {"digest": "e", "name": "exporting cache to registry"}
    progress.line(status(vertexes=[{**importing, "error": "r/x:cache-x: not found"}]))
    progress.line(status(vertexes=[{**exporting, "error": "403 Forbidden"}]))
    progress.line(status(vertexes=[{"digest": "a", "name": "RUN a", "error": "exit code: 1"}]))
    assert progress.failure() == "  RUN a\n  exit code: 1"
    assert lines == [
        "importing cache manifest from r/x:cache-x: none yet",
        "warning: exporting cache to registry: 403 Forbidden",
    ]


def test_a_failure_before_any_step_is_what_buildx_said():
    progress = Progress(lambda _: None, str)
    progress.line("ERROR: no builder")
    assert progress.failure() == "ERROR: no builder"


def test_what_a_step_prints_is_cleaned_wherever_it_appears():
    lines = []
    progress = Progress(lines.append, lambda text: text.replace("s3cret", "***"))
    progress.line(status(vertexes=[{"digest": "d", "name": "RUN echo s3cret", "started": "t"}]))
    progress.line(log("d", "it is s3cret\nand s3cret"))
    progress.line(status(vertexes=[{"digest": "d", "name": "RUN", "error": "s3cret failed"}]))
    assert "s3cret" not in "".join([*lines, progress.failure()])
    assert lines == ["RUN echo ***", "  it is ***", "  and ***"]


@pytest.mark.parametrize("answer", ["", "{}", "[]", "{"])
def test_a_build_that_tells_no_digest_is_a_failure_though_it_ended_well(tmp_path, answer):
    """Docker's own push is known to end well and to have pushed nothing."""
    buildx = tmp_path / "buildx"
    code = "import sys; open(sys.argv[sys.argv.index('--metadata-file') + 1], 'w').write"
    buildx.write_text(f"#!{sys.executable}\n{code}({answer!r})\n")
    buildx.chmod(0o755)
    runner = Runner(environment=dict(os.environ), log=lambda _: None)
    store = BuilderStore(buildx=buildx, runner=runner, folder=tmp_path)
    engine = BuildxBuilder(store=store, spec=ENGINE_BUILDER)
    with pytest.raises(BuildError, match="web was built, but buildx did not tell its digest"):
        engine.build(request_of({}), lambda _: None)
