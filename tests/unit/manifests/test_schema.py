"""That the model and the schema of FabricNode say the same."""

import types
import typing
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from citadel_k8s.constants import LIST_MAX, NODE_ID_MAX, STATUS_MAX_BYTES
from citadel_k8s.models.fabricnode import (
    GROUP,
    KIND,
    PLURAL,
    VERSION,
    FabricNodeSpec,
    FabricNodeStatus,
    NodeState,
)

MANIFESTS = Path(__file__).parents[3] / "manifests"
CRD = yaml.safe_load((MANIFESTS / "crds" / "fabricnodes.yaml").read_text())
ROOT = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def differences(model: type[BaseModel], schema: dict[str, Any], path: str) -> list[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    found = []
    if set(fields) != set(schema["properties"]):
        found.append(f"{path}: {sorted(set(fields) ^ set(schema['properties']))} on one side only")
    needed = {name for name, field in fields.items() if field.is_required()}
    if needed != set(schema.get("required", [])):
        found.append(f"{path}: required {sorted(needed)}, not {schema.get('required', [])}")
    for name in set(fields) & set(schema["properties"]):
        found += field_differences(fields[name], schema["properties"][name], f"{path}.{name}")
    return found


def field_differences(field: FieldInfo, schema: dict[str, Any], path: str) -> list[str]:
    bounds = {
        "minimum" if isinstance(limit, annotated_types.Ge) else "maximum": limit
        for limit in field.metadata
    }
    found = type_differences(field.annotation, schema, path)
    for word in ("minimum", "maximum"):
        limit = bounds.get(word)
        value = getattr(limit, "ge", getattr(limit, "le", None))
        if schema.get(word) != value:
            found.append(f"{path}: {word} {schema.get(word)}, not {value}")
    return found


def type_differences(kind: Any, schema: dict[str, Any], path: str) -> list[str]:
    if isinstance(kind, types.UnionType):
        (kind,) = (arm for arm in typing.get_args(kind) if arm is not types.NoneType)
    origin = typing.get_origin(kind)
    if origin is list:
        assert schema["type"] == "array", path
        return type_differences(typing.get_args(kind)[0], schema["items"], f"{path}[]")
    if origin is dict:
        return [] if schema.get("x-kubernetes-preserve-unknown-fields") else [f"{path}: closed"]
    if origin is Literal:
        same = schema["enum"] == list(typing.get_args(kind))
        return [] if same else [f"{path}: enum {schema['enum']}"]
    if issubclass(kind, BaseModel):
        return differences(kind, schema, path)
    if issubclass(kind, StrEnum):
        # Stale is a reader's word and never written.
        same = schema["enum"] == [state.value for state in kind if state is not NodeState.STALE]
        return [] if same else [f"{path}: enum {schema['enum']}"]
    return [] if schema["type"] == SCALARS[kind] else [f"{path}: {schema['type']}, not {kind}"]


def walk(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, child in schema.get("properties", {}).items():
        found += walk(child, f"{path}.{name}")
    return found + (walk(schema["items"], f"{path}[]") if "items" in schema else [])


def test_the_definition_is_of_the_kind_that_the_model_names() -> None:
    spec = CRD["spec"]
    assert CRD["metadata"]["name"] == f"{PLURAL}.{GROUP}"
    assert (spec["group"], spec["names"]["kind"], spec["names"]["plural"]) == (GROUP, KIND, PLURAL)
    assert [version["name"] for version in spec["versions"]] == [VERSION]


def test_the_spec_is_the_same_in_model_and_schema() -> None:
    assert differences(FabricNodeSpec, ROOT["properties"]["spec"], "spec") == []


def test_the_status_is_the_same_in_model_and_schema() -> None:
    assert differences(FabricNodeStatus, ROOT["properties"]["status"], "status") == []


def test_all_text_and_all_lists_are_bounded() -> None:
    for path, schema in walk(ROOT):
        if path in {".apiVersion", ".kind"}:
            continue
        if schema["type"] == "array":
            assert schema["maxItems"] >= LIST_MAX, path
        if schema["type"] == "string":
            assert {"maxLength", "enum", "format"} & set(schema), path


def test_no_text_that_fits_in_a_status_is_refused_for_its_length() -> None:
    free = [
        path
        for path, schema in walk(ROOT["properties"]["status"])
        if schema.get("maxLength", STATUS_MAX_BYTES) < STATUS_MAX_BYTES
    ]
    assert free == [".conditions[].type", ".conditions[].reason"]


def test_a_node_id_is_what_the_wire_takes() -> None:
    assert ROOT["properties"]["spec"]["properties"]["nodeId"]["maxLength"] == NODE_ID_MAX


def test_every_column_shows_a_field_that_exists() -> None:
    paths = {path for path, _ in walk(ROOT)} | {".metadata.creationTimestamp"}
    for column in CRD["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"].replace('[?(@.type=="Ready")]', "[]")
        assert path in paths, column["name"]


def test_the_columns_come_in_the_documented_order() -> None:
    columns = CRD["spec"]["versions"][0]["additionalPrinterColumns"]
    always = [c["name"].upper() for c in columns if not c.get("priority")]
    wide = [c["name"].upper() for c in columns if c.get("priority")]
    assert " ".join(always) == "STATE READY GPUS UTIL VRAM MODELS RUN/WAIT CONFIRMED AGE"
    assert " ".join(wide) == "ORG ADDRESS GPU-MODEL DRIVER AGENT LAST-HEARTBEAT REASON"
