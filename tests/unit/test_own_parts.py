"""Parts of a team's own: chosen by their names, made by an installed package, and really used."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aksci.core.errors import ConfigError, PartError
from aksci.core.offered import find_offer
from aksci.oci.references import ImageRef
from aksci.supply.scan.stored_verdict import VERDICT_TYPE
from aksci.testing.registry_server import serve

SIGNATURE = "application/vnd.acme.signature.v1"
FORM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
TOML = """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[build]
validate = false
[scan]
scanner = "acme"
[scan.acme]
forbidden = {{ left-pad = "it was unpublished once" }}
[sign]
signers = ["acme"]
[sign.acme]
key = "acme.pem"
[environments.acme]
registry = "{registry}"
plain_http = true
namespace = "shop"
builder = {{ kind = "acme", folder = "srv" }}
"""


@pytest.fixture
def registry():
    with serve() as server:
        yield server


@pytest.fixture
def project(tmp_path, registry):
    """A project with two images, one of which is based on the other."""
    root = tmp_path / "project"
    files = {
        "aksci.toml": TOML.format(registry=registry.host),
        "base/Dockerfile": "FROM scratch\nCOPY packages.txt /\n",
        "base/packages.txt": "zlib 1.3\n",
        "web/Dockerfile": "FROM shop/base:latest\nCOPY packages.txt /\n",
        "web/packages.txt": "zlib 1.3\nright-pad 2.0\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "acme.pem").write_bytes(Ed25519PrivateKey.generate().private_bytes(*FORM))
    return root


@pytest.fixture
def aksci(project, installed, tmp_path):
    """Run a session where the package is installed; return what it said and its status."""

    def run(*words, **variables):
        return subprocess.run(
            [sys.executable, "-m", "aksci", "-C", project, *words, "--env", "acme"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path / "home"),
                "PYTHONPATH": str(installed),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,  # with a program of ours that is made on the way, it would be minutes
        )

    return run


def digests_of(project):
    built = json.loads((project / ".aksci/build.json").read_text())
    return {name: image["ref"].partition("@")[2] for name, image in built["images"].items()}


def kept_beside(registry, project, image, kind):
    """What is kept beside an image of the last build, as artifacts of one kind."""
    ref = ImageRef("registry", f"shop/{image}", digests_of(project)[image])
    return [
        registry.registry.manifest(ref.repository, entry["digest"])
        for entry in registry.registry.referrers(ref.repository, ref.digest)
        if entry["artifactType"] == kind
    ]


def verdict_on(registry, project, image):
    """The document of an image's verdict; there is one."""
    (found,) = kept_beside(registry, project, image, VERDICT_TYPE)
    return json.loads(registry.registry.blob(f"shop/{image}", found.layers[0].digest))


def test_parts_of_a_teams_own_build_scan_and_sign(aksci, registry, project):
    done = aksci("build")
    assert done.returncode == 0, done.stderr
    web = registry.registry.manifest("shop/web", "latest")
    assert web.digest == digests_of(project)["web"]
    assert web.annotations["org.opencontainers.image.base.digest"] == digests_of(project)["base"]
    layer = io.BytesIO(registry.registry.blob("shop/web", web.layers[0].digest))
    with tarfile.open(fileobj=layer) as tar:
        assert tar.getnames() == ["srv/Dockerfile", "srv/packages.txt"]
    scanner = verdict_on(registry, project, "web")["scanner"]
    assert re.fullmatch(r"acme 1\.0, of acme-parts 0\.3, options [0-9a-f]{12}", scanner)
    assert len(kept_beside(registry, project, "web", SIGNATURE)) == 1
    shown = aksci("release", "show")
    assert "acme" in shown.stdout
    # All is remembered, and trusted by the team's own signature.
    again = aksci("build")
    assert again.returncode == 0
    assert "scanning" not in again.stderr
    assert "pack" not in again.stderr


def test_what_a_scanner_of_ones_own_finds_fails_the_gate_until_its_options_allow_it(
    aksci, registry, project
):
    packages = project / "web/packages.txt"
    packages.write_text(packages.read_text() + "left-pad 1.3\n")
    refused = aksci("build")
    assert refused.returncode == 8, refused.stderr
    assert "shop/web: 1 finding (ACME-left-pad)" in refused.stderr
    assert kept_beside(registry, project, "web", SIGNATURE) == []
    failed = verdict_on(registry, project, "web")
    assert failed["failing"][0]["title"] == "it was unpublished once"
    toml = project / "aksci.toml"
    toml.write_text(
        toml.read_text()
        .replace("[scan.acme]", "[scan.acme]\nlevel = 1")
        .replace('left-pad = "it was unpublished once"', "")
    )
    allowed = aksci("build")
    assert allowed.returncode == 0, allowed.stderr
    assert len(kept_beside(registry, project, "web", VERDICT_TYPE)) == 2


def test_what_a_signer_of_ones_own_has_not_signed_is_refused(aksci, registry, project):
    assert aksci("build").returncode == 0
    web = f"{registry.host}/shop/web@{digests_of(project)['web']}"
    assert aksci("verify", web).returncode == 0
    pem = Ed25519PrivateKey.generate().private_bytes(*FORM)
    (project / "acme.pem").write_bytes(pem)
    refused = aksci("verify", web)
    assert refused.returncode == 9, refused.stderr
    assert "is by Acme's key" in refused.stdout
    for signature in kept_beside(registry, project, "web", SIGNATURE):
        registry.registry.delete("shop/web", signature.digest)
    refused = aksci("verify", web)
    assert refused.returncode == 9
    assert "Acme has not signed" in refused.stdout


def test_a_reporter_of_ones_own_is_told_what_the_usual_one_is(aksci, tmp_path):
    log = tmp_path / "log"
    done = aksci("build", AKSCI_REPORTER="acme", ACME_LOG=str(log))
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"group": "scan"} in told
    assert {"task": "web"} in told
    assert "── scan" in done.stderr


def test_a_factory_that_fails_is_told_with_its_package_and_without_a_traceback(aksci):
    done = aksci("build", AKSCI_REPORTER="acme")
    assert done.returncode == 3
    told = "The reporter 'acme', acme_parts.json_reporter:make of acme-parts 0.3, could not be made"
    assert f"{told}: KeyError: 'ACME_LOG' (" in done.stderr
    assert "acme_parts/json_reporter.py:" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_factory_says_of_its_options_is_told_as_it_is(aksci, project):
    toml = project / "aksci.toml"
    toml.write_text(re.sub("forbidden = .*", "forbidden = 1", toml.read_text()))
    done = aksci("build")
    assert done.returncode == 3
    assert "aksci.toml: scan.scanner: 'forbidden' is a table" in done.stderr
    assert "the scanner 'acme', acme_parts.list_scanner:make of acme-parts 0.3, says" in done.stderr


def test_a_name_that_nobody_offers_is_told_with_those_that_there_are(aksci, project):
    toml = project / "aksci.toml"
    toml.write_text(
        toml.read_text()
        .replace('scanner = "acme"', 'scanner = "acne"')
        .replace("[scan.acme]", "[scan.acne]")
    )
    done = aksci("build")
    assert done.returncode == 3
    known = "Did you mean 'acme'? Built in: trivy; installed: acme (acme-parts 0.3)."
    assert f"scan.scanner: there is no scanner 'acne'. {known}" in done.stderr


@pytest.mark.parametrize("session", ["build", "cascade"])
@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ('scanner = "acne"', "scan.scanner: there is no scanner 'acne'. Did you mean 'acme'?"),
        ('signers = ["acme", "notatoin"]', "sign.signers: there is no signer 'notatoin'."),
    ],
)
def test_a_name_that_nobody_offers_is_told_before_anything_is_built(
    aksci, project, registry, session, chosen, told
):
    toml = project / "aksci.toml"
    key = chosen.partition(" ")[0]
    text = re.sub(f"^{key} = .*$", chosen, toml.read_text(), flags=re.MULTILINE)
    toml.write_text(text.replace("[scan.acme]", "[scan.acne]") if key == "scanner" else text)
    (project / ".aksci").mkdir()
    (project / ".aksci/build.json").write_text("of the last build")
    done = aksci(session)
    assert done.returncode == 3
    assert told in done.stderr
    assert not registry.registry.repositories()
    assert (project / ".aksci/build.json").exists()


def test_where_all_is_built_in_no_package_is_looked_for():
    code = (
        "import io, sys; from aksci.ci.choose import choose_reporter;"
        "import aksci.environment; choose_reporter({}, io.StringIO());"
        "print([name for name in ('aksci.core.offered', 'aksci.own_parts') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


class Whole(Protocol):
    """What the broken parts below should be."""

    @property
    def name(self): ...

    def work(self): ...


class Stub(Whole):
    """Inherits what it should have written."""

    @property
    def name(self):
        raise AssertionError("nobody may ask for it yet")


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Offer a thing as a part of each of some packages, as an installed package does."""

    def make(code, *packages):
        (tmp_path / "broken_part.py").write_text(code)
        for name in packages or ("broken",):
            info = tmp_path / f"{name}-1.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text("[aksci.wholes]\nmine = broken_part:make\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "broken_part", raising=False)
        return find_offer("aksci.wholes", "mine", where="here", built_in=("usual",))

    return make


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nothing_of_that_name", "can't be imported: ModuleNotFoundError"),
        ("make = 3", "is no function but a int"),
        ("def make(given): return given.missing", "could not be made: AttributeError"),
        ("def make(given): return 3", "made a int that lacks name, work"),
        ("def make(given): return given['stub']", "made a Stub that lacks work"),
    ],
)
def test_a_broken_part_is_told_with_its_package(offer, code, told):
    with pytest.raises(PartError) as caught:
        offer(code).make({"stub": Stub()}, Whole)
    assert f"The whole 'mine', broken_part:make of broken 1.0, {told}" in str(caught.value)


def test_two_packages_with_one_name_are_both_told_of(offer):
    with pytest.raises(
        ConfigError, match=r"than one package offers the whole 'mine': a 1\.0, b 1\.0"
    ):
        offer("", "a", "b")
