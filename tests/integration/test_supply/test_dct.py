"""Docker Content Trust with the real Notary server and client; verified by ourselves."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from aksci.config.deploy_models import ServiceConfig
from aksci.config.models import Config
from aksci.config.supply_models import DctConfig
from aksci.core.errors import ConfigError, TrustError
from aksci.core.process import Runner
from aksci.environment import Environment
from aksci.local.daemon import find_marked, stop
from aksci.local.layout import Layout, Ports
from aksci.local.notary import ensure_notary_pki, notary_part
from aksci.local.part import start_part
from aksci.oci.references import ImageRef
from aksci.steps.graph_step import graph
from aksci.steps.migrate_trust_step import migrate_trust
from aksci.supply.sign.dct.configure import dct_signer
from aksci.supply.sign.dct.metadata import MetadataError
from aksci.supply.sign.dct.migrate import (
    MIGRATED_FROM,
    TAGS,
    migrate_repository,
    signed_repositories,
)
from aksci.supply.sign.dct.notary_client import NotaryClient
from aksci.supply.sign.dct.notary_server import TrustServer
from aksci.supply.sign.dct.private_keys import KeyStore
from aksci.supply.sign.dct.seen_metadata import Memories
from aksci.supply.sign.notation.local_certificate import ensure_test_key
from aksci.supply.sign.signer import (
    REPOSITORY,
    BindingError,
    NotSignedError,
    UntrustedError,
    ensure_signed,
)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Notary:
    """A Notary server of our own: started and stopped as the platform does it."""

    layout: Layout
    ports: Ports
    binary: object

    @property
    def address(self):
        return f"https://localhost:{self.ports.notary}"

    @property
    def ca(self):
        return self.layout.notary_pki / "ca.crt"

    def start(self):
        part = notary_part(self.layout, self.ports, self.binary, ensure_notary_pki(self.layout))
        start_part(part, self.layout, dict(os.environ), threading.Event())

    def stop(self):
        stop(find_marked(self.layout.state), grace=3)


@pytest.fixture(scope="module")
def notary_program(toolbox):
    return toolbox.ensure("notary")


@pytest.fixture(scope="module")
def notary_server(toolbox, tmp_path_factory):
    layout = Layout(tmp_path_factory.mktemp("n"))
    layout.make()
    server = Notary(layout, Ports(notary=_free_port()), toolbox.ensure("notary-server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shared_state(tmp_path_factory):
    """One root key for all tests of this file: made once, as on a user's machine."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def make_dct(notary_server, notary_program, registry, runner, shared_state, tmp_path):
    def make(config=None, *, state=shared_state, local=True, variables=None, url=None, now=None):
        return dct_signer(
            config or DctConfig(),
            notary=notary_program,
            runner=runner,
            registry=registry,
            root=tmp_path,
            state=state,
            local=local,
            server=TrustServer(
                url=url or notary_server.address, ca=notary_server.ca, sleep=lambda _: None
            ),
            variables=variables or {},
            now=lambda: now or dt.datetime.now(dt.UTC),
        )

    return make


@pytest.fixture
def dct(make_dct):
    return make_dct()


@pytest.fixture
def image(make_image, files, tmp_path):
    """An image in a repository of its own."""
    return make_image(files.clean, name=f"dct-{tmp_path.name}".lower().strip("_-"))


def claims_of(ref, **more):
    return {REPOSITORY: ref.repository, **more}


def test_a_signature_is_verified_in_a_fresh_place_from_the_pinned_root_alone(
    dct, make_dct, image, tmp_path
):
    with pytest.raises(NotSignedError):
        dct.verify(image, {})
    dct.sign(image, claims_of(image, verdict="sha256:1"))

    elsewhere = make_dct(
        DctConfig(roots=dict(dct.roots)), local=False, state=tmp_path / "another machine"
    )
    (proof,) = elsewhere.verify(image, claims_of(image))

    assert proof.signer == "dct"
    assert proof.claims == claims_of(image, verdict="sha256:1")
    assert proof.identity.startswith("targets, key ")
    assert not list(tmp_path.rglob("*.key"))


def test_claims_that_were_not_signed_are_not_believed(dct, image):
    dct.sign(image, claims_of(image, verdict="one"))
    with pytest.raises(BindingError, match="verdict=two"):
        dct.verify(image, claims_of(image, verdict="two"))
    dct.sign(image, claims_of(image, verdict="two"))
    assert dct.verify(image, claims_of(image, verdict="one"))
    assert dct.verify(image, claims_of(image, verdict="two"))


def test_signing_again_with_the_same_claims_adds_nothing(dct, image):
    claims = claims_of(image)
    assert ensure_signed(image, claims, required=claims, signer=dct)
    before = dct.read(image.name, image.repository).versions
    assert not ensure_signed(image, claims, required=claims, signer=dct)
    assert dct.read(image.name, image.repository).versions == before


def test_a_root_that_is_not_pinned_is_refused_however_well_it_signs(dct, make_dct, image, tmp_path):
    dct.sign(image, claims_of(image))
    stranger = make_dct(
        DctConfig(roots={"*": ("0" * 64,)}), local=False, state=tmp_path / "elsewhere"
    )
    with pytest.raises(UntrustedError, match="not signed by a pinned key"):
        stranger.verify(image, {})
    with pytest.raises(UntrustedError, match="not signed by a pinned key"):
        stranger.sign(image, {})


def test_a_repository_s_own_pin_takes_the_place_of_the_one_for_all(dct, make_dct, image, tmp_path):
    dct.sign(image, claims_of(image))
    roots = {**dct.roots, image.repository: ("0" * 64,)}
    with pytest.raises(UntrustedError, match="not signed by a pinned key"):
        make_dct(DctConfig(roots=roots), local=False, state=tmp_path / "x").verify(image, {})


def test_the_exact_digest_is_signed_though_its_tag_has_moved(dct, registry, make_image, files):
    first = make_image(files.clean, name="dct-moved")
    second = make_image(files.clean, name="dct-moved")
    assert registry.resolve(first.repository, "latest") == second.digest
    dct.sign(first, claims_of(first))
    assert dct.verify(first, claims_of(first))
    with pytest.raises(NotSignedError):
        dct.verify(second, {})


def test_a_delegation_s_key_signs_and_the_targets_key_does_not_stand_in_for_it(
    dct, make_dct, image
):
    by_ci = make_dct(DctConfig(role="targets/ci"))
    by_ci.sign(image, claims_of(image))
    (proof,) = by_ci.verify(image, claims_of(image))
    assert proof.identity.startswith("targets/ci, key ")
    with pytest.raises(NotSignedError, match="not signed by targets in"):
        dct.verify(image, {})


def test_a_key_that_was_not_delegated_to_signs_nothing(dct, make_dct, image, tmp_path):
    dct.sign(image, claims_of(image))
    phrase = dct.client.passphrase.reveal()
    variables = {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": phrase}
    (tmp_path / "keys").mkdir()
    outsider = make_dct(
        DctConfig(keys="keys", role="targets/ci", roots=dict(dct.roots)),
        local=False,
        state=tmp_path / "s",
        variables=variables,
    )
    with pytest.raises(TrustError, match="has no role targets/ci"):
        outsider.sign(image, claims_of(image, by="outsider"))
    make_dct(DctConfig(role="targets/ci")).sign(image, claims_of(image))
    with pytest.raises(TrustError, match="No key of the role targets/ci"):
        outsider.sign(image, claims_of(image, by="outsider"))


def test_a_wrong_passphrase_is_an_error_that_does_not_tell_it(dct, make_dct, image, tmp_path):
    dct.sign(image, claims_of(image))
    shutil.copytree(dct.keys.folder, tmp_path / "keys")
    wrong = make_dct(
        DctConfig(keys="keys", roots=dict(dct.roots)),
        local=False,
        state=tmp_path / "s",
        variables={"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": "not-the-passphrase"},
    )
    with pytest.raises(TrustError, match="could not be signed") as caught:
        wrong.sign(image, claims_of(image, run="2"))
    assert "not-the-passphrase" not in str(caught.value)
    with pytest.raises(BindingError):
        dct.verify(image, claims_of(image, run="2"))


def test_nobody_but_the_holder_of_the_root_key_begins_a_repository(dct, make_dct, image, tmp_path):
    (tmp_path / "keys").mkdir()
    keyless = make_dct(
        DctConfig(keys="keys", roots=dict(dct.roots)), local=False, state=tmp_path / "s"
    )
    with pytest.raises(NotSignedError, match="takes a pinned root key"):
        keyless.sign(image, claims_of(image))


def test_a_signature_of_another_repository_is_worth_nothing_in_this_one(
    dct, make_dct, make_image, files, tmp_path, notary_server
):
    """The whole metadata of another repository is handed out as if it were this one's."""
    one = make_image(files.clean, name="dct-replay-one")
    other = ImageRef(one.registry, "supply-test/dct-replay-other", one.digest)
    dct.sign(one, claims_of(one))
    assert dct.verify(one, claims_of(one))

    class Swapped(TrustServer):
        def get(self, gun, name, *, largest):
            return super().get(gun.replace("other", "one"), name, largest=largest)

    lying = Swapped(url=notary_server.address, ca=notary_server.ca)
    victim = replace(
        make_dct(DctConfig(roots=dict(dct.roots)), local=False, state=tmp_path / "s"),
        client=replace(dct.client, server=lying),
    )
    with pytest.raises(UntrustedError):
        victim.verify(other, {})
    with pytest.raises(BindingError):
        dct.verify(one, {REPOSITORY: other.repository})


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_server_that_is_down_is_an_error_whatever_was_seen_before(
    dct, make_dct, image, tmp_path, warm
):
    dct.sign(image, claims_of(image))
    config = DctConfig(roots=dict(dct.roots))
    state = tmp_path / "s"
    if warm:
        assert make_dct(config, local=False, state=state).verify(image, {})
    down = make_dct(config, local=False, state=state, url=f"https://localhost:{_free_port()}")
    for attempt in (down.verify, down.sign):
        with pytest.raises(TrustError, match="does not answer") as caught:
            attempt(image, claims_of(image))
        assert not isinstance(caught.value, NotSignedError)


def test_a_server_with_another_certificate_is_not_asked(make_dct, image, notary_server, tmp_path):
    other = Layout(tmp_path / "other")
    other.state.mkdir()
    ensure_notary_pki(other)
    signer = make_dct(DctConfig(roots={"*": ("0" * 64,)}), local=False, state=tmp_path / "s")
    server = TrustServer(url=notary_server.address, ca=other.notary_pki / "ca.crt")
    with pytest.raises(TrustError, match="does not answer"):
        replace(signer, client=replace(signer.client, server=server)).verify(image, {})


def test_old_metadata_that_is_put_back_is_refused_by_who_has_seen_newer(
    dct, make_dct, image, make_image, files, tmp_path, notary_server
):
    dct.sign(image, claims_of(image, run="1"))
    server = TrustServer(url=notary_server.address, ca=notary_server.ca)
    kept = {}

    class Taping(TrustServer):
        def get(self, gun, name, *, largest):
            kept[name] = server.get(gun, name, largest=largest)
            return kept[name]

    class Replaying(TrustServer):
        def get(self, _gun, name, **_):
            return kept.get(name)

    def verifier(kind):
        place = kind(url=notary_server.address, ca=notary_server.ca)
        signer = make_dct(DctConfig(roots=dict(dct.roots)), local=False, state=tmp_path / "s")
        return replace(signer, client=replace(signer.client, server=place))

    assert verifier(Taping).verify(image, claims_of(image, run="1"))
    dct.sign(image, claims_of(image, run="2"))
    assert verifier(TrustServer).verify(image, claims_of(image, run="2"))

    with pytest.raises(MetadataError, match="put old metadata back"):
        verifier(Replaying).verify(image, claims_of(image, run="1"))


def test_a_timestamp_that_nobody_renews_is_stale(dct, make_dct, image, tmp_path, session_now):
    dct.sign(image, claims_of(image))
    later = make_dct(
        DctConfig(roots=dict(dct.roots)),
        local=False,
        state=tmp_path / "s",
        now=session_now + dt.timedelta(days=15),
    )
    with pytest.raises(MetadataError, match="timestamp expired"):
        later.verify(image, {})


def test_six_signers_of_one_digest_on_one_machine_all_succeed(make_dct, image):
    signers = [make_dct() for _ in range(6)]

    def sign(number):
        signers[number].sign(image, claims_of(image, run=str(number)))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(sign, range(6)))

    runs = {proof.claims["run"] for proof in signers[0].verify(image, claims_of(image))}
    assert runs == set("012345")


def test_six_machines_that_sign_six_digests_of_one_repository_all_succeed(
    dct, make_image, files, tmp_path
):
    images = [make_image(files.clean, name="dct-six") for _ in range(6)]
    dct.sign(images[0], claims_of(images[0], by="before"))
    machines = [
        replace(
            dct, locks=tmp_path / f"locks{number}", memories=Memories(tmp_path / f"seen{number}")
        )
        for number in range(6)
    ]

    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(lambda machine, image: machine.sign(image, claims_of(image)), machines, images)
        )

    for image in images:
        assert dct.verify(image, claims_of(image))


def test_keys_are_lent_for_one_call_only_and_for_nobody_else_to_read(dct, image, tmp_path):
    dct.sign(image, claims_of(image))
    kept = list(dct.keys.folder.glob("*.key"))
    assert kept
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    with dct.client.home(KeyStore(dct.keys.folder), kept[:1], {}) as home:
        lent = list(home.private.iterdir())
        assert [path.name for path in lent] == [kept[0].name]
        assert lent[0].stat().st_mode & 0o777 == 0o600
    assert not lent[0].exists()


def test_what_the_platforms_server_forgets_is_signed_again_from_the_same_root(
    toolbox, make_dct, image, tmp_path, tmp_path_factory
):
    layout = Layout(tmp_path_factory.mktemp("n"))
    layout.make()
    server = Notary(layout, Ports(notary=_free_port()), toolbox.ensure("notary-server"))
    server.start()
    try:
        place = TrustServer(url=server.address, ca=server.ca)
        signer = make_dct()
        signer = replace(
            signer,
            client=replace(signer.client, server=place),
            memories=Memories(tmp_path / "seen"),
        )
        signer.sign(image, claims_of(image))
        assert signer.verify(image, claims_of(image))
        server.stop()
        server.start()
        with pytest.raises(NotSignedError):
            signer.verify(image, claims_of(image))
        signer.sign(image, claims_of(image))
        assert signer.verify(image, claims_of(image))
        elsewhere = replace(signer, local=False)
        server.stop()
        server.start()
        with pytest.raises(MetadataError, match="no longer has"):
            elsewhere.verify(image, {})
    finally:
        server.stop()


def test_the_platform_brings_the_server_along_for_those_who_ask(
    toolbox, runner, reporter, tmp_path_factory
):
    from aksci.local.platform import BUILD_PARTS, TRUST_PARTS, down, status, up

    state = tmp_path_factory.mktemp("p")
    ports = Ports(registry=_free_port(), notary=_free_port())
    common = {"state": state, "runner": runner, "reporter": reporter}

    def start(parts):
        return up(toolbox=toolbox, ports=ports, parts=parts, **common)

    try:
        start(BUILD_PARTS)
        assert "notary-server" not in {part.name for part in status(state=state).parts}
        found = start(BUILD_PARTS | TRUST_PARTS)
        told = {part.name: part for part in status(state=state).parts}
        assert told["notary-server"].healthy
        assert told["notary-server"].address == found.notary
        again = start(BUILD_PARTS)
        assert again.notary_ca == found.notary_ca
        assert status(state=state).healthy
        server = TrustServer(url=found.notary, ca=found.notary_ca)
        assert server.get("nobody/knows", "root", largest=9) is None
    finally:
        down(**common)
    assert not find_marked(state)
    assert "notary-server" not in {part.name for part in status(state=state).parts}


def test_what_is_signed_so_moves_to_notation_once_and_is_verified_there(
    dct, make_dct, registry, signer, image
):
    """A tag as ``docker trust sign`` makes it, without claims, and a digest that aksci signed."""
    dct.sign(image, claims_of(image, verdict="v"))
    trust = dct.read(image.name, image.repository)
    size = len(registry.manifest(image.repository, image.digest).content)
    with dct.client.home(dct.keys, dct._keys_of(trust, "targets"), {}) as home:
        digest = image.digest.removeprefix("sha256:")
        tag = home.run("addhash", image.name, "v1", str(size), f"--sha256={digest}", "--publish")
        assert tag.status == 0
    common = {"reader": dct, "registry": registry, "signer": signer}

    planned = migrate_repository(image.repository, plan=True, **common)
    assert [each.state for each in planned] == ["due", "due"]
    with pytest.raises(NotSignedError):
        signer.verify(image, {})
    done = migrate_repository(image.repository, plan=False, **common)
    assert [each.state for each in done] == ["signed", "signed"]
    assert signer.verify(image, claims_of(image, verdict="v"))
    assert signer.verify(image, {MIGRATED_FROM: "dct", TAGS: "v1"})
    again = migrate_repository(image.repository, plan=False, **common)
    assert [each.state for each in again] == ["already", "already"]


def test_the_client_signs_below_the_root_that_was_verified_and_below_no_other(dct, image):
    """The server may show it another root than it has shown us."""
    dct.sign(image, claims_of(image))
    trust = dct.read(image.name, image.repository)
    keys = dct._keys_of(trust, "targets")
    words = ("addhash", image.name, "x", "1", f"--sha256={'0' * 64}", "--publish")
    with dct.client.home(dct.keys, keys, {image.name: ["0" * 64]}) as home:
        assert home.run(*words).status != 0
    assert dct.read(image.name, image.repository).versions == trust.versions
    with dct._home(trust, keys) as home:
        assert home.run(*words).status == 0


def test_no_secret_is_an_argument(dct, image, runner):
    seen = []
    loud = Runner(environment=runner.environment, log=seen.append)
    client = NotaryClient(
        notary=dct.client.notary,
        runner=loud,
        server=dct.client.server,
        passphrase=dct.client.passphrase,
        root_passphrase=dct.client.root_passphrase,
    )
    replace(dct, client=client).sign(image, claims_of(image))
    assert any("addhash" in line for line in seen)
    assert not any(dct.client.passphrase.reveal() in line for line in seen)


@pytest.fixture
def project(tmp_path, dct, image, notary_server, runner, session_now, reporter, toolbox):
    """A project with one image, whose environment signs with DCT and, by a key file, notation."""
    shutil.copytree(dct.keys.folder, tmp_path / "keys")
    pair = ensure_test_key(tmp_path / "pair", now=session_now)
    (tmp_path / "trust").mkdir()
    shutil.copy(pair.certificate, tmp_path / "trust" / "root.pem")
    entry = {"name": "prod", "keyPath": str(pair.key), "certPath": str(pair.certificate)}
    (tmp_path / "xdg" / "notation").mkdir(parents=True)
    (tmp_path / "xdg" / "notation" / "signingkeys.json").write_text(json.dumps({"keys": [entry]}))
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    config = {
        "schema": 1,
        "project": {"name": "shop"},
        "images": {"app": {"dockerfile": "Dockerfile", "repository": image.repository}},
        "sign": {
            "signers": ("dct", "notation"),
            "notation": {"key": "prod", "trust_store": "trust"},
            "dct": {
                "server": notary_server.address,
                "server_ca": str(notary_server.ca),
                "keys": "keys",
                "roots": dict(dct.roots),
            },
        },
        "environments": {
            "prod": {"registry": image.registry, "plain_http": True, "namespace": "shop"}
        },
    }
    loaded = Config.model_validate(config)
    return Environment(
        root=tmp_path,
        config=loaded,
        name="prod",
        settings=loaded.environments["prod"],
        variables={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "xdg")},
        now=lambda: dt.datetime.now(dt.UTC),
        runner=runner,
        reporter=reporter,
        cache=toolbox.cache,
        state=tmp_path / "state",
        run_id="test",
    )


def test_the_session_migrates_the_projects_images_and_a_plan_changes_nothing(project, dct, image):
    dct.sign(image, claims_of(image))

    def states(**options):
        return [each.state for each in migrate_trust(project, **options)]

    assert states(plan=True) == ["due"]
    assert states(plan=True, repositories=(image.name,)) == ["due"]
    assert project.notes["migrate-trust"]["migrations"][0]["state"] == "due"
    assert states() == ["signed"]
    assert states() == ["already"]
    assert states(repositories=("supply-test/nobody-signed-this",)) == []


def test_a_deployment_verifies_nothing_that_the_session_has_not_looked_at(project, image):
    chart = project.root / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 0.1.0\n")
    services = {"front": ServiceConfig(chart="chart")}
    whole = replace(project, config=project.config.model_copy(update={"services": services}))
    wanted = ("shop/charts/web", "shop/release", image.repository)
    assert signed_repositories(whole.config, whole.root, graph(whole)) == wanted


def test_the_session_refuses_when_nobody_else_signs(project):
    sign = project.config.sign.model_copy(update={"signers": ("dct",)})
    alone = replace(project, config=project.config.model_copy(update={"sign": sign}))
    with pytest.raises(ConfigError, match="nobody to sign instead"):
        migrate_trust(alone)
