"""The graph's page in a real browser: it draws, zooms, searches, explains, and asks for nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from types import SimpleNamespace

import pytest

from aksci.config.loader import load_config
from aksci.images.graph import build_graph
from aksci.report.graph_drawing import drawing_of
from aksci.report.graph_page import draw_page
from aksci.tools.debian import ensure_packages

PACKAGES = ("chromium", "chromium-driver")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,800",
]
FILES = {
    "aksci.toml": 'schema = 1\n[project]\nname = "p"\n[discover]\ndockerfiles = ["*/Dockerfile"]\n',
    "base/Dockerfile": "FROM debian:12\n",
    "left/Dockerfile": "FROM p/base\n",
    "right/Dockerfile": "FROM p/base\n",
    "top/Dockerfile": "FROM p/left AS a\nFROM p/right\nCOPY --from=a /x /x\n",
}
WORK = [
    SimpleNamespace(image="base", action="reuse", reasons=(), digest="sha256:" + "1" * 64),
    SimpleNamespace(image="left", action="build", reasons=({"code": "MISSING"},), digest=None),
]


class Browser:
    """Chromium, spoken to by the W3C's WebDriver protocol."""

    def __init__(self, port):
        self._address = f"http://127.0.0.1:{port}"
        self._session = ""

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self._address}{self._session}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, folder):
        options = {"args": [*ARGUMENTS, f"--user-data-dir={folder}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        wanted["goog:loggingPrefs"] = {"browser": "ALL"}
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})


@pytest.fixture
def browser(runner, reporter, tmp_path):
    ensure_packages(PACKAGES, runner, reporter)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], env=environment)
    found = Browser(port)
    try:
        for _ in range(100):
            try:
                found.call("GET", "/status")
                break
            except OSError:
                time.sleep(0.1)
        found.open(tmp_path / "profile")
        yield found
        found.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(10)


def test_the_page_shows_states_and_reasons_searches_zooms_and_follows_chains(browser, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = build_graph(tmp_path, load_config(tmp_path / "aksci.toml"))
    page = tmp_path / "graph.html"
    page.write_text(draw_page(drawing_of(graph, WORK)), encoding="utf-8")
    browser.call("POST", "/url", {"url": page.as_uri()})

    texts = browser.run(
        "return [...document.querySelectorAll('.node')].map(n => [n.getAttribute('class'),"
        " ...[...n.querySelectorAll('text')].map(t => t.textContent)])"
    )
    assert ["node build", "left", "to build: no build of it was published yet"] in texts
    assert ["node reuse", "base", f"up to date: sha256:{'1' * 25}…"] in texts
    assert len(texts) == 5
    assert browser.run("return document.querySelectorAll('.edge').length") == 5

    inside = browser.run(
        "const view = document.querySelector('#graph').getBoundingClientRect();"
        "return [...document.querySelectorAll('.node')].map(n => n.getBoundingClientRect())"
        ".every(b => b.left >= view.left && b.right <= view.right && b.top >= view.top"
        " && b.bottom <= view.bottom)"
    )
    assert inside, "the whole graph is visible at first"

    before = browser.run("return document.querySelector('.node').getBoundingClientRect().width")
    browser.run(
        "document.querySelector('#graph').dispatchEvent(new WheelEvent('wheel',"
        " {deltaY: -300, clientX: 400, clientY: 300, cancelable: true}))"
    )
    after = browser.run("return document.querySelector('.node').getBoundingClientRect().width")
    assert after > before * 1.5

    search = (
        "const s = document.querySelector('#search'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'));"
        "return [document.querySelector('#count').textContent,"
        " document.querySelectorAll('.node:not(.dim)').length]"
    )
    assert browser.run(search, "published yet") == ["1 of 5", 1]
    assert browser.run(search, "") == ["4 images, 4 edges, 1 base from outside", 5]

    browser.run(
        "[...document.querySelectorAll('.node')].find(n => n.textContent.startsWith('left'))"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    about = browser.run("return document.querySelector('#about').innerText")
    assert "left" in about
    assert "no build of it was published yet" in about
    assert "base (runtime)" in about
    lit = browser.run(
        "return [...document.querySelectorAll('.node:not(.dim)')]"
        ".map(n => n.querySelector('text').textContent).sort()"
    )
    assert lit == ["base", "debian:12", "left", "top"]

    loaded = browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded == []
    assert browser.call("POST", "/se/log", {"type": "browser"}) == []


def test_the_page_says_shared_causes_once_and_hides_what_leads_from_frontends(browser, tmp_path):
    files = {
        f"s{at}/Dockerfile": "# syntax=docker/dockerfile:1\nFROM debian:12\nADD http://e.org/x /\n"
        for at in range(60)
    }
    for name, text in (FILES | files).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    graph = build_graph(tmp_path, load_config(tmp_path / "aksci.toml"))
    moved = {
        "code": "BASE_DRIFT", "reference": "docker.io/library/debian:12",
        "old": "sha256:" + "1" * 64, "new": "sha256:" + "2" * 64,
    }  # fmt: skip
    work = [
        SimpleNamespace(image=f"s{at}", action="build", reasons=(moved,), digest=None)
        for at in range(60)
    ]
    page = tmp_path / "graph.html"
    page.write_text(draw_page(drawing_of(graph, work)), encoding="utf-8")
    browser.call("POST", "/url", {"url": page.as_uri()})

    cause = "60 images: docker.io/library/debian:12 moved from 111111111111 to 222222222222"
    assert cause in browser.run("return document.querySelector('#about').innerText")
    browser.run("document.querySelector('#about a').click()")
    assert browser.run("return document.querySelector('#count').textContent") == "60 of 66"

    seen = (
        "return [...document.querySelectorAll('.edge')]"
        ".filter(e => getComputedStyle(e).visibility === 'visible').length"
    )
    assert browser.run(seen) == 60 + 5
    browser.run(
        "[...document.querySelectorAll('.node')].find(n => n.textContent.startsWith('docker/'))"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert browser.run(seen) == 60 + 60 + 5

    height = "return document.querySelector('.node').getBoundingClientRect().height"
    assert browser.run(height) > 20, "names can be read at first, however many there are"
    browser.run("document.querySelector('#fit').click()")
    fitted = browser.run(height)
    assert fitted < 20
    browser.run("document.querySelector('#in').click()")
    assert browser.run(height) > fitted * 1.3
    assert browser.call("POST", "/se/log", {"type": "browser"}) == []
