"""A cluster in memory, served on loopback, for what needs a cluster's memory only.

On it a project of two environments, ``staging`` and ``live``, with a registry in memory each. Helm
is a program there that writes down how it was called.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from aksci import steps
from aksci.core.process import Runner
from aksci.deploy.kubernetes.cluster import connect
from aksci.oci.artifact import Content, canonical_json, push_artifact
from aksci.supply.release.chart import push_chart, read_chart
from aksci.supply.release.make_release import RELEASE_TYPE
from aksci.supply.release.release import ReleaseImage, ReleaseService
from aksci.supply.release.release_document import parse_release, release_document
from aksci.supply.release.sign_release import sign_release
from aksci.supply.scan.stored_verdict import store_verdict
from aksci.supply.sign.signer import BindingError, NotSignedError, Proof, sign_image
from aksci.testing.memory_cluster import MemoryCluster
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import push_sample


@pytest.fixture
def api(tmp_path):
    # A clock that goes: a lease is given back by its own time.
    state = MemoryCluster(now=lambda: dt.datetime.now(dt.UTC), namespaces=("shop",))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            body = json.loads(raw) if raw else None
            query = dict(parse_qsl(parts.query))
            status, document = state.handle(self.command, parts.path, body, query)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    document = {
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cluster(api, tmp_path):
    with connect(tmp_path / "kubeconfig", None, "shop") as cluster:
        yield cluster


NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
TOML = """\
schema = 1
[project]
name = "shop"
[services.web]
chart = "chart"
images = {image = "web"}
[environments.staging]
registry = "staging.example"
kubeconfig = "kubeconfig"
namespace = "shop"
urls = {shop = "https://staging.example"}
[environments.live]
registry = "live.example"
kubeconfig = "kubeconfig"
namespace = "live"
create_namespace = true
promote_from = "staging"
"""
HELM = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$1" in
  template|get) cat {folder}/rendered ;;
esac
"""


class Keys:
    """A signer that verifies what it has signed, in whatever registry, as it was signed."""

    name = "notation"

    def __init__(self):
        self.signed = {}

    def sign(self, ref, claims):
        self.signed[ref.repository, ref.digest] = dict(claims)

    def verify(self, ref, claims):
        found = self.signed.get((ref.repository, ref.digest))
        if found is None:
            raise NotSignedError(f"{ref} is not signed.")
        if not claims.items() <= found.items():
            raise BindingError(f"{ref} is signed as something else.")
        return (Proof(signer=self.name, identity="us", claims=found, signed_at=NOW),)


class Toolbox:
    """Has all programs: each is one that writes down how it was called."""

    def __init__(self, program):
        self.program, self.asked = program, []

    def ensure(self, name):
        return self.ensure_all([name])[name]

    def ensure_all(self, names):
        self.asked += names
        return dict.fromkeys(names, self.program)


class Site:
    """The project, what runs where, and releases to deploy."""

    def __init__(self, folder, api, make_environment, verdict):
        self.folder, self.api, self.verdict = folder, api, verdict
        (folder / "aksci.toml").write_text(TOML)
        (folder / "chart").mkdir()
        (folder / "chart/Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
        program = folder / "helm"
        program.write_text(HELM.format(folder=folder))
        program.chmod(0o755)
        self.keys, self.toolbox = self.strangers(), Toolbox(program)
        runner = Runner(environment=dict(os.environ), log=lambda _: None)
        self.staging = make_environment("staging", runner=runner, now=lambda: NOW)
        self.live = self.staging.at("live")
        for env in (self.staging, self.live):
            registry = MemoryRegistry(env.settings.registry)
            for each in (env, env.looking):
                parts = {"registry": registry, "signer": self.keys, "toolbox": self.toolbox}
                vars(each).update(parts)

    @staticmethod
    def strangers():
        """Return a signer that has signed nothing."""
        return Keys()

    @property
    def told(self):
        return self.staging.reporter.lines

    @property
    def calls(self):
        path = self.folder / "calls"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def release(self, text="1"):
        """Make a signed release of one image in the registry of staging."""
        registry, project = self.staging.registry, "shop"
        image = push_sample(registry, "shop/web", files={"a": text.encode()})
        verdict = replace(self.verdict("web"), image=image)
        verdict = store_verdict(registry, verdict, tag=f"v-{text}")
        sign_image(image, verdict, input_key="k", signer=self.keys)
        chart = read_chart(self.folder / "chart")
        document = release_document(
            project=project,
            source="",
            commit="",
            images={
                "web": ReleaseImage(
                    name="web",
                    ref=image,
                    input_key="k",
                    verdict=verdict.stored.digest,
                    policy=verdict.policy,
                    database=verdict.database,
                )
            },
            services={
                "web": ReleaseService(
                    name="web",
                    chart=push_chart(registry, "shop/charts/web", chart),
                    chart_name="web",
                    chart_version="1.0.0",
                    images={"image": "web"},
                )
            },
        )
        content = Content(media_type=RELEASE_TYPE, content=canonical_json(document))
        ref = push_artifact(registry, "shop/release", artifact_type=RELEASE_TYPE, layers=[content])
        release = parse_release(document, ref)
        sign_release(release, signer=self.keys)
        return release

    def deploy(self, release, env=None):
        """Deploy it, with what Kubernetes and Helm leave behind."""
        env = env or self.staging
        self.lives(release, env)
        result = steps.deploy(env, release)
        self.installed(env, result.plan.services[0].inputs.desired)
        return result

    def lives(self, release, env):
        """Let the workload be what Helm makes of the release."""
        host, web = env.registry.host, release.images["web"].ref
        pod = {
            "spec": {"containers": [{"name": "main", "image": str(replace(web, registry=host))}]}
        }
        job = {"jobTemplate": {"spec": {"template": pod}}}
        cron = {"kind": "CronJob", "metadata": {"name": "web", "uid": "1"}, "spec": job}
        self.api.objects[f"/apis/batch/v1/namespaces/{env.settings.namespace}/cronjobs/web"] = cron
        (self.folder / "rendered").write_text(json.dumps(cron))

    def installed(self, env, desired="", number=1):
        """Let Helm have a revision."""
        labels = {"owner": "helm", "name": "web", "version": str(number), "status": "deployed"}
        ours = {"aksci.dev/desired": desired, "aksci.dev/revision": str(number)}
        path = f"/api/v1/namespaces/{env.settings.namespace}/secrets/v{number}"
        ours["aksci.dev/release"] = "x"
        self.api.objects[path] = {"metadata": {"name": f"v{number}", "labels": labels | ours}}


@pytest.fixture
def site(tmp_path, api, make_environment, make):
    found = Site(tmp_path, api, make_environment, make.verdict)
    yield found
    found.staging.close()
