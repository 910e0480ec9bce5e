# SPDX-License-Identifier: MIT
"""Tiny random models whose matrices are packed as quantizers pack them: tests/files/packed.

    python3 tests/gen/golden_packed.py        needs numpy

Each folder is a model as people have it (config.json, model.safetensors) of one layer; beside it
lies NAME.golden, in the layout of golden_models.py: logits in float64 over the weights that the
packed numbers stand for.  The packing here is written from the descriptions of the formats, not
from weir's decoder.
make check never runs this; it reads what was committed."""

import json
import os
import struct
import types

import numpy as np

import golden_models as gm

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "files", "packed")
HID, FFN, HEADS, KV, HD, VOCAB, N_TOK = 64, 96, 4, 2, 16, 48, 24
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}
SHAPES = {"attn_q": (HEADS * HD, HID), "attn_k": (KV * HD, HID), "attn_v": (KV * HD, HID),
          "attn_output": (HID, HEADS * HD), "ffn_gate": (FFN, HID), "ffn_up": (FFN, HID),
          "ffn_down": (HID, FFN)}
DTYPES = {"float32": "F32", "float16": "F16", "int32": "I32", "int8": "I8", "uint8": "F8_E4M3",
          "uint16": "BF16"}


def save(path, tensors):
    """tensors: name -> array, written in the order given."""
    head, at = {}, 0
    for name, a in tensors.items():
        head[name] = {"dtype": DTYPES[a.dtype.name], "shape": list(a.shape),
                      "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in tensors.values():
            f.write(np.ascontiguousarray(a).tobytes())


def words(v, bits, axis):
    """Values [..] into 32-bit words along AXIS, the first value lowest; 3 bits run on."""
    v = np.moveaxis(np.asarray(v, np.uint64), axis, -1)
    if bits == 3:
        v = v.reshape(*v.shape[:-1], -1, 32)
        out = np.zeros(v.shape[:-1] + (3,), np.uint64)
        for i in range(32):
            for b in range(3):
                at = 3 * i + b
                out[..., at // 32] |= (v[..., i] >> b & 1) << (at % 32)
        out = out.reshape(*out.shape[:-2], -1)
    else:
        per = 32 // bits
        v = v.reshape(*v.shape[:-1], -1, per)
        out = sum(v[..., i] << (i * bits) for i in range(per))
    return np.moveaxis(out, -1, axis).astype(np.uint32).view(np.int32)


def quant(rng, w, bits, group, index=None, zero=None):
    """q [n][k], z and s [n][groups] with w ~ (q - z) s."""
    n, k = w.shape
    groups = (k + group - 1) // group
    index = np.arange(k) // group if index is None else index
    s, z = np.zeros((n, groups), np.float16), np.zeros((n, groups), np.int64)
    q = np.zeros((n, k), np.int64)
    top = 2 ** bits - 1
    for g in range(groups):
        part = w[:, index == g]
        lo, hi = np.minimum(part.min(1), 0), np.maximum(part.max(1), 0)
        s[:, g] = np.maximum((hi - lo) / top, 1e-3)
        z[:, g] = np.clip(np.rint(-lo / s[:, g].astype(float)), 1, top) if zero is None else zero
        q[:, index == g] = np.clip(np.rint(part / s[:, g, None].astype(float)) + z[:, g, None], 0, top)
    return q, z, s, index


def awq(rng, name, w, _):
    q, z, s, index = quant(rng, w, 4, 32)
    order = [0, 2, 4, 6, 1, 3, 5, 7] # the column in each nibble

    def pack(v): # [rows][n]
        v = v.reshape(v.shape[0], -1, 8)[:, :, order]
        return words(v.reshape(v.shape[0], -1), 4, 1)
    return ({".qweight": pack(q.T), ".qzeros": pack(z.T), ".scales": s.T},
            (q - z[:, index]) * s.astype(float)[:, index])


def gptq(bits, group=32, actorder=False, v2=False):
    def make(rng, name, w, _):
        k = w.shape[1]
        index = rng.permutation(np.arange(k) // group) if actorder else None
        q, z, s, index = quant(rng, w, bits, group, index)
        t = {".qweight": words(q.T, bits, 0), ".qzeros": words(z.T - (0 if v2 else 1), bits, 1),
             ".scales": s.T, ".g_idx": index.astype(np.int32)}
        return t, (q - z[:, index]) * s.astype(float)[:, index]
    return make


def gptq_old(bits):
    def make(rng, name, w, _):
        q, z, s, _ = quant(rng, w, bits, w.shape[1])
        s32 = s.astype(np.float32)
        zeros = (z * s32).astype(np.float32)
        return ({".qweight": words(q.T, bits, 0), ".scales": s32, ".zeros": zeros,
                 ".bias": np.zeros(w.shape[0], np.float32)},
                q * s32.astype(float) - zeros.astype(float))
    return make


def compressed(rng, name, w, _):
    q, z, s, index = quant(rng, w, 4, 32, zero=8)
    return ({".weight_packed": words(q, 4, 1), ".weight_scale": s},
            (q - 8) * s.astype(float)[:, index])


def e4m3(byte):
    b = byte.astype(np.int64)
    e, m = b >> 3 & 15, b & 7
    v = np.where(e == 0, m / 8 * 2.0 ** -6, (1 + m / 8) * 2.0 ** (e - 7.0))
    return np.where(b & 128, -v, v)


def fp8(block):
    def make(rng, name, w, _):
        n, k = w.shape
        table = e4m3(np.arange(127))
        s = np.zeros((-(-n // block), -(-k // block)), np.float32)
        q = np.zeros(w.shape, np.uint8)
        for i in range(s.shape[0]):
            for j in range(s.shape[1]):
                at = np.s_[i * block:(i + 1) * block, j * block:(j + 1) * block]
                s[i, j] = np.abs(w[at]).max() / 448
                a = np.abs(w[at]) / float(s[i, j])
                near = np.abs(a[..., None] - table).argmin(-1).astype(np.uint8)
                q[at] = near | np.where(w[at] < 0, 128, 0).astype(np.uint8)
        full = np.repeat(np.repeat(s, block, 0), block, 1)[:n, :k].astype(float)
        return {".weight": q, ".weight_scale_inv": s}, e4m3(q) * full
    return make


MODELS = {
    "awq-gemm": (awq, {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True,
                       "version": "gemm"}),
    "gptq-4": (gptq(4), {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False}),
    "gptq-4-actorder": (gptq(4, actorder=True), {"quant_method": "gptq", "bits": 4, "group_size": 32,
                                                 "desc_act": True}),
    "gptq-4-v2": (gptq(4, v2=True), {"quant_method": "gptq", "bits": 4, "group_size": 32,
                                     "checkpoint_format": "gptq_v2"}),
    "gptq-2": (gptq(2), {"quant_method": "gptq", "bits": 2, "group_size": 32}),
    "gptq-3": (gptq(3), {"quant_method": "gptq", "bits": 3, "group_size": 32}),
    "gptq-8": (gptq(8), {"quant_method": "gptq", "bits": 8, "group_size": 32}),
    "gptq-old-2": (gptq_old(2), {"bits": 2}),
    "gptq-old-4": (gptq_old(4), {"bits": 4}),
    "compressed-4": (compressed, {"quant_method": "compressed-tensors", "format": "pack-quantized",
                                  "config_groups": {"group_0": {"weights": {
                                      "num_bits": 4, "group_size": 32, "symmetric": True}}}}),
    "fp8-block": (fp8(32), {"quant_method": "fp8", "weight_block_size": [32, 32]}),
}


def main():
    os.makedirs(OUT, exist_ok=True)
    for number, (label, (make, config)) in enumerate(MODELS.items()):
        rng = np.random.default_rng(1000 + number)
        folder = os.path.join(OUT, label)
        os.makedirs(folder, exist_ok=True)
        tensors, w = {}, {}
        embd = rng.normal(0, 1, (VOCAB, HID)).astype(np.float16)
        head = rng.normal(0, 0.3, (VOCAB, HID)).astype(np.float16)
        tensors["model.embed_tokens.weight"], w["token_embd.weight"] = embd, embd.astype(float)
        for part, shape in SHAPES.items():
            t, dense = make(rng, part, rng.normal(0, 1 / np.sqrt(shape[1]), shape), config)
            for suffix, a in t.items():
                tensors["model.layers.0." + NAMES[part] + suffix] = np.ascontiguousarray(a)
            w["blk.0." + part + ".weight"] = dense
        for hf, part in (("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")):
            v = rng.normal(1, 0.1, HID).astype(np.float32)
            tensors["model.layers.0." + hf + ".weight"] = v
            w["blk.0." + part + ".weight"] = v.astype(float)
        v = rng.normal(1, 0.1, HID).astype(np.float32)
        tensors["model.norm.weight"], w["output_norm.weight"] = v, v.astype(float)
        tensors["lm_head.weight"], w["output.weight"] = head, head.astype(float)
        save(os.path.join(folder, "model.safetensors"), tensors)
        json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HID,
                   "intermediate_size": FFN, "num_hidden_layers": 1, "num_attention_heads": HEADS,
                   "num_key_value_heads": KV, "rms_norm_eps": 1e-5, "vocab_size": VOCAB,
                   "max_position_embeddings": 64, "rope_theta": 10000.0, "hidden_act": "silu",
                   "tie_word_embeddings": False, "torch_dtype": "float16",
                   "quantization_config": config}, open(os.path.join(folder, "config.json"), "w"))
        # forward() turns halves for every architecture but llama; the pass is the same.
        meta = {"general.architecture": "qwen2"}
        for key, value in (("block_count", 1), ("embedding_length", HID), ("context_length", 64),
                           ("feed_forward_length", FFN), ("attention.head_count", HEADS),
                           ("attention.head_count_kv", KV), ("attention.key_length", HD),
                           ("attention.layer_norm_rms_epsilon", 1e-5)):
            meta["qwen2." + key] = value
        g = types.SimpleNamespace(meta=meta, w=w, types={})
        tokens = rng.integers(0, VOCAB, N_TOK).astype(np.uint32)
        logits = gm.forward(g, tokens)
        rows = np.array([0, N_TOK // 2, N_TOK - 1], np.uint32)
        with open(os.path.join(OUT, label + ".golden"), "wb") as f:
            f.write(np.array([N_TOK, VOCAB, len(rows)], "<u4").tobytes())
            f.write(tokens.astype("<u4").tobytes() + rows.astype("<u4").tobytes())
            f.write(logits[rows].astype("<f4").tobytes())


if __name__ == "__main__":
    main()
