"""docs/library.md: each of its files compiles, can be imported, calls what there is, and works."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from aksci import Environment, steps
from aksci.config.loader import load_config
from aksci.errors import BuildError, GateError
from aksci.parts import Parts
from aksci.testing import CannedFinding, MemoryWorld, open_environment

PAGE = (Path(__file__).parents[2] / "docs/library.md").read_text(encoding="utf-8")
FILES = {
    name: (language, text)
    for name, language, text in re.findall(
        r"^`([^`\n]+)`\n\n```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    )
}
"""Path -> language and content of the files that the page shows."""
PYTHON = {name: text for name, (language, text) in FILES.items() if language == "python"}
TREES = {name: ast.parse(text, name) for name, text in PYTHON.items()}


def shown(*, code: bool):
    """Return what is said of each step: in calls of the code, or in the table."""
    if code:
        return [
            (name, node.func.attr, [word.arg for word in node.keywords])
            for name, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "steps"
        ]
    (table,) = re.findall(r"^## Steps\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)\((.*?)\)` \|", table, re.MULTILINE)
    return [("the table", name, re.findall(r"\w+", words)) for name, words in rows]


def test_each_block_of_python_is_a_file_with_a_name_of_its_own():
    assert len(re.findall(r"^```python$", PAGE, re.MULTILINE)) == len(PYTHON)
    assert len(re.findall(r"^`([^`\n]+)`$", PAGE, re.MULTILINE)) == len(FILES)


@pytest.mark.parametrize("code", [True, False])
def test_what_is_called_is_a_step_with_these_parameters(code):
    calls = shown(code=code)
    assert len(calls) > 30
    for where, name, words in calls:
        assert name in steps.__all__, (where, name)
        given = inspect.signature(getattr(steps, name)).parameters
        parameters = [each.removeprefix("_") for each in given]
        assert set(words) <= set(parameters), (where, name)
        if not code:
            assert words == parameters, name


def test_the_table_has_every_step():
    told = {name for _, name, _ in shown(code=False)}
    assert told == {*steps.__all__} - {"place_for"}  # that is no verb


def test_what_is_told_of_an_environment_is_there():
    (table,) = re.findall(
        r"^## Environment\n.*?\n\n(\| \| \|.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE
    )
    told = [
        name
        for row in table.splitlines()[2:]
        for name in re.findall(r"`(\w+)[^`]*`", row.split("|")[1])
    ]
    assert {"root", "note", "registry"} < set(told)
    known = {*dir(Environment), *Environment.__dataclass_fields__}
    assert set(told) <= known
    used = {
        node.attr
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "env"
    }
    # ``world`` is of the one that aksci.testing opens.
    assert used <= {*told, "world"}


def test_our_names_that_it_imports_are_public_and_there():
    for where, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("aksci"):
                continue
            module = import_module(str(node.module))
            names = {each.name for each in node.names}
            assert names <= {*getattr(module, "__all__", ())}, where


@pytest.fixture
def repository(tmp_path):
    """A team's repository: the files of the page, an image that they speak of, and its chart."""
    files = {
        "gateway/Dockerfile": 'FROM debian:bookworm-slim\nCMD ["gateway"]\n',
        "worker/Dockerfile": 'FROM debian:bookworm-slim\nCMD ["worker"]\n',
        "charts/gateway/Chart.yaml": "apiVersion: v2\nname: gateway\nversion: 0.1.0\n",
        "charts/gateway/templates/none.yaml": "",
        "pipelines/__init__.py": "",
        **{name: text for name, (_, text) in FILES.items()},
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def team(repository, monkeypatch):
    """Import a module of the repository, whose ``pipelines`` are not ours."""
    monkeypatch.syspath_prepend(str(repository))
    ours = {name for name in sys.modules if name.partition(".")[0] == "pipelines"}
    for name in ours:
        monkeypatch.delitem(sys.modules, name)
    yield import_module
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipelines"]:
        del sys.modules[name]  # before ours come back


def test_its_files_make_a_repository_whose_modules_can_be_imported(repository):
    for name, text in PYTHON.items():
        compile(text, name, "exec", dont_inherit=True)
    modules = [
        name.removesuffix(".py").replace("/", ".")
        for name, text in PYTHON.items()
        if name != "noxfile.py"
    ]
    assert len(modules) >= 5
    script = f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_first_pipeline_deploys_what_it_built_and_of_a_part_nothing(team, repository):
    release = team("pipelines.release").release
    with open_environment(repository) as env:
        release(env, only=("gateway",))
        assert "deploy" not in env.notes
        release(env)
        gateway = env.last_build().images["gateway"].ref
        assert env.world.cluster().images("shop") == {"gateway/image": str(gateway)}


def test_no_image_is_built_on_one_that_the_gate_refuses(team, repository):
    (repository / "worker/Dockerfile").write_text("FROM shop/gateway:latest\n")
    strict = team("pipelines.strict").strict
    with open_environment(repository) as env:
        env.world.scanner.find("gateway", CannedFinding(id="CVE-2026-0001"))
        with pytest.raises(GateError, match="CVE-2026-0001"):
            strict(env)
        assert env.world.builder.built == ["gateway"]
        env.world.scanner.find("gateway")  # nothing any more
        strict(env)
        assert env.notes["deploy"]


def test_a_preview_tells_of_work_and_changes_nothing(team, repository, capsys):
    preview, release = team("pipelines.preview").preview, team("pipelines.release").release
    world = MemoryWorld()
    with open_environment(repository, world=world) as env:
        release(env)
        assert preview(env) is None
        (repository / "worker/Dockerfile").write_text('FROM debian:bookworm-slim\nCMD ["x"]\n')
        built = list(world.builder.built)
        assert preview(env) == 20
        assert world.builder.built == built
    assert "worker" in capsys.readouterr().out


def test_production_gets_what_runs_in_staging(team, repository):
    release, promotion = team("pipelines.release").release, team("pipelines.promotion").promotion
    with open_environment(repository, "staging") as env:
        release(env)
        promotion(env, plan=True)
        assert env.world.cluster("production").images("shop") == {}
        promotion(env)
        (staged,) = env.world.cluster("staging").images("shop").values()
        (live,) = env.world.cluster("production").images("shop").values()
        assert live.partition("@")[2] == staged.partition("@")[2]
        assert live.startswith("shopproduction.azurecr.io/")


def test_a_patch_day_takes_up_a_base_that_moved(team, repository):
    release, patch_day = team("pipelines.release").release, team("pipelines.patch_day").patch_day
    world = MemoryWorld()
    with open_environment(repository, world=world) as env:
        release(env)
    world.bases.move("debian:bookworm-slim")
    with open_environment(repository, world=world) as env:
        patch_day(env)
        assert sorted(world.builder.built) == ["gateway", "gateway", "worker", "worker"]


def test_its_own_tests_pass(repository):
    words = ["-q", "-p", "no:cacheprovider", "--rootdir", ".", "tests"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_a_pull_request_signs_and_publishes_nothing(team, repository):
    pull_request = team("pipelines.pull_request").pull_request
    with open_environment(repository) as env:
        pull_request(env, only=("gateway",))
        assert env.world.builder.built == ["gateway"]
        assert env.world.signer.signed == []
        env.world.scanner.find("gateway", CannedFinding(id="CVE-2026-0001"))
        with pytest.raises(GateError, match="CVE-2026-0001"):
            pull_request(env, only=("gateway",))


def test_the_nightly_build_signs_what_there_is_and_fails_for_the_rest(team, repository):
    nightly = team("pipelines.nightly").nightly
    with open_environment(repository) as env:
        env.world.builder.fail("worker", "no such package")
        with pytest.raises(BuildError, match="no such package"):
            nightly(env)
        assert [ref.repository for ref in env.world.signer.signed] == ["shop/gateway"]
        assert env.reporter.warnings[-1].startswith("worker: ")


def test_jobs_hand_on_what_was_built(team, repository, tmp_path):
    jobs, world, work = team("pipelines.jobs"), MemoryWorld(), tmp_path / "work"
    for job in (jobs.make, jobs.check, jobs.seal, jobs.roll_out):
        with open_environment(repository, world=world, work=work) as env:
            job(env)
    assert sorted(world.builder.built) == ["gateway", "worker"]
    assert env.last_release().repository == "shop/release"


def test_what_does_not_serve_its_page_is_not_signed(team, repository):
    smoke = team("pipelines.smoke")
    with open_environment(repository) as env:
        env.world.image_runner.answer("gateway", "/", status=500, text="out of memory")
        with pytest.raises(smoke.SmokeError, match="100 of 100 requests: out of memory"):
            smoke.checked(env)
        assert env.world.signer.signed == []
        env.world.image_runner.recover()
        smoke.checked(env)
        assert env.notes["smoke"] == {"requests": 100, "failed": 0}
        assert env.world.signer.signed


def test_the_gate_decides_by_what_a_scanner_of_ones_own_reports(team, repository):
    bad = {
        "id": "ACME-7",
        "package": "zlib",
        "version": "1.2",
        "severity": "CRITICAL",
        "fixed": "2",
    }
    good = {"package": "zlib", "version": "1.3"}
    listed = {"shop/gateway": [good], "shop/worker": [bad]}
    scanner = team("acme_scanner").AcmeScanner(json.dumps(listed).encode())
    with open_environment(repository, parts=Parts(scanner=scanner)) as env:
        verdicts = steps.scan(env, steps.build(env))
    assert {name: each.passed for name, each in verdicts.items()} == {
        "gateway": True,
        "worker": False,
    }
    assert [one.id for one in verdicts["worker"].failing] == ["ACME-7"]


def test_its_aksci_toml_is_read(tmp_path):
    (tmp_path / "aksci.toml").write_text(FILES["aksci.toml"][1], encoding="utf-8")
    assert {"local", "staging", "production"} <= set(
        load_config(tmp_path / "aksci.toml").environments
    )


def test_its_other_tables_are_toml():
    parts = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert all(tomllib.loads(each) for each in parts)


def test_each_link_to_a_heading_of_the_page_leads_there():
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors


def test_the_readme_shows_the_page_s_first_pipeline():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"# pipelines/release.py\n{PYTHON['pipelines/release.py']}" in readme
