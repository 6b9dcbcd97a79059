"""The toolbox with real parts: a loopback server, Go builds, processes, a full disk, apt."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aksci.core.errors import DiskFullError, DownloadError, ToolError
from aksci.core.process import Runner
from aksci.testing.reporter import RecordingReporter
from aksci.tools import debian
from aksci.tools import download as download_module
from aksci.tools.debian import ensure_packages
from aksci.tools.pins import Pin, ReleaseFile, load_pins
from aksci.tools.schemas import SCHEMA_LOCATION, ensure_schemas
from aksci.tools.toolbox import Toolbox

PLATFORM = "linux/amd64"
ROOT = Path(__file__).parents[2]


class Server(http.server.ThreadingHTTPServer):
    """Serve ``files`` from loopback: whole, by range, broken off, or never to the end."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.cut = {}
        """How many bytes of a body are sent, by path, before the connection ends."""
        self.go_on = threading.Event()
        self.hang = set()
        """Paths whose cut bodies leave the connection open."""
        self.ranges = True
        self.requests = []

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, request, client_address): ...


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        body = self.server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and self.server.ranges and start >= len(body):
            self.send_error(416)
            return
        if asked and self.server.ranges:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            start = 0
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : self.server.cut.get(self.path, len(body))])
        self.wfile.flush()
        if self.path in self.server.hang:
            self.server.go_on.wait(60)

    def log_message(self, *_): ...


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.go_on.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch):
    monkeypatch.setattr(download_module, "_ATTEMPTS", 2)


def program(size=0):
    """Make a script that says that it is demo 1.2.3, of about ``size`` bytes."""
    return b"#!/bin/sh\necho demo 1.2.3\nexit 0\n" + b"#" * size


def archive(member, body):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in (("../../outside", b"evil"), (member, body)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def pin(url, body, member=None):
    release = ReleaseFile(url=url, sha256=hashlib.sha256(body).hexdigest(), member=member)
    return Pin(
        name="demo",
        version="1.2.3",
        names=("demo",),
        pattern=r"^demo (\S+)",
        release={PLATFORM: release},
    )


def box(cache, pins=None, **variables):
    environment = {**os.environ, **variables}
    runner = Runner(environment=environment, log=lambda _: None)
    options = {"pins": pins} if pins else {}
    return Toolbox(cache, runner, RecordingReporter(), environment, platform=PLATFORM, **options)


def left_over(cache):
    """List everything below a cache but locks and caches of Go."""
    return sorted(
        str(path.relative_to(cache))
        for path in cache.rglob("*")
        if path.is_file() and path.name != ".lock" and path.suffix != ".part"
    )


def test_a_pinned_release_is_installed_and_the_second_time_nothing_is_asked(server, tmp_path):
    server.files["/demo"] = body = program()
    pins = {"demo": pin(server.url("/demo"), body)}
    path = box(tmp_path, pins).ensure("demo")
    assert subprocess.check_output([path], text=True) == "demo 1.2.3\n"
    assert box(tmp_path, pins).ensure("demo") == path
    assert len(server.requests) == 1
    assert left_over(tmp_path) == [str(path.relative_to(tmp_path))]
    assert list(tmp_path.rglob("*.part")) == []


def test_one_member_is_taken_out_of_an_archive_and_nothing_else_is_written(server, tmp_path):
    server.files["/demo.tar.gz"] = body = archive("demo-1.2.3/bin/demo", program())
    pins = {"demo": pin(server.url("/demo.tar.gz"), body, "demo-1.2.3/bin/demo")}
    cache = tmp_path / "a" / "b" / "cache"
    path = box(cache, pins).ensure("demo")
    assert path.read_bytes() == program()
    assert [file for file in tmp_path.rglob("*") if file.name == "outside"] == []


@pytest.mark.parametrize("member", ["demo-1.2.3/bin/other", None])
def test_an_archive_that_does_not_hold_the_program_installs_nothing(server, tmp_path, member):
    server.files["/demo.tar.gz"] = body = archive("demo-1.2.3/bin/demo", program())
    pins = {"demo": pin(server.url("/demo.tar.gz"), body, member)}
    with pytest.raises(ToolError, match=r"no readable file|it was not installed"):
        box(tmp_path, pins).ensure("demo")
    assert left_over(tmp_path) == []


def test_a_wrong_checksum_is_named_and_nothing_is_kept(server, tmp_path):
    server.files["/demo"] = program(1)
    pins = {"demo": pin(server.url("/demo"), program())}
    with pytest.raises(DownloadError) as caught:
        box(tmp_path, pins).ensure("demo")
    found, wanted = (hashlib.sha256(body).hexdigest() for body in (program(1), program()))
    assert f"its SHA-256 is {found}, and {wanted} is expected" in caught.value.message
    assert caught.value.exit_status == 4
    assert left_over(tmp_path) == []
    assert list(tmp_path.rglob("*.part")) == []


def test_a_404_is_told_with_the_address_and_not_retried(server, tmp_path):
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:\d+/gone .*answered 404"):
        box(tmp_path, {"demo": pin(server.url("/gone"), b"")}).ensure("demo")
    assert len(server.requests) == 1
    assert left_over(tmp_path) == []


def test_a_body_that_breaks_off_is_an_error_and_the_next_run_goes_on_from_there(server, tmp_path):
    server.files["/demo"] = body = program(300_000)
    server.cut["/demo"] = 100_000
    pins = {"demo": pin(server.url("/demo"), body)}
    with pytest.raises(DownloadError, match=r"broke off after 100000 of \d+ bytes"):
        box(tmp_path, pins).ensure("demo")
    assert left_over(tmp_path) == []

    server.cut.clear()
    assert box(tmp_path, pins).ensure("demo").read_bytes() == body
    assert server.requests[-1] == ("/demo", "bytes=100000-")


def test_a_server_without_ranges_is_read_from_the_start(server, tmp_path):
    server.files["/demo"] = body = program(300_000)
    server.cut["/demo"], server.ranges = 100_000, False
    pins = {"demo": pin(server.url("/demo"), body)}
    with pytest.raises(DownloadError):
        box(tmp_path, pins).ensure("demo")
    server.cut.clear()
    assert box(tmp_path, pins).ensure("demo").read_bytes() == body


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, tmp_path):
    server.files["/demo"] = body = program()
    pins = {"demo": pin(server.url("/demo"), body)}
    tools = box(tmp_path, pins)
    part = tools._entry(pins["demo"]).part
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert tools.ensure("demo").read_bytes() == body


def test_plain_http_from_elsewhere_is_refused_before_anything_is_sent(tmp_path):
    with pytest.raises(DownloadError, match="only https is"):
        box(tmp_path, {"demo": pin("http://192.0.2.1/demo", b"")}).ensure("demo")


def test_a_program_of_another_version_than_pinned_is_not_installed(server, tmp_path):
    server.files["/demo"] = body = program().replace(b"1.2.3", b"9.9.9")
    with pytest.raises(ToolError, match=r"from its pin, 1\.2\.3, but says that it is 9\.9\.9"):
        box(tmp_path, {"demo": pin(server.url("/demo"), body)}).ensure("demo")
    assert left_over(tmp_path) == []


@contextmanager
def small_disk(folder, size):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_named_and_holds_nothing_half_installed(server, tmp_path):
    server.files["/demo"] = body = program(4 << 20)
    pins = {"demo": pin(server.url("/demo"), body)}
    with small_disk(tmp_path / "disk", "1m") as disk:
        with pytest.raises(DiskFullError) as caught:
            box(disk, pins).ensure("demo")
        assert left_over(disk) == []
        assert list(disk.rglob("*.part")) == []
    assert caught.value.exit_status == 28
    assert str(tmp_path / "disk") in caught.value.message
    assert caught.value.hint.startswith("df -h ")


def test_a_disk_that_fills_up_between_download_and_installation_is_no_half_tool(server, tmp_path):
    server.files["/demo"] = body = program(3 << 20)
    pins = {"demo": pin(server.url("/demo"), body)}
    with small_disk(tmp_path / "disk", "4m") as disk:
        with pytest.raises(DiskFullError):
            box(disk, pins).ensure("demo")
        assert left_over(disk) == []


def test_a_go_build_on_a_full_disk_is_told_as_such(tmp_path):
    with small_disk(tmp_path / "disk", "256k") as disk:
        with pytest.raises(DiskFullError):
            box(disk).ensure("kubeconform")
        assert left_over(disk) == []


START = """
import os, sys
from pathlib import Path
from contextlib import nullcontext
from aksci.core.process import Runner
from aksci.tools.toolbox import Toolbox
from aksci.tools.pins import load_pins
class Lines:
    def line(self, text): print(text, flush=True)
    warning = error = mask = summary = line
    def group(self, title): return nullcontext()
runner = Runner(environment=dict(os.environ), log=lambda _: None)
pins = load_pins(Path(sys.argv[2])) if sys.argv[2] else load_pins()
box = Toolbox(Path(sys.argv[1]), runner, Lines(), dict(os.environ), pins=pins)
print("PATH", box.ensure(sys.argv[3]), flush=True)
"""


def start(cache, name, pins=""):
    return subprocess.Popen(
        [sys.executable, "-c", START, str(cache), str(pins), name],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def written(folder, demo):
    """Write a pin file for another process."""
    file = folder / "pins.toml"
    release = demo.release[PLATFORM]
    file.write_text(
        f"[demo]\nversion = {json.dumps(demo.version)}\npattern = {json.dumps(demo.pattern)}\n"
        f"[demo.release.{json.dumps(PLATFORM)}]\n"
        f"url = {json.dumps(release.url)}\nsha256 = {json.dumps(release.sha256)}\n"
    )
    return file


def test_two_processes_at_once_install_a_release_once(server, tmp_path):
    server.files["/demo"] = body = program(300_000)
    pins = written(tmp_path, pin(server.url("/demo"), body))
    both = [start(tmp_path / "cache", "demo", pins) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(server.requests) == 1
    assert len({text.split("PATH ")[1] for text in said}) == 1


def test_two_processes_at_once_build_a_tool_once(tmp_path):
    both = [start(tmp_path, "kubeconform") for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("ready after" in text for text in said) == 1, said
    assert sum("another process installs it; waiting" in text for text in said) == 1, said


def test_a_run_killed_in_its_download_leaves_no_lock_and_the_next_one_resumes(server, tmp_path):
    server.files["/demo"] = body = program(3_000_000)
    server.cut["/demo"] = 2_500_000
    server.hang.add("/demo")
    pins = written(tmp_path, pin(server.url("/demo"), body))
    killed = start(tmp_path / "cache", "demo", pins)
    wait_for(lambda: sum(p.stat().st_size for p in tmp_path.rglob("*.part")) >= 1 << 20)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    kept = next(tmp_path.rglob("*.part")).stat().st_size
    assert left_over(tmp_path / "cache") == []

    server.cut.clear()
    server.hang.clear()
    tools = box(tmp_path / "cache", load_pins(pins))
    assert tools.ensure("demo").read_bytes() == body
    assert server.requests[-1] == ("/demo", f"bytes={kept}-")


def test_a_run_killed_in_its_build_is_taken_up_and_its_folders_are_swept(tmp_path):
    killed = start(tmp_path, "kubeconform")
    wait_for(lambda: list(tmp_path.rglob(".tmp-*/module/go.sum")))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert list(tmp_path.rglob(".tmp-*"))

    tools = box(tmp_path)
    path = tools.ensure("kubeconform")
    assert subprocess.check_output([path, "-v"], text=True).strip() == "v0.8.0"
    assert left_over(tmp_path) == [str(path.relative_to(tmp_path))]
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_ctrl_c_in_a_build_leaves_no_process_and_no_folder(tmp_path):
    stopped = start(tmp_path, "kubeconform")
    wait_for(lambda: list(tmp_path.rglob(".tmp-*/module/go.sum")))
    stopped.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in stopped.communicate(timeout=30)[0]
    assert stopped.returncode != 0
    assert list(tmp_path.rglob(".tmp-*")) == []
    assert not [line for line in processes("cmdline").values() if str(tmp_path) in line]


def processes(what):
    """Read one file of each process that lives long enough to be read."""
    found = {}
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        with suppress(OSError):
            found[int(path.parent.name)] = path.read_text()
    return found


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_a_long_installation_shows_that_it_is_alive(server, tmp_path):
    server.files["/demo"] = body = program(1000)
    server.cut["/demo"] = 10
    server.hang.add("/demo")
    tools = box(tmp_path, {"demo": pin(server.url("/demo"), body)})
    tools.heartbeat = 0.05
    worker = threading.Thread(target=tools.ensure, args=("demo",))
    worker.start()
    wait_for(lambda: len(tools.reporter.lines) >= 3)
    server.cut.clear()
    server.go_on.set()
    worker.join()
    assert tools.reporter.lines[0].startswith("demo 1.2.3: ")
    assert "0 s, downloading" in tools.reporter.lines[2]


def test_several_tools_are_counted_and_each_is_ready(tmp_path):
    tools = box(tmp_path)
    paths = tools.ensure_all(["pause", "kubeconform"])
    assert list(paths) == ["pause", "kubeconform"]
    assert [line.split(": ")[0] for line in tools.reporter.lines if "ready" in line] == [
        "[1/2] kubeconform 0.8.0",
        "[2/2] pause 1.0.0",
    ]


def test_a_forged_module_is_refused_whatever_the_user_has_switched_off(server, tmp_path):
    """A proxy that serves another kubeconform than the public checksum database knows."""
    name = "/github.com/yannh/kubeconform/@v/v0.8.0"
    module = b"module github.com/yannh/kubeconform\n\ngo 1.24\n"
    source = b'package main\n\nvar version = ""\n\nfunc main() { println(version) }\n'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path, content in (("go.mod", module), ("cmd/kubeconform/main.go", source)):
            file.writestr(f"github.com/yannh/kubeconform@v0.8.0/{path}", content)
    server.files |= {
        f"{name}.info": json.dumps({"Version": "v0.8.0"}).encode(),
        f"{name}.mod": module,
        f"{name}.zip": buffer.getvalue(),
    }
    tools = box(
        tmp_path / "cache",
        GOPROXY=server.url(""),
        GOMODCACHE=str(tmp_path / "modules"),
        GONOSUMDB="*",
        GOSUMDB="off",
        GOFLAGS="-insecure -modcacherw",
    )
    with pytest.raises(DownloadError, match=r"kubeconform v0\.8\.0 could not be fetched or veri"):
        tools.ensure("kubeconform")
    assert left_over(tmp_path / "cache") == []


def test_an_unreachable_module_proxy_is_told_with_the_module(tmp_path):
    tools = box(tmp_path, GOPROXY="http://127.0.0.1:9", GOMODCACHE=str(tmp_path / "modules"))
    with pytest.raises(DownloadError) as caught:
        tools.ensure("kubeconform")
    assert "github.com/yannh/kubeconform v0.8.0" in caught.value.message
    assert "GOPROXY" in caught.value.hint


def test_pause_ends_at_sigterm_and_reaps_orphans(toolbox):
    path = toolbox.ensure("pause")
    orphan = "os.fork() or (time.sleep(0.5), os._exit(0))"
    script = f"import os, time; {orphan}; os.execv({str(path)!r}, ['pause'])"
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_for(lambda: Path(f"/proc/{process.pid}/comm").read_text().strip() == "pause")
        wait_for(lambda: children.read_text() == "")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: }
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: x, resources: {limits: {cpu: 1, memory: 64Mi}},
           livenessProbe: {httpGet: {port: http, path: /}}}
"""


def test_kubeconform_reads_the_schemas_without_a_network(toolbox, tmp_path):
    folder = ensure_schemas(toolbox)
    argv = [toolbox.ensure("kubeconform"), "-strict", "-output", "json", "-verbose"]
    argv += ["-schema-location", f"{folder}/{SCHEMA_LOCATION}", "-"]

    def check(text):
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)["resources"][0]

    status, found = check(DEPLOYMENT)
    assert (status, found["status"]) == (0, "statusValid")
    status, found = check(DEPLOYMENT.replace("replicas:", "replicass:"))
    assert (status, found["status"]) == (1, "statusInvalid")
    assert "replicass" in found["msg"]


def daemons():
    return [pid for pid, name in processes("comm").items() if name.strip() == "atd"]


@pytest.fixture
def no_policy():
    """Take the machine's own policy away, as on a user's machine, and put it back."""
    aside = debian._POLICY.with_name("policy-rc.d.aside")
    if debian._POLICY.exists():
        debian._POLICY.rename(aside)
    yield
    debian._POLICY.unlink(missing_ok=True)
    if aside.exists():
        aside.rename(debian._POLICY)


@pytest.fixture
def at_package(runner):
    """Make sure that the package ``at``, whose daemon starts at once, is absent; and remove it."""
    purge = ["apt-get", "purge", "-y", "-q", "at"]
    runner.run(purge)
    yield "at"
    for pid in daemons():
        os.kill(pid, signal.SIGKILL)
    runner.run(purge)


@pytest.mark.usefixtures("no_policy")
def test_a_packages_service_does_not_start_and_no_policy_stays(at_package, runner):
    own = "#!/bin/sh\nexit 0\n"  # a machine's own policy, which would let it start
    debian._POLICY.write_text(own)
    debian._POLICY.chmod(0o755)
    assert ensure_packages([at_package], runner, RecordingReporter()) == (at_package,)
    assert Path("/usr/sbin/atd").exists()
    assert daemons() == []
    assert debian._POLICY.read_text() == own
    assert not debian._KEPT.exists()
    assert ensure_packages([at_package], runner, RecordingReporter()) == ()


@pytest.mark.usefixtures("no_policy")
def test_a_policy_that_a_killed_run_left_forbids_nothing_and_is_removed(runner):
    ended = subprocess.Popen(["true"])
    ended.wait()
    debian._POLICY.write_text(debian._policy(ended.pid))
    debian._POLICY.chmod(0o755)
    assert subprocess.run([debian._POLICY, "x", "start"], check=False).returncode == 0
    assert ensure_packages(["dpkg"], runner, RecordingReporter()) == ()
    assert not debian._POLICY.exists()


def test_a_package_that_does_not_exist_is_told_by_name(runner):
    with pytest.raises(ToolError, match="no-such-package-of-aksci") as caught:
        ensure_packages(["no-such-package-of-aksci"], runner, RecordingReporter())
    assert caught.value.hint == "apt-get install no-such-package-of-aksci shows why"
