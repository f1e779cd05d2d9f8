"""JSON Schemas of experiment and study files, for editors: made from the models and their field docstrings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from snapshot_cli.config import kinds
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.study import StudyFile

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def experiment() -> Schema:
    """Return the schema of an experiment's file."""
    return {"$schema": DRAFT} | _of(Experiment)


def study() -> Schema:
    """Return the schema of a study's file; wherever it holds settings of experiments, those are an experiment's."""
    schema: Schema = {"$schema": DRAFT, **_of(StudyFile)}
    parts, properties = schema["$defs"], schema["properties"]
    settings = _of(Experiment)
    fields = {name: {"$ref": f"#/$defs/Settings/properties/{name}"} for name in settings["properties"]}
    lists = {name: {"type": "array", "minItems": 1, "items": field} for name, field in fields.items()}
    parts |= settings.get("$defs", {})
    parts["Settings"] = _mapping("Settings of an experiment, any of them.", settings["properties"])
    parts["Match"] = _mapping(
        "Settings to choose experiments by.", {name: {"anyOf": [fields[name], lists[name]]} for name in fields}
    ) | {"minProperties": 1}
    properties["base"] |= {"$ref": "#/$defs/Settings"}
    properties["axes"] |= {"properties": lists, "additionalProperties": False}
    properties["methods"]["items"] = {
        "anyOf": [fields["method"], {"$ref": "#/$defs/Settings", "required": ["method"]}],
    }
    parts["Where"]["properties"]["match"] |= {"$ref": "#/$defs/Match"}
    parts["Where"]["properties"]["set"] |= {"$ref": "#/$defs/Settings"}
    parts["Drawing"]["properties"]["match"]["anyOf"][0] = {"$ref": "#/$defs/Match"}
    parts["Drawing"]["properties"]["kind"] |= {"enum": list(kinds.modules())}
    kind = {"enum": list(kinds.modules())}
    properties["render"]["additionalProperties"] = {"anyOf": [kind, {"$ref": "#/$defs/Drawing"}]}
    return schema


def _of(model: type[BaseModel]) -> Schema:
    schema: Schema = _plain(model.model_json_schema())
    return schema


def _mapping(description: str, properties: Schema) -> Schema:
    return {"description": description, "type": "object", "properties": properties, "additionalProperties": False}


def _plain(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names, and without mappings that allow anything."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    named = schema.get("properties")
    rest = {key: _plain(value) for key, value in schema.items() if key not in ("title", "properties")}
    if rest.get("additionalProperties") is True:
        del rest["additionalProperties"]
    return rest | ({} if named is None else {"properties": {key: _plain(value) for key, value in named.items()}})
