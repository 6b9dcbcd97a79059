"""A chart holds nothing that Helm installs unseen, and no archive that can be read in two ways."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from aksci.core.errors import ConfigError
from aksci.supply.release.chart import package_chart, read_chart
from aksci.supply.release.chart_content import check_chart

META = "apiVersion: v2\nname: {}\nversion: 1.0.0\n"
CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.b}\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: planted}\n"


def archive(files, *, kinds=None, end=b""):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in files if isinstance(files, list) else files.items():
            data = content if isinstance(content, bytes) else content.encode()
            entry = tarfile.TarInfo(name)
            entry.type = (kinds or {}).get(name, tarfile.REGTYPE)
            entry.linkname = "/etc/passwd" if entry.type == tarfile.SYMTYPE else ""
            entry.size = len(data) if entry.type == tarfile.REGTYPE else 0
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(raw.getvalue()) + end


def sub(**files):
    return archive({"sub/Chart.yaml": META.format("sub"), **files})


@pytest.fixture
def chart(tmp_path):
    def make(files):
        folder = tmp_path / "web"
        for name, content in {"Chart.yaml": META.format("web"), **files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return make


PLANTED = {
    "a pod": {"crds/a.yaml": POD},
    "another extension": {"crds/a.YML": POD},
    "JSON": {"crds/a.json": '{"kind": "Pod", "apiVersion": "v1"}'},
    "a folder below": {"crds/deep/down/a.yaml": POD},
    "behind a definition": {"crds/a.yaml": f"{CRD}---\n{POD}"},
    "in a comment's document": {"crds/a.yaml": f"{CRD}---# x\n{POD}"},
    "behind an end": {"crds/a.yaml": f"{CRD}...\n{POD}"},
    "behind a carriage return": {"crds/a.yaml": f"{CRD}#\r---\r{POD}"},
    "of another group": {"crds/a.yaml": CRD.replace("apiextensions.k8s.io", "example.org")},
    "a key twice": {"crds/a.yaml": f"{CRD}'kind': Pod\n"},
    "a list": {"crds/a.yaml": "apiVersion: v1\nkind: List\nitems: []\n"},
    "items": {"crds/a.yaml": f"{CRD}items:\n- {{kind: Pod, apiVersion: v1}}\n"},
    "a scalar": {"crds/a.yaml": "planted"},
    "a sub-chart": {"charts/s/Chart.yaml": META.format("s"), "charts/s/crds/a.yaml": POD},
    "a packed sub-chart": {"charts/s.tgz": sub(**{"sub/crds/a.yaml": POD})},
    "packed in packed": {
        "charts/s.tgz": sub(**{"sub/charts/t.tgz": sub(**{"sub/crds/a.yaml": POD})}),
    },
    "packed in a folder": {
        "charts/s/Chart.yaml": META.format("s"),
        "charts/s/charts/t.tgz": sub(**{"sub/crds/a.yaml": POD}),
    },
    "requirements that rename": {"requirements.yaml": "name: other\n"},
}


@pytest.mark.parametrize("name", PLANTED)
def test_only_definitions_may_be_in_crds_wherever_they_are(chart, tmp_path, name):
    folder = chart(PLANTED[name])
    for check in (check_chart, package_chart, read_chart):
        with pytest.raises(ConfigError, match=r"web: .*|only CustomResourceDefinitions"):
            check(folder)
    packed = tmp_path / "web.tgz"
    files = {
        f"web/{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    packed.write_bytes(archive(files))
    with pytest.raises(ConfigError):
        check_chart(packed)


def test_definitions_templates_and_texts_are_accepted_and_sub_charts_come_unpacked(chart, tmp_path):
    folder = chart(
        {
            "crds/a.yaml": f"# {{{{ no template }}}}\n---\n{CRD}---\n{CRD}",
            "crds/README.md": "a: b: c",
            "templates/crds/pod.yaml": "{{ if }}",
            "charts/s-1.0.0.tgz": sub(
                **{"sub/crds/a.yaml": CRD, "sub/templates/a.yaml": "{{ x }}"}
            ),
            "charts/_ignored.tgz": b"",
        }
    )
    check_chart(folder)
    packed = tmp_path / "web.tgz"
    packed.write_bytes(read_chart(folder).content)
    check_chart(packed)
    with tarfile.open(packed) as tar:
        names = [name for name in tar.getnames() if name.startswith("web/charts/s")]
    inner = ["Chart.yaml", "crds/a.yaml", "templates/a.yaml"]
    assert names == [f"web/charts/s-1.0.0/{name}" for name in inner]


BAD = {
    "no gzip": b"PK",
    "something behind it": archive({"sub/a": ""}, end=gzip.compress(b"")),
    "cut off": archive({"sub/a": "x" * 999})[:-9],
    "a file twice": archive([("sub/crds/a.yaml", CRD), ("sub/crds/a.yaml", POD)]),
    "a link": archive({"sub/crds/a.yaml": ""}, kinds={"sub/crds/a.yaml": tarfile.SYMTYPE}),
    "a hard link": archive({"sub/a": ""}, kinds={"sub/a": tarfile.LNKTYPE}),
    "a device": archive({"sub/a": ""}, kinds={"sub/a": tarfile.CHRTYPE}),
    "outside": archive({"sub/../../a": ""}),
    "absolute": archive({"/sub/a": ""}),
    "no folder": archive({"a": ""}),
    "a dot": archive({"./sub/crds/a.yaml": CRD}),
    "backslashes": archive({"sub\\crds\\a.yaml": POD}),
    "a bomb": gzip.compress(bytes(40 << 20)),
    "too many": archive([(f"sub/{n}", "") for n in range(5001)]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_packed_sub_chart_that_can_be_read_in_two_ways_is_refused(chart, name):
    folder = chart({"charts/s.tgz": BAD[name]})
    for check in (check_chart, package_chart):
        with pytest.raises(ConfigError, match=r"s\.tgz"):
            check(folder)


def many(inner, count):
    return sub(**{f"sub/charts/c{number}.tgz": inner for number in range(count)})


def headers(kind, content, count=1):
    """Return an archive with so many extended headers before its only file."""
    raw = b""
    for entry, data in [(kind, content)] * count + [(tarfile.REGTYPE, b"")]:
        header = tarfile.TarInfo("sub/a")
        header.type, header.size = entry, len(data)
        raw += header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return gzip.compress(raw + bytes(1024))


DIGITS = b"100011 comment=" + b"1" * 99_995 + b"\n"
BOMBS = {
    "sizes": (lambda: many(sub(**{"sub/a": bytes(3 << 20)}), 50), "unpacks to more than"),
    "files": (lambda: many(sub(**{f"sub/{at}": "" for at in range(400)}), 50), "than 5000 files"),
    "charts": (lambda: many(sub(), 300), "more than 200 packed charts"),
    # Python's own reader takes half a minute for this one.
    "digits in a header": (lambda: headers(tarfile.XHDTYPE, DIGITS), "is no packed chart"),
    "headers": (lambda: headers(tarfile.XHDTYPE, b"11 path=a/b\n", 3000), "is no packed chart"),
    "long names": (lambda: headers(tarfile.GNUTYPE_LONGNAME, b"a/b\0", 3000), "no packed chart"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_archives_in_archives_share_one_limit(chart, name):
    make, reason = BOMBS[name]
    folder = chart({"charts/sub.tgz": make()})
    for look in (check_chart, read_chart):
        with pytest.raises(ConfigError, match=reason):
            look(folder)


def test_a_path_that_needs_an_extended_header_is_read(chart):
    name = f"sub/files/{'é' * 120}/{'x' * 120}"
    path = chart({"charts/sub.tgz": sub(**{name: "content", "sub/crds/a.yaml": CRD})})
    check_chart(path)
    assert f"/charts/{name}".encode() in gzip.decompress(read_chart(path).content)


def test_a_sub_chart_is_not_both_packed_and_a_folder(chart):
    folder = chart({"charts/s.tgz": sub(), "charts/s/templates/a.yaml": ""})
    with pytest.raises(ConfigError, match="both packed and as a folder"):
        package_chart(folder)


def test_charts_within_charts_have_an_end(chart):
    content = sub()
    for _ in range(9):
        content = sub(**{"sub/charts/s.tgz": content})
    with pytest.raises(ConfigError, match="more than 8 deep"):
        package_chart(chart({"charts/s.tgz": content}))


@pytest.mark.parametrize("name", ["values.yaml", "templates/a.yaml", "crds", "charts/x"])
def test_a_link_in_a_chart_is_refused_before_helm_follows_it(chart, tmp_path, name):
    folder = chart({"templates/b.yaml": "", "charts/y/Chart.yaml": META.format("y")})
    (tmp_path / "outside").mkdir()
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigError, match="is a symbolic link"):
        check_chart(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("name: a\nname: b\nversion: 1.0.0", "line 2: a key is there twice"),
        ("Name: a\nname: b\nversion: 1.0.0", "write 'name' exactly so"),
        ("ver\u017fion: 2.0.0\nname: b\nversion: 1.0.0", "write 'version' exactly so"),
        ("name: a\nversion: 1.0.0\n---\nname: b", "is not a table"),
        ("a: &a [1]\nname: [" + "*a ," * 99999 + "]", "aliases make much more"),
        ("name: \udcff".encode("utf-8", "surrogateescape"), "it is not UTF-8"),
    ],
)
def test_chart_yaml_is_read_as_helm_reads_it_or_not_at_all(chart, content, reason):
    with pytest.raises(ConfigError, match=reason):
        read_chart(chart({"Chart.yaml": content}))
