"""Copying when connections break, registries are strict or busy, and the process is killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time

import pytest

from aksci.core.errors import RegistryError
from aksci.core.secret import Secret
from aksci.oci.client import RegistryClient
from aksci.oci.copy import copy_image
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers

SIGNATURE = "application/vnd.example.signature.v1"
LARGE = 10_000_000  # bytes: three chunks
COPY = """\
import sys
from aksci.oci.client import RegistryClient
from aksci.oci.copy import copy_image
from aksci.oci.references import ImageRef

class Reporter:
    def line(self, text):
        print(text, flush=True)
    warning = line

source = RegistryClient(sys.argv[1].partition("/")[0], plain_http=True)
target = RegistryClient(sys.argv[2], plain_http=True)
print("begun", flush=True)
done = copy_image(source, target, ImageRef.parse(sys.argv[1]), reporter=Reporter(), tags=("v1",))
status = open("/proc/self/status").read()
print("peak", status.partition("VmHWM:")[2].split()[0], done.streamed)
"""


def same(source, target, ref):
    """Whether a manifest and its blobs are the same in both."""
    here = source.manifest(ref.repository, ref.digest).content
    document = json.loads(here)
    assert target.manifest(ref.repository, ref.digest).content == here
    for blob in [document["config"], *document["layers"]]:
        assert target.blob(ref.repository, blob["digest"])


def test_a_strict_busy_registry_with_a_referrers_api_and_a_login_gets_all(
    source, connect, difficult, make, notes
):
    """429 to each first attempt, absolute Locations, no mounts, Basic authentication."""
    server = difficult(login=("bob", "hunter2"), busy=True)
    target = connect(server.host, login=("bob", Secret("hunter2")))
    ref = make.manifest(secrets.token_bytes(100), secrets.token_bytes(LARGE))
    make.manifest(b"signature", subject=ref, kind=SIGNATURE)
    assert copy_image(source, target, ref, reporter=notes, tags=("v1",)).manifests == 2
    same(source, target, ref)
    assert len(target.referrers(ref.repository, ref.digest)) == 1
    assert target.resolve(ref.repository, ref.digest.replace(":", "-")) is None
    with pytest.raises(RegistryError, match="401"):
        connect(server.host).resolve(ref.repository, "v1")


def test_two_registries_have_logins_of_their_own(connect, difficult, maker, notes, repository):
    hosts = [difficult(login=login) for login in (("ann", "secret1"), ("bob", "secret2"))]
    source, target = (
        connect(each.host, login=(each.login[0], Secret(each.login[1]))) for each in hosts
    )
    ref = maker(source, repository).manifest(b"layer")
    copy_image(source, target, ref, reporter=notes)
    same(source, target, ref)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_read_that_breaks_goes_on_where_it_ended_or_begins_anew(
    target, connect, difficult, maker, repository, notes, ranges
):
    server = difficult(ranges=ranges)
    source = connect(server.host)
    ref = maker(source, repository).manifest(secrets.token_bytes(LARGE))
    server.break_reads = 4
    copy_image(source, target, ref, reporter=notes)
    assert server.break_reads == 0
    same(source, target, ref)


@pytest.mark.parametrize("fault", ["break_chunks", "lose_uploads"])
def test_an_upload_that_breaks_goes_on_or_begins_anew(
    source, connect, difficult, make, notes, fault
):
    server = difficult(**{fault: 2})
    target = connect(server.host)
    ref = make.manifest(secrets.token_bytes(LARGE))
    copy_image(source, target, ref, reporter=notes)
    assert getattr(server, fault) == 0
    same(source, target, ref)


def test_a_registry_that_never_takes_it_is_an_error_and_nothing_is_seen(
    source, connect, difficult, make, notes
):
    target = connect(difficult(lose_uploads=1000).host)
    ref = make.manifest(secrets.token_bytes(LARGE))
    with pytest.raises(RegistryError):
        copy_image(source, target, ref, reporter=notes, tags=("v1",))
    assert target.resolve(ref.repository, ref.digest) is None
    assert target.tags(ref.repository) == []


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_blob_that_is_damaged_on_its_way_is_refused_and_not_stored(
    target, connect, difficult, maker, repository, notes, size
):
    server = difficult()
    source = connect(server.host)
    ref = maker(source, repository).manifest(secrets.token_bytes(size))
    server.damage = True
    with pytest.raises(RegistryError, match="damaged or replaced"):
        copy_image(source, target, ref, reporter=notes)
    assert target.resolve(ref.repository, ref.digest) is None
    blobs = json.loads(source.manifest(ref.repository, ref.digest).content)
    assert not target.has_blob(ref.repository, blobs["layers"][0]["digest"])


def test_a_blob_of_another_size_than_its_manifest_says_is_refused(source, target, make, notes):
    blob = make.blob(secrets.token_bytes(1000), "application/octet-stream")
    ref = make.manifest(layers=[{**blob, "size": 999}])
    with pytest.raises(RegistryError, match="another size"):
        copy_image(source, target, ref, reporter=notes)
    assert target.resolve(ref.repository, ref.digest) is None


def test_a_copy_that_is_killed_shows_nothing_and_the_next_one_finishes(
    source, connect, difficult, make, notes
):
    server = difficult()
    ref = make.manifest(*(secrets.token_bytes(LARGE) for _ in range(8)))
    make.manifest(b"signature", subject=ref, kind=SIGNATURE)
    process = _start_copy(ref, server.host)
    deadline = time.monotonic() + 60
    while server.counts()["PATCH blobs/uploads"] < 12:  # of 24
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    target = connect(server.host)
    assert target.resolve(ref.repository, ref.digest) is None
    assert target.tags(ref.repository) == []
    done = copy_image(source, target, ref, reporter=notes, tags=("v1",))
    assert done.manifests == 2
    assert done.streamed <= 10
    same(source, target, ref)
    assert len(list_referrers(target, ImageRef(server.host, ref.repository, ref.digest))) == 1


def test_a_blob_of_200_mb_is_copied_in_bounded_memory(source, target, make, tmp_path):
    path = tmp_path / "layer"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(secrets.token_bytes(1 << 20))
    digest = source.put_blob_file(make.repository, path)
    layer = {"mediaType": "application/octet-stream", "digest": digest, "size": 200 << 20}
    ref = make.manifest(layers=[layer])
    process = _start_copy(ref, target.host)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    _, peak, streamed = output.splitlines()[-1].split()
    assert (int(peak) < 160_000, int(streamed)) == (True, 2), peak  # kB
    assert target.resolve(ref.repository, "v1") == ref.digest


def _start_copy(ref, host):
    return subprocess.Popen(
        [sys.executable, "-c", COPY, str(ref), host],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ,
    )


def test_six_processes_that_refer_to_one_image_lose_no_entry(source, make, platform):
    """On a registry without a list, they all write one tag."""
    ref = make.manifest(b"layer")
    code = (
        "import sys\n"
        "from aksci.oci.artifact import push_artifact\n"
        "from aksci.oci.client import RegistryClient\n"
        "from aksci.oci.references import ImageRef\n"
        "ref = ImageRef.parse(sys.argv[1])\n"
        "registry = RegistryClient(ref.registry, plain_http=True)\n"
        "sys.stdin.readline()\n"
        "for number in range(5):\n"
        "    push_artifact(registry, ref.repository, artifact_type='a/b', subject=ref,\n"
        "        annotations={'n': f'{sys.argv[2]}.{number}'})\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(ref), str(number)], stdin=subprocess.PIPE)
        for number in range(6)
    ]
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0] * 6
    found = {entry["annotations"]["n"] for entry in list_referrers(source, ref)}
    assert found == {f"{number}.{each}" for number in range(6) for each in range(5)}
    for process in processes:
        process.stdin.close()


def test_two_copies_at_once_of_what_shares_an_image_lose_nothing(source, target, make, notes):
    """Six threads of two clients: a release of two charts that have one image."""
    from concurrent.futures import ThreadPoolExecutor

    ref = make.manifest(secrets.token_bytes(1000))
    for number in range(6):
        make.manifest(str(number).encode(), subject=ref, kind=SIGNATURE)
    second = RegistryClient(target.host, plain_http=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda to: copy_image(source, to, ref, reporter=notes), (target, second)))
    second.close()
    assert len(list_referrers(target, ImageRef(target.host, ref.repository, ref.digest))) == 6
