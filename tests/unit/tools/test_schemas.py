"""An OpenAPI document becomes strict, standalone JSON Schemas."""

from __future__ import annotations

import jsonschema
import pytest

from aksci.tools.schemas import convert

KIND = {"group": "apps.example.io", "version": "v1", "kind": "Thing"}
DOCUMENT = {
    "definitions": {
        "io.example.Thing": {
            "type": "object",
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "spec": {"$ref": "#/definitions/io.example.Spec"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "x-kubernetes-group-version-kind": [KIND, {**KIND, "group": "", "version": "v2"}],
        },
        "io.example.Spec": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer", "description": "long prose"},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "child": {"$ref": "#/definitions/io.example.Spec"},
                "port": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
                "free": {"type": "object"},
            },
        },
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
            "type": "string",
            "format": "int-or-string",
        },
        "io.example.Unused": {"type": "object"},
    }
}
SCHEMAS = dict(convert(DOCUMENT))


def thing(**spec):
    return {"apiVersion": "apps.example.io/v1", "kind": "Thing", "spec": spec}


def valid(value):
    return jsonschema.Draft7Validator(SCHEMAS["thing-apps-v1.json"]).is_valid(value)


def test_each_kind_is_a_file_named_as_kubeconform_looks_for_it():
    assert set(SCHEMAS) == {"thing-apps-v1.json", "thing-v2.json"}


def test_a_schema_holds_the_definitions_that_it_reaches_and_no_others():
    assert set(SCHEMAS["thing-v2.json"]["definitions"]) == {
        "io.example.Spec",
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    }
    assert "long prose" not in str(SCHEMAS)


@pytest.mark.parametrize(
    "spec",
    [
        {"replicas": 1},
        {"replicas": None, "child": None, "mode": None},
        {"child": {"child": {"replicas": 2}}},
        {"port": 80},
        {"port": "http"},
        {"free": {"anything": [1]}},
    ],
)
def test_what_the_api_server_accepts_is_valid(spec):
    assert valid(thing(**spec))


@pytest.mark.parametrize(
    "spec",
    [{"replicass": 1}, {"replicas": "1"}, {"child": {"x": 1}}, {"port": 1.5}, {"mode": "c"}],
)
def test_unknown_keys_and_wrong_types_are_not_at_any_depth(spec):
    assert not valid(thing(**spec))


def test_a_required_property_may_not_be_null_or_missing():
    assert not valid({**thing(), "spec": None})
    assert not valid({"apiVersion": "apps.example.io/v1", "kind": "Thing"})


def test_kind_and_version_are_those_of_the_file():
    assert not valid({**thing(), "apiVersion": "v2"})
    assert not valid({**thing(), "kind": "Other"})
