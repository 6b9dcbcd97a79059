"""What a deployment, a check or a report reads and writes is where it is written to be."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from functools import partial
from types import SimpleNamespace

import pytest

from aksci.azure.acr_tasks.output_folder import export_folder, write_folder
from aksci.config.deploy_models import BuilderConfig, EnvironmentConfig
from aksci.config.loader import load_config
from aksci.config.supply_models import NotationConfig, ScanConfig
from aksci.core.errors import AksciError, ConfigError, UsageError
from aksci.deploy.lint.lint_project import LintTools, lint_project
from aksci.deploy.state.desired import values_files
from aksci.environment import Environment
from aksci.images.engines.make_builder import _OwnBuilders
from aksci.images.services import require_services
from aksci.steps.show_step import place_for, show
from aksci.supply.release.chart import read_chart
from aksci.supply.release.make_release import read_migrations
from aksci.supply.scan.knowledge import load_knowledge
from aksci.supply.sign.cosign.cosign_keys import cosign_key
from aksci.supply.sign.notation.notation_signer import _roots
from aksci.testing.no_programs import NoPrograms
from aksci.testing.reporter import RecordingReporter

CANARY = "canary-of-the-outside"
TOML = """schema = 1
[project]
name = "shop"
[images.web]
dockerfile = "Dockerfile"
[services.web]
chart = "chart"
images = { image = "web" }
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "values.yaml": "a: 1\n",
    "templates/a.yaml": "kind: A\n",
}


@pytest.fixture
def root(tmp_path):
    """A project with a chart; beside it, what is none of its business."""
    outside = {**CHART, "bad.yaml": f"{CANARY}: [{CANARY}\n", "secret": CANARY,
               "root.pem": CANARY, ".aksci-export.json": f'{{"files": ["{CANARY}"]}}',
               CANARY: "", ".helmignore": f"**{CANARY}\n"}  # fmt: skip
    project = {"aksci.toml": TOML, "Dockerfile": "FROM scratch\n"}
    project |= {f"chart/{name}": text for name, text in CHART.items()}
    for folder, files in (("outside", outside), ("project", project)):
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return tmp_path / "project"


@pytest.fixture
def environment(root):
    reporter = RecordingReporter()
    with Environment.open(root=root, variables={}, reporter=reporter) as env:
        yield env


def outside(root):
    return {path: path.lstat().st_mtime_ns for path in (root.parent / "outside").rglob("*")}


def relink(path, target):
    if path.is_dir():
        path.rename(path.with_name("was"))
    path.unlink(missing_ok=True)
    path.symlink_to(target)


CHART_LINKS = {
    "the chart": ("chart", "."),
    "its Chart.yaml": ("chart/Chart.yaml", "bad.yaml"),
    "its values": ("chart/values.yaml", "bad.yaml"),
    "its templates": ("chart/templates", "."),
    "a template": ("chart/templates/b.yaml", "secret"),
    "a file": ("chart/files", "secret"),
    "its ignore file": ("chart/.helmignore", ".helmignore"),
    "a sub-chart": ("chart/charts", "."),
}


@pytest.mark.parametrize(("link", "target"), CHART_LINKS.values(), ids=CHART_LINKS)
def test_no_link_of_a_chart_is_followed_to_what_lies_outside(root, link, target):
    relink(root / link, root.parent / "outside" / target)
    config = load_config(root / "aksci.toml")
    # Helm follows links, and shows lines of what it can't read: it must not even be started.
    tools = LintTools(runner=NoPrograms(), helm=root / "helm")
    report = lint_project(config, root, (), tools)
    assert [each.rule for each in report.errors] == ["aksci-chart"]
    assert CANARY not in str(report)
    look = partial(require_services, config, root=root, images=["web"])
    if link not in {"chart", "chart/Chart.yaml"}:
        look()
        look = partial(read_chart, root / "chart")
    with pytest.raises(ConfigError) as caught:
        look()
    assert CANARY not in str(caught.value)


def packed(name, content):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


SCHEMAS = {
    "a file": {"$ref": "file:///etc/hostname"},
    "a file in other letters": {"properties": {"a": {"anyOf": [{"$ref": " FILE:/etc/hostname"}]}}},
    "a relative path": {"$ref": "../../etc/hostname"},
    "no host": {"$dynamicRef": "//etc/hostname"},
    "a schema of schemas": {"$schema": "file:///etc/hostname"},
    "another scheme": {"$defs": {"a": {"$ref": "ftp://localhost/x"}}},
}


@pytest.mark.parametrize("place", ["its own", "a sub-chart's", "a packed one's", "deeper"])
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_no_schema_of_a_chart_makes_helm_read_a_file(root, schema, place):
    text = json.dumps(schema).encode()
    inner = packed("sub/values.schema.json", text)
    name, content = {
        "its own": ("values.schema.json", text),
        "a sub-chart's": ("charts/sub/values.schema.json", text),
        "a packed one's": ("charts/sub-1.tgz", inner),
        "deeper": ("charts/sub-1.tgz", packed("sub/charts/x.tgz", inner)),
    }[place]
    (root / "chart" / name).parent.mkdir(parents=True, exist_ok=True)
    (root / "chart" / name).write_bytes(content)
    with pytest.raises(ConfigError, match="which Helm would read from this machine"):
        read_chart(root / "chart")
    tools = LintTools(runner=NoPrograms(), helm=root / "helm")
    report = lint_project(load_config(root / "aksci.toml"), root, (), tools)
    assert [each.rule for each in report.errors] == ["aksci-chart"]


BROKEN = {
    "no archive": lambda: b"x",
    "empty": lambda: b"",
    "large": lambda: gzip.compress(bytes(101 << 20), 1),
    "cut off": lambda: packed("x", b"")[:40],
}


@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)
def test_a_packed_chart_that_can_not_be_unpacked_is_refused(root, make):
    (root / "chart/charts").mkdir()
    (root / "chart/charts/a.tgz").write_bytes(make())
    with pytest.raises(ConfigError, match="is no packed chart|unpacks to more"):  # noqa: RUF043
        read_chart(root / "chart")


def test_schemas_may_refer_to_themselves_and_to_addresses(root):
    schema = {
        "$schema": "https://json-schema.org/draft-07/schema#",
        "$id": "own",
        "properties": {"a": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"type": "integer"}},
    }
    (root / "chart/values.schema.json").write_text(json.dumps(schema))
    (root / "chart/charts").mkdir()
    (root / "chart/charts/a.tgz").write_bytes(
        packed("a/values.schema.json", b'{"$ref": "https://example.com/x.json"}')
    )
    (root / "chart/files").mkdir()
    (root / "chart/files/a.tgz").write_bytes(b"an asset")
    assert read_chart(root / "chart").name == "web"


@pytest.mark.parametrize("name", ["/etc", "../../etc", "..", "", "**"])
def test_a_dependency_called_like_a_path_is_refused(root, name):
    text = f"name: web\nversion: 1.0.0\ndependencies: [{{name: '{name}'}}]\n"
    (root / "chart/Chart.yaml").write_text(text)
    with pytest.raises(ConfigError, match="no chart is called"):
        read_chart(root / "chart")


@pytest.mark.parametrize("name", ["a/../../x", "..", "A", "a b", "a/b", "a\nb", ""])
def test_a_chart_called_like_a_path_is_refused(root, name):
    (root / "chart/Chart.yaml").write_text(f'name: "{name}"\nversion: 1.0.0\n'.replace("\n", "\n"))
    with pytest.raises(ConfigError):
        read_chart(root / "chart")


def test_a_damaged_chart_is_told_by_its_line_and_not_by_its_text(root):
    (root / "chart/Chart.yaml").write_text(f"name: web\n{CANARY}: [{CANARY}\n")
    with pytest.raises(ConfigError, match=r"line 3") as caught:
        read_chart(root / "chart")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("name", [".hadolint.yaml", ".hadolint.yml"])
def test_hadolint_is_not_started_with_settings_from_outside(root, name):
    relink(root / name, root.parent / "outside/bad.yaml")
    tools = LintTools(runner=NoPrograms(), helm=root / "helm", hadolint=root / "hadolint")
    with pytest.raises(ConfigError, match="leads out of the project"):
        lint_project(load_config(root / "aksci.toml"), root, [root / "Dockerfile"], tools)


READERS = {
    "values": lambda root: values_files(
        root, EnvironmentConfig(platform="embedded", namespace="a", values=("x/{service}",)), "bad"
    ),
    "migrations": lambda root: read_migrations(root, ("x/*",), service="web"),
    "a migration": lambda root: read_migrations(root, ("y",), service="web"),
    "kev": lambda root: load_knowledge(ScanConfig(kev="y"), root),
    "vex": lambda root: load_knowledge(ScanConfig(vex=("x/bad.yaml",)), root),
    "a trust store": lambda root: _roots(root, NotationConfig(trust_store="x").trust_store),
    "a certificate": lambda root: _roots(root, "z"),
    "cosign's key": lambda root: cosign_key(
        load_config(_with(root, '[sign.cosign]\nkey = "y"\npublic_key = "y"\n')).sign.cosign,
        root=root, variables={"COSIGN_PASSWORD": "x"},
    ),
    "aksci.toml": lambda root: load_config(_linked(root)),
}  # fmt: skip


def _with(root, more):
    (root / "aksci.toml").write_text(TOML + more)
    return root / "aksci.toml"


def _linked(root):
    relink(root / "aksci.toml", root.parent / "outside/bad.yaml")
    return root / "aksci.toml"


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_file_that_aksci_toml_names_is_read_outside_behind_a_link(root, read):
    relink(root / "x", root.parent / "outside")
    relink(root / "y", root.parent / "outside/secret")
    (root / "z").mkdir()
    relink(root / "z/a.pem", root.parent / "outside/root.pem")
    with pytest.raises(ConfigError, match="leads out of") as caught:
        read(root)
    assert CANARY not in str(caught.value)


def test_what_aksci_toml_writes_as_elsewhere_is_read_there(root):
    values = EnvironmentConfig(
        platform="embedded", namespace="a", values=("../outside/values.yaml", "chart/values.yaml")
    )
    assert [path.read_text() for path in values_files(root, values, "web")] == ["a: 1\n"] * 2


@pytest.mark.parametrize("option", ["x/new.md", "x/secret", "x/../x/new.md", "chart/../x/new"])
def test_a_report_is_not_written_behind_a_committed_link(root, environment, option):
    relink(root / "x", root.parent / "outside")
    before = outside(root)
    with pytest.raises(UsageError, match="leads out of the project"):
        show(environment, "text", output=option)
    with pytest.raises(UsageError, match="leads out of the project"):
        show(environment, "text", output=str(root / option))
    assert outside(root) == before


def test_a_report_replaces_a_link_and_not_what_it_leads_to(root, environment):
    relink(root / "plan.md", root.parent / "outside/secret")
    show(environment, "text", output="plan.md")
    assert (root / "plan.md").read_text() == "text\n"
    assert not (root / "plan.md").is_symlink()
    assert (root.parent / "outside/secret").read_text() == CANARY


def test_the_command_line_may_name_any_place(root, environment, tmp_path):
    path = tmp_path / "elsewhere.md"
    assert place_for(environment, "--output", str(path)) == path
    assert place_for(environment, "--output", "../elsewhere.md") == path
    assert export_folder(root, tmp_path / "tasks") == tmp_path / "tasks"


@pytest.mark.parametrize("chosen", ["x", "x/deep", None])
def test_an_export_deletes_and_writes_nothing_behind_a_committed_link(root, chosen):
    relink(root / "x", root.parent / "outside")
    (root / ".aksci").mkdir()
    relink(root / ".aksci/acr-tasks", root.parent / "outside")
    before = outside(root)
    with pytest.raises(UsageError, match="symbolic link leads elsewhere"):
        write_folder(export_folder(root, chosen), {"README.md": "x"})
    assert outside(root) == before


def test_an_export_removes_no_file_that_a_link_lists(root):
    folder = root / "tasks"
    folder.mkdir()
    (folder / CANARY).write_text("ours")
    relink(folder / ".aksci-export.json", root.parent / "outside/.aksci-export.json")
    with pytest.raises(AksciError):
        write_folder(folder, {"README.md": "x"})
    assert (folder / CANARY).read_text() == "ours"


def test_pipes_among_what_aksci_toml_names_keep_nobody_waiting(root):
    os.mkfifo(root / "pipe")
    (root / "z").mkdir()
    os.mkfifo(root / "z/a.pem")
    config = load_config(_with(root, '[sign.cosign]\nkey = "pipe"\npublic_key = "pipe"\n'))
    for read in (
        lambda: load_knowledge(ScanConfig(kev="pipe"), root),
        lambda: _roots(root, "z"),
        lambda: cosign_key(config.sign.cosign, root=root, variables={"COSIGN_PASSWORD": "x"}),
        lambda: read_migrations(root, ("pipe",), service="web"),
    ):
        with pytest.raises(ConfigError):
            read()


def test_a_builders_settings_are_the_projects(root):
    relink(root / "buildkitd.toml", root.parent / "outside/secret")
    config = BuilderConfig(driver="docker-container", config="buildkitd.toml")
    maker = SimpleNamespace(config=config, root=root)
    with pytest.raises(ConfigError, match="leads out of the project"):
        _OwnBuilders._settings(maker)


def test_no_chart_is_read_from_outside_or_from_a_pipe(root):
    relink(root / "chart/Chart.yaml", root.parent / "outside/Chart.yaml")
    with pytest.raises(ConfigError, match="leads out of the chart"):
        read_chart(root / "chart")
    (root / "chart/Chart.yaml").unlink()
    os.mkfifo(root / "chart/Chart.yaml")
    with pytest.raises(ConfigError, match="is no file"):
        read_chart(root / "chart")
