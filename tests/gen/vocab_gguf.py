#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make vocabulary-only GGUF files, and plain-text cases, from the tokenizer files in a data folder.

usage: vocab_gguf.py DATA OUT

DATA  holds tokenizers/ (tiktoken, vocab.json + merges.txt, sentencepiece models) and vectors/
OUT   gets NAME.gguf and NAME.cases; a line of a .cases file is hex(text) TAB ids TAB hex(decoded),
      the last one empty when the vector does not say

What is missing in DATA is passed over in silence; the test that asked says SKIP.
"""
import base64
import json
import os
import struct
import sys

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


# ---- GGUF ----

def string(b):
    if isinstance(b, str):
        b = b.encode()
    return struct.pack("<Q", len(b)) + b


def kv(key, value):
    head = string(key)
    if isinstance(value, bool):
        return head + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return head + struct.pack("<II", 4, value)
    if isinstance(value, (str, bytes)):
        return head + struct.pack("<I", 8) + string(value)
    first = value[0]
    head += struct.pack("<I", 9)
    if isinstance(first, float):
        return head + struct.pack("<IQ%df" % len(value), 6, len(value), *value)
    if isinstance(first, int):
        return head + struct.pack("<IQ%di" % len(value), 5, len(value), *value)
    return head + struct.pack("<IQ", 8, len(value)) + b"".join(map(string, value))


def write_gguf(path, pairs):
    pairs = {"general.architecture": "llama", **pairs}
    body = b"".join(kv(k, v) for k, v in pairs.items())
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + body
    with open(path, "wb") as f:
        f.write(data + b"\0" * (-len(data) % 32))


# ---- sources ----

def alphabet():
    table, n = {}, 256
    for b in range(256):
        if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174:
            table[b] = chr(b)
        else:
            table[b] = chr(n)
            n += 1
    return table


def tiktoken(path, pre, specials, bos, eos):
    """Every way to split a token into two lower ones becomes a merge, in the order of the whole's rank."""
    ranks = {}
    with open(path, "rb") as f:
        for line in f:
            if line.strip():
                token, rank = line.split()
                ranks[base64.b64decode(token)] = int(rank)
    enc = alphabet()
    text = lambda b: "".join(enc[x] for x in b)
    order = sorted(ranks, key=ranks.get)
    merges = []
    for token in order:
        splits = [(ranks[token[:i]], ranks[token[i:]], i) for i in range(1, len(token))
                  if token[:i] in ranks and token[i:] in ranks]
        merges += [text(token[:i]) + " " + text(token[i:]) for _, _, i in sorted(splits)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [text(t) for t in order] + specials,
        "tokenizer.ggml.token_type": [NORMAL] * len(order) + [CONTROL] * len(specials),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": len(order) + bos,
        "tokenizer.ggml.eos_token_id": len(order) + eos,
    }


def llama3(data):
    names = ["begin_of_text", "end_of_text", "reserved_special_token_0", "reserved_special_token_1",
             "finetune_right_pad_id", "reserved_special_token_2", "start_header_id", "end_header_id", "eom_id",
             "eot_id", "python_tag"]
    names += ["reserved_special_token_%d" % i for i in range(3, 256 - len(names) + 3)]
    specials = ["<|%s|>" % s for s in names]
    return tiktoken(data + "/tokenizers/llama3/tokenizer.model", "llama-bpe", specials, 0, 9)


def qwen3(data):
    root = data + "/tokenizers/qwen3/"
    with open(root + "vocab.json", encoding="utf-8") as f:
        vocab = json.load(f)
    with open(root + "merges.txt", encoding="utf-8") as f:
        merges = [l.rstrip("\n") for l in f if not l.startswith("#version") and l.strip()]
    with open(root + "tokenizer_config.json", encoding="utf-8") as f:
        added = json.load(f)["added_tokens_decoder"]
    tokens = {i: (t, NORMAL) for t, i in vocab.items()}
    for i, t in added.items():
        tokens[int(i)] = (t["content"], CONTROL if t["special"] else USER)
    n = max(tokens) + 1
    rows = [tokens.get(i, ("[PAD%d]" % i, UNUSED)) for i in range(n)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": [r[0] for r in rows],
        "tokenizer.ggml.token_type": [r[1] for r in rows],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": 151645,
        "tokenizer.ggml.add_bos_token": False,
    }


def fields(b):
    """(field number, value) of a protobuf message, without a schema."""
    def varint(i):
        v = shift = 0
        while True:
            v |= (b[i] & 127) << shift
            shift += 7
            i += 1
            if b[i - 1] < 128:
                return v, i
    i = 0
    while i < len(b):
        key, i = varint(i)
        if key & 7 == 0:
            v, i = varint(i)
        elif key & 7 == 1:
            v, i = b[i:i + 8], i + 8
        elif key & 7 == 5:
            v, i = b[i:i + 4], i + 4
        else:
            n, i = varint(i)
            v, i = b[i:i + n], i + n
        yield key >> 3, v


def sentencepiece(path):
    with open(path, "rb") as f:
        top = list(fields(f.read()))
    pieces = []
    prefix = True
    collapse = True
    for no, v in top:
        if no == 1:
            p = dict(fields(v))
            pieces.append((p[1], struct.unpack("<f", p.get(2, b"\0\0\0\0"))[0], p.get(3, NORMAL)))
        elif no == 3:
            prefix = bool(dict(fields(v)).get(3, 1))
            collapse = bool(dict(fields(v)).get(4, 1))
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [p[0] for p in pieces],
        "tokenizer.ggml.scores": [float(p[1]) for p in pieces],
        "tokenizer.ggml.token_type": [p[2] for p in pieces],
        "tokenizer.ggml.add_space_prefix": prefix,
        "tokenizer.ggml.remove_extra_whitespaces": collapse,
    }


def cases(path, out, collapse):
    """COLLAPSE: the model trims and joins spaces first, which GGUF readers do not; leave such texts out."""
    with open(path, encoding="utf-8") as f:
        vector = json.load(f)
    with open(out, "w") as f:
        for c in vector["cases"]:
            plain = c["text"].replace("\u2581", " ")
            if collapse and plain != " ".join(w for w in plain.split(" ") if w):
                continue
            f.write("%s\t%s\t%s\n" % (c["text"].encode().hex(), " ".join(map(str, c["ids"])),
                                      c["decoded"].encode().hex() if "decoded" in c else ""))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data, out = sys.argv[1:]
    spm = lambda name: lambda d: sentencepiece(d + "/tokenizers/%s/tokenizer.model" % name)
    jobs = {
        "llama-bpe": (llama3, "bpe-llama3"),
        "qwen2": (qwen3, "bpe-qwen2-qwen3"),
        "spm-llama2": (spm("llama2"), "spm-llama2"),
        "spm-internlm-7b": (spm("internlm-7b"), "spm-internlm-7b"),
        "spm-chatglm2-6b": (spm("chatglm2-6b"), "spm-chatglm2-6b"),
        "spm-chinese-llama2": (spm("chinese-llama2"), "spm-chinese-llama2"),
        "spm-tok512": (lambda d: sentencepiece(d + "/bitllama2c/tokenizer.model"), "spm-tok512"),
    }
    for name, (make, vector) in jobs.items():
        try:
            pairs = make(data)
        except FileNotFoundError:
            continue
        write_gguf("%s/%s.gguf" % (out, name), pairs)
        if os.path.exists("%s/vectors/%s.json" % (data, vector)):
            cases("%s/vectors/%s.json" % (data, vector), "%s/%s.cases" % (out, name),
                  pairs.get("tokenizer.ggml.remove_extra_whitespaces", False))


main()
