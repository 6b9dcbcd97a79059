#!/usr/bin/env bash
# Make the ACR tasks of the project shop.
# Written by "nox -s export -- acr-tasks"; the next export writes it anew.
set -euo pipefail
registry=${REGISTRY:-shopstaging}
default_source=https://github.com/example/shop.git
source=${SOURCE:-$default_source}
branch=${BRANCH:-main}
context=$source#$branch:examples/shop
# Where the task files are in that repository, from the project's folder on.
default_tasks=acr-tasks
tasks=${TASKS:-$default_tasks}
commits=${COMMITS:-false}
token=()
if [[ -n ${GIT_ACCESS_TOKEN:-} ]]; then
    token=(--git-access-token @-)
elif [[ $commits == true ]]; then
    echo "COMMITS=true needs GIT_ACCESS_TOKEN: ACR Tasks makes a webhook in the repository." >&2
    exit 2
fi

az acr task create --registry "$registry" --name shop-base \
    --context "$context" --file "$tasks"/shop-base.yaml \
    --platform linux/amd64 --timeout 7200 \
    --base-image-trigger-enabled true --base-image-trigger-type Runtime \
    --commit-trigger-enabled "$commits" --pull-request-trigger-enabled false \
    ${token[@]+"${token[@]}"} --output none <<<"${GIT_ACCESS_TOKEN:-}"

az acr task create --registry "$registry" --name shop-go \
    --context "$context" --file "$tasks"/shop-go.yaml \
    --platform linux/amd64 --timeout 7200 \
    --base-image-trigger-enabled true --base-image-trigger-type Runtime \
    --commit-trigger-enabled "$commits" --pull-request-trigger-enabled false \
    ${token[@]+"${token[@]}"} --output none <<<"${GIT_ACCESS_TOKEN:-}"

az acr task create --registry "$registry" --name shop-gateway \
    --context "$context" --file "$tasks"/shop-gateway.yaml \
    --platform linux/amd64 --timeout 7200 \
    --base-image-trigger-enabled true --base-image-trigger-type All \
    --commit-trigger-enabled "$commits" --pull-request-trigger-enabled false \
    ${token[@]+"${token[@]}"} --output none <<<"${GIT_ACCESS_TOKEN:-}"
