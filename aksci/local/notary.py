"""The Notary server, declared as a part: Docker Content Trust on this machine.

It keeps everything in memory, its own keys too, and loses it when it stops. Its other storages are
database servers, which the platform would have to bring along for this alone. What is lost is made
again: the signer starts a repository anew with the same root key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aksci.local.part import Part, answers
from aksci.local.pki import CertificateSubject, ensure_pki

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.local.layout import Layout, Ports

__all__ = ["NOTARY", "ensure_notary_pki", "notary_part"]

NOTARY = "notary-server"


def ensure_notary_pki(layout: Layout) -> str:
    """Make the authority and the certificate of the server unless they are there; hash them."""
    layout.notary_pki.mkdir(exist_ok=True, mode=0o700)
    subject = CertificateSubject(common_name=NOTARY, names=("localhost", "127.0.0.1"))
    return ensure_pki(layout.notary_pki, {NOTARY: subject})


def notary_part(layout: Layout, ports: Ports, binary: Path, pki: str) -> Part:
    """Declare the Notary server: TLS on loopback, in memory, with its own signing service.

    :param pki: the hash of its certificates.
    """
    config = layout.config / "notary.json"
    settings = {
        "server": {
            "http_addr": f"127.0.0.1:{ports.notary}",
            "tls_cert_file": str(layout.notary_pki / f"{NOTARY}.crt"),
            "tls_key_file": str(layout.notary_pki / f"{NOTARY}.key"),
        },
        "trust_service": {"type": "local"},
        "storage": {"backend": "memory"},
        "logging": {"level": "warn"},
    }
    address = f"https://localhost:{ports.notary}"
    return Part(
        name=NOTARY,
        argv=(str(binary), "-config", str(config)),
        files={config: json.dumps(settings, indent=2)},
        listens=(("127.0.0.1", ports.notary),),
        healthy=lambda: answers(f"https://127.0.0.1:{ports.notary}/_notary_server/health"),
        address=address,
        depends_on=pki,
    )
