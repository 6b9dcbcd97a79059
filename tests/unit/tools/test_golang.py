"""What Go is asked to do, as data; and nothing of the user's can switch verification off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aksci.core.errors import ToolError
from aksci.tools.golang import build_argv, go_environment, go_mod, mend
from aksci.tools.pins import Edit, GoSource

CASES = Path(__file__).parent / "cases"


def cases(name):
    loaded = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["proves"]) for case in loaded]


@pytest.mark.parametrize("case", cases("go_mod"))
def test_go_mod(case):
    assert go_mod(GoSource(**case["source"]), case["described"]).splitlines() == case["lines"]


@pytest.mark.parametrize("case", cases("build_argv"))
def test_build_argv(case):
    assert build_argv(GoSource(**case["source"]), Path("/out/tool")) == case["argv"]


def test_a_replacement_by_a_folder_without_a_staging_version_is_refused():
    described = [{"Replace": [{"Old": {"Path": "a.example/x"}, "New": {"Path": "./x"}}]}]
    with pytest.raises(ToolError, match=r"a\.example/x is replaced by the folder \./x"):
        go_mod(GoSource(modules={"a.example/t": "v1.0.0"}), described)


def test_the_checksum_database_cannot_be_switched_off():
    hostile = {
        "GONOSUMDB": "*",
        "GONOSUMCHECK": "1",
        "GOSUMDB": "off",
        "GOPRIVATE": "*",
        "GOINSECURE": "*",
        "GOFLAGS": "-insecure",
        "GOENV": "/home/me/env",
        "GOWORK": "/elsewhere/go.work",
    }
    environment = go_environment({**hostile, "PATH": "/bin"}, {})
    kept = {name: value for name, value in environment.items() if name in hostile}
    assert kept == {
        "GOENV": "off",
        "GOWORK": "off",
        "GOFLAGS": "-mod=mod -trimpath -buildvcs=false",
    }


def test_where_modules_come_from_and_the_caches_stay_the_users():
    settings = {"GOPROXY": "https://proxy.corp.example", "GOCACHE": "/c", "GOTOOLCHAIN": ""}
    environment = go_environment({"HTTPS_PROXY": "http://p:3128", "GOGC": "50"}, settings)
    assert environment["GOPROXY"] == "https://proxy.corp.example"
    assert environment["GOCACHE"] == "/c"
    assert environment["HTTPS_PROXY"] == "http://p:3128"
    assert environment["GOGC"] == "50"
    assert "GOTOOLCHAIN" not in environment


def test_an_edit_changes_the_one_place_that_it_names():
    edit = Edit(file="a.example/t/x.go", find="old()", replace="new()")
    assert mend("a\nold()\nb\n", edit) == "a\nnew()\nb\n"


@pytest.mark.parametrize("text", ["", "old", "old() old()"])
def test_an_edit_whose_place_is_not_there_exactly_once_is_refused(text):
    edit = Edit(file="a.example/t/x.go", find="old()", replace="new()")
    with pytest.raises(ToolError, match=r"a\.example/t/x\.go can't be mended"):
        mend(text, edit)
