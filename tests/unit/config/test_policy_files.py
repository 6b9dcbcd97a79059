"""Which files of a project decide what passes: who changes one changes the policy."""

from __future__ import annotations

import re
from pathlib import Path

from aksci.config.loader import load_config
from aksci.config.policy_files import policy_files

CONFIG = """\
schema = 1
[project]
name = "shop"
[scan]
kev = "policy/kev.json"
epss = "policy/epss.csv.gz"
vex = ["policy/openvex.json", "catalog/vex.json"]
[sign]
signers = ["notation", "cosign", "dct"]
[sign.notation]
key = "release"
trust_store = "trust"
[sign.cosign]
key = "azurekms://shop.vault.azure.net/release"
public_key = "{public}"
[sign.dct]
server_ca = "trust/notary.pem"
[sign.dct.roots]
"*" = ["{root}"]
"""


def files(folder, text):
    (folder / "aksci.toml").write_text(text)
    return policy_files(load_config(folder / "aksci.toml"))


def test_a_project_without_such_files_has_its_configuration(tmp_path):
    assert files(tmp_path, 'schema = 1\n[project]\nname = "shop"\n') == ("aksci.toml",)


def test_all_that_the_configuration_names_and_trusts_is_policy(tmp_path):
    text = CONFIG.format(public="trust/cosign.pub", root="a" * 64)
    assert files(tmp_path, text) == (
        "aksci.toml",
        "catalog/vex.json",
        "policy/epss.csv.gz",
        "policy/kev.json",
        "policy/openvex.json",
        "trust/",
        "trust/cosign.pub",
        "trust/notary.pem",
    )


def test_a_key_in_a_vault_and_a_file_elsewhere_are_nothing_to_protect_here(tmp_path):
    text = CONFIG.format(public="azurekms://shop.vault.azure.net/release", root="a" * 64)
    assert "trust/cosign.pub" not in files(tmp_path, text)
    assert not any("azurekms" in each for each in files(tmp_path, text))
    text = text.replace('"trust/notary.pem"', '"/etc/ssl/notary.pem"')
    assert "/etc/ssl/notary.pem" not in files(tmp_path, text)


def test_the_page_gives_owners_to_every_kind_of_them():
    page = (Path(__file__).parents[3] / "docs/security.md").read_text()
    owned = re.findall(r"^/(\S+) +@", page, re.MULTILINE)
    assert {"aksci.toml", "policy/", "trust/", "noxfile.py", ".github/"} <= set(owned)
    for key in ("kev", "epss", "vex", "trust_store", "public_key", "server_ca"):
        assert f"`{key}`" in page
