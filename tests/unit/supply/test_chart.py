from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import ConfigError
from aksci.supply.release.chart import _gzip_stored, package_chart, push_chart, read_chart
from aksci.testing.memory_registry import MemoryRegistry


@pytest.fixture
def chart(tmp_path):
    folder = tmp_path / "catalog"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: catalog\nversion: 1.2.0\n")
    (folder / "values.yaml").write_text("replicas: 1\n")
    (folder / "templates" / "a.yaml").write_text("kind: A\n")
    return folder


def names(content: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        return tar.getnames()


def test_a_chart_is_packed_under_its_name_in_a_fixed_order(chart):
    assert names(read_chart(chart).content) == [
        "catalog/Chart.yaml",
        "catalog/templates/a.yaml",
        "catalog/values.yaml",
    ]


def test_the_same_files_give_the_same_bytes_whatever_their_times_modes_and_folder(chart, tmp_path):
    first = read_chart(chart).content
    copy = tmp_path / "elsewhere"
    shutil.copytree(chart, copy)
    for path in copy.rglob("*.yaml"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert read_chart(copy).content == first
    (copy / "values.yaml").write_text("replicas: 2\n")
    assert read_chart(copy).content != first


def test_helmignore_and_hidden_templates_are_left_out(chart):
    (chart / ".helmignore").write_text("# notes\n*.bak\n/ci/\n!keep.bak\nvalues-*.yaml\n")
    for name in ("a.bak", "keep.bak", "values-prod.yaml", "templates/.hidden", "sub/values-x.yaml"):
        (chart / name).parent.mkdir(exist_ok=True)
        (chart / name).write_text("x")
    (chart / "ci").mkdir()
    (chart / "ci" / "x.yaml").write_text("x")
    kept = {name.removeprefix("catalog/") for name in names(package_chart(chart))}
    assert kept == {".helmignore", "Chart.yaml", "keep.bak", "templates/a.yaml", "values.yaml"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "has no Chart.yaml"),
        ("[", "can't be read"),
        ("- a", "is not a table"),
        ("name: x", "'version' must be a text"),
        ("name: x\nversion: 1.0", "'version' must be a text"),
        ("name: x\nversion: 1.0.0\ndependencies: [{name: redis}]", "depends on 'redis'"),
    ],
)
def test_what_is_no_chart_is_refused_with_its_file(chart, text, words):
    (chart / "Chart.yaml").unlink()
    if text is not None:
        (chart / "Chart.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_chart(chart)
    assert str(chart) in str(caught.value)


def test_a_helmignore_has_an_end(chart):
    (chart / ".helmignore").write_text("".join(f"x{number}*\n" for number in range(501)))
    with pytest.raises(ConfigError, match="more than 500 patterns"):
        read_chart(chart)


def test_a_symbolic_link_is_refused(chart):
    (chart / "templates" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="symbolic link"):
        package_chart(chart)


@given(st.one_of(st.binary(max_size=300), st.integers(65_530, 131_075).map(lambda n: b"x" * n)))
def test_what_is_wrapped_as_gzip_comes_back(content):
    assert gzip.decompress(_gzip_stored(content)) == content


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "A", "", "x y", "a..b", "-a", "a-", "a\nb", "..", "ü", "a:1"]
)
def test_a_charts_name_is_the_last_part_of_a_repository(chart, name):
    (chart / "Chart.yaml").write_text(json.dumps({"name": name, "version": "1.0.0"}))
    with pytest.raises(ConfigError, match=r"Chart\.yaml: name: .*can't be the name of a chart"):
        read_chart(chart)


@pytest.mark.parametrize(
    "version",
    [
        "latest", "in-" + "0" * 64, "sha256-" + "0" * 64, "1.0.0/../x", "1.0.0 ", "1.0.0\n", "",
        "1.0.0_a", "1.0.0+", "1.0.0-", "1.0.0+a_b", "1.0.0+a+b", "1.2.3.4", "r-0123456789ab",
        "1.0.0-" + "a" * 128, "1.0.0+" + "a" * 128, "٣.0.0", "9" * 5000,
    ],
)  # fmt: skip
def test_a_charts_version_is_a_version_and_a_tag(chart, version):
    (chart / "Chart.yaml").write_text(json.dumps({"name": "catalog", "version": version}))
    with pytest.raises(ConfigError, match=r"version: .*is no version of Semantic Versioning 2"):
        read_chart(chart)


@pytest.mark.parametrize(
    "version", ["1.2.3", "0.1.0-rc.1", "1.0.0+build.5", "v1.2", "2", "1.0.0-a-b.0+x-y"]
)
def test_versions_as_helm_takes_them_are_tags(chart, version):
    (chart / "Chart.yaml").write_text(json.dumps({"name": "catalog", "version": version}))
    registry = MemoryRegistry()
    push_chart(registry, "shop/charts/catalog", read_chart(chart))
    assert registry.tags("shop/charts/catalog") == [version.replace("+", "_")]


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "**", "a/b", "[", ""])
def test_a_dependency_is_looked_for_in_the_charts_folder_only(chart, name):
    document = {"name": "catalog", "version": "1.0.0", "dependencies": [{"name": name}]}
    (chart / "Chart.yaml").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="no chart is called"):
        read_chart(chart)
