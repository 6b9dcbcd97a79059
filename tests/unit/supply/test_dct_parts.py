"""Docker Content Trust's small parts: JSON, keys, memory, the server, what is configured."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from aksci.config.supply_models import DctConfig
from aksci.core.errors import ConfigError, TrustError
from aksci.core.process import Runner
from aksci.core.secret import Secret
from aksci.oci.references import ImageRef
from aksci.supply.sign.dct.canonical_json import encode, parse
from aksci.supply.sign.dct.configure import dct_signer, docker_login, trust_server
from aksci.supply.sign.dct.notary_client import add_words
from aksci.supply.sign.dct.notary_server import TrustServer
from aksci.supply.sign.dct.private_keys import KeyStore, local_passphrase
from aksci.supply.sign.dct.public_keys import Key
from aksci.supply.sign.dct.seen_metadata import Memories, Memory
from aksci.supply.sign.dct.target import target_name

GUN = "localhost:5000/shop/catalog"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


# -- canonical JSON --


def test_canonical_json_escapes_nothing_but_quotes_and_backslashes():
    assert (
        encode({"b": 'a"\\', "a": ["\n", None, True, -1]})
        == b'{"a":["\n",null,true,-1],"b":"a\\"\\\\"}'
    )
    assert encode("é/<\u2028") == '"é/<\u2028"'.encode()


@given(VALUES)
def test_what_is_read_is_written_in_one_way_only(value):
    one = encode(parse(json.dumps(value, ensure_ascii=True).encode()))
    two = encode(parse(json.dumps(value, ensure_ascii=False, indent=2).encode()))
    assert one == two == encode(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"x":{"a":1,"\\u0061":2}}',
        "1.5",
        "1e3",
        "NaN",
        "-Infinity",
        str(2**53 + 1),
        '"\\ud800"',
        "[" * 40 + "]" * 40,
        "[" * 100_000,
        "",
        "{}x",
    ],
)
def test_json_that_could_be_read_in_two_ways_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse(text.encode())


def test_json_that_is_not_utf_8_is_refused():
    with pytest.raises(ValueError, match="utf-8"):
        parse(b'"\xff"')


# -- keys --


def test_a_key_has_the_identifier_that_notary_gives_it():
    """The key of a repository that Notary's own client made."""
    public = (
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEH7mMRrOHVoD3Ysg60OtKp7mJLI790srIxuHn+8QTvoG1Cz6bzQdq"
        "yAjN6zCVcE275mY8Tslze88bTdY50it/fw=="
    )
    key = Key(kind="ecdsa", public=base64.b64decode(public))
    assert key.id == "280a8fd1a721a282a82bb1c60e4da0c174be3d8da69252dcf1ca9cd7e75b4c51"
    assert key.canonical_id == key.id


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_an_ecdsa_signature_is_r_and_s_at_full_length(curve):
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    private = ec.generate_private_key(curve)
    key = Key(kind="ecdsa", public=_der(private))
    der = private.sign(b"message", ec.ECDSA(hashes.SHA256()))
    size = (curve.key_size + 7) // 8
    raw = b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(der))
    assert key.has_signed(b"message", raw, "ecdsa")
    assert not key.has_signed(b"other", raw, "ecdsa")
    assert not key.has_signed(b"message", der, "ecdsa")
    assert not key.has_signed(b"message", raw, "rsapss")
    assert not key.has_signed(b"message", raw, "none")


def test_a_weak_rsa_key_signs_nothing():
    from cryptography.hazmat.primitives.asymmetric import padding

    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is it
    signature = private.sign(b"m", padding.PKCS1v15(), hashes.SHA256())
    key = Key(kind="rsa", public=_der(private))
    assert not key.has_signed(b"m", signature, "rsapkcs1v15")


def _der(private):
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_keys_are_found_by_identifier_and_role_and_kept_for_their_owner_only(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    (made / "aa.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nrole: root\n\nMII=\n")
    (made / "bb.key").write_text("-----BEGIN PRIVATE KEY-----\ngun: x\nrole: targets\n\nMII=\n")
    keys = KeyStore(tmp_path / "kept")
    keys.adopt(made)
    assert keys.of_role("root") == ("aa",)
    assert [path.name for path in keys.find({"bb", "cc"})] == ["bb.key"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in keys.find({"aa", "bb"}))
    (made / "aa.key").write_text("other")
    keys.adopt(made)
    assert keys.of_role("root") == ("aa",)


def test_the_local_passphrase_is_made_once_and_told_to_nobody(tmp_path):
    phrase = local_passphrase(tmp_path / "dct")
    assert local_passphrase(tmp_path / "dct") == phrase
    assert len(phrase.reveal()) > 32
    assert (tmp_path / "dct" / "passphrase").stat().st_mode & 0o777 == 0o600
    assert phrase.reveal() not in repr(phrase)


# -- memory --


def test_what_was_seen_is_remembered_and_only_moves_forward(tmp_path):
    memories = Memories(tmp_path)
    assert memories.load(GUN) is None
    newer = Memory(root=b"2", versions={"root": 2, "timestamp": 3, "targets/ci": 1})
    memories.keep(GUN, newer)
    memories.keep(GUN, Memory(root=b"1", versions={"root": 1, "timestamp": 9}))
    assert memories.load(GUN) == newer
    memories.keep(GUN, Memory(root=b"2", versions={"root": 2, "timestamp": 4}))
    assert memories.load(GUN).versions == {"root": 2, "timestamp": 4, "targets/ci": 1}
    assert memories.load("localhost:5000/shop") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"root": 1, "versions": {}}', "\x00"])
def test_a_damaged_memory_is_an_error_and_not_a_blank_one(tmp_path, text):
    memories = Memories(tmp_path)
    memories.keep(GUN, Memory(root=b"1", versions={"root": 1}))
    (file,) = tmp_path.glob("*.json")
    file.write_text(text)
    with pytest.raises(TrustError, match="can't be read from"):
        memories.load(GUN)


# -- the server --


@pytest.fixture
def serve():
    """A loopback server that gives one answer to everything, and notes what it is asked."""
    servers = []

    def start(status, body, more=None):
        class Handler(BaseHTTPRequestHandler):
            asked = []  # noqa: RUF012 - one a server

            def do_GET(self):
                self.asked.append(self.path)
                start.headers.append(self.headers)
                self.send_response(status)
                for name, value in (more or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = TrustServer(url=f"http://127.0.0.1:{server.server_port}", sleep=lambda _: None)
        return place, Handler.asked

    start.headers = []
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_document_is_asked_for_by_repository_and_role(serve):
    server, asked = serve(200, b"{}")
    assert server.get(GUN, "targets/ci", largest=2) == b"{}"
    assert asked == [f"/v2/{GUN}/_trust/tuf/targets/ci.json"]


def test_only_404_means_that_something_is_not_there(serve):
    assert serve(404, b"")[0].get(GUN, "root", largest=9) is None
    for status in (401, 403, 429, 500, 503):
        with pytest.raises(TrustError, match=f"answered {status}"):
            serve(status, b"")[0].get(GUN, "root", largest=9)


def test_more_than_was_promised_is_not_read(serve):
    with pytest.raises(TrustError, match="more than 9 bytes"):
        serve(200, bytes(10))[0].get(GUN, "root", largest=9)


def test_a_server_that_wants_a_login_is_given_it_and_nobody_else_is(serve):
    server, asked = serve(401, b"", {"WWW-Authenticate": 'Basic realm="notary"'})
    server.login = ("me", Secret("secret-word"))
    with pytest.raises(TrustError, match="answered 401") as caught:
        server.get(GUN, "root", largest=9)
    sent = [headers.get("Authorization") for headers in serve.headers]
    assert sent == [None, "Basic " + base64.b64encode(b"me:secret-word").decode()]
    assert len(asked) == 2
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://notary.example", "notary.example", "ftp://x", ""])
def test_a_server_is_reached_over_tls_unless_it_is_on_this_machine(url):
    with pytest.raises(ConfigError, match="not an https"):
        TrustServer(url=url)


# -- what is configured --


def test_the_server_is_the_registrys_own_unless_another_is_named(tmp_path):
    def place(config, **more):
        return trust_server(config, registry="shop.azurecr.io", root=tmp_path, variables={}, **more)

    assert place(DctConfig()).url == "https://shop.azurecr.io"
    named = place(DctConfig(server="https://notary.example/", server_ca="ca.pem"))
    assert (named.url, named.ca) == ("https://notary.example", tmp_path / "ca.pem")
    embedded = ("https://localhost:4443", tmp_path / "own.pem")
    assert place(DctConfig(), embedded=embedded).ca == tmp_path / "own.pem"
    assert place(DctConfig(server="https://n.example"), embedded=embedded).ca is None


def test_the_registrys_identity_is_shown_to_no_other_server(tmp_path):
    identity = object()

    def place(server):
        config = DctConfig(server=server)
        common = {"registry": "shop.azurecr.io", "root": tmp_path, "variables": {}}
        return trust_server(config, credential=identity, **common).credential

    assert place(None) is identity
    assert place("https://shop.azurecr.io/") is identity
    assert place("https://notary.example") is None
    assert place("https://shop.azurecr.io.example") is None


def test_a_server_elsewhere_has_its_own_way_through_the_proxy(tmp_path):
    variables = {"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": "shop.azurecr.io"}

    def place(server):
        common = {"registry": "shop.azurecr.io", "root": tmp_path, "variables": variables}
        found = trust_server(DctConfig(server=server), **common)
        return found.proxy(found.url)

    assert place(None) is None
    assert place("https://notary.example") == "http://proxy.test:3128"


def test_only_the_platforms_own_server_may_have_forgotten_what_it_had(tmp_path):
    def forgetful(**config):
        keys = tmp_path / "keys"
        return dct_signer(
            DctConfig(keys=str(keys), roots={"*": ("0" * 64,)}, **config),
            notary=tmp_path / "notary",
            runner=Runner(environment={}, log=lambda _: None),
            registry=object(),
            root=tmp_path,
            state=tmp_path,
            local=True,
            server=TrustServer(url="https://n.example"),
            variables={},
            now=lambda: dt.datetime.now(dt.UTC),
        ).local

    assert forgetful()
    assert not forgetful(server="https://n.example")


def test_a_docker_login_is_used_and_its_password_never_shown(tmp_path):
    pair = base64.b64encode(b"me:secret-word").decode()
    auths = {"a.example": {"auth": pair}, "b.example": {"auth": pair, "identitytoken": "token"}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    user, password = docker_login(tmp_path, "a.example")
    assert (user, password.reveal()) == ("me", "secret-word")
    assert docker_login(tmp_path, "b.example")[1].reveal() == "token"
    assert docker_login(tmp_path, "c.example") is None
    assert docker_login(tmp_path / "none", "a.example") is None
    assert "secret-word" not in repr(docker_login(tmp_path, "a.example"))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="can't be read"):
        docker_login(tmp_path, "a.example")


@pytest.mark.parametrize("config", [DctConfig(), DctConfig(keys="keys")])
def test_without_a_pinned_root_nothing_is_trusted_at_first_sight(tmp_path, config):
    with pytest.raises(ConfigError, match=r"sign\.dct\.roots is empty"):
        dct_signer(
            config,
            notary=tmp_path / "notary",
            runner=Runner(environment={}, log=lambda _: None),
            registry=object(),
            root=tmp_path,
            state=tmp_path,
            local=False,
            server=TrustServer(url="https://n.example"),
            variables={},
            now=lambda: dt.datetime.now(dt.UTC),
        )


def test_a_digest_is_signed_by_itself_under_a_name_of_its_own(tmp_path, ref):
    name = target_name(ref, {"a": "1"})
    assert name.startswith(ref.digest.replace(":", "-"))
    assert name != target_name(ref, {"a": "2"})
    words = add_words(
        ref.name, name, digest=ref.digest, size=7, custom=tmp_path / "c.json", role="targets/ci"
    )
    assert words == (
        "addhash",
        ref.name,
        name,
        "7",
        f"--sha256={ref.digest.removeprefix('sha256:')}",
        f"--custom={tmp_path / 'c.json'}",
        "--roles=targets/ci",
        "--publish",
    )


def test_another_order_of_the_claims_is_the_same_name():
    ref = ImageRef("localhost:5000", "shop/a", "sha256:" + "a" * 64)
    assert target_name(ref, {"a": "1", "b": "2"}) == target_name(ref, {"b": "2", "a": "1"})
