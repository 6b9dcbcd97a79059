#!/usr/bin/env bash
# Run each task once, bases first: before that, it follows none.
# Written by "nox -s export -- acr-tasks"; the next export writes it anew.
set -euo pipefail
registry=${REGISTRY:-shopstaging}
az acr task run --registry "$registry" --name shop-base
az acr task run --registry "$registry" --name shop-go
az acr task run --registry "$registry" --name shop-gateway
