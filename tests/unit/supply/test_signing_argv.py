"""What notation and cosign are started with, as data: one case a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aksci.config.supply_models import CosignConfig, NotationConfig
from aksci.supply.sign.cosign import cosign_signer as cosign
from aksci.supply.sign.cosign.cosign_keys import cosign_key
from aksci.supply.sign.notation import notation_signer as notation
from aksci.supply.sign.notation.notation_keys import notation_key

CASES = Path(__file__).parent / "argv"


def cases(folder):
    return pytest.mark.parametrize(
        "case", sorted((CASES / folder).glob("*.json")), ids=lambda path: path.stem
    )


@cases("notation")
def test_notation_is_started_exactly_as_its_case_says(case, ref):
    content = json.loads(case.read_text())
    argv = notation.sign_argv(
        Path("/t/notation"),
        ref,
        content["claims"],
        key=notation_key(NotationConfig(**content["config"])),
        plain_http=content["plain_http"],
    )
    assert list(argv) == content["argv"]


@cases("cosign")
def test_cosign_is_started_exactly_as_its_case_says(case, ref, tmp_path):
    content = json.loads(case.read_text().replace("/p/", f"{tmp_path}/"))
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "cosign.pub").write_bytes(pem)
    variables = {"COSIGN_PASSWORD": "hunter2", "COSIGN_PRIVATE_KEY": "-----"}
    key = cosign_key(CosignConfig(**content["config"]), root=tmp_path, variables=variables)
    plain_http = content["plain_http"]
    sign = cosign.sign_argv(
        Path("/t/cosign"), ref, content["claims"], key=key, plain_http=plain_http
    )
    verify = cosign.verify_argv(Path("/t/cosign"), ref, key=key, plain_http=plain_http)
    assert list(sign) == content["sign"]
    assert list(verify) == content["verify"]
    assert "hunter2" not in " ".join((*sign, *verify))
