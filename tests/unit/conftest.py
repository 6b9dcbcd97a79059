"""Projects made of text, and verdicts to report on."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aksci.config.loader import environment_settings, load_config
from aksci.environment import Environment
from aksci.images.bases import BaseResolver
from aksci.images.discovery.importers.imported import Importer
from aksci.images.discovery.specs import discover_images
from aksci.images.graph import build_graph
from aksci.oci.references import ImageRef
from aksci.supply.scan.verdict import SEVERITIES, Finding, IgnoredFinding, Verdict
from aksci.testing.reporter import RecordingReporter

ACME = Path(__file__).parents[1] / "packages/acme-parts"
HEAD = 'schema = 1\n[project]\nname = "shop"\n'
HOSTILE = (
    "##vso[task.setvariable variable=a]b ##[error]c \r::error::d\n::warning::e | f <script>alert(1)"
    "</script> ]]> --> \x1b[31mred\x1b[0m \x00 %0A::error::g [link](https://evil.example) `h` "
    "{0} \ufffe \x9b31m https://evil.example/x @team #1 "
    "\u202e\u2066\u200f\u200b\ufeff\U000e0041 a\u200db"
)


class Outside(BaseResolver):
    """Base images whose digests a function tells; none of them has ONBUILD."""

    def __init__(self, digest_of):
        self._digest_of = digest_of

    def digest(self, reference):
        return self._digest_of(reference)

    def onbuild(self, *_):
        return ()


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The folder in which the team's package is installed, as pip does it."""
    folder = tmp_path_factory.mktemp("installed")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--python", sys.executable)
    subprocess.run(["uv", "pip", "install", "-q", *offline, "--target", folder, ACME], check=True)
    return folder


@pytest.fixture
def team_repository(library_page, tmp_path):
    """A team's repository, with the files of docs/library.md and what they need."""
    return library_page.write(tmp_path / "team")


@pytest.fixture
def project(tmp_path):
    """Write files and an aksci.toml; return its graph."""

    def make(files, toml='[discover]\ndockerfiles = ["**/*ockerfile*"]', **options):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "aksci.toml").write_text(HEAD + toml)
        return build_graph(tmp_path, load_config(tmp_path / "aksci.toml"), **options)

    make.root, make.outside = tmp_path, Outside
    return make


@pytest.fixture
def discover(tmp_path):
    """Write files and an aksci.toml; return the images, and the warnings as ``notes``."""
    notes = []

    def make(files, toml='[discover]\ndockerfiles = ["**/*ockerfile*"]\n', **variables):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (tmp_path / "aksci.toml").write_text(HEAD + toml)
        return discover_images(
            tmp_path,
            load_config(tmp_path / "aksci.toml"),
            builder_platform="linux/amd64",
            importer=Importer(variables=variables, warn=notes.append),
        )

    make.root = tmp_path
    make.notes = notes
    return make


@pytest.fixture
def make_certificate(tmp_path):
    def make(name):
        """Write a certificate of its own authority for one DNS name; return it and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        chain, private = tmp_path / "cert.pem", tmp_path / "key.pem"
        chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return chain, private

    return make


def finding(**changes):
    """A vulnerability of openssl in our own layer."""
    given = {
        "kind": "vulnerability",
        "id": "CVE-2024-5535",
        "package": "libssl3",
        "installed": "3.0.11-1~deb12u1",
        "fixed": "3.0.15-1~deb12u1",
        "severity": "CRITICAL",
        "title": "reads past its buffer",
        "layer": "sha256:" + "b" * 64,
        "platform": "",
        "purl": "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64",
        "origin": "own",
        "url": "https://avd.aquasec.com/nvd/cve-2024-5535",
    }
    return Finding(**{**given, **changes})


def ignored(found, **changes):
    """The same, accepted for a while."""
    given = {
        "owner": "ann@example.com",
        "reason": "not reachable from outside",
        "expires": "2027-01-31",
    }
    return IgnoredFinding(finding=found, **{**given, **changes})


def verdict(name="catalog", digest="a", **changes):
    """A verdict that passed, unless something fails it."""
    given = {"problems": (), "notes": (), "failing": (), "ignored": (), "tolerated": ()} | changes
    found = [
        *given["failing"],
        *(one.finding for one in given["ignored"]),
        *given["tolerated"],
    ]
    return Verdict(
        image=ImageRef("localhost:5000", f"shop/{name}", "sha256:" + digest * 64),
        passed=not given["failing"] and not given["problems"],
        counts={word: sum(one.severity == word for one in found) for word in SEVERITIES},
        scanner="trivy 0.72.0",
        database="public@2026-11-23T00:00:00Z",
        test_database=False,
        policy="sha256:" + "c" * 64,
        **{name: given[name] for name in ("problems", "notes", "failing", "ignored", "tolerated")},
    )


def sample():
    """Two images: one fails in every way, one passes with something ignored."""
    return {
        "catalog": verdict(
            failing=(
                finding(),
                finding(
                    id="CVE-2023-4911",
                    package="libc6",
                    severity="HIGH",
                    origin="base",
                    kev=True,
                    epss=0.931,
                    title="buffer overflow in ld.so",
                ),
                finding(
                    kind="secret",
                    id="private-key",
                    package="/app/key.pem",
                    installed="line 1",
                    fixed="",
                    severity="HIGH",
                    purl="",
                    url="",
                ),
            ),
            tolerated=(finding(id="CVE-2011-3374", package="apt", severity="LOW", fixed=""),),
            problems=("debian 9 is past its end of life: it gets no security fixes",),
        ),
        "web": verdict("web", "d", ignored=(ignored(finding(id="CVE-2024-0001")),)),
    }


def earlier():
    """The verdicts of the release before: one finding was there already, one is gone now."""
    return {
        "catalog": verdict(
            digest="e",
            tolerated=(
                finding(id="CVE-2011-3374", package="apt", severity="LOW", fixed=""),
                finding(id="CVE-2022-3996", package="openssl", severity="HIGH"),
            ),
        ),
        "web": verdict("web", "d"),
    }


@pytest.fixture(scope="session")
def make():
    """Make findings, ignores and verdicts."""
    return SimpleNamespace(finding=finding, ignored=ignored, verdict=verdict)


@pytest.fixture(scope="session")
def hostile():
    """Verdicts whose every text from outside is hostile, in each place that a report shows."""
    bad = finding(
        id=f"CVE-1 {HOSTILE}",
        package=f"p {HOSTILE}",
        installed=HOSTILE,
        fixed=HOSTILE,
        title=HOSTILE,
        purl=f"pkg:deb/{HOSTILE}",
        url=f"https://x.example/{HOSTILE}",
        platform=HOSTILE,
    )
    script = finding(id="CVE-2", url="javascript:alert(1)")
    return {
        f"web {HOSTILE}": verdict(
            failing=(bad, script),
            ignored=(ignored(bad, owner=HOSTILE, reason=HOSTILE),),
            tolerated=(bad,),
            problems=(HOSTILE,),
            notes=(HOSTILE,),
        )
    }


@pytest.fixture
def verdicts():
    """Two images: one fails in every way, one passes with something ignored."""
    return sample()


@pytest.fixture
def before():
    """The verdicts of the release before."""
    return earlier()


@pytest.fixture
def make_environment(tmp_path):
    """Make an environment of the aksci.toml that a test wrote; nothing is asked of the process."""

    def make(name="local", *, root=tmp_path, **values):
        config = values.pop("config", None) or load_config(root / "aksci.toml")
        settings = values.pop("settings", None) or environment_settings(config, name, root)
        given = {
            "variables": {},
            "now": lambda: dt.datetime.now(dt.UTC),
            "runner": None,
            "reporter": RecordingReporter(),
            "cache": root / "cache",
            "state": root.with_name(f"{root.name}-state"),  # not in the sources
            "run_id": "r",
            **values,
        }
        return Environment(root=root, config=config, name=name, settings=settings, **given)

    return make


@pytest.fixture
def limited():
    """Run Python with 20 s of a processor and 1.5 GB of addresses, ten times what it may need."""

    def run(code, arguments=()):
        limits = (
            "import resource\n"
            "resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
            "resource.setrlimit(resource.RLIMIT_AS, (1536 << 20, 1536 << 20))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", limits + textwrap.dedent(code), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
