"""Projects made of text."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aksci.config.loader import load_config
from aksci.images.bases import BaseResolver
from aksci.images.discovery.sources.imported import Importer
from aksci.images.discovery.specs import discover_images
from aksci.images.graph import build_graph

HEAD = 'schema = 1\n[project]\nname = "shop"\n'


class Outside(BaseResolver):
    """Base images whose digests a function tells; none of them has ONBUILD."""

    def __init__(self, digest_of):
        self._digest_of = digest_of

    def digest(self, reference):
        return self._digest_of(reference)

    def onbuild(self, *_):
        return ()


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
