"""What [build] may ask of BuildKit: attestations, platforms, cache, ssh, the time of creation."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from aksci.images.engines.builder import BuildCache

STATEMENT = (
    '{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document", '
    '"predicate": {"spdxVersion": "SPDX-2.3"}}'
)
SCANNER = f"""\
FROM debian:bookworm-slim
COPY <<EOF /statement
{STATEMENT}
EOF
ENTRYPOINT ["/bin/sh", "-c", "cp /statement $BUILDKIT_SCAN_DESTINATION/x.spdx.json"]
"""
IDENTITIES = r"""
use IO::Socket::UNIX;
my $agent = IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die "no agent";
syswrite $agent, pack("NC", 1, 11);
$/ = undef; my $size; sysread $agent, $size, 4; my ($answer, $left) = ("", unpack("N", $size));
while ($left > 0) { my $n = sysread $agent, $answer, $left, length $answer; $left -= $n; }
print "keys: ", unpack("H*", $answer), "\n";
"""


def index_of(shop, image):
    return json.loads(shop.registry.manifest(image.ref.repository, image.ref.digest).content)


def config_of(shop, image):
    manifest = index_of(shop, image)
    return json.loads(shop.registry.blob(image.ref.repository, manifest["config"]["digest"]))


def actions(images):
    return {name: image.action for name, image in images.items()}


def attested(shop, image):
    """Return the types of what is attached to an image."""
    found = set()
    for entry in index_of(shop, image)["manifests"]:
        if entry.get("annotations", {}).get("vnd.docker.reference.type"):
            manifest = shop.registry.manifest(image.ref.repository, entry["digest"])
            found |= {
                layer["annotations"]["in-toto.io/predicate-type"]
                for layer in json.loads(manifest.content)["layers"]
            }
    return found


def test_attestations_are_attached_and_children_outlive_a_build_of_the_same(shop):
    (shop.root / "scanner").mkdir()
    (shop.root / "scanner/Dockerfile").write_text(SCANNER)
    scanner = shop.build(only=frozenset({"scanner"}))["scanner"].ref
    (shop.root / "scanner/Dockerfile").unlink()
    shop.configure(f'[build]\nprovenance = "max"\nsbom = "{scanner}"\n')
    first = shop.build()
    kinds = attested(shop, first["base"])
    assert any("slsa.dev/provenance" in kind for kind in kinds)
    assert "https://spdx.dev/Document" in kinds
    assert actions(shop.build()) == dict.fromkeys(first, "reused")
    assert shop.plan().to_build == ()
    again = shop.build(force=frozenset({"base"}))
    assert again["base"].ref != first["base"].ref  # the times in its attestations are others
    assert actions(again) == {"app": "reused", "base": "built", "tool": "reused"}
    assert shop.plan().to_build == ()
    (shop.root / "base/hello.txt").write_text("changed")
    assert actions(shop.build()) == {"app": "built", "base": "built", "tool": "reused"}


def test_attestations_count_in_keys_and_the_plan_says_so(shop):
    only = frozenset({"tool"})
    shop.publish(shop.build(only=only))
    shop.configure('[build]\nprovenance = "min"\n')
    (work,) = shop.plan(selected=only).work
    assert [(one["code"], one["name"]) for one in work.reasons] == [("ARG", "attestations")]
    assert attested(shop, shop.build(only=only)["tool"])


def test_an_image_for_two_platforms_stands_on_the_one_of_its_own(shop):
    shop.configure('[build]\nplatforms = ["linux/amd64", "linux/arm64"]\n')
    (shop.root / "base/Dockerfile").write_text(
        "FROM scratch AS amd64\nCOPY hello.txt /amd\nFROM scratch AS arm64\nCOPY hello.txt /arm\n"
        "ARG TARGETARCH\nFROM ${TARGETARCH}\n"
    )
    (shop.root / "app/Dockerfile").write_text(f"FROM {shop.name}/base\nCOPY Dockerfile /x\n")
    images = shop.build(only=frozenset({"app"}))
    layers = {}
    for name in ("base", "app"):
        manifests = index_of(shop, images[name])["manifests"]
        assert [one["platform"]["architecture"] for one in manifests] == ["amd64", "arm64"]
        for one in manifests:
            content = shop.registry.manifest(images[name].ref.repository, one["digest"]).content
            found = [layer["digest"] for layer in json.loads(content)["layers"]]
            layers[name, one["platform"]["architecture"]] = found
    for platform in ("amd64", "arm64"):
        assert layers["app", platform][:1] == layers["base", platform]
    assert layers["base", "amd64"] != layers["base", "arm64"]
    again = shop.build(only=frozenset({"app"}))
    assert actions(again) == {"app": "reused", "base": "reused"}


def test_the_time_of_creation_is_configured_and_counts_in_the_key(shop):
    only = frozenset({"tool"})
    first = shop.build(only=only)["tool"]
    assert config_of(shop, first)["created"] == "1970-01-01T00:00:00Z"
    shop.configure("[build]\nsource_date_epoch = 1700000000\n")
    second = shop.build(only=only)["tool"]
    assert (second.action, config_of(shop, second)["created"]) == ("built", "2023-11-14T22:13:20Z")
    assert shop.build(only=only)["tool"].action == "reused"


def test_the_layer_cache_is_a_tag_beside_the_image_unless_it_is_read_only(shop):
    only = frozenset({"base"})
    shop.configure('[build.cache]\ntype = "registry"\nread_only = true\n')
    shop.build(only=only)
    assert "cache-base" not in shop.tags("base")
    assert any("cache-base: none yet" in line for line in shop.reporter.lines)
    shop.configure('[build.cache]\ntype = "registry"\n')
    shop.build(only=only, force=only)
    assert "cache-base" in shop.tags("base")
    manifest = json.loads(shop.registry.manifest(f"{shop.name}/base", "cache-base").content)
    assert manifest["config"]["mediaType"] == "application/vnd.buildkit.cacheconfig.v0"
    assert actions(shop.build(only=only)) == {"base": "reused"}


def test_a_cache_that_cant_be_written_is_told_and_fails_nothing(shop, monkeypatch):
    elsewhere = BuildCache(ref="127.0.0.1:1/nobody/listens:here")
    monkeypatch.setattr(
        "aksci.images.build.build_requests.BuildRequests._cache", lambda *_: elsewhere
    )
    assert actions(shop.build(only=frozenset({"tool"}))) == {"tool": "built"}
    assert "exporting cache to registry" in shop.reporter.text


def test_ssh_keys_reach_the_build_and_not_the_image(shop):
    key = Ed25519PrivateKey.generate()
    form = PrivateFormat.OpenSSH
    (shop.root / "key").write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
    shop.configure('[build.ssh]\nwork = ["key"]\n')
    (shop.root / "tool/ask.pl").write_text(IDENTITIES)
    (shop.root / "tool/Dockerfile").write_text(
        "FROM debian:bookworm-slim\nRUN --mount=type=ssh,id=work,required "
        f"--mount=type=bind,target=/ask,source=ask.pl perl /ask {shop.name}\n"
    )
    shop.build(only=frozenset({"tool"}))
    (told,) = [line for line in shop.reporter.lines if "keys: " in line]
    assert base64.b64decode(public).hex() in told
