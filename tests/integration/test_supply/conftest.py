"""Images made of a few files, the small database, and the signer, on the platform's registry."""

from __future__ import annotations

import datetime as dt
import io
import tarfile
import uuid
from types import SimpleNamespace

import pytest

from aksci.config.supply_models import CosignConfig, NotationConfig
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient
from aksci.supply.scan.database import DatabaseSource, ensure_database
from aksci.supply.scan.trivy import TrivyScanner, read_release
from aksci.supply.sign.cosign.cosign_signer import cosign_signer
from aksci.supply.sign.notation.notation_signer import notation_signer
from aksci.testing.reporter import RecordingReporter

DEBIAN = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "etc/debian_version": "12.12\n",
}


def package(name: str, version: str) -> dict[str, str]:
    """A Debian package, as dpkg records it."""
    status = (
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n"
        "Architecture: amd64\nMaintainer: x\nDescription: x\n\n"
    )
    return DEBIAN | {"var/lib/dpkg/status": status}


def wheel(name: str, version: str) -> dict[str, str]:
    """A Python package, as pip records it."""
    place = f"usr/lib/python3/dist-packages/{name}-{version}.dist-info/METADATA"
    return {place: f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}


@pytest.fixture(scope="session")
def files():
    """What to put in an image: ``clean``, or ``package`` and ``wheel`` of some version."""
    return SimpleNamespace(
        clean=package("openssl", "3.0.17-1~deb12u3"), package=package, wheel=wheel
    )


@pytest.fixture
def notes():
    return RecordingReporter()


@pytest.fixture(scope="session")
def registry(platform):
    client = RegistryClient(platform.registry, plain_http=True)
    yield client
    client.close()


@pytest.fixture
def make_image(registry, tmp_path):
    """Push an image of one layer with these files; each call makes another digest."""

    def make(files: dict[str, str], name: str = "app"):
        tar = tmp_path / f"{uuid.uuid4().hex}.tar"
        with tarfile.open(tar, "w") as archive:
            for path, text in files.items():
                entry = tarfile.TarInfo(path)
                content = text if isinstance(text, bytes) else text.encode()
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"test": uuid.uuid4().hex}},
        }
        return push_image(registry, f"supply-test/{name}", "latest", layers=[tar], config=config)

    return make


@pytest.fixture(scope="session")
def trivy(toolbox):
    return toolbox.ensure("trivy")


@pytest.fixture(scope="session")
def trivydb(toolbox):
    return toolbox.ensure("trivydb")


@pytest.fixture(scope="session")
def session_now():
    return dt.datetime.now(dt.UTC)


@pytest.fixture(scope="session")
def database(toolbox, trivy, trivydb, session_now, tmp_path_factory):
    return ensure_database(
        tmp_path_factory.mktemp("databases"),
        source=DatabaseSource(kind="small", maker=lambda: trivydb, trivy=trivy, local=True),
        max_age=dt.timedelta(hours=168),
        now=session_now,
        runner=toolbox.runner,
        reporter=RecordingReporter(),
    )


@pytest.fixture
def scanner(trivy, database, registry, runner, tmp_path):
    return TrivyScanner(
        trivy=trivy,
        cache=tmp_path / "cache",
        registry=registry,
        runner=runner,
        database=database,
        release=read_release(trivy, runner),
    )


@pytest.fixture(scope="session")
def notation(toolbox):
    return toolbox.ensure("notation")


@pytest.fixture
def make_signer(notation, registry, runner, tmp_path, session_now):
    """A signer with a test key of its own in each state folder."""

    def make(state: str = "state", now: dt.datetime = session_now):
        return notation_signer(
            NotationConfig(),
            notation=notation,
            runner=runner,
            registry=registry,
            root=tmp_path,
            state=tmp_path / state,
            user_config=tmp_path / "nobody",
            local=True,
            plain_http=True,
            now=now,
        )

    return make


@pytest.fixture
def signer(make_signer):
    return make_signer()


@pytest.fixture(scope="session")
def cosign(toolbox):
    return toolbox.ensure("cosign")


@pytest.fixture
def make_cosigner(cosign, registry, runner, tmp_path, session_now):
    """A signer with a test key of its own in each state folder, or with what is configured."""

    def make(state: str = "state", config=None, runner=runner, variables=None):
        return cosign_signer(
            config or CosignConfig(),
            cosign=cosign,
            runner=runner,
            registry=registry,
            root=tmp_path,
            state=tmp_path / state,
            variables=variables or {},
            local=True,
            plain_http=True,
            now=session_now,
        )

    return make


@pytest.fixture
def cosigner(make_cosigner):
    return make_cosigner()
