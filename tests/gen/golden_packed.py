# SPDX-License-Identifier: MIT
"""Tiny random models whose matrices are packed as quantizers pack them: tests/files/packed.

    python3 tests/gen/golden_packed.py        needs numpy; the last of them torch

Each folder is a model as people have it (config.json, model.safetensors) of one layer; beside it
lies NAME.golden, in the layout of golden_models.py: logits in float64 over the weights that the
packed numbers stand for.  The packing here is written from the descriptions of the formats, not
from weir's decoder.  bitsandbytes itself packs only where there is a GPU, so its layouts too are
written by hand.
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
DTYPES = {"float32": "F32", "float16": "F16", "int32": "I32", "int8": "I8", "uint8": "U8", "void8": "F8_E4M3",
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
        return {".weight": q.view("V1"), ".weight_scale_inv": s}, e4m3(q) * full
    return make


def gemv(rng, name, w, _):
    q, z, s, index = quant(rng, w, 4, 32)
    n, groups = z.shape
    wide = -(-(-(-groups // 8)) // 4) * 4 * 8 # whole words, by fours for groups of 32
    zeros, scales = np.zeros((n, wide), np.int64), np.zeros((n, wide), np.float16)
    zeros[:, :groups], scales[:, :groups] = z, s
    return ({".qweight": words(q, 4, 1), ".qzeros": words(zeros, 4, 1), ".scales": scales},
            (q - z[:, index]) * s.astype(float)[:, index])


# Of arXiv:2305.14314, appendix E, and a sign with {0, 1/16, 8, 12, 4, 6, 2, 3} twelfths.
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
       0.7229568362236023, 1.0]
FP4 = [v / 12 for v in (0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3)]


def bnb4(kind, double):
    def make(rng, name, w, _):
        table = np.array(NF4 if kind == "nf4" else FP4, np.float32)
        flat = w.reshape(-1, 32) # blocks of the matrix as one run of elements
        absmax = np.abs(flat).max(1).astype(np.float32)
        state = {"quant_type": kind, "blocksize": 32, "dtype": "float16", "shape": list(w.shape)}
        t = {}
        if double:
            values = np.sort(np.concatenate([-np.linspace(0, 1, 128) ** 2, np.linspace(0, 1, 129)[1:] ** 2])).astype(np.float32)
            offset = np.float32(absmax.mean())
            rest = absmax - offset
            outer = np.array([np.abs(b).max() for b in np.split(rest, range(40, len(rest), 40))], np.float32)
            each = outer[np.arange(len(rest)) // 40]
            code = np.abs(rest[:, None] / each[:, None] - values).argmin(1).astype(np.uint8)
            absmax = values[code].astype(float) * each + float(offset)
            t.update({".weight.absmax": code, ".weight.nested_absmax": outer, ".weight.nested_quant_map": values})
            state.update(nested_blocksize=40, nested_dtype="float32", nested_offset=float(offset))
        else:
            t[".weight.absmax"] = absmax
        q = np.abs(flat[..., None] / absmax[:, None, None].astype(float) - table).argmin(-1)
        dense = table[q].astype(float) * absmax[:, None].astype(float)
        q = q.reshape(-1, 2)
        t[".weight"] = (q[:, :1] << 4 | q[:, 1:]).astype(np.uint8)
        t[".weight.quant_map"] = table
        t[".weight.quant_state.bitsandbytes__" + kind] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        return t, dense.reshape(w.shape)
    return make


def bnb8(rng, name, w, _):
    scb = np.abs(w).max(1).astype(np.float32)
    q = np.rint(w / scb[:, None].astype(float) * 127).astype(np.int8)
    return ({".weight": q, ".SCB": scb, ".weight_format": np.array(0, np.uint8)},
            q * (scb.astype(float) / 127)[:, None])


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
    "awq-gemv": (gemv, {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True,
                        "version": "gemv"}),
    "bnb-nf4": (bnb4("nf4", False), {"quant_method": "bitsandbytes", "load_in_4bit": True,
                                     "bnb_4bit_quant_type": "nf4"}),
    "bnb-nf4-double": (bnb4("nf4", True), {"quant_method": "bitsandbytes", "load_in_4bit": True,
                                           "bnb_4bit_quant_type": "nf4",
                                           "bnb_4bit_use_double_quant": True}),
    "bnb-fp4": (bnb4("fp4", False), {"quant_method": "bitsandbytes", "load_in_4bit": True,
                                     "bnb_4bit_quant_type": "fp4"}),
    "bnb-int8": (bnb8, {"quant_method": "bitsandbytes", "load_in_8bit": True}),
}


def write_golden(label, tokens, logits):
    rows = np.array([0, len(tokens) // 2, len(tokens) - 1], np.uint32)
    with open(os.path.join(OUT, label + ".golden"), "wb") as f:
        f.write(np.array([len(tokens), logits.shape[1], len(rows)], "<u4").tobytes())
        f.write(np.array(tokens, "<u4").tobytes() + rows.astype("<u4").tobytes())
        f.write(logits[rows].astype("<f4").tobytes())


def golden(label, rng, w):
    # forward() turns halves for every architecture but llama; the pass is the same.
    meta = {"general.architecture": "qwen2"}
    for key, value in (("block_count", 1), ("embedding_length", HID), ("context_length", 64),
                       ("feed_forward_length", FFN), ("attention.head_count", HEADS),
                       ("attention.head_count_kv", KV), ("attention.key_length", HD),
                       ("attention.layer_norm_rms_epsilon", 1e-5)):
        meta["qwen2." + key] = value
    tokens = rng.integers(0, VOCAB, N_TOK).astype(np.uint32)
    write_golden(label, tokens, gm.forward(types.SimpleNamespace(meta=meta, w=w, types={}), tokens))


CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HID,
          "intermediate_size": FFN, "num_hidden_layers": 1, "num_attention_heads": HEADS,
          "num_key_value_heads": KV, "rms_norm_eps": 1e-5, "vocab_size": VOCAB,
          "max_position_embeddings": 64, "rope_theta": 10000.0, "hidden_act": "silu",
          "tie_word_embeddings": False, "torch_dtype": "float16"}


def make_folder(label):
    folder = os.path.join(OUT, label)
    os.makedirs(folder, exist_ok=True)
    return folder


# ---- MLC ------------------------------------------------------------------------------------------


def mlc(rng, label, quantization, bits, transposed):
    """q, k and v are one matrix, gate and up another; all matrices are packed, the embedding always
    by rows."""
    group, per, top = {4: (32, 8, 7), 3: (40, 10, 3)}[bits]
    folder, records, data, w = make_folder(label), [], b"", {}

    def add(name, a):
        nonlocal data
        records.append({"name": name, "shape": list(a.shape), "dtype": a.dtype.name, "format": "f32-to-bf16",
                        "nbytes": a.nbytes, "byteOffset": len(data)})
        data += np.ascontiguousarray(a).tobytes()

    def pack(name, m, turned):
        n, k = m.shape
        wide = -(-k // group) * group
        full = np.zeros((n, wide))
        full[:, :k] = m
        s = np.maximum(np.abs(full.reshape(n, -1, group)).max(-1) / top, 1e-3).astype(np.float16)
        each = np.repeat(s.astype(float), group, 1)
        q = np.clip(np.rint(full / each) + top, 0, 2 * top).astype(np.uint32)
        packed = sum(q.reshape(n, -1, per)[..., i] << np.uint32(i * bits) for i in range(per)).astype(np.uint32)
        add(name + ".q_weight", packed.T if turned else packed)
        add(name + ".q_scale", s.T if turned else s)
        return ((q.astype(float) - top) * each)[:, :k]

    w["token_embd.weight"] = pack("model.embed_tokens", rng.normal(0, 1, (VOCAB, HID)), False)
    for name, parts in (("self_attn.qkv_proj", ("attn_q", "attn_k", "attn_v")), ("self_attn.o_proj", ("attn_output",)),
                        ("mlp.gate_up_proj", ("ffn_gate", "ffn_up")), ("mlp.down_proj", ("ffn_down",))):
        k = SHAPES[parts[0]][1]
        n = [SHAPES[p][0] for p in parts]
        dense = pack("model.layers.0." + name, rng.normal(0, 1 / np.sqrt(k), (sum(n), k)), transposed)
        for part, m in zip(parts, np.split(dense, np.cumsum(n)[:-1])):
            w["blk.0.%s.weight" % part] = m
    for name, part in (("model.layers.0.input_layernorm", "blk.0.attn_norm"),
                       ("model.layers.0.post_attention_layernorm", "blk.0.ffn_norm"), ("model.norm", "output_norm")):
        v = rng.normal(1, 0.1, HID).astype(np.float16)
        add(name + ".weight", v)
        w[part + ".weight"] = v.astype(float)
    w["output.weight"] = pack("lm_head", rng.normal(0, 0.3, (VOCAB, HID)), transposed)
    with open(os.path.join(folder, "params_shard_0.bin"), "wb") as f:
        f.write(data)
    json.dump({"metadata": {"ParamSize": len(records), "ParamBytes": len(data), "BitsPerParam": 5.0},
               "records": [{"dataPath": "params_shard_0.bin", "format": "raw-shard", "nbytes": len(data),
                            "records": records}]}, open(os.path.join(folder, "ndarray-cache.json"), "w"))
    json.dump({"model_type": "llama", "quantization": quantization, "vocab_size": VOCAB, "context_window_size": 64,
               "model_config": {"hidden_size": HID, "intermediate_size": FFN, "num_attention_heads": HEADS,
                                "num_hidden_layers": 1, "rms_norm_eps": 1e-5, "vocab_size": VOCAB, "head_dim": HD,
                                "position_embedding_base": 10000, "context_window_size": 64,
                                "num_key_value_heads": KV}}, open(os.path.join(folder, "mlc-chat-config.json"), "w"))
    golden(label, rng, w)


def stories():
    """The small trained model in MLC's form: its own continuation of nothing, and the logits."""
    folder = os.path.join(os.environ["WEIR_DATA"], "stories260K", "derived", "mlc-q4f32_1")
    c = json.load(open(os.path.join(folder, "mlc-chat-config.json")))["model_config"]
    t, w = {}, {}
    for shard in json.load(open(os.path.join(folder, "ndarray-cache.json")))["records"]:
        data = open(os.path.join(folder, shard["dataPath"]), "rb").read()
        for r in shard["records"]:
            raw = data[r["byteOffset"]:r["byteOffset"] + r["nbytes"]]
            a = np.frombuffer(raw, "<u4").astype(np.int64) if r["dtype"] == "uint32" else gm.bf16(raw)
            t[r["name"]] = a.reshape(r["shape"])
    for name in [n[:-9] for n in t if n.endswith(".q_weight")]:
        q = (t[name + ".q_weight"][..., None] >> 4 * np.arange(8) & 15).reshape(len(t[name + ".q_scale"]), -1)
        t[name + ".weight"] = (q - 7) * np.repeat(t[name + ".q_scale"], 32, 1)
    hid, ffn, hd = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    kv = c["num_key_value_heads"] * hd
    w = {"token_embd.weight": t["model.embed_tokens.weight"], "output_norm.weight": t["model.norm.weight"],
         "output.weight": t.get("lm_head.weight", t["model.embed_tokens.weight"])}
    for i in range(c["num_hidden_layers"]):
        hf, our = "model.layers.%d." % i, "blk.%d." % i
        qkv, up = t[hf + "self_attn.qkv_proj.weight"][:, :hid], t[hf + "mlp.gate_up_proj.weight"][:, :hid]
        w.update({our + "attn_q.weight": qkv[:hid], our + "attn_k.weight": qkv[hid:hid + kv],
                  our + "attn_v.weight": qkv[hid + kv:], our + "ffn_gate.weight": up[:ffn],
                  our + "ffn_up.weight": up[ffn:], our + "ffn_down.weight": t[hf + "mlp.down_proj.weight"][:, :ffn],
                  our + "attn_output.weight": t[hf + "self_attn.o_proj.weight"][:, :hid],
                  our + "attn_norm.weight": t[hf + "input_layernorm.weight"],
                  our + "ffn_norm.weight": t[hf + "post_attention_layernorm.weight"]})
    w["token_embd.weight"] = w["token_embd.weight"][:, :hid]
    w["output.weight"] = w["output.weight"][:, :hid]
    meta = {"general.architecture": "qwen2"}
    for key, value in (("block_count", c["num_hidden_layers"]), ("embedding_length", hid), ("context_length", 512),
                       ("feed_forward_length", ffn), ("attention.head_count", c["num_attention_heads"]),
                       ("attention.head_count_kv", c["num_key_value_heads"]), ("attention.key_length", hd),
                       ("attention.layer_norm_rms_epsilon", c["rms_norm_eps"])):
        meta["qwen2." + key] = value
    g, tokens = types.SimpleNamespace(meta=meta, w=w, types={}), [1]
    while len(tokens) < 32:
        tokens.append(int(gm.forward(g, np.array(tokens))[-1].argmax()))
    write_golden("stories-mlc", tokens, gm.forward(g, np.array(tokens)))


# ---- ChatGLM --------------------------------------------------------------------------------------


def chatglm(label, kind, bits):
    """The models of ../archs with the matrices of their layers in int8 or int4."""
    import golden_arch_folders as af
    import golden_archs as ga
    source = os.path.join(af.FOLDERS, "chatglm1.gguf") if kind == "chatglm1" else os.path.join(gm.OUT, "chatglm.gguf")
    g, packed = gm.Reader(source), {}
    where, layer, _ = af.NAMES[kind]
    for name, m in list(g.w.items()):
        if name.startswith("blk.") and m.ndim == 2:
            s = (np.abs(m).max(1) / (2 ** (bits - 1) - 1)).astype(np.float16)
            q = np.clip(np.rint(m / s[:, None].astype(float)), -2 ** (bits - 1), 2 ** (bits - 1) - 1).astype(np.int8)
            g.w[name] = q * s[:, None].astype(float)
            _, number, part, _ = name.split(".")
            hf = where + number + "." + layer[part]
            packed[hf + ".weight"] = q if bits == 8 else (q[:, ::2] << 4 | (q[:, 1::2] & 15)).astype(np.int8)
            packed[hf + ".weight_scale"] = s
    tensors = dict(af.rename(kind, g), **packed)
    folder = make_folder(label)
    save(os.path.join(folder, "model.safetensors"), tensors)
    json.dump(dict(af.config_of(kind, g), quantization_bit=bits), open(os.path.join(folder, "config.json"), "w"))
    rng = np.random.default_rng(3000)
    tokens = rng.integers(0, af.MASK, N_TOK).tolist()
    if kind == "chatglm1":
        tokens[9:11] = [af.GMASK, af.SOP]
    write_golden(label, tokens, af.forward1(g.w, tokens) if kind == "chatglm1" else ga.forward(g, tokens))


# ---- torch's views --------------------------------------------------------------------------------


def transposed(label):
    """pytorch_model.bin whose matrices were saved as x.t(): they lie turned in the file."""
    import torch
    rng, state, w = np.random.default_rng(4000), {}, {}

    def add(hf, part, m):
        state[hf + ".weight"] = torch.from_numpy(m)
        w[part + ".weight"] = m.astype(float)
    add("model.embed_tokens", "token_embd", rng.normal(0, 1, (VOCAB, HID)).astype(np.float16))
    for number, (part, shape) in enumerate(SHAPES.items()):
        m = rng.normal(0, 1 / np.sqrt(shape[1]), shape).astype(np.float32 if number % 2 else np.float16)
        add("model.layers.0." + NAMES[part], "blk.0." + part, m)
        name = "model.layers.0." + NAMES[part] + ".weight"
        state[name] = state[name].t().contiguous().t()
    for hf, part in (("model.layers.0.input_layernorm", "blk.0.attn_norm"),
                     ("model.layers.0.post_attention_layernorm", "blk.0.ffn_norm"), ("model.norm", "output_norm")):
        add(hf, part, rng.normal(1, 0.1, HID).astype(np.float32))
    add("lm_head", "output", rng.normal(0, 0.3, (VOCAB, HID)).astype(np.float16))
    folder = make_folder(label)
    torch.save(state, os.path.join(folder, "pytorch_model.bin"))
    json.dump(CONFIG, open(os.path.join(folder, "config.json"), "w"))
    golden(label, rng, w)


def main():
    for number, (label, (make, config)) in enumerate(MODELS.items()):
        rng = np.random.default_rng(1000 + number)
        folder, tensors, w = make_folder(label), {}, {}
        embd = rng.normal(0, 1, (VOCAB, HID)).astype(np.float16)
        head = rng.normal(0, 0.3, (VOCAB, HID)).astype(np.float16)
        tensors["model.embed_tokens.weight"], w["token_embd.weight"] = embd, embd.astype(float)
        for part, shape in SHAPES.items():
            t, dense = make(rng, part, rng.normal(0, 1 / np.sqrt(shape[1]), shape), config)
            for suffix, a in t.items():
                tensors["model.layers.0." + NAMES[part] + suffix] = np.array(a, order="C")
            w["blk.0." + part + ".weight"] = dense
        for hf, part in (("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ffn_norm")):
            v = rng.normal(1, 0.1, HID).astype(np.float32)
            tensors["model.layers.0." + hf + ".weight"] = v
            w["blk.0." + part + ".weight"] = v.astype(float)
        v = rng.normal(1, 0.1, HID).astype(np.float32)
        tensors["model.norm.weight"], w["output_norm.weight"] = v, v.astype(float)
        tensors["lm_head.weight"], w["output.weight"] = head, head.astype(float)
        save(os.path.join(folder, "model.safetensors"), tensors)
        json.dump(dict(CONFIG, quantization_config=config), open(os.path.join(folder, "config.json"), "w"))
        golden(label, rng, w)
    for number, (quantization, bits, turned) in enumerate((("q4f16_0", 4, True), ("q4f16_1", 4, False),
                                                           ("q3f16_0", 3, True), ("q3f16_1", 3, False))):
        mlc(np.random.default_rng(2000 + number), "mlc-" + quantization, quantization, bits, turned)
    for kind in ("chatglm1", "chatglm2"):
        for bits in (4, 8):
            chatglm("%s-int%d" % (kind, bits), kind, bits)
    transposed("transposed")
    if "WEIR_DATA" in os.environ:
        stories()


if __name__ == "__main__":
    main()
