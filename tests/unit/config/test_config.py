"""aksci.toml: every mistake is told with file, key and suggestion; the schema is current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aksci.config.loader import find_project, json_schema, load_config
from aksci.core.errors import ConfigError

ROOT = Path(__file__).parents[3]
SMALLEST = 'schema = 1\n[project]\nname = "shop"\n'


def _load(tmp_path, text):
    path = tmp_path / "aksci.toml"
    path.write_text(text)
    return load_config(path)


def test_the_smallest_file_is_enough(tmp_path):
    config = _load(tmp_path, SMALLEST)
    assert config.project.name == "shop"
    assert config.scan.severities == ("CRITICAL", "HIGH")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[biuld]\nconcurrency = 2\n", ["biuld: unknown key", "Did you mean 'build'?"]),
        ("[build]\nconcurency = 2\n", ["build.concurency", "Did you mean 'concurrency'?"]),
        (
            '[images.api]\ndockerfle = "x"\n',
            ["images.api.dockerfle: unknown key", "Did you mean 'dockerfile'?"],
        ),
        ('[images.api]\ntarget = "x"\n', ["images.api.dockerfile: this key is required"]),
        ('[images.api]\ndockerfile = "../x"\n', ["images.api.dockerfile", "inside the project"]),
        ('[build]\nconcurrency = "2"\n', ["build.concurrency", "(it is '2')"]),
        ("[build]\nconcurrency = 0\n", ["build.concurrency", "greater than or equal to 1"]),
        (
            '[services.a]\nchart = "c"\nneeds = ["bb"]\n[services.bbb]\nchart = "c"\n',
            ["services.a.needs: there is no service 'bb'", "Did you mean 'bbb'?"],
        ),
        (
            (
                '[services.a]\nchart = "c"\n[[services.a.pre]]\nname = "m"\nkind = "job"\n'
                'image = "a"\ncommand = ["x"]\ntimout = 3\n'
            ),
            ["services.a.pre.0.timout: unknown key", "Did you mean 'timeout'?"],
        ),
        (
            '[[scan.ignore]]\nid = "CVE-1"\nowner = "me"\nreason = "because I say so"\n',
            ["scan.ignore.0.expires: this key is required"],
        ),
        ('[scan]\ndatabase = "publik"\n', ["scan.database", "'public', 'small' or 'auto'"]),
        ("[scan]\ndatabase = []\n", ["scan.database", "no mirror is in the list"]),
        ('[scan]\ndatabase = ["public"]\n', ["scan.database", "'public' names no registry"]),
        ('[scan]\ndatabase = "aqua/trivy-db:2"\n', ["scan.database", "host/repository:tag"]),
        ('[scan]\ndatabase = "mirror.test/Trivy"\n', ["scan.database", "mirror.test/Trivy"]),
        ('[scan]\njava_database = "trivy-java-db"\n', ["scan.java_database", "no registry"]),
        (
            '[scan]\njava = true\ndatabase = "mirror.test/trivy-db:2"\n',
            ["scan", "needs 'java_database'"],
        ),
        (
            '[environments.prod]\nnamespace = "shop"\n',
            ["environments.prod", "'registry' is required"],
        ),
    ],
)
def test_a_mistake_is_told_with_file_key_and_suggestion(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, SMALLEST + text)
    message = str(caught.value)
    assert str(tmp_path / "aksci.toml") in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[cascade]\nrebase = true\n", "cascade.rebase"),
        ("[cascade]\nrebase = false\n", "cascade.rebase"),
        (
            (
                '[cascade.targets.a]\nkind = "github"\nrepository = "a/b"\n'
                '[[cascade.owners]]\nrepositories = ["a/*"]\nrebase = true\ntarget = "a"\n'
            ),
            "cascade.owners.0.rebase",
        ),
    ],
)
def test_the_key_rebase_is_told_to_be_gone_why_and_what_to_do(tmp_path, text, key):
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, SMALLEST + text)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / 'aksci.toml'}: {key}: rebase was removed")
    assert "COPY --link" in line
    assert "Delete the key" in line


def test_services_that_need_each_other_are_named(tmp_path):
    service = '[services.{}]\nchart = "c"\nneeds = ["{}"]\n'
    text = SMALLEST + service.format("a", "b") + service.format("b", "a")
    with pytest.raises(ConfigError, match=r"in a circle: . → . → ."):
        _load(tmp_path, text)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, SMALLEST + "[build]\nx = 1\ny = 2\n")
    assert len(caught.value.message.splitlines()) == 2


def test_broken_toml_is_told_with_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"not valid TOML.*line 1"):
        _load(tmp_path, "schema = \n")


def test_a_file_that_is_not_utf8_is_no_traceback(tmp_path):
    path = tmp_path / "aksci.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 40_000, "nested too deep"),
        ("a = " + "{b=" * 20_000, "nested too deep"),
        # tomllib alone takes 6 GB for this one.
        ("a" + ".a" * 40_000 + " = 1", "line 4 has more than 1000 dots"),
        ("[a" + " . 'a'" * 900 + "]\nb = 1", "nested too deep|recursion limit"),
        ("".join("a." * 300 + f"b{at} = 1\n" for at in range(130)), "recursion limit"),
        ("a = " + "1" * 90_000, "more digits"),
        ("a = 0x" + "1" * 90_000, "more digits"),
        (f"{'a' * 90_000} = 1", "unknown key"),
        (f'[build]\nconcurrency = "{"a" * 90_000}"', "build.concurrency"),
    ],
)
def test_a_small_file_takes_no_gigabytes_and_ends_in_a_short_error(tmp_path, text, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        _load(tmp_path, SMALLEST + text)
    assert len(caught.value.message) < 1000


def test_a_file_of_an_editor_on_windows_is_read(tmp_path):
    text = SMALLEST.replace("\n", "\r\n")
    assert _load(tmp_path, f"\ufeff{text}").project.name == "shop"


def test_the_project_is_found_from_a_folder_below(tmp_path):
    (tmp_path / "aksci.toml").write_text(SMALLEST)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_project(below) == tmp_path


def test_no_project_is_an_error_with_a_hint(tmp_path):
    with pytest.raises(ConfigError, match=r"No aksci\.toml") as caught:
        find_project(tmp_path)
    assert "-C FOLDER" in caught.value.hint


def test_the_hint_shows_a_file_that_loads_and_that_the_documents_show_too(tmp_path):
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path)
    shown = caught.value.hint.partition("\n\n")[2]
    assert _load(tmp_path, shown).discover.dockerfiles == ("**/Dockerfile",)
    assert f"```toml\n{shown}\n```" in (ROOT / "docs/configuration.md").read_text()


def test_the_committed_schema_is_current():
    committed = json.loads((ROOT / "aksci/config/aksci.schema.json").read_text())
    assert committed == json.loads(json.dumps(json_schema())), "run: nox -s schema"


def test_the_shop_is_valid():
    assert load_config(ROOT / "examples/shop/aksci.toml").project.name == "shop"
