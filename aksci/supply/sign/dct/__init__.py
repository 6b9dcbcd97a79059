"""Docker Content Trust: Notary (v1) metadata verified here, and signed by Notary's own client."""
