from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.errors import ConfigError
from aksci.supply.release.chart import _gzip_stored, package_chart, read_chart


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


def test_a_symbolic_link_is_refused(chart):
    (chart / "templates" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="symbolic link"):
        package_chart(chart)


@given(st.one_of(st.binary(max_size=300), st.integers(65_530, 131_075).map(lambda n: b"x" * n)))
def test_what_is_wrapped_as_gzip_comes_back(content):
    assert gzip.decompress(_gzip_stored(content)) == content
