#!/usr/bin/env python3
"""Write tests/files/schema-samples.json: schemas, each with texts and the verdict of the Python
package jsonschema (draft 2020-12, with its format checker) on each text.

    python3 tests/gen/schema_samples.py            needs: pip install jsonschema rfc3339-validator

The converter's grammar must take every valid text here (they are written the way it writes: the
order of the schema, no property that is not named) and none of the others.
"""
import json
import os

from jsonschema import Draft202012Validator

SAMPLES = [
    ({}, ['1', '{"a":[1,{"b":null}]}', '"x"', 'true', '[]', '{}', ' 1', '{"a":}', 'nul']),
    (True, ['[1, 2]', '-0.5e+10', '"\\u00e9\\ud83d\\ude00"', '"\\ud83d"', '01', '1.']),
    ({"type": "string"}, ['"abc"', '""', '"\\n\\"\\\\"', '1', '"a', '"\t"']),
    ({"type": "integer"}, ['0', '-12', '123456789012345', '1.5', '"1"', '1e2.']),
    ({"type": "number"}, ['0', '-12.25', '1e5', '2E-3', 'true', '.5']),
    ({"type": ["string", "null"]}, ['null', '"x"', 'false', '0']),
    ({"type": ["integer", "boolean"]}, ['3', 'true', 'null', '3.5']),
    ({"enum": ["red", 4, None, {"a": 1}, "q\"uote"]}, ['"red"', '4', 'null', '{"a":1}', '"q\\"uote"', '"blue"', '5']),
    ({"const": [1, "x"]}, ['[1,"x"]', '[1]', '1']),
    ({"type": "string", "enum": ["a", 1]}, ['"a"', '1']),
    ({"type": "string", "minLength": 2, "maxLength": 3},
     ['"ab"', '"abc"', '"é\\n"', '"\\ud83d\\ude00x"', '"a"', '"abcd"', '"\\ud83d\\ude00"']),
    ({"type": "string", "minLength": 2}, ['"ab"', '"abcdefg"', '"a"', '""']),
    ({"type": "integer", "minimum": 0, "maximum": 255}, ['0', '9', '10', '99', '100', '199', '249', '255', '256', '-1', '300', '1000']),
    ({"type": "integer", "minimum": -17, "maximum": 5}, ['-17', '-9', '-10', '-1', '0', '5', '6', '-18', '-20', '17']),
    ({"type": "integer", "minimum": 17}, ['17', '19', '20', '99', '100', '123456', '16', '9', '-17', '0']),
    ({"type": "integer", "maximum": -5}, ['-5', '-6', '-10', '-12345', '-4', '0', '5']),
    ({"type": "integer", "exclusiveMinimum": 9, "exclusiveMaximum": 12}, ['10', '11', '9', '12']),
    ({"type": "integer", "minimum": 1995, "maximum": 2026}, ['1995', '1999', '2000', '2019', '2026', '1994', '2027', '1899', '2100']),
    ({"type": "integer", "minimum": 9.5, "maximum": 10.5}, ['10', '9', '11']),
    ({"type": "integer", "maximum": -0.0}, ['0', '-1', '1']),
    ({"type": "integer", "minimum": -0.5, "maximum": 3}, ['0', '3', '-1', '4']),
    ({"type": "number", "minimum": 0}, ['0', '3.25', '1e9', '-1', '-0.5']),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
     ['[1]', '[1,2]', '[1, 2, 3]', '[]', '[1,2,3,4]', '["a"]', '[1,]']),
    ({"type": "array", "items": {"type": "boolean"}}, ['[]', '[true]', '[true,false,true]', '[1]']),
    ({"type": "array", "maxItems": 0}, ['[]', '[1]']),
    ({"type": "array", "maxItems": 2}, ['[]', '["a", {}]', '[1,2,3]']),
    ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 1},
     ['["a"]', '["a",1]', '[]', '[1]', '["a",1,2]']),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "null"}, "minItems": 2, "maxItems": 3},
     ['["a",null]', '["a",null,null]', '["a"]', '["a",null,null,null]', '[null,null]']),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a", "b"]},
     ['{"a":1,"b":"x"}', '{ "a": 1, "b": "x" }', '{"a":1}', '{"b":"x"}', '{}', '{"a":"1","b":"x"}']),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "null"}}},
     ['{}', '{"a":1}', '{"b":"x"}', '{"c":null}', '{"a":1,"c":null}', '{"a":1,"b":"","c":null}', '{"a":null}', '{"a":1,}']),
    ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "null"}}, "required": ["b"]},
     ['{"b":"x"}', '{"a":1,"b":"x"}', '{"b":"x","c":null}', '{"a":1}', '{"c":null}', '{}']),
    ({"type": "object", "properties": {"ab": {"type": "integer"}, "ac": {"type": "integer"}, "b": {"type": "integer"}},
      "required": ["ab"], "additionalProperties": {"type": "string"}},
     ['{"ab":1}', '{"ab":1,"x":"y"}', '{"ab":1,"a":"y"}', '{"ab":1,"ac":2,"abc":"","ad":"","":""}', '{"ab":1,"ac":"2"}',
      '{"ab":1,"b":"y"}', '{"ab":1,"x":2}', '{"x":"y"}']),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, ['{}', '{"x":1,"é":2}', '{"x":"y"}']),
    ({"type": "object", "properties": {"é\"]-^": {"type": "integer"}}, "additionalProperties": {"type": "null"}},
     ['{"é\\"]-^":1}', '{"é":null}', '{"éx":null,"-":null,"]":null,"^":null}', '{"é\\"]-^":null}']),
    ({"type": "object", "required": ["x"], "properties": {"y": {"type": "null"}}}, ['{"x":1}', '{"y":null,"x":[]}', '{"y":null}']),
    ({"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"k": {"const": 1}}, "required": ["k"]}]},
     ['5', '{"k":1}', '{"k":2}', '"x"']),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, ['"x"', 'null', '1']),
    ({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "string"}, "a": {"minimum": 5}}, "required": ["b"]}]},
     ['{"a":5,"b":"x"}', '{"a":4,"b":"x"}', '{"a":5}', '{"b":"x"}']),
    ({"type": "object", "properties": {"t": {"type": "string"}}, "anyOf": [{"required": ["t"]}, {"properties": {"n": {"type": "integer"}}, "required": ["n"]}]},
     ['{"t":"x"}', '{"n":1}', '{"t":"x","n":1}', '{}']),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/n"}}, "required": ["v"]}}},
     ['{"v":1}', '{"v":1,"next":{"v":2,"next":{"v":3}}}', '{"next":{"v":1}}', '{"v":1,"next":{}}']),
    ({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#"}]}}, ['[]', '[1,[2,[3]],[]]', '["x"]', '[[null]]']),
    ({"properties": {"a~/b": {"type": "object", "properties": {"x": {"$ref": "#/properties/a~0~1b/properties/y"}, "y": {"type": "null"}}}}, "type": "object"},
     ['{"a~/b":{"x":null,"y":null}}', '{"a~/b":{"x":1}}']),
    ({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/definitions/p"}], "description": "d"}}, "definitions": {"p": {"type": "integer", "title": "P"}}},
     ['{"a":3}', '{"a":"3"}']),
    ({"type": "string", "format": "date"}, ['"2024-02-29"', '"2023-12-31"', '"1999-04-30"', '"2023-02-29"', '"2023-04-31"', '"2023-13-01"', '"1900-02-29"', '"2000-02-29"', '"23-1-1"']),
    ({"type": "string", "format": "date-time"}, ['"2024-02-29T23:59:59Z"', '"2024-01-01T00:00:00.123+01:30"', '"2024-01-01"', '"2024-01-01T25:00:00Z"']),
    ({"type": "string", "format": "time"}, ['"12:30:00Z"', '"23:59:59.5-08:00"', '"24:00:00Z"', '"12:30"']),
    ({"type": "string", "format": "uuid"}, ['"123e4567-e89b-12d3-a456-426614174000"', '"123e4567"', '"g23e4567-e89b-12d3-a456-426614174000"']),
    ({"type": "string", "pattern": "^[a-z]+$"}, ['"abc"', '""', '"aBc"', '"ab1"']),
    ({"type": "string", "pattern": "^(\\d{3})-?[A-F]{2,}$"}, ['"123-AB"', '"123ABCDEF"', '"12-AB"', '"123-A"', '"x123-AB"']),
    ({"type": "string", "pattern": "b+"}, ['"abba"', '"b"', '"\\nb\\""', '"aca"', '""']),
    ({"type": "string", "pattern": "^a|b"}, []),
    ({"type": "string", "pattern": "^(?:yes|no)\\.$"}, ['"yes."', '"no."', '"maybe."', '"yesx"']),
    ({"type": "string", "pattern": "^[^\"\\\\x]*$"}, ['"abc"', '"\\n"', '"é"', '"\\""', '"\\\\"', '"x"']),
    ({"type": "string", "pattern": "^\"\\\\[\\n\\t]$"}, ['"\\"\\\\\\n"', '"\\"\\\\\\t"', '"n"']),
    ({"type": "string", "pattern": "^\\w+@\\w+\\.(com|org)$"}, ['"me@x.org"', '"a_1@b.com"', '"me@x.net"', '"@x.org"']),
    ({"type": "string", "pattern": "^.{2}$"}, ['"ab"', '"é\\""', '"a"', '"abc"', '"a\\n"']),
    ({"type": "string", "pattern": "\\$$"}, ['"5$"', '"$5"']),
]


def main():
    out = []
    for schema, texts in SAMPLES:
        check = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        valid, invalid = [], []
        for text in texts:
            try:
                value = json.loads(text)
                if "\\ud83d\"" in text:
                    raise ValueError("half a surrogate pair")
                if text != text.strip():
                    raise ValueError("a grammar does not begin with white space")
                good = check.is_valid(value)
            except ValueError:
                good = False
            (valid if good else invalid).append(text)
        out.append({"schema": json.dumps(schema, ensure_ascii=False), "valid": valid, "invalid": invalid})
    path = os.path.join(os.path.dirname(__file__), "..", "files", "schema-samples.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(o, ensure_ascii=False) for o in out) + "\n]\n")
    print(sum(len(o["valid"]) for o in out), "valid,", sum(len(o["invalid"]) for o in out), "invalid texts")


main()
