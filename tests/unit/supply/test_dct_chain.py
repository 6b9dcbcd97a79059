"""Notary's metadata is trusted from the pinned root on, and no further."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksci.supply.sign.dct.canonical_json import encode
from aksci.supply.sign.dct.metadata import MetadataError
from aksci.supply.sign.dct.public_keys import Key
from aksci.supply.sign.dct.seen_metadata import Memory
from aksci.supply.sign.dct.trust_chain import read_trust
from aksci.supply.sign.signer import UntrustedError

GUN = "localhost:5000/shop/catalog"
NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
DER = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
DIGEST = hashlib.sha256(b"manifest").digest()


class Pair:
    """A private key, and the public one as metadata has it."""

    def __init__(self, kind="ecdsa", gun=None):
        self.private = {
            "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }[kind]()
        self.kind = kind
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        public = self.private.public_key().public_bytes(*(raw if kind == "ed25519" else DER))
        self.key = Key(kind=kind, public=public)
        if gun:
            self.key = Key(kind=f"{kind}-x509", public=self._certificate(gun))

    def _certificate(self, gun):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gun)])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(1)
            .not_valid_before(NOW - dt.timedelta(days=1))
            .not_valid_after(NOW + dt.timedelta(days=3650))
            .sign(self.private, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def sign(self, message):
        if self.kind == "ed25519":
            return "eddsa", self.private.sign(message)
        if self.kind == "rsa":
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            return "rsapss", self.private.sign(message, pss, hashes.SHA256())
        pair = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return "ecdsa", b"".join(number.to_bytes(32, "big") for number in pair)


def text(data):
    return base64.b64encode(data).decode()


def document(kind, version, pairs, *, expires=NOW + dt.timedelta(days=14), **content):
    signed = {"_type": kind, "version": version, "expires": expires.isoformat(), **content}
    message = encode(signed)
    signatures = []
    for pair in pairs:
        method, signature = pair.sign(message)
        signatures.append({"keyid": pair.key.id, "method": method, "sig": text(signature)})
    return encode({"signed": signed, "signatures": signatures})


def meta(data):
    return {
        "length": len(data),
        "hashes": {
            "sha256": text(hashlib.sha256(data).digest()),
            "sha512": text(hashlib.sha512(data).digest()),
        },
    }


def keys(*pairs):
    return {
        p.key.id: {
            "keytype": p.key.kind,
            "keyval": {"private": None, "public": text(p.key.public)},
        }
        for p in pairs
    }


def role(*pairs, threshold=1, **more):
    return {"keyids": [pair.key.id for pair in pairs], "threshold": threshold, **more}


def target(digest=DIGEST, length=8, **custom):
    return {"length": length, "hashes": {"sha256": text(digest)}, "custom": custom}


ROOT = Pair(gun=GUN)
STAMP, SNAPSHOT, TARGETS, CI = (Pair(k) for k in ("ed25519", "ed25519", "ecdsa", "rsa"))


@dataclass
class Repository:
    """A repository as its server has it; each part can be spoilt before it is written."""

    roots: list = field(default_factory=lambda: [ROOT])
    root_threshold: int = 1
    root_signers: list | None = None
    root_version: int = 1
    root_expires: dt.datetime = NOW + dt.timedelta(days=3650)
    targets: list = field(default_factory=lambda: [TARGETS])
    targets_threshold: int = 1
    targets_signers: list | None = None
    versions: int = 1
    expires: dict = field(default_factory=dict)
    files: dict = field(default_factory=lambda: {"v1": target(a="b")})
    delegations: list = field(default_factory=list)
    """(name, pairs, paths, signers, files)"""
    hidden: tuple = ()
    """What the snapshot does not list."""
    stamp: Pair = STAMP
    documents: dict = field(default_factory=dict)

    def when(self, name):
        return {"expires": self.expires[name]} if name in self.expires else {}

    def write(self):
        base = [*self.roots, *self.targets, self.stamp, SNAPSHOT]
        root = document(
            "Root",
            self.root_version,
            self.roots if self.root_signers is None else self.root_signers,
            expires=self.root_expires,
            consistent_snapshot=False,
            keys=keys(*base),
            roles={
                "root": role(*self.roots, threshold=self.root_threshold),
                "targets": role(*self.targets, threshold=self.targets_threshold),
                "snapshot": role(SNAPSHOT),
                "timestamp": role(self.stamp),
            },
        )
        delegated = {
            name: document("Targets", self.versions, signers, **self.when(name), targets=files)
            for name, _, _, signers, files in self.delegations
        }
        top = document(
            "Targets",
            self.versions,
            self.targets if self.targets_signers is None else self.targets_signers,
            **self.when("targets"),
            targets=self.files,
            delegations={
                "keys": keys(*(pair for _, pairs, _, _, _ in self.delegations for pair in pairs)),
                "roles": [
                    role(*pairs, name=name, paths=paths)
                    for name, pairs, paths, _, _ in self.delegations
                ],
            },
        )
        listed = {**delegated, "root": root, "targets": top}
        snapshot = document(
            "Snapshot",
            self.versions,
            [SNAPSHOT],
            **self.when("snapshot"),
            meta={name: meta(data) for name, data in listed.items() if name not in self.hidden},
        )
        stamp = document(
            "Timestamp",
            self.versions,
            [self.stamp],
            **self.when("timestamp"),
            meta={"snapshot": meta(snapshot)},
        )
        self.documents |= {
            "root": root,
            f"{self.root_version}.root": root,
            "timestamp": stamp,
            **{
                f"{name}.{hashlib.sha256(data).hexdigest()}": data
                for name, data in (*listed.items(), ("snapshot", snapshot))
            },
        }
        return self

    def get(self, _gun, name, *, largest):
        data = self.documents.get(name)
        if data is not None and len(data) > largest:
            raise MetadataError("too large")
        return data


PIN = frozenset({ROOT.key.canonical_id})


def read(source, **changes):
    return read_trust(source, **{"gun": GUN, "pins": PIN, "now": NOW, **changes})


def signed(trust, name="targets"):
    return {name: file.custom for name, file in trust.branches[name].files()}


def test_what_the_pinned_root_leads_to_is_believed():
    trust = read(Repository().write())
    assert signed(trust) == {"v1": {"a": "b"}}
    assert trust.branches["targets"].signers == {TARGETS.key.canonical_id}
    assert trust.versions == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


def test_a_pin_may_name_the_certificate_too():
    assert read(Repository().write(), pins=frozenset({ROOT.key.id}))


def test_a_server_without_the_repository_has_nothing_to_verify():
    assert read(Repository()) is None


def test_a_repository_that_was_there_and_is_not_any_more_is_no_unsigned_one():
    before = read(Repository().write()).memory
    with pytest.raises(MetadataError, match="no longer has"):
        read(Repository(), before=before)


def test_a_root_whose_keys_are_not_pinned_is_refused():
    with pytest.raises(UntrustedError, match="not signed by a pinned key"):
        read(Repository(roots=[Pair(gun=GUN)]).write())
    with pytest.raises(UntrustedError, match="not signed by a pinned key"):
        read(Repository().write(), pins=frozenset())


def test_a_pinned_key_that_is_listed_and_has_not_signed_is_no_anchor():
    other = Pair(gun=GUN)
    with pytest.raises(UntrustedError, match="not signed by a pinned key"):
        read(Repository(roots=[ROOT, other], root_signers=[other]).write())


@pytest.mark.parametrize("name", ["shop/catalog", "localhost:5000/shop/catalog2", "x*", ""])
def test_a_root_certificate_for_another_repository_is_no_root_of_this_one(name):
    class Elsewhere(Pair):
        pass

    other = Elsewhere()
    other.key = Key(kind="ecdsa-x509", public=other._certificate(name or "?"))
    with pytest.raises(UntrustedError):
        read(Repository(roots=[other]).write(), pins=frozenset({other.key.id}))


@pytest.mark.parametrize(
    "public", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_root_certificate_that_cannot_be_read_counts_for_nothing(public):
    broken = Pair()
    broken.key = Key(kind="ecdsa-x509", public=public)
    with pytest.raises(UntrustedError):
        read(Repository(roots=[broken]).write(), pins=frozenset({broken.key.id}))


def test_a_root_without_a_certificate_is_no_root():
    plain = Pair()
    with pytest.raises(UntrustedError):
        read(Repository(roots=[plain]).write(), pins=frozenset({plain.key.id}))


def test_an_expired_root_certificate_signs_no_root_any_more():
    late = NOW + dt.timedelta(days=4000)
    lasting = dict.fromkeys(("timestamp", "snapshot", "targets"), late + dt.timedelta(days=1))
    repository = Repository(root_expires=late + dt.timedelta(days=1), expires=lasting).write()
    with pytest.raises(MetadataError, match="root has 0 valid signatures"):
        read(repository, now=late)


def test_a_root_certificate_may_be_for_all_repositories_below_a_name():
    wide = Pair(gun="localhost:5000/shop/*")
    assert read(Repository(roots=[wide]).write(), pins=frozenset({wide.key.id}))


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets"])
def test_each_role_expires_by_itself(name):
    stale = Repository(expires={name: NOW}).write()
    with pytest.raises(MetadataError, match=f"{name} expired on 2026-11-23 12:00"):
        read(stale)
    assert read(stale, now=NOW - dt.timedelta(seconds=1))


def test_an_expired_root_is_refused():
    with pytest.raises(MetadataError, match="root expired"):
        read(Repository(root_expires=NOW).write())


def test_a_threshold_of_two_takes_two_keys():
    second = Pair()
    both = [TARGETS, second]
    assert read(Repository(targets=both, targets_threshold=2).write())
    with pytest.raises(MetadataError, match="1 valid signatures of its role's keys; 2 are"):
        read(Repository(targets=both, targets_threshold=2, targets_signers=[TARGETS]).write())


def test_one_key_does_not_count_twice():
    twice = [TARGETS, TARGETS]
    with pytest.raises(MetadataError, match="1 valid signatures"):
        read(Repository(targets_threshold=2, targets_signers=twice).write())
    certified = Pair()
    certified.private = TARGETS.private
    certified.key = Key(kind="ecdsa-x509", public=certified._certificate(GUN))
    both = [TARGETS, certified]
    with pytest.raises(MetadataError, match="1 valid signatures"):
        read(Repository(targets=both, targets_threshold=2).write())


def test_a_threshold_of_the_root_counts_pinned_keys_only():
    second = Pair(gun=GUN)
    repository = Repository(roots=[ROOT, second], root_threshold=2).write()
    with pytest.raises(UntrustedError):
        read(repository)
    assert read(repository, pins=PIN | {second.key.id})


def test_a_role_s_metadata_is_not_signed_by_another_role_s_key():
    with pytest.raises(MetadataError, match="targets has 0 valid signatures"):
        read(Repository(targets_signers=[SNAPSHOT]).write())


def ci(paths=("",), signers=(CI,), files=None, name="targets/ci"):
    files = {"c": target(by="ci")} if files is None else files
    return (name, [CI], list(paths), list(signers), files)


def test_a_delegation_signs_what_it_may():
    trust = read(Repository(delegations=[ci()]).write(), role="targets/ci")
    assert signed(trust, "targets/ci") == {"c": {"by": "ci"}}
    assert trust.branches["targets/ci"].signers == {CI.key.canonical_id}


def test_a_delegation_signed_by_a_key_that_was_not_delegated_to_is_refused():
    with pytest.raises(MetadataError, match="targets/ci has 0 valid signatures"):
        read(Repository(delegations=[ci(signers=[TARGETS])]).write(), role="targets/ci")


def test_a_delegation_signs_nothing_outside_its_paths():
    files = {"releases/1": target(), "other": target()}
    trust = read(
        Repository(delegations=[ci(paths=["releases/"], files=files)]).write(), role="targets/ci"
    )
    assert set(signed(trust, "targets/ci")) == {"releases/1"}
    none = read(Repository(delegations=[ci(paths=[])]).write(), role="targets/ci")
    assert not signed(none, "targets/ci")


def test_an_expired_delegation_spoils_only_itself():
    repository = Repository(delegations=[ci()], expires={"targets/ci": NOW}).write()
    assert signed(read(repository)) == {"v1": {"a": "b"}}
    with pytest.raises(MetadataError, match="targets/ci expired"):
        read(repository, role="targets/ci")


@pytest.mark.parametrize("name", ["targets", "root", "targets/ci/deep", "targets/../x", "other/ci"])
def test_a_role_delegates_to_its_own_children_only(name):
    with pytest.raises(MetadataError, match="can't delegate to"):
        read(Repository(delegations=[ci(name=name)]).write())


@pytest.mark.parametrize("what", ["targets", "snapshot"])
def test_a_document_that_is_not_the_one_listed_for_is_refused(what):
    repository = Repository().write()
    newer = Repository(files={"evil": target()}).write()
    (place,) = [name for name in repository.documents if name.startswith(f"{what}.")]
    (other,) = [name for name in newer.documents if name.startswith(f"{what}.")]
    repository.documents[place] = newer.documents[other]
    with pytest.raises(MetadataError):
        read(repository)
    del repository.documents[place]
    with pytest.raises(MetadataError, match="does not have"):
        read(repository)


def test_another_root_than_the_snapshot_vouches_for_is_refused():
    repository = Repository().write()
    later = Repository(root_version=2).write()
    repository.documents["root"] = later.documents["root"]
    with pytest.raises(MetadataError, match="root is not the one"):
        read(repository)


def test_older_metadata_than_was_seen_is_refused():
    before = read(Repository(versions=5).write()).memory
    assert read(Repository(versions=5).write(), before=before)
    assert read(Repository(versions=6).write(), before=before)
    with pytest.raises(MetadataError, match="is of version 4; version 5 was seen before"):
        read(Repository(versions=4).write(), before=before)


def test_a_rollback_of_one_role_alone_is_refused():
    before = read(Repository().write()).memory
    before.versions["targets"] = 9
    with pytest.raises(MetadataError, match=r"targets of .* is of version 1; version 9"):
        read(Repository().write(), before=before)


def test_a_role_that_was_there_may_not_vanish_from_the_snapshot():
    before = read(Repository(delegations=[ci()]).write(), role="targets/ci").memory
    hidden = Repository(versions=2, delegations=[ci()], hidden=("targets/ci",)).write()
    with pytest.raises(MetadataError, match="does not list targets/ci"):
        read(hidden, role="targets/ci", before=before)
    assert not signed(read(hidden, role="targets/ci"), "targets/ci")  # not yet, as far as one knows
    taken_back = Repository(versions=2).write()
    assert "targets/ci" not in read(taken_back, role="targets/ci", before=before).branches


@pytest.mark.parametrize("name", ["root", "targets"])
def test_a_snapshot_vouches_for_the_root_and_the_targets_at_least(name):
    with pytest.raises(MetadataError, match=f"does not list (the )?{name}"):
        read(Repository(hidden=(name,)).write())


def rotated(*, signers, version=2, old=None, new=None):
    """A repository whose root went from one key to another."""
    first = Repository(roots=[old or ROOT]).write()
    second = Repository(roots=[new], root_version=version, root_signers=signers, versions=2).write()
    second.documents["1.root"] = first.documents["root"]
    return first, second


def test_a_root_is_followed_from_the_pinned_key_to_the_key_that_it_was_handed_to():
    new = Pair(gun=GUN)
    first, second = rotated(new=new, signers=[ROOT, new])
    assert read(second)
    assert read(second, before=read(first).memory)


@pytest.mark.parametrize("missing", ["old", "new"])
def test_a_new_root_is_signed_by_the_old_keys_and_by_its_own(missing):
    new = Pair(gun=GUN)
    first, second = rotated(new=new, signers=[new] if missing == "old" else [ROOT])
    for before in (None, read(first).memory):
        with pytest.raises(UntrustedError):
            read(second, before=before)


def test_a_missing_link_of_the_chain_breaks_it():
    new = Pair(gun=GUN)
    first, second = rotated(new=new, signers=[ROOT, new], version=3)
    with pytest.raises(MetadataError, match="Version 2 of the root"):
        read(second)
    with pytest.raises(MetadataError, match="Version 2 of the root"):
        read(second, before=read(first).memory)


def test_a_pinned_root_that_does_not_descend_from_the_one_seen_is_refused():
    """Whoever stole the old key can't begin the repository anew."""
    new = Pair(gun=GUN)
    _, second = rotated(new=new, signers=[ROOT, new])
    before = read(second).memory
    with pytest.raises(MetadataError):
        read(Repository(root_version=1, versions=9).write(), before=before)
    forged = Repository(root_version=3, versions=9).write()
    with pytest.raises(MetadataError):
        read(forged, before=before)


def test_another_root_of_the_same_version_is_refused():
    before = read(Repository().write()).memory
    other = Repository(root_expires=NOW + dt.timedelta(days=9)).write()
    with pytest.raises(MetadataError, match="in the same version 1"):
        read(other, before=before)


def test_a_new_timestamp_key_begins_its_versions_again():
    """TUF, 5.3.11: otherwise who stole the old key could lock the repository for ever."""
    before = read(Repository(versions=50).write()).memory
    before.versions["targets"] = 1
    assert read(
        Repository(root_version=2, stamp=Pair("ed25519")).write(),
        before=Memory(root=before.root, versions={**before.versions, "snapshot": 1}),
    )


def spoil(change, name="root"):
    import json

    repository = Repository().write()
    value = json.loads(repository.documents[name])
    change(value)
    repository.documents[name] = json.dumps(value).encode()
    return repository


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(extra=1),
        lambda v: v["signed"].update(_type="Targets"),
        lambda v: v["signed"].update(version=0),
        lambda v: v["signed"].update(version=True),
        lambda v: v["signed"].update(expires="never"),
        lambda v: v["signed"].update(expires="2030-01-01T00:00:00"),
        lambda v: v["signed"].update(expires="9999-12-31T23:59:59-12:00"),
        lambda v: v["signed"]["roles"].pop("snapshot"),
        lambda v: v["signed"]["roles"]["targets"].update(threshold=0),
        lambda v: v["signed"]["roles"]["targets"].update(keyids=["0" * 64]),
        lambda v: next(iter(v["signed"]["keys"].values())).update(keytype="dsa"),
        lambda v: v["signed"]["keys"].update({"0" * 64: next(iter(v["signed"]["keys"].values()))}),
        lambda v: v.update(signatures={}),
        lambda v: v.update(signed=[]),
    ],
)
def test_what_is_not_understood_is_refused(change):
    with pytest.raises(MetadataError, match="not understood"):
        read(spoil(change))


def test_a_key_that_is_there_twice_is_refused():
    repository = Repository().write()
    data = repository.documents["root"]
    repository.documents["root"] = data.replace(b'"version":1', b'"version":1,"version":1')
    with pytest.raises(MetadataError, match="a key is there twice"):
        read(repository)


@pytest.mark.parametrize(
    "hashes", [{}, {"md5": "AAAA"}, {"sha512": text(bytes(64))}, {"sha256": text(b"short")}]
)
def test_a_target_has_a_whole_sha256_and_no_hash_that_we_do_not_know(hashes):
    with pytest.raises(MetadataError, match=r"hash|SHA-256"):
        read(Repository(files={"v1": {"length": 8, "hashes": hashes}}).write())


VALID = Repository(delegations=[ci()]).write()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_changed_byte_makes_something_else_believed(data):
    name = data.draw(st.sampled_from(sorted(VALID.documents)))
    content = bytearray(VALID.documents[name])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    changed = Repository(documents={**VALID.documents, name: bytes(content)})
    try:
        trust = read(changed, role="targets/ci")
    except UntrustedError:
        return
    # Spaces, signatures that are not needed and the like may change; nothing that is signed may.
    assert signed(trust) == {"v1": {"a": "b"}}
    assert signed(trust, "targets/ci") == {"c": {"by": "ci"}}
    assert trust.versions == {
        "root": 1,
        "timestamp": 1,
        "snapshot": 1,
        "targets": 1,
        "targets/ci": 1,
    }


@settings(max_examples=150, deadline=None)
@given(drop=st.sets(st.sampled_from(sorted(VALID.documents)), min_size=1))
def test_whatever_is_left_out_nothing_is_believed_without_it(drop):
    kept = {name: data for name, data in VALID.documents.items() if name not in drop}
    try:
        trust = read(Repository(documents=kept), role="targets/ci")
    except UntrustedError:
        return
    assert trust is None or drop <= {
        "1.root",
        *(n for n in VALID.documents if n.startswith("root.")),
    }
