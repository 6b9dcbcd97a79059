"""The structure of the code is counted from its sources, and some counts have to stay zero."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

from benchmarks.structure import measure_structure

ROOT = Path(__file__).parents[3]


@pytest.fixture
def tree(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return measure_structure(tmp_path)

    return write


def test_lines_files_and_comments_are_counted(tree):
    found = tree({"aksci/a.py": "x = 1\n# why\n", "pipelines/b.py": "y = 2\n"})
    assert (found.lines, found.files, found.comments) == (3, 2, 1)


def test_a_class_name_and_a_file_name_for_two_things_are_named_with_their_places(tree):
    found = tree(
        {
            "aksci/a/plan.py": "class Plan: ...\nclass _Own: ...\n",
            "aksci/b/plan.py": "class Plan: ...\nclass _Own: ...\n",
        }
    )
    assert found.classes == {"Plan": ("aksci.a.plan", "aksci.b.plan")}
    assert found.file_names == {"plan.py": ("aksci/a", "aksci/b")}


def test_modules_that_import_each_other_are_one_circle(tree):
    found = tree(
        {
            "aksci/a.py": "from aksci.b import b\n",
            "aksci/b.py": "def f():\n    from aksci import c\n",
            "aksci/c.py": "import aksci.a\n",
            "aksci/d.py": "import aksci.a\n",
        }
    )
    assert found.circles == (("aksci.a", "aksci.b", "aksci.c"),)


def test_a_module_with_one_importer_in_its_folder_could_join_it_if_both_are_small(tree):
    found = tree(
        {
            "aksci/r/a.py": "import aksci.r.small\nimport aksci.r.large\nimport aksci.s.far\n",
            "aksci/r/small.py": "",
            "aksci/r/large.py": "x = 1\n" * 450,
            "aksci/s/far.py": "",
        }
    )
    assert found.single == ("aksci.r.large", "aksci.r.small")
    assert found.joinable == ("aksci.r.small",)


def test_pipelines_are_measured_with_docstring_and_the_longest_is_first(tree):
    long = 'def long(env):\n    """Do it."""\n    x = 1\n    return x\n'
    found = tree(
        {
            "aksci/pipelines/a.py": "def short(env): ...\n",
            "aksci/steps/b.py": "def step(env):\n    x = 1\n    return x\n",
            "pipelines/c.py": "import aksci\n\n\n" + long,
        }
    )
    assert list(found.pipelines.items()) == [
        ("pipelines.c.long", 4),
        ("aksci.pipelines.a.short", 1),
    ]


def test_our_own_code_has_no_circles_and_no_name_for_two_things():
    found = measure_structure(ROOT)
    assert found.circles == ()
    assert found.classes == {}
    assert found.file_names == {}


def test_pytest_goes_into_every_folder_that_holds_tests(pytestconfig):
    """By default it passes over some names, "build" among them, without a word."""
    hidden = pytestconfig.getini("norecursedirs")
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("tests/**/test_*.py")}
    parts = {part for folder in folders for part in folder.parts}
    assert not [part for part in parts for pattern in hidden if fnmatch(part, pattern)]
