"""What the real BuildKit makes of links that a pull request brings."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.context.hasher import TreeHasher
from aksci.images.graph import build_graph

CANARY = "canary-of-the-outside"


@pytest.fixture
def outside(shop):
    folder = shop.root.parent / "outside"
    folder.mkdir()
    (folder / "secret").write_text(CANARY)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    return folder


def layers(shop, ref):
    """Return name -> content, or what a link leads to, of all layers."""
    found = {}
    for layer in shop.registry.manifest(ref.repository, ref.digest).layers:
        blob = shop.registry.blob(ref.repository, layer.digest)
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
            for each in tar.getmembers():
                file = tar.extractfile(each) if each.isfile() else None
                found[each.name] = file.read().decode() if file else each.linkname
    return found


@pytest.mark.parametrize("link", ["evil", "tool/Dockerfile", "tool", "tool/.dockerignore"])
def test_no_file_from_outside_gets_into_a_layer(shop, outside, link):
    path = shop.root / link
    if path.is_dir():
        path.rename(shop.root / "was")
    path.unlink(missing_ok=True)
    path.symlink_to(outside if "/" not in link else outside / "Dockerfile")
    with pytest.raises(ConfigError, match="leads out of the project"):
        shop.build(only=["evil" if link == "evil" else "tool"])
    assert shop.tags("tool") == shop.tags("evil") == []


def test_a_shared_dockerfile_is_built_behind_its_link(shop):
    (shop.root / "shared").mkdir()
    (shop.root / "tool/Dockerfile").rename(shop.root / "shared/Dockerfile.in")
    (shop.root / "tool/Dockerfile").symlink_to("../shared/Dockerfile.in")
    assert layers(shop, shop.build(only=["tool"])["tool"].ref) == {"tool": "tool"}


def test_a_link_in_a_context_is_sent_as_a_link(shop, outside):
    (shop.root / "tool/leak").symlink_to(outside / "secret")
    (shop.root / "tool/folder").symlink_to(outside)
    (shop.root / "tool/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    ref = shop.build(only=["tool"])["tool"].ref
    found = layers(shop, ref)
    assert found["leak"] == str(outside / "secret")
    assert CANARY not in str(found)


def test_two_images_of_one_shared_dockerfile_have_their_own_contexts(shop):
    """docker/compose issue 7397: BuildKit does not follow such a link, so a copy is built."""
    (shop.root / "shared").mkdir()
    (shop.root / "shared/Dockerfile").write_text("FROM scratch\nCOPY name /\n")
    for name in "ab":
        (shop.root / name).mkdir()
        (shop.root / name / "name").write_text(name)
        (shop.root / name / "Dockerfile").symlink_to("../shared/Dockerfile")
    images = shop.build(only=["a", "b"])
    assert {name: layers(shop, images[name].ref) for name in "ab"} == {
        "a": {"name": "a"},
        "b": {"name": "b"},
    }
    (shop.root / "a/name").write_text("new")
    again = shop.build(only=["a", "b"])
    assert [again[name].action for name in "ab"] == ["built", "reused"]


def test_a_named_context_has_its_ignore_file_in_it_or_none(shop):
    root = shop.root
    for name in ("inside", "leaving"):
        (root / name).mkdir()
        (root / name / "left").write_text("left")
        (root / name / "kept").write_text("kept")
    (root / "ignore").write_text("left\n")
    (root / "inside/ignore").write_text("left\nignore\n.dockerignore\n")
    (root / "inside/.dockerignore").symlink_to("ignore")
    (root / "leaving/.dockerignore").symlink_to("../ignore")
    (root / "tool/Dockerfile").write_text("FROM scratch\nCOPY --from=lib . /\n")
    table = '[images.tool]\ndockerfile = "tool/Dockerfile"\ncontexts = {{ lib = "{}" }}\n'
    expected = {"inside": ["kept"], "leaving": [".dockerignore", "kept", "left"]}
    for name, files in expected.items():
        shop.configure(table.format(name))
        ours = TreeHasher(root).entries(name, None)
        theirs = layers(shop, shop.build(only=["tool"])["tool"].ref)
        assert sorted(theirs) == sorted(ours) == files


IGNORE_LINKS = {
    "in its context": ("ignore", True),
    "in a folder of it": ("sub/../sub/deep/ignore", True),
    "from the context's root": ("/sub/deep/ignore", True),
    "through a folder's link": ("folder/deep/ignore", True),
    "beyond the root, where such a file is inside": ("../../ignore", True),
    "out of its context": ("../shared/ignored", False),
    "by the machine's own path": ("{root}/tool/ignore", False),
    "to itself": (".dockerignore", False),
    "to nothing": ("missing", False),
}


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
@pytest.mark.parametrize(("target", "read"), IGNORE_LINKS.values(), ids=IGNORE_LINKS)
def test_an_ignore_file_behind_a_link_leaves_out_of_the_key_what_it_leaves_out_of_the_image(
    shop, name, target, read
):
    """BuildKit reads it inside the context only: moby/moby issue 42108."""
    root = shop.root
    for file in ("tool/ignore", "tool/sub/deep/ignore", "shared/ignored"):
        (root / file).parent.mkdir(exist_ok=True, parents=True)
        (root / file).write_text("tool\n*ignore\nsub\nfolder\nDockerfile\n")
    (root / "tool/folder").symlink_to("sub")
    (root / "tool/kept").write_text("kept")
    (root / "tool/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (root / "tool" / name).symlink_to(target.format(root=root).replace(".dockerignore", name))
    (root / "alias").symlink_to("tool")
    shop.configure('[images.linked]\ndockerfile = "alias/Dockerfile"\n')
    spec = build_graph(root, load_config(root / "aksci.toml")).images["linked"].spec
    ours = TreeHasher(root).entries(spec.context, spec.dockerfile)
    found = layers(shop, shop.build(only=["linked"])["linked"].ref)
    assert sorted(ours) == sorted(found)
    assert ("tool" not in found) == read
