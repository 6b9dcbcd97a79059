"""Keys and certificates: right names, never half-made, renewed in time."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from aksci.local.control_plane import kubeconfig
from aksci.local.layout import Network
from aksci.local.pki import ensure_pki, is_complete, subjects

WANTED = subjects(Network(), "local")


def _load(folder, name):
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_the_api_server_is_known_by_every_address_that_it_is_called_by(tmp_path):
    ensure_pki(tmp_path, WANTED)
    names = _load(tmp_path, "apiserver").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    addresses = {str(address) for address in names.value.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "10.96.0.1", "10.250.0.1"}
    assert "kubernetes.default.svc" in names.value.get_values_for_type(x509.DNSName)


def test_every_certificate_is_signed_by_the_authority_and_fits_its_key(tmp_path):
    ensure_pki(tmp_path, WANTED)
    authority = _load(tmp_path, "ca")
    for name in WANTED:
        _load(tmp_path, name).verify_directly_issued_by(authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
    assert authority.not_valid_after_utc > datetime.now(UTC) + timedelta(days=3640)


def test_keys_are_for_the_owner_only(tmp_path):
    ensure_pki(tmp_path, WANTED)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_complete_keys_are_kept(tmp_path):
    first = ensure_pki(tmp_path, WANTED)
    assert ensure_pki(tmp_path, WANTED) == first


@pytest.mark.parametrize("name", ["complete.json", "etcd.key", "ca.crt", "service-accounts.pub"])
@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_half_made_keys_are_made_anew(tmp_path, name, damage):
    first = ensure_pki(tmp_path, WANTED)
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:40])
    assert not is_complete(tmp_path)
    assert ensure_pki(tmp_path, WANTED) != first
    assert is_complete(tmp_path)


def test_keys_are_renewed_a_month_before_they_expire(tmp_path):
    made = datetime(2026, 1, 1, tzinfo=UTC)
    first = ensure_pki(tmp_path, WANTED, now=made)
    assert ensure_pki(tmp_path, WANTED, now=made + timedelta(days=699)) == first
    assert ensure_pki(tmp_path, WANTED, now=made + timedelta(days=701)) != first


def test_another_address_makes_new_certificates(tmp_path):
    first = ensure_pki(tmp_path, WANTED)
    assert ensure_pki(tmp_path, subjects(Network(node="10.250.0.2"), "local")) != first


def test_the_kubeconfig_holds_all_it_needs(tmp_path):
    ensure_pki(tmp_path, WANTED)
    text = kubeconfig(tmp_path, "admin", "https://127.0.0.1:6443")
    assert '"current-context": "aksci-local"' in text
    assert str(tmp_path) not in text
