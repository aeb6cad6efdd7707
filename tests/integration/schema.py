# SPDX-License-Identifier: BSD-3-Clause
"""The part of JSON Schema that conf/okl4fsd.schema.json uses; JSON with // comments."""
import json
import re

KNOWN = {"$schema", "$comment", "$defs", "$ref", "title", "description", "default", "type",
         "required", "additionalProperties", "properties", "items", "minItems", "maxItems",
         "minLength", "maxLength", "pattern", "enum", "const", "not", "oneOf", "if", "then",
         "minimum", "maximum"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "null": type(None)}


def load_commented(text: str):
    """Parse JSON in which // begins a comment."""
    return json.loads(re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*', lambda m: m.group(1) or "", text))


def _is_type(value, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _own(schema: dict, value) -> bool:
    """Check the keywords that apply to the value alone."""
    if "type" in schema and not _is_type(value, schema["type"]):
        return False
    if "enum" in schema and not any(value == e and type(value) is type(e) for e in schema["enum"]):
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if isinstance(value, str):
        return (schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)) and
                re.search(schema.get("pattern", ""), value) is not None)
    if isinstance(value, list):
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
    if isinstance(value, int):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return True


def _members(schema: dict, value: dict, root: dict) -> bool:
    """Check the keywords that apply to an object's members."""
    properties = schema.get("properties", {})
    if any(key not in value for key in schema.get("required", [])):
        return False
    if schema.get("additionalProperties") is False and set(value) - set(properties):
        return False
    others = schema.get("additionalProperties", True)
    return all(valid(properties.get(key, others), member, root) for key, member in value.items())


def refer(ref: str, root: dict):
    """The schema that a reference names."""
    for part in ref.removeprefix("#/").split("/"):
        root = root[part]
    return root


def valid(schema, value, root: dict) -> bool:
    """Whether a value matches a schema."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KNOWN, f"the schema uses {set(schema) - KNOWN}"
    if "$ref" in schema:
        if not valid(refer(schema["$ref"], root), value, root):
            return False
    if not _own(schema, value):
        return False
    if isinstance(value, dict) and not _members(schema, value, root):
        return False
    if isinstance(value, list) and "items" in schema:
        if not all(valid(schema["items"], item, root) for item in value):
            return False
    if "not" in schema and valid(schema["not"], value, root):
        return False
    if "oneOf" in schema and sum(valid(one, value, root) for one in schema["oneOf"]) != 1:
        return False
    if "if" in schema and valid(schema["if"], value, root):
        return valid(schema["then"], value, root)
    return True
