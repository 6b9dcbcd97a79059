"""Small images on small bases, built by the real BuildKit and rebased in the real registry."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import tarfile
from types import SimpleNamespace

import pytest

from aksci.core.process import Runner
from aksci.images.discovery.specs import ImageSpec
from aksci.images.engines.builder import BuildRequest
from aksci.images.engines.buildx import BuildxBuilder
from aksci.images.engines.buildx_builders import BuilderSpec, BuilderStore
from aksci.images.graph import read_image
from aksci.images.platforms import this_platform
from aksci.images.rebase.apply import apply_rebase
from aksci.images.rebase.conditions import BaseCache, check_rebase
from aksci.images.rebase.facts import facts_of
from aksci.oci.client import RegistryClient
from aksci.oci.references import ImageRef

RUNTIME = "docker.io/library/basis:latest"
FILES = {"one": "1", "two": "2", "d/three": "3", "d/e/four": "4", "d/link": "->three"}


class Lab:
    """One project in the registry, and one builder."""

    def __init__(self, registry, builder, root):
        self.registry, self.builder, self.root = registry, builder, root
        self.project = f"r{secrets.token_hex(4)}"
        self.cache = BaseCache()
        self._count = 0

    def context(self, dockerfile, files=FILES):
        """Write a build's context; return it, relative to the root."""
        self._count += 1
        folder = self.root / f"c{self._count}"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("->"):
                path.symlink_to(content[2:])
            else:
                path.write_text(content)
                path.chmod(0o755 if name == "two" else 0o644)
        (folder / "Dockerfile").write_text(dockerfile)
        return folder.name

    def build(self, context, repository, parents=(), **options):
        """Build an image as a run of aksci does; return its digest."""
        request = {
            "name": repository,
            "dockerfile": self.root / context / "Dockerfile",
            "context": self.root / context,
            "target": None,
            "args": {},
            "platforms": (this_platform(),),
            "parents": {
                name: f"{self.registry.host}/{self.project}/{where}@{digest}"
                for name, (where, digest) in dict(parents).items()
            },
            "annotations": {},
            "secrets": (),
            "repository": f"{self.registry.host}/{self.project}/{repository}",
            "tag": "unused",
            "fresh": False,
            "timeout": 120,
            **options,
        }
        said = []
        return self.builder.build(BuildRequest(**request), said.append).digest

    def base(self, dockerfile, **options):
        return self.build(self.context(dockerfile, {"file": dockerfile}), "base", **options)

    def facts(self, context, **options):
        spec = {
            "name": "app",
            "dockerfile": f"{context}/Dockerfile",
            "context": context,
            "target": None,
            "args": {},
            "platforms": (this_platform(),),
            "builder_platform": this_platform(),
            "repository": "app",
            "tags": ("1",),
            **options,
        }
        return facts_of(read_image(self.root, ImageSpec(**spec), {}))

    def check(self, facts, digest, old, new, **options):
        """Ask whether an image may be put on a new base."""
        recorded = {RUNTIME: old, **options.pop("recorded", {})}
        given = {
            "image": ImageRef(self.registry.host, f"{self.project}/app", digest),
            "runtime": RUNTIME,
            "recorded": recorded,
            "now": {**recorded, RUNTIME: new, **options.pop("now", {})},
            "registry": self.registry,
            "where": lambda _reference: (self.registry, f"{self.project}/base"),
            "platforms": (this_platform(),),
            "annotations": notes(new),
            "cache": self.cache,
            **options,
        }
        return check_rebase(facts, **given)

    def rebase(self, check):
        assert check.plan, [one for one in check.conditions if not one.holds]
        return apply_rebase(check.plan, self.registry).digest

    def content(self, digest):
        """Return all of an image but its times and what has its digests in it."""
        manifest = json.loads(self.registry.manifest(f"{self.project}/app", digest).content)
        if "manifests" in manifest:
            entries = [
                {**one, "digest": self.content(one["digest"]), "size": 0}
                for one in manifest["manifests"]
            ]
            return {**manifest, "manifests": entries}
        config = json.loads(self.registry.blob(f"{self.project}/app", manifest["config"]["digest"]))
        config.pop("created")
        config["rootfs"].pop("diff_ids")
        for entry in config["history"]:
            entry.pop("created", None)
        layers = [
            (layer["mediaType"], list(self._members(layer["digest"])))
            for layer in manifest["layers"]
        ]
        return {"config": config, "layers": layers, "annotations": manifest.get("annotations")}

    def raw(self, digest):
        """Return the very bytes of manifests and configurations, less digests and sizes."""
        manifest = self.registry.manifest(f"{self.project}/app", digest).content
        found = json.loads(manifest)
        texts = [manifest.decode()]
        if "config" in found:
            config = self.registry.blob(f"{self.project}/app", found["config"]["digest"])
            texts.append(config.decode())
        scrubbed = [re.sub(r'sha256:[0-9a-f]{64}|"size": [0-9]+', "#", text) for text in texts]
        return scrubbed + [self.raw(one["digest"]) for one in found.get("manifests", ())]

    def _members(self, digest):
        packed = self.registry.blob(f"{self.project}/app", digest)
        with tarfile.open(fileobj=io.BytesIO(packed)) as layer:
            for one in layer:
                content = layer.extractfile(one).read() if one.isreg() else b""
                yield (
                    one.name, one.type, oct(one.mode), one.uid, one.gid, one.uname, one.gname,
                    one.linkname, hashlib.sha256(content).hexdigest(),
                    {key: value for key, value in one.pax_headers.items() if "time" not in key},
                )  # fmt: skip


def notes(digest):
    return {
        "org.opencontainers.image.base.name": RUNTIME,
        "org.opencontainers.image.base.digest": digest,
    }


@pytest.fixture(scope="module")
def lab(platform, toolbox, tmp_path_factory):
    """Build by one builder, into one registry."""
    root = tmp_path_factory.mktemp("rebase")
    registry = RegistryClient(platform.registry, plain_http=True)
    builder = BuildxBuilder(
        store=BuilderStore(
            buildx=toolbox.ensure("buildx"),
            runner=Runner(environment=dict(os.environ), log=lambda _line: None),
            folder=root / "buildx",
            hint="nox -s up",
        ),
        spec=BuilderSpec(name="rebase", driver="remote", endpoint=platform.buildkit),
    )
    lab = Lab(registry, builder, root)
    lab.notes = notes
    lab.runtime = RUNTIME
    yield lab
    registry.close()


@pytest.fixture(scope="module")
def bases(lab):
    """Build two versions of a base that differ in all that a rebase may take over."""
    return SimpleNamespace(
        old=lab.base(
            "FROM scratch\nCOPY file /old\nENV KEEP=1 PATH=/base:/bin CHANGED=old GONE=1\n"
            'LABEL keep=1 changed=old gone=1\nUSER 7\nEXPOSE 80 81\nVOLUME /gone\nCMD ["old"]\n'
            'STOPSIGNAL SIGINT\nHEALTHCHECK CMD old\nENTRYPOINT ["/e"]\nCMD ["/old"]\n'
        ),
        new=lab.base(
            "FROM scratch\nCOPY file /new\nCOPY file /var/lib/dpkg/status\nMAINTAINER <new & co>\n"
            "ENV NEW=2 KEEP=1 PATH=/base:/bin CHANGED=new\nLABEL keep=1 changed=new a=<&>\n"
            "USER 8\nEXPOSE 80 90\nVOLUME /new\nSTOPSIGNAL SIGTERM\nHEALTHCHECK NONE\n"
            'ENTRYPOINT ["/new"]\nCMD ["/new", "é"]\n'
        ),
    )
