#!/usr/bin/env python3
"""Generate under many schemas from random logits and ask the Python package jsonschema (draft
2020-12, with formats) about every text.

    make tests/schema_text && python3 tests/gen/schema_check.py tests/schema_text [N]

needs: pip install jsonschema rfc3339-validator.  Prints counts; the status is 1 when a text is not
valid.  The schemas are those of schema-samples.json and random ones.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

from jsonschema import Draft202012Validator


def random_schema(rng, depth=0):
    kinds = ["string", "integer", "number", "boolean", "null", "enum"]
    if depth < 3:
        kinds += ["object", "array", "anyOf", "allOf"] * 2
    kind = rng.choice(kinds)
    if kind == "string":
        s = {"type": "string"}
        extra = rng.randrange(4)
        if extra == 0:
            s["maxLength"] = rng.randrange(1, 9)
            s["minLength"] = rng.randrange(0, s["maxLength"] + 1)
        elif extra == 1:
            s["format"] = rng.choice(["date", "time", "date-time", "uuid"])
        elif extra == 2:
            s["pattern"] = rng.choice(["^[a-z]{1,4}$", "^\\d+(\\.\\d{2})?$", "^(a|bc)*[^\\s\"]$", "x", "^[^0-9]+$", "\\w-\\W$", "^\\S{3}"])
        return s
    if kind == "integer":
        lo = rng.randrange(-1500, 1500)
        s = {"type": "integer"}
        if rng.random() < 0.7:
            s["minimum"] = lo
        if rng.random() < 0.7:
            s[rng.choice(["maximum", "exclusiveMaximum"])] = lo + rng.randrange(1, 10 ** rng.randrange(1, 6))
        return s
    if kind == "number":
        return {"type": "number"} if rng.random() < 0.5 else {"type": "number", "minimum": 0}
    if kind in ("boolean", "null"):
        return {"type": kind}
    if kind == "enum":
        return {"enum": rng.sample(["a", "b\"", 1, -2.5, None, True, [1, 2], {"k": "v"}, "é\n"], rng.randrange(1, 5))}
    if kind == "object":
        names = rng.sample(["a", "ab", "b", "é", "x y", "a\"b", "name"], rng.randrange(0, 5))
        s = {"type": "object", "properties": {n: random_schema(rng, depth + 1) for n in names}}
        s["required"] = [n for n in names if rng.random() < 0.5]
        if rng.random() < 0.4:
            s["additionalProperties"] = rng.choice([False, True, {"type": "integer"}, {"type": "string"}])
        return s
    if kind == "array":
        s = {"type": "array", "items": random_schema(rng, depth + 1)}
        if rng.random() < 0.4:
            s["prefixItems"] = [random_schema(rng, depth + 1) for _ in range(rng.randrange(1, 3))]
        if rng.random() < 0.6:
            s["maxItems"] = rng.randrange(0, 6)
            s["minItems"] = rng.randrange(0, s["maxItems"] + 1)
        return s
    if kind == "anyOf":
        return {"anyOf": [random_schema(rng, depth + 1) for _ in range(rng.randrange(1, 4))]}
    parts = []
    for i in range(rng.randrange(1, 4)):
        parts.append({"type": "object", "properties": {f"p{i}": random_schema(rng, depth + 1)}, "required": [f"p{i}"] if rng.random() < 0.5 else []})
    return {"allOf": parts}


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
    here = os.path.dirname(os.path.abspath(__file__))
    schemas = [json.loads(s["schema"]) for s in json.load(open(os.path.join(here, "..", "files", "schema-samples.json")))
               if s["valid"]]
    rng = random.Random(1)
    schemas += [random_schema(rng) for _ in range(300)]
    texts = bad = short = 0
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "schema.json")
        for i, schema in enumerate(schemas):
            with open(path, "w", encoding="utf-8") as f:
                json.dump(schema, f, ensure_ascii=False)
            run = subprocess.run([program, path, str(count), str(i + 1)], capture_output=True)
            if run.returncode:
                print("refused:", json.dumps(schema)[:200], run.stderr.decode().strip())
                bad += 1
                continue
            check = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
            got = run.stdout.split(b"\0")[:-1]
            short += count - len(got)
            for text in got:
                texts += 1
                try:
                    check.validate(json.loads(text.decode("utf-8")))
                except Exception as e:  # whatever is wrong with it
                    bad += 1
                    print("not valid:", json.dumps(schema)[:300], text[:200], str(e).split("\n")[0])
    print(f"{len(schemas)} schemas, {texts} texts, {bad} of them not valid; {short} more did not end in time")
    return bad != 0


sys.exit(main())
