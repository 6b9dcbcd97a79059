"""Variables that hold secrets do not exist for files of Compose, Bake and Skaffold."""

from __future__ import annotations

import base64
import json
import os
from urllib.parse import quote

import pytest

from aksci.config.loader import load_config
from aksci.config.secret_names import secret_names, withheld_names
from aksci.core.errors import ConfigError
from aksci.core.process import Runner
from aksci.core.secret_variables import VisibleVariables, secret_values
from aksci.images.discovery.importers.bake import print_bake
from aksci.images.discovery.importers.compose import read_compose
from aksci.images.discovery.importers.imported import Importer
from aksci.images.discovery.importers.skaffold import read_skaffold

CANARY = "canary/c0ffee+1234"
COMPOSE = '[discover]\ncompose = ["compose.yaml"]\n'
SKAFFOLD = '[discover]\nskaffold = ["skaffold.yaml"]\n'
DOCKERFILE = {"Dockerfile": "FROM scratch AS x\n", ".env": "", "x/Dockerfile": "FROM scratch\n"}
SECRETS = [
    "COSIGN_PASSWORD", "COSIGN_PRIVATE_KEY", "NOTATION_PASSWORD", "NOTARY_AUTH",
    "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
    "AZURE_CLIENT_SECRET", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_RUNTIME_TOKEN", "SYSTEM_ACCESSTOKEN", "GITHUB_TOKEN", "GH_PAT", "AKSCI_GITHUB_TOKEN",
    "AKSCI_WEBHOOK_SECRET", "AKSCI_AZURE_DEVOPS_TOKEN", "SIGSTORE_ID_TOKEN", "REGISTRY_PASS",
    "PGPASSWORD", "MYSQL_PWD", "NPM_TOKEN", "SSH_PRIVATE_KEY", "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "DOCKER_AUTH_CONFIG", "VAULT_TOKEN", "IDENTITY_HEADER", "MSI_SECRET",
    "KEY", "API_KEY", "KEY_PEM", "NPM_CONFIG__AUTH", "BASIC_AUTH_HEADER",
    "APIKEY", "DB_CREDENTIALS", "AZURE_STORAGE_CONNECTION_STRING", "CI_JOB_JWT",
    "npm_token", "SENTRY_DSN", "PGPASS", "SSHPASS", "PUBLIC_KEY_PASSWORD", "SLACK_WEBHOOK",
    "MONKEY_API_KEY", "TOKEN", "TOKENS", "SECRET_KEY_BASE", "AZURE_STORAGE_KEY",
]  # fmt: skip
PLAIN = [
    "TAG", "VERSION", "PWD", "HOME", "PATH", "REGISTRY", "AWS_REGION", "AZURE_CLIENT_ID",
    "GITHUB_SHA", "GITHUB_REF_NAME", "BUILD_BUILDID", "KEYCLOAK_VERSION", "MONKEYS", "PASSAGE",
    "COMPASS", "PRIVATE_REGISTRY", "KEY_VAULT_NAME", "AUTH_URL",
    "USER", "COMPOSE_PROJECT_NAME", "PATTERN", "AUTHOR", "KEYCLOAK_URL", "TOKEN_TTL", "MONKEY",
    "PRIMARY_KEY_COLUMN", "MAX_TOKENS", "TOKENIZER_MODEL", "PUBLIC_KEY", "SSH_PUBKEY", "BYPASS",
    "COOKIE_DOMAIN", "SESSION_COOKIE_NAME", "JWT_LIFETIME", "API_KEY_LENGTH", "PIN_VERSION",
]  # fmt: skip


def compose(build, **service):
    document = {"services": {"api": {"build": build, **service}}}
    return {**DOCKERFILE, "compose.yaml": json.dumps(document)}


def everything(discover, specs):
    """Return all that came out of a discovery as text: images, warnings, files."""
    files = [path.read_text() for path in discover.root.rglob("*") if path.is_file()]
    return "\n".join([repr(specs), *discover.notes, *files])


@pytest.mark.parametrize("name", SECRETS)
def test_a_variable_that_holds_a_secret_is_not_set_for_a_compose_file(discover, name):
    files = compose({"context": ".", "args": [name, f"A=x${{{name}}}y", f"B=${name}"]})
    specs = discover(files, COMPOSE, **{name: CANARY})
    assert specs["api"].args == {"A": "xy", "B": ""}
    assert CANARY not in everything(discover, specs)
    (note,) = discover.notes
    assert note.startswith(f"compose.yaml: the variable {name} ")


@pytest.mark.parametrize("name", PLAIN)
def test_a_variable_that_holds_none_is_filled_in(discover, name):
    specs = discover(compose({"context": ".", "args": [name, f"A=${{{name}}}"]}), COMPOSE,
                     **{name: "1.2.3-long-enough"})  # fmt: skip
    assert specs["api"].args == {name: "1.2.3-long-enough", "A": "1.2.3-long-enough"}
    assert not discover.notes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${COSIGN_PASSWORD:-none}", "none"), ("${COSIGN_PASSWORD-none}", "none"),
        ("${COSIGN_PASSWORD:+set}", ""), ("${COSIGN_PASSWORD+set}", ""),
        ("${TAG:-${COSIGN_PASSWORD}}", ""), ("${NO:-a${COSIGN_PASSWORD}b}", "ab"),
        ("$$COSIGN_PASSWORD", "$COSIGN_PASSWORD"), ("${INDIRECT}", ""), ("${QUOTED}", "a"),
    ],
)  # fmt: skip
def test_no_form_of_interpolation_leads_to_it(discover, text, found):
    files = {
        **compose({"context": ".", "args": {"A": text}}),
        ".env": 'INDIRECT=${COSIGN_PASSWORD}\nQUOTED="a$COSIGN_PASSWORD"\nCOSIGN_PASSWORD\n',
    }
    specs = discover(files, COMPOSE, COSIGN_PASSWORD=CANARY)
    assert specs["api"].args == {"A": found}
    assert CANARY not in everything(discover, specs)


def test_one_that_a_file_says_must_be_set_is_an_error_without_its_value(discover):
    files = compose({"context": ".", "args": {"A": "${COSIGN_PASSWORD:?no}"}})
    with pytest.raises(ConfigError, match="COSIGN_PASSWORD must be set") as caught:
        discover(files, COMPOSE, COSIGN_PASSWORD=CANARY)
    assert CANARY not in f"{caught.value} {caught.value.hint} {discover.notes}"


@pytest.mark.parametrize(
    "build",
    [
        {"context": ".", "tags": ["a:${COSIGN_PASSWORD:-x}"]},
        {"context": ".", "target": "${COSIGN_PASSWORD:-x}"},
        {"context": ".", "dockerfile_inline": "FROM scratch\nLABEL a=${COSIGN_PASSWORD}\n"},
        {"context": "${COSIGN_PASSWORD:-x}"},
        {"context": ".", "dockerfile": "${COSIGN_PASSWORD:-x/Dockerfile}"},
        {"context": ".", "additional_contexts": {"a": "${COSIGN_PASSWORD:-x}"}},
        {"context": ".", "platforms": ["linux/${COSIGN_PASSWORD:-amd64}"]},
        {"context": ".", "x-bake": {"tags": ["a:${COSIGN_PASSWORD:-x}"]}},
    ],
)
def test_nor_does_any_key_of_a_build(discover, build):
    specs = discover(compose(build, image="shop/api:${COSIGN_PASSWORD:-x}"), COMPOSE,
                     COSIGN_PASSWORD=CANARY)  # fmt: skip
    assert CANARY not in everything(discover, specs)
    assert any("COSIGN_PASSWORD" in note for note in discover.notes)


def test_nor_do_files_that_it_includes_and_extends(discover):
    files = {
        **DOCKERFILE,
        "compose.yaml": "include: [{path: x/more.yaml, env_file: x/vars}]\n"
        "services: {api: {extends: {file: x/base.yaml, service: base}}}\n",
        "x/base.yaml": "services: {base: {build: {context: .., args: ['A=$COSIGN_PASSWORD']}}}\n",
        "x/more.yaml": "services: {more: {build: {context: ., args: ['B=$V']}}}\n",
        "x/vars": "V=${COSIGN_PASSWORD}\n",
    }
    specs = discover(files, COMPOSE, COSIGN_PASSWORD=CANARY)
    assert (specs["api"].args, specs["more"].args) == ({"A": ""}, {"B": ""})
    assert CANARY not in everything(discover, specs)


def test_what_env_holds_of_aksci_is_not_set_either_and_other_words_of_the_tree_are(discover):
    files = {
        **compose({"context": ".", "args": ["A=${COSIGN_PASSWORD}", "B=${POSTGRES_PASSWORD}"]}),
        ".env": f"COSIGN_PASSWORD={CANARY}\nPOSTGRES_PASSWORD=example\n",
    }
    specs = discover(files, COMPOSE, COSIGN_PASSWORD=CANARY)
    assert specs["api"].args == {"A": "", "B": "example"}


@pytest.mark.parametrize(
    "toml",
    [
        '[build.secrets.npm]\nenv = "PLAIN"\n',
        '[sign.cosign]\npassword_env = "PLAIN"\n',
        '[sign.cosign]\nkey = "env://PLAIN"\npublic_key = "x.pub"\n',
        '[sign.dct]\npassphrase_env = "PLAIN"\n',
        '[sign.dct]\nroot_passphrase_env = "PLAIN"\n',
        '[cascade.receiver]\nsecret_env = "PLAIN"\n',
        '[cascade.targets.t]\nkind = "github"\nrepository = "a/b"\ntoken_env = "PLAIN"\n',
        (
            '[cascade.targets.t]\nkind = "azure-pipelines"\norganization = "a"\nproject = "b"\n'
            'pipeline = 1\ntoken_env = "PLAIN"\n'
        ),
        '[sign]\nsigners = ["ours"]\n[sign.ours]\nvault = [{ pin_env = "PLAIN" }]\n',
        (
            '[environments.e]\nregistry = "r.example"\nnamespace = "n"\n'
            'builder = { kind = "ours", login_env = "PLAIN" }\n'
        ),
    ],
)
def test_whatever_variable_aksci_toml_names_as_a_secret_is_one(discover, toml):
    files = compose({"context": ".", "args": ["PLAIN", "A=${PLAIN}"]})
    specs = discover(files, COMPOSE + toml, PLAIN=CANARY)
    assert specs["api"].args == {"A": ""}
    assert CANARY not in everything(discover, specs)
    named = secret_names(load_config(discover.root / "aksci.toml"))
    assert "PLAIN" in withheld_names(named, ["PLAIN"])


@pytest.mark.parametrize(
    "copy",
    [
        CANARY,
        f"https://user:{CANARY}@host/",
        base64.b64encode(f"user:{CANARY}".encode()).decode(),
        quote(CANARY, safe=""),
        json.dumps({"password": CANARY}),
    ],
)
def test_a_copy_under_another_name_is_a_secret_too(discover, copy):
    files = compose({"context": ".", "args": ["PLAIN", "A=${PLAIN}"]})
    specs = discover(files, COMPOSE, PLAIN=copy, COSIGN_PASSWORD=CANARY)
    assert specs["api"].args == {"A": ""}
    assert copy not in everything(discover, specs)


@pytest.mark.parametrize(
    "value",
    [
        "postgres://u:[pa55word]@host/db",
        "postgres://u:[pass/with/slashes]@host/db",
        "https://[token1234]@host/",
        "https://[token1234]@dev.azure.com/shop/_git/shop",
        "[-----BEGIN RSA PRIVATE KEY-----\nx]",
        "[ghp_0123456789abcdefghijABCDEFGHIJ012345]",
        "//registry.npmjs.org/:_authToken=[npm_0123456789abcdefghijABCDEFGHIJ012345]",
        "[xoxb-1234567890-abcdefghij]",
        "[eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl]",
        "Server=tcp:x;User Id=a;Password=[pa55word];",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=[c2VjcmV0c2VjcmV0==]",
        "https://a.blob.core.windows.net/c?sv=2022-11-02&sig=[c2lnbmF0dXJl%3D]",
    ],
)
def test_a_variable_is_a_secret_by_what_it_holds(discover, value):
    """What is between brackets is hidden in all that is shown."""
    hidden = value.partition("[")[2].rpartition("]")[0]
    value = value.replace(f"[{hidden}]", hidden)
    files = compose({"context": ".", "args": ["PLAIN"]})
    assert discover(files, COMPOSE, PLAIN=value)["api"].args == {}
    assert list(secret_values({"PLAIN": value})) == [hidden]


@pytest.mark.parametrize(
    "value",
    [
        "https://host/a@b",
        "http://verdaccio:4873/@acme/",
        "docker-image://alpine:3.20@sha256:0123",
        # Azure Pipelines' BUILD_REPOSITORY_URI: the organisation is in the user's place.
        "https://contoso-shop@dev.azure.com/contoso-shop/shop/_git/shop",
        "https://git@host.example/shop.git",
        "https://host/search?design=modern-one",
    ],
)
def test_an_address_without_a_password_is_no_secret(discover, value):
    files = compose({"context": ".", "args": ["PLAIN"]})
    assert discover(files, COMPOSE, PLAIN=value)["api"].args == {"PLAIN": value}
    assert not list(secret_values({"PLAIN": value}))


@pytest.mark.parametrize(
    "variables",
    [
        {"AKSCI_RUN_ID": "build-4711-1"},
        {"AKSCI_CASCADE_ENVIRONMENT": "production"},
        {"NOTATION_LOG_LEVEL": "debugging"},
        {"COSIGN_PUBLIC_KEY": "keys/cosign.pub"},
    ],
)
def test_what_only_says_where_and_how_stays_readable(variables):
    assert not list(secret_values(variables))


def test_a_pull_request_does_not_choose_which_words_a_log_leaves_out():
    said = "https://CRITICAL@x Password=CVE-2024-1234"
    for name in ("BUILD_SOURCEVERSIONMESSAGE", "SYSTEM_PULLREQUEST_SOURCEBRANCH"):
        assert not list(secret_values({name: said}))


def test_aksci_toml_allows_what_is_only_called_like_a_secret(discover):
    files = compose({"context": ".", "args": ["SORT_KEY", "OTHER_KEY"]})
    toml = '[discover]\ncompose = ["compose.yaml"]\nvariables = ["SORT_KEY"]\n'
    specs = discover(files, toml, SORT_KEY="by-name-1", OTHER_KEY="by-name-2")
    assert specs["api"].args == {"SORT_KEY": "by-name-1"}
    (note,) = discover.notes
    assert (
        'OTHER_KEY is taken for a secret and is not set here; [discover] variables = ["OTHER'
        in (note)
    )


@pytest.mark.parametrize(
    ("name", "toml"),
    [
        ("COSIGN_PASSWORD", ""),
        ("AKSCI_WEBHOOK_SECRET", ""),
        ("PLAIN", '[build.secrets.x]\nenv = "PLAIN"\n'),
        ("NOTATION_PASSWORD", ""),
    ],
)
def test_nothing_allows_a_secret_of_akscis(discover, name, toml):
    with pytest.raises(ConfigError, match=f"discover.variables: {name} holds a secret"):
        discover(DOCKERFILE, f'[discover]\nvariables = ["{name}"]\n{toml}')


@pytest.mark.parametrize(
    "toml",
    [
        f'[images.a]\ndockerfile = "Dockerfile"\nargs = {{ A = "x{CANARY}" }}\n',
        f'[images.a]\ndockerfile = "Dockerfile"\nargs = {{ "{CANARY}" = "1" }}\n',
        f'[images.a]\ndockerfile = "Dockerfile"\ntarget = "{quote(CANARY, safe="")}"\n',
    ],
)
def test_an_image_that_would_publish_a_secret_is_refused_however_it_came_there(discover, toml):
    with pytest.raises(ConfigError, match="what the variable COSIGN_PASSWORD holds") as caught:
        discover(DOCKERFILE, toml, COSIGN_PASSWORD=CANARY)
    assert CANARY not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("link", [False, True])
def test_no_variables_are_read_from_a_file_that_is_a_build_secret(discover, link):
    toml = COMPOSE + '[build.secrets.npm]\nfile = "keys/npm"\n'
    files = {
        **DOCKERFILE,
        "compose.yaml": "include: [{path: x/more.yaml, env_file: %s}]\n"
        % ("x/other" if link else "./x/../keys/npm"),
        "x/more.yaml": "services: {more: {build: {context: ., args: ['B=$V']}}}\n",
        "keys/npm": f"V={CANARY}\n",
    }
    (discover.root / "x").mkdir()
    (discover.root / "x/other").symlink_to("../keys/npm")
    with pytest.raises(ConfigError, match=r"is a build secret") as caught:
        discover(files, toml)
    assert CANARY not in str(caught.value)


def skaffold(args):
    artifact = {"image": "api", "docker": {"buildArgs": args}}
    document = {"apiVersion": "skaffold/v4", "build": {"artifacts": [artifact]}}
    return {**DOCKERFILE, "skaffold.yaml": json.dumps(document)}


@pytest.mark.parametrize("template", ["{{.COSIGN_PASSWORD}}", "{{ .COSIGN_PASSWORD }}-{{.V}}"])
def test_a_template_of_skaffold_does_not_get_it(discover, template):
    with pytest.raises(ConfigError, match="COSIGN_PASSWORD is not set") as caught:
        discover(skaffold({"A": template}), SKAFFOLD, COSIGN_PASSWORD=CANARY, V="1")
    assert CANARY not in f"{caught.value} {caught.value.hint} {discover.notes}"
    assert any(note.startswith("skaffold.yaml: the variable COSIGN") for note in discover.notes)


def test_an_argument_of_skaffold_without_a_value_and_its_file_of_variables_do_not(discover):
    files = {
        **skaffold({"COSIGN_PASSWORD": None, "A": "{{.INDIRECT}}"}),
        "skaffold.env": "INDIRECT=x${COSIGN_PASSWORD}\n",
    }
    specs = discover(files, SKAFFOLD, COSIGN_PASSWORD=CANARY)
    assert specs["api"].args == {"A": "x"}
    assert CANARY not in everything(discover, specs)


def test_the_readers_themselves_give_no_secret_away(tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {a: {build: {args: [GITHUB_TOKEN]}}}\n")
    files = skaffold({"GITHUB_TOKEN": None})
    (tmp_path / "skaffold.yaml").write_text(files["skaffold.yaml"])
    importer = Importer(variables={"GITHUB_TOKEN": CANARY})
    assert read_compose(tmp_path, ["compose.yaml"], importer)[0].args == {}
    assert read_skaffold(tmp_path, ["skaffold.yaml"], importer)[0].args == {}
    assert CANARY not in repr(importer) + repr(importer.visible)


@pytest.fixture
def buildx(tmp_path):
    """A program in place of buildx, which prints its environment as a build argument."""
    program = tmp_path / "bin" / "buildx"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env python3\nimport json, os\n"
        'print(json.dumps({"target": {"a": {"args": dict(os.environ)}}}))\n'
    )
    program.chmod(0o755)
    return program


def test_bake_gets_no_secret_and_no_variable_of_its_own(tmp_path, buildx):
    secret = dict.fromkeys(SECRETS, CANARY)
    own = {"BUILDX_BAKE_FILE": "x", "BUILDX_BAKE_GIT_AUTH_TOKEN": "x"}
    environment = {"PATH": os.environ["PATH"], "TAG": "1", "HOME": "/root", **secret, **own}
    file = tmp_path / "docker-bake.hcl"
    file.write_text('variable "COSIGN_PASSWORD" {}\n')
    runner = Runner(environment=environment, log=lambda _line: None)
    found = print_bake(runner, buildx, [file], ["default"])["target"]["a"]["args"]
    assert found.keys() - {"LC_CTYPE"} == {"PATH", "TAG", "HOME"}


def test_what_a_bake_file_asks_for_and_does_not_get_is_told(tmp_path, buildx):
    told = []
    visible = VisibleVariables(
        {"PATH": os.environ["PATH"], "PLAIN": CANARY, "GITHUB_TOKEN": CANARY},
        ours={"PLAIN"},
        tell=told.append,
    )
    file = tmp_path / "docker-bake.hcl"
    file.write_text('variable "PLAIN" {}\nvariable "PLAINER" {}\n')
    print_bake(Runner(environment={}, log=lambda _line: None), buildx, [file], [],
               variables=visible)  # fmt: skip
    assert told == ["PLAIN"]


def test_each_key_of_aksci_toml_that_names_a_variable_is_known(tmp_path):
    """So that a new key can't be forgotten: its name ends in _env."""
    (tmp_path / "aksci.toml").write_text('schema = 1\n[project]\nname = "shop"\n')
    assert secret_names(load_config(tmp_path / "aksci.toml")) == {
        "AKSCI_WEBHOOK_SECRET",
        "COSIGN_PASSWORD",
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
        "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE",
    }
