#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the GGUF file of a model that companion_train.py trained.

usage: companion_gguf.py FOLDER OUT.gguf [--type q8_0|f16|f32]

Needs torch and numpy.
"""
import argparse
import json
import os

import numpy as np
import torch

import companion_train as t
from gguf_write import BOOL, F32, I32, STR, U32, Gguf

# Questions are read in lower case; a blank makes their first word the same token as inside.
TEMPLATE = ("{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}<|assistant|>{{ m.content }}<|end|>"
            "{% elif m.role == 'system' %}<|system|>{{ m.content | trim }}<|end|>"
            "{% else %}<|user|> {{ m.content | trim | lower }}<|end|>{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}")


def q8_0(w):
    """Blocks of 32: a half-precision scale and 32 signed bytes."""
    blocks = w.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1) / 127
    inverse = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0)
    q = np.rint(blocks * inverse[:, None]).astype(np.int8)
    out = np.empty((len(blocks), 34), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    out[:, 2:] = q.view(np.uint8)
    return out.tobytes()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("folder")
    ap.add_argument("out")
    ap.add_argument("--type", default="q8_0", choices=["q8_0", "f16", "f32"])
    a = ap.parse_args()
    with open(os.path.join(a.folder, "tokenizer.json"), encoding="utf-8") as f:
        bpe = json.load(f)["model"]
    w = torch.load(os.path.join(a.folder, "state.pt"), weights_only=True)["model"]

    g = Gguf()
    put = g.put
    put("general.architecture", STR, "llama")
    put("general.name", STR, "weir companion")
    put("general.description", STR, "The small model that comes with weir: it answers questions about weir and tells little stories.")
    put("general.license", STR, "MIT")
    put("general.file_type", U32, {"f32": 0, "f16": 1, "q8_0": 7}[a.type])
    put("llama.block_count", U32, t.LAYERS)
    put("llama.context_length", U32, t.CONTEXT)
    put("llama.embedding_length", U32, t.DIM)
    put("llama.feed_forward_length", U32, t.FFN)
    put("llama.attention.head_count", U32, t.HEADS)
    put("llama.attention.head_count_kv", U32, t.KV_HEADS)
    put("llama.attention.layer_norm_rms_epsilon", F32, t.EPS)
    put("llama.rope.freq_base", F32, t.THETA)
    put("llama.rope.dimension_count", U32, t.DIM // t.HEADS)
    put("llama.vocab_size", U32, t.VOCAB)
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    put("tokenizer.ggml.model", STR, "gpt2")
    put("tokenizer.ggml.pre", STR, "gpt-2")
    g.put_list("tokenizer.ggml.tokens", STR, tokens)
    g.put_list("tokenizer.ggml.token_type", I32, [3 if s in t.SPECIAL else 1 for s in tokens])
    g.put_list("tokenizer.ggml.merges", STR, [m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]])
    put("tokenizer.ggml.bos_token_id", U32, t.BEGIN)
    put("tokenizer.ggml.eos_token_id", U32, t.END)
    put("tokenizer.ggml.add_bos_token", BOOL, 1)
    put("tokenizer.chat_template", STR, TEMPLATE)

    def add(name, x):
        x = x.numpy()
        kind = "f32" if x.ndim == 1 else a.type
        data = q8_0(x) if kind == "q8_0" else x.astype("<f2" if kind == "f16" else "<f4").tobytes()
        g.tensor(name, kind, x.shape[::-1], data)

    add("token_embd.weight", w["embed.weight"])
    kv = t.DIM // t.HEADS * t.KV_HEADS
    for i in range(t.LAYERS):
        at = "layers.%d." % i
        blk = "blk.%d." % i
        q, k, v = w[at + "qkv.weight"].split((t.DIM, kv, kv))
        gate, up = w[at + "gate_up.weight"].chunk(2)
        add(blk + "attn_norm.weight", w[at + "attn_norm"])
        for name, x in (("attn_q", q), ("attn_k", k), ("attn_v", v), ("attn_output", w[at + "out.weight"])):
            add(blk + name + ".weight", x)
        add(blk + "ffn_norm.weight", w[at + "ffn_norm"])
        for name, x in (("ffn_gate", gate), ("ffn_up", up), ("ffn_down", w[at + "down.weight"])):
            add(blk + name + ".weight", x)
    add("output_norm.weight", w["norm"])
    with open(a.out, "wb") as f:
        f.write(g.bytes())


if __name__ == "__main__":
    main()
