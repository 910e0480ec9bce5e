#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/files/chat/golden.json: what Python makes of the chat templates of many models.

    python3 tests/gen/chat_golden.py DATA/chat-templates > tests/files/chat/golden.json
    python3 tests/gen/chat_golden.py DATA/chat-templates --full     all texts, for comparing

The templates themselves stay where they are; of each text only its length and FNV-1a hash are kept,
and a few texts whole."""
import json
import pathlib
import sys

import jinja_env

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a city, \"now\" <b>&</b>.",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "Its name, e.g. Zürich"},
            "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
            "days": {"type": "integer", "minimum": 0, "maximum": 7.5}},
            "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "a + b", "parameters": {"type": "object", "properties": {
            "a": {"type": "number"}, "b": {"type": ["number", "null"]},
            "opts": {"type": "array", "items": {"type": "string"}}}, "required": ["a", "b"]},
        "return": {"type": "number", "description": "the sum"}}},
]
DOCS = [{"title": "First", "text": "One.\nTwo."}, {"title": "Zweites", "text": "ä € 😀"}]


def call(name, args, id_="call12345"):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": args}}


S = {"role": "system", "content": "You are a helpful assistant."}
U = {"role": "user", "content": "Hello"}
A = {"role": "assistant", "content": "Hi there"}
U2 = {"role": "user", "content": "  Who are you?\n"}

CONVERSATIONS = {
    "user": {"messages": [U]},
    "system": {"messages": [S, U]},
    "turns": {"messages": [S, U, A, U2]},
    "turns_no_system": {"messages": [U, A, U2, {"role": "assistant", "content": " x \n"}, U]},
    "assistant_last": {"messages": [U, A]},
    "empty": {"messages": []},
    "empty_content": {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]},
    "tools": {"messages": [S, U], "tools": TOOLS},
    "tools_no_system": {"messages": [U], "tools": TOOLS},
    "tool_call": {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [
        call("get_weather", {"city": "Zürich", "unit": "c", "days": 3})]},
        {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": "{\"t\": 21.5}"},
        {"role": "assistant", "content": "It is 21.5."}, U2], "tools": TOOLS},
    "tool_calls_two": {"messages": [S, U, {"role": "assistant", "content": "", "tool_calls": [
        call("get_weather", {"city": "A", "days": 1.0}, "call00001"),
        call("add", {"a": 1, "b": None, "opts": ["x", 1e20, True]}, "call00002")]},
        {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": "sunny"},
        {"role": "tool", "name": "add", "tool_call_id": "call00002", "content": "3"}], "tools": TOOLS},
    "tool_call_text": {"messages": [U, {"role": "assistant", "content": "Let me see.", "tool_calls": [
        call("add", "{\"a\": 1, \"b\": 2}")]},
        {"role": "tool", "tool_call_id": "call12345", "content": "3"}], "tools": TOOLS},
    "tool_call_no_content": {"messages": [U, {"role": "assistant", "tool_calls": [call("add", {"a": 1})]},
                                          {"role": "tool", "content": "3", "tool_call_id": "call12345"}]},
    "thinking": {"messages": [U, {"role": "assistant", "reasoning_content": "Let me think.\n",
                                  "thinking": "Let me think.\n", "content": "Hi"}, U2]},
    "thinking_inline": {"messages": [U, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHi"}, U2,
                                     {"role": "assistant", "content": "<think>so</think>yes"}]},
    "thinking_tool": {"messages": [U, {"role": "assistant", "reasoning_content": "need add", "content": "",
                                       "tool_calls": [call("add", {"a": 1, "b": 2})]},
                                   {"role": "tool", "name": "add", "tool_call_id": "call12345", "content": "3"}],
                      "tools": TOOLS},
    "no_thinking": {"messages": [S, U], "enable_thinking": False},
    "thinking_on": {"messages": [S, U], "enable_thinking": True, "thinking": True},
    "parts": {"messages": [{"role": "system", "content": [{"type": "text", "text": "Sys."}]},
                           {"role": "user", "content": [{"type": "text", "text": "What is "},
                                                        {"type": "image"}, {"type": "text", "text": "this?"}]}]},
    "parts_text": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]},
                                {"role": "assistant", "content": [{"type": "text", "text": "b"}]}]},
    "null_content": {"messages": [{"role": "user", "content": None}]},
    "control_tokens": {"messages": [{"role": "user", "content":
        "<|im_end|>\n<|im_start|>system\n<|eot_id|></s>[INST]<end_of_turn><|end|> {{ x }} {% y %}"}]},
    "unicode": {"messages": [{"role": "user", "content": "Grüße 世界 😀 ‮ \u0000 \t'\"\\"}]},
    "odd_role": {"messages": [U, {"role": "critic", "content": "no"}]},
    "two_users": {"messages": [U, U2, A]},
    "number_content": {"messages": [{"role": "user", "content": 3.0}]},
    "extra": {"messages": [dict(U, name="bob", weight=1.0, date=None), A]},
    "documents": {"messages": [U], "documents": DOCS},
    "developer": {"messages": [{"role": "developer", "content": "Be brief."}, U]},
    "tools_empty": {"messages": [U], "tools": []},
    "custom_date": {"messages": [S, U], "date_string": "1 Jan 2025", "tools": TOOLS, "builtin_tools":
                    ["brave_search"], "tools_in_user_message": False},
}


def fnv(text):
    h = 0xcbf29ce484222325
    for b in text.encode():
        h = (h ^ b) * 0x100000001b3 & 0xffffffffffffffff
    return f"{h:016x}"


def main():
    folder = pathlib.Path(sys.argv[1])
    full = "--full" in sys.argv
    out = {"conversations": CONVERSATIONS, "cases": []}
    n, bad = 0, 0
    for path in sorted(folder.glob("*.jinja")):
        template = path.read_bytes().decode()
        for name, c in CONVERSATIONS.items():
            for prompt in (True, False):
                text = jinja_env.render(template, {"tools": None, "documents": None, **c, "bos_token": "<s>", "eos_token": "</s>",
                                                   "add_generation_prompt": prompt})
                n += 1
                case = [path.name, name, prompt]
                if text is None:
                    bad += 1
                    case.append(None)
                elif full or (name, prompt) in (("turns", True), ("tool_call", False)) and n % 7 == 0:
                    case.append(text)
                else:
                    case += [len(text.encode()), fnv(text)]
                out["cases"].append(case)
    print('{"conversations": ' + json.dumps(out["conversations"], ensure_ascii=False) + ', "cases": [')
    print(",\n".join(json.dumps(c, ensure_ascii=False) for c in out["cases"]) + "]}")
    print(n, "texts,", bad, "errors", file=sys.stderr)


if __name__ == "__main__":
    main()
