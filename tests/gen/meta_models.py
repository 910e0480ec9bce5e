#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tiny models of tests/files/models in other forms: Meta's folder, llama2.c's files, a PyTorch
folder in two parts.  Written to tests/files/meta.  Needs torch and numpy.

    meta_models.py [FOLDER]

GGUF's llama, Meta's and llama2.c turn the same pairs of a head, so the weights are the same arrays
under other names, and the logits must be the same to the bit (tests/test_meta.sh)."""

import json
import os
import struct
import sys

import numpy as np
import torch

import golden_models as g

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "files", "meta")
NAMES = {"attn_q": "attention.wq", "attn_k": "attention.wk", "attn_v": "attention.wv", "attn_output": "attention.wo",
         "ffn_gate": "feed_forward.w1", "ffn_down": "feed_forward.w2", "ffn_up": "feed_forward.w3",
         "attn_norm": "attention_norm", "ffn_norm": "ffn_norm"}
TOP = {"token_embd": "tok_embeddings", "output_norm": "norm", "output": "output"}
HF = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
      "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_down": "mlp.down_proj",
      "ffn_up": "mlp.up_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
TOP_HF = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def model(name):
    r = g.Reader(os.path.join(g.OUT, name + ".gguf"))
    types = {k: torch.float16 if t == "f16" else torch.float32 for k, t in r.types.items()}
    return r.meta, {k: torch.from_numpy(np.ascontiguousarray(w)).to(types[k]) for k, w in r.w.items()}


def renamed(w, layer, names, top):
    out = {}
    for k, v in w.items():
        part = k.split(".")
        out[f"{layer}.{part[1]}.{names[part[2]]}.{part[3]}" if part[0] == "blk" else f"{top[part[0]]}.{part[1]}"] = v
    return out


def folder(name):
    path = os.path.join(OUT, name)
    os.makedirs(path, exist_ok=True)
    return path


def meta_weights(source):
    m, w = model(source)
    w = renamed(w, "layers", NAMES, TOP)
    if "output.weight" not in w:
        w["output.weight"] = w["tok_embeddings.weight"]
    w["rope.freqs"] = torch.ones(4, dtype=torch.bfloat16)
    return m, w


def meta_params(m, path):
    with open(os.path.join(path, "params.json"), "w") as f:
        json.dump({"dim": m["llama.embedding_length"], "multiple_of": 32, "n_heads": m["llama.attention.head_count"],
                   "n_kv_heads": m["llama.attention.head_count_kv"], "n_layers": m["llama.block_count"],
                   "head_dim": m["llama.attention.key_length"], "norm_eps": round(m["llama.attention.layer_norm_rms_epsilon"], 9),
                   "rope_theta": m.get("llama.rope.freq_base", 10000.0), "vocab_size": -1}, f)


def meta(source, name):
    m, w = meta_weights(source)
    path = folder(name)
    torch.save(w, os.path.join(path, "consolidated.00.pth"))
    meta_params(m, path)


def meta_parts(source, name, n, by_columns):
    """As for N machines: BY_COLUMNS ends the names of the matrices that are cut between columns."""
    m, w = meta_weights(source)
    path = folder(name)
    for i in range(n):
        part = {}
        for k, t in w.items():
            if t.ndim == 2:
                t = t.chunk(n, 1 if k.endswith(by_columns) else 0)[i].clone()
            part[k] = t
        torch.save(part, os.path.join(path, f"consolidated.{i:02d}.pth"))
    meta_params(m, path)


GROUP = 4


def int8_groups(t):
    """Int8 of the shape of T, and a float for each group of a row."""
    w = t.float().reshape(-1, GROUP)
    s = w.abs().amax(1) / 127
    return torch.round(w / s[:, None]).to(torch.int8).reshape(t.shape), s


def llama2c(source):
    m, w = model(source)
    w = renamed(w, "layers", NAMES, TOP)
    n = m["llama.block_count"]
    dim, hidden = m["llama.embedding_length"], m["llama.feed_forward_length"]
    heads = m["llama.attention.head_count"]
    kv = m.get("llama.attention.head_count_kv", heads)
    vocab, seq = w["tok_embeddings.weight"].shape[0], 32
    assert abs(m["llama.attention.layer_norm_rms_epsilon"] - 1e-5) < 1e-9, m
    assert m.get("llama.rope.freq_base", 10000.0) == 10000.0, m
    shared = "output.weight" not in w

    def layers(*names):
        return [w[f"layers.{i}.{k}.weight"] for k in names for i in range(n)]

    attn = layers("attention.wq", "attention.wk", "attention.wv", "attention.wo")
    ffn = layers("feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
    freqs = torch.zeros(seq, dim // heads)
    last = [] if shared else [w["output.weight"]]
    v0 = [w["tok_embeddings.weight"], *layers("attention_norm"), *attn, *layers("ffn_norm"), *ffn, w["norm.weight"],
          freqs, *last]
    v1 = [*layers("attention_norm"), *layers("ffn_norm"), w["norm.weight"], w["tok_embeddings.weight"], *attn, *ffn,
          *last]
    head = (dim, hidden, n, heads, kv)
    heads_of = {0: struct.pack("<7i", *head, vocab if shared else -vocab, seq),
                1: (struct.pack("<Ii7iB", 0x616b3432, 1, *head, vocab, seq, shared)).ljust(256, b"\0")}
    for version, arrays in ((0, v0), (1, v1)):
        with open(os.path.join(OUT, f"{'shared' if shared else 'own'}-v{version}.bin"), "wb") as f:
            f.write(heads_of[version] + b"".join(a.float().numpy().tobytes() for a in arrays))
    name = "shared" if shared else "own"
    norms, matrices = [t for t in v1 if t.ndim == 1], [t for t in v1 if t.ndim == 2]
    pairs = [int8_groups(t) for t in matrices]
    with open(os.path.join(OUT, f"{name}-v2.bin"), "wb") as f:
        f.write((struct.pack("<Ii7iBi", 0x616b3432, 2, *head, vocab, seq, shared, GROUP)).ljust(256, b"\0"))
        f.write(b"".join(a.float().numpy().tobytes() for a in norms))
        f.write(b"".join(q.numpy().tobytes() + s.numpy().tobytes() for q, s in pairs))
    with open(os.path.join(OUT, f"{name}-v2-as-v1.bin"), "wb") as f:
        f.write(heads_of[1] + b"".join(a.float().numpy().tobytes() for a in norms))
        f.write(b"".join((q.reshape(-1, GROUP).float() * s[:, None]).numpy().tobytes() for q, s in pairs))


def hf(source):
    """Two files, an index, tied tensors and one transposed q: what is in which is as a hub has it."""
    m, w = model(source)
    heads = {"attn_q": m["llama.attention.head_count"], "attn_k": m["llama.attention.head_count_kv"]}
    for k in w:
        part = k.split(".")
        if part[-2] in heads:  # adjacent pairs back to halves
            h = heads[part[-2]]
            t = w[k]
            w[k] = t.reshape(h, t.shape[0] // h // 2, 2, *t.shape[1:]).swapaxes(1, 2).reshape(t.shape).contiguous()
    w = renamed(w, "model.layers", HF, TOP_HF)
    path = folder("hf")
    names = sorted(w)
    parts = [names[:len(names) // 2], names[len(names) // 2:]]
    files = [f"pytorch_model-{i + 1:05d}-of-00002.bin" for i in range(2)]
    for p, f in zip(parts, files):
        torch.save({k: w[k] for k in p}, os.path.join(path, f))
    torch.save(w, os.path.join(folder("hf-one"), "pytorch_model.bin"))
    with open(os.path.join(path, "pytorch_model.bin.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": 1}, "weight_map": {k: f for p, f in zip(parts, files) for k in p}}, f)
    for d in ("hf", "hf-one"):
        with open(os.path.join(OUT, d, "config.json"), "w") as f:
            json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
                       "hidden_size": m["llama.embedding_length"],
                       "intermediate_size": m["llama.feed_forward_length"],
                       "num_attention_heads": m["llama.attention.head_count"],
                       "num_key_value_heads": m["llama.attention.head_count_kv"],
                       "num_hidden_layers": m["llama.block_count"], "head_dim": m["llama.attention.key_length"],
                       "rms_norm_eps": round(m["llama.attention.layer_norm_rms_epsilon"], 9),
                       "rope_theta": m.get("llama.rope.freq_base", 10000.0),
                       "tie_word_embeddings": "lm_head.weight" not in w}, f)


def main():
    os.makedirs(OUT, exist_ok=True)
    meta("llama-gqa-f16", "llama")
    meta_parts("llama-gqa-f16", "llama-2-parts", 2, (".wo.weight", ".w2.weight", "tok_embeddings.weight"))
    meta_parts("llama-gqa-f16", "llama-3-parts", 2, (".wo.weight", ".w2.weight"))
    llama2c("llama-mha-f32")
    llama2c("llama-tied-f32")
    hf("llama-gqa-f16")
    with open(os.path.join(OUT, "README"), "w") as f:
        f.write("Models of tests/files/models in other forms, made by tests/gen/meta_models.py:\n"
                "llama/, llama-2-parts/, llama-3-parts/ (Meta's) and hf/, hf-one/ (PyTorch files) of llama-gqa-f16, own-v* (llama2.c) of\n"
                "llama-mha-f32, shared-v* of llama-tied-f32; *-v2-as-v1 has the weights of *-v2 as floats.\n")


main()
