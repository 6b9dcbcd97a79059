"""Whatever other tools' files hold: images, or an error that names the file."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksci.core.errors import ConfigError
from aksci.images.discovery.importers.compose import read_compose
from aksci.images.discovery.importers.imported import Importer
from aksci.images.discovery.importers.interpolation import fill_in, read_env_file
from aksci.images.discovery.importers.skaffold import read_skaffold

WORDS = ["a", "b", ".", "..", "/", "x y", "Ä", "${A:-b}", "$", "${", "service:a", "git@h:x",
         "f.yaml", "context", "", "a=b", "docker-image://a", "{{.A}}", "{{"]  # fmt: skip
LEAVES = st.one_of(
    st.sampled_from(WORDS), st.none(), st.booleans(), st.integers(-9, 9), st.just(1.5)
)
COMPOSE_KEYS = ["services", "include", "name", "a", "b", "build", "image", "platform", "extends",
                "service", "file", "path", "project_directory", "env_file", "context", "dockerfile",
                "dockerfile_inline", "target", "args", "platforms", "tags", "additional_contexts",
                "secrets", "ssh", "x-bake", "source"]  # fmt: skip
SKAFFOLD_KEYS = ["metadata", "name", "requires", "path", "configs", "build", "artifacts", "image",
                 "imageName", "context", "docker", "kaniko", "jib", "dockerfile", "target",
                 "buildArgs", "platforms", "alias", "hooks", "before", "secrets", "ssh",
                 "id"]  # fmt: skip


def documents(keys, leaves=LEAVES):
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(keys), inner, max_size=4)
        ),
        max_leaves=12,
    )


def told(read):
    with contextlib.suppress(ConfigError):
        read()


MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MANY
@given(build=documents(COMPOSE_KEYS), service=documents(COMPOSE_KEYS), top=documents(COMPOSE_KEYS))
def test_a_compose_file_is_read_or_refused(tmp_path, build, service, top):
    services = {"a": {"build": build}, "b": service}
    extended = {"a": {"extends": build}, "b": {"build": {"args": service, "secrets": top}}}
    further = [{"services": extended}, {"include": build}, {"services": services, "include": top}]
    for content in (top, {"services": services}, *further):
        (tmp_path / "f.yaml").write_text(json.dumps(content))
        told(lambda: read_compose(tmp_path, ["f.yaml"], Importer()))


@pytest.mark.parametrize(
    "content",
    [
        {"services": {"a": {"build": {"secrets": [{"x": 1}]}}}},
        {"services": {"a": {"build": {"x-bake": 5}}}},
        {"services": {"a": {"build": {"x-bake": {"tags": "a b", "platforms": 5}}}}},
        {"services": {"a": {"build": {"tags": {"a": 1}, "context": [1], "target": [1]}}}},
        {"services": {"a": {"build": {"additional_contexts": {"a": None}}}}},
        {"services": {"a": {"extends": {"service": "b", "file": ["x"]}}}},
        {"include": [{"path": "g", "project_directory": 5, "env_file": 5}]},
        {"include": ["."]},
    ],
)
def test_an_odd_compose_file_is_read_or_refused(tmp_path, content):
    (tmp_path / "f.yaml").write_text(json.dumps(content))
    told(lambda: read_compose(tmp_path, ["f.yaml"], Importer()))


@pytest.mark.parametrize(
    "content",
    [
        {"metadata": {"name": ["x"]}, "requires": [{"configs": ["a"]}]},
        {"requires": [{"path": "."}]},
        {"requires": [{"path": 5, "configs": [[1]]}]},
        {"build": {"artifacts": [{"image": "a", "docker": {"secrets": [{}], "ssh": 5}}]}},
        {"build": {"artifacts": [{"image": "a", "requires": [{}], "context": {"a": 1}}]}},
    ],
)
def test_an_odd_skaffold_file_is_read_or_refused(tmp_path, content):
    (tmp_path / "f.yaml").write_text(json.dumps({"apiVersion": "skaffold/v1", **content}))
    told(lambda: read_skaffold(tmp_path, ["f.yaml"], Importer()))


@MANY
@given(artifact=documents(SKAFFOLD_KEYS), top=documents(SKAFFOLD_KEYS))
def test_a_skaffold_file_is_read_or_refused(tmp_path, artifact, top):
    head = {"apiVersion": "skaffold/v1"}
    named = {"image": "a", **artifact} if isinstance(artifact, dict) else artifact
    for content in (
        top,
        {**head, "build": {"artifacts": [named]}},
        {**head, "build": {"artifacts": [{"image": "a", "docker": artifact, "requires": top}]}},
        {**head, "requires": top, "metadata": artifact},
    ):
        (tmp_path / "f.yaml").write_text(json.dumps(content))
        told(lambda: read_skaffold(tmp_path, ["f.yaml"], Importer()))


@MANY
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    (tmp_path / "f.yaml").write_bytes(content)
    told(lambda: read_compose(tmp_path, ["f.yaml"], Importer()))
    told(lambda: read_skaffold(tmp_path, ["f.yaml"], Importer()))
    told(lambda: read_env_file(tmp_path / "f.yaml", {}, "f.yaml"))


@MANY
@given(text=st.text(alphabet="${}AB:-?+ x", max_size=20))
def test_any_text_is_filled_in_or_refused(text):
    told(lambda: fill_in(text, {"A": "1"}, where="x"))
