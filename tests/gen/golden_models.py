# SPDX-License-Identifier: MIT
"""Tiny random models and the logits another program computes for them: tests/files/models.

    python3 tests/gen/golden_models.py models     needs torch and transformers
    python3 tests/gen/golden_models.py stories    needs numpy, and WEIR_DATA (stories260K)

make check never runs this; it reads what was committed.  tests/files/models/README says which
versions wrote it and how far the two computations below were apart.

The golden logits of `models` are those of transformers, in float64 as far as it goes (its norms and
its rope are float32 inside).  Beside it stands forward(), a plain float64 pass over the finished GGUF
file: it has to agree, which proves the file (names, permutation, metadata), and run again with one
feature left out it must disagree, which proves that the file tests the feature.  `stories` has no
other program to ask: its logits are those of forward() over our own decoding of the blocks."""

import json
import os
import sys

import numpy as np

import gguf_write as gw

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "files", "models")
N_TOK = 24
VOCAB = 23

# ---- reading a GGUF file -------------------------------------------------------------------------


def f16(raw):
    return np.frombuffer(raw, "<f2").astype(np.float64)


def bf16(raw):
    return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def q8_0(raw):
    b = np.frombuffer(raw, np.uint8).reshape(-1, 34)
    return (f16(b[:, :2].tobytes())[:, None] * b[:, 2:].view(np.int8)).reshape(-1)


def q4_0(raw):
    b = np.frombuffer(raw, np.uint8).reshape(-1, 18)
    q = np.concatenate([b[:, 2:] & 15, b[:, 2:] >> 4], axis=1).astype(np.float64) - 8
    return (f16(b[:, :2].tobytes())[:, None] * q).reshape(-1)


DECODE = {"f32": lambda raw: np.frombuffer(raw, "<f4").astype(np.float64), "f16": f16, "bf16": bf16,
          "q8_0": q8_0, "q4_0": q4_0}


class Reader:
    """meta: key -> value; w: name -> float64 array, slowest dimension first; types: name -> type."""

    def __init__(self, path):
        self.data = open(path, "rb").read()
        self.at = 4
        assert self.data[:4] == b"GGUF"
        _, n_tensor, n_pair = self.take("<u4"), self.take("<u8"), self.take("<u8")
        self.meta, self.w, self.types, infos = {}, {}, {}, []
        for _ in range(n_pair):
            key = self.text()
            self.meta[key] = self.value(self.take("<u4"))
        names = {v[0]: k for k, v in gw.TYPES.items()}
        for _ in range(n_tensor):
            name = self.text()
            dims = [self.take("<u8") for _ in range(self.take("<u4"))]
            infos.append((name, dims, names[self.take("<u4")], self.take("<u8")))
        align = self.meta.get("general.alignment", 32)
        base = self.at + -self.at % align
        for name, dims, t, off in infos:
            raw = self.data[base + off:base + off + gw.tensor_bytes(t, dims)]
            self.types[name] = t
            self.w[name] = DECODE[t](raw).reshape(dims[::-1])

    def take(self, t):
        t = np.dtype(t)
        v = np.frombuffer(self.data, t, 1, self.at)[0]
        self.at += t.itemsize
        return v.item()

    def text(self):
        n = self.take("<u8")
        self.at += n
        return self.data[self.at - n:self.at].decode("utf-8", "replace")

    def value(self, t):
        if t == gw.STR:
            return self.text()
        if t == gw.ARRAY:
            et, n = self.take("<u4"), self.take("<u8")
            return [self.value(et) for _ in range(n)]
        return self.take("<" + {gw.U8: "u1", gw.I8: "i1", gw.U16: "u2", gw.I16: "i2", gw.U32: "u4",
                                gw.I32: "i4", gw.F32: "f4", gw.BOOL: "u1", gw.U64: "u8", gw.I64: "i8",
                                gw.F64: "f8"}[t])


# ---- a forward pass over it ----------------------------------------------------------------------


def rope_freqs(key, w, rot, base, n):
    """(frequencies [rot/2], factor of cos and sin) of a text of N tokens"""
    i = np.arange(rot // 2)
    if key("rope.scaling.type", "none") == "dynamic":
        s, ctx = key("rope.scaling.factor", 1.0), key("context_length")
        return (base * max(s * n / ctx - (s - 1), 1) ** (rot / (rot - 2))) ** (-2.0 * i / rot), 1.0
    f = base ** (-2.0 * i / rot)
    kind, factor = key("rope.scaling.type", "none"), key("rope.scaling.factor", 1.0)
    orig = key("rope.scaling.original_context_length", key("context_length"))
    if "rope_freqs.weight" in w:
        return f / w["rope_freqs.weight"], 1.0
    if kind == "linear":
        return f / factor, 1.0
    if kind == "llama3":
        low, high = key("rope.scaling.low_freq_factor"), key("rope.scaling.high_freq_factor")
        turns = orig * f / (2 * np.pi)
        smooth = np.clip((turns - low) / (high - low), 0, 1)
        return f * ((1 - smooth) / factor + smooth), 1.0
    if kind == "yarn":
        def pair_of(turns):
            return rot * np.log(orig / (turns * 2 * np.pi)) / (2 * np.log(base))
        lo = max(np.floor(pair_of(key("rope.scaling.yarn_beta_fast", 32.0))), 0)
        hi = min(np.ceil(pair_of(key("rope.scaling.yarn_beta_slow", 1.0))), rot - 1)
        ramp = np.clip((i - lo) / max(hi - lo, 0.001), 0, 1)
        return f / factor * ramp + f * (1 - ramp), 1 + 0.1 * np.log(factor)
    assert kind == "none", kind
    return f, 1.0


def int8(x):
    """x as runs of 32 rounded to 127 steps, what quantized weights are multiplied by for speed."""
    b = x.reshape(len(x), -1, 32)
    d = np.abs(b).max(-1, keepdims=True) / 127
    return (np.rint(b / np.where(d == 0, 1, d)) * d).reshape(x.shape)


def forward(g, tokens, without=None, act_q8=False):
    """float64 logits [n][vocab] of a parsed file.  WITHOUT: a feature to leave out.  ACT_Q8: multiply
    quantized weights by int8 activations."""
    arch, w = g.meta["general.architecture"], dict(g.w)
    if without == "bias":
        w = {k: v for k, v in w.items() if not k.endswith(".bias")}
    if without == "o_bias":
        w = {k: v for k, v in w.items() if not k.endswith("attn_output.bias")}
    if without == "qk_norm":
        w = {k: v for k, v in w.items() if "_q_norm" not in k and "_k_norm" not in k}
    if without == "scaling":
        w.pop("rope_freqs.weight", None)

    def key(name, *fallback):
        left_out = {"scaling": "rope.scaling", "betas": "rope.scaling.yarn_beta"}.get(without)
        if left_out and name.startswith(left_out):
            return fallback[0]
        return g.meta.get(arch + "." + name, *fallback)

    n_head = key("attention.head_count")
    n_kv = key("attention.head_count_kv", n_head)
    hd = key("attention.key_length", key("embedding_length") // n_head)
    rot = hd if without == "partial" else key("rope.dimension_count", hd)
    eps = 1e-6 if without == "eps" else key("attention.layer_norm_rms_epsilon")
    window = 0 if without == "window" else key("attention.sliding_window", 0)
    adjacent = (arch == "llama") != (without == "pairs")
    n = len(tokens)
    freq, mscale = rope_freqs(key, w, rot, key("rope.freq_base", 10000.0), n)
    if without == "mscale":
        mscale = 1.0
    angle = np.arange(n)[:, None, None] * freq
    cos, sin = np.cos(angle) * mscale, np.sin(angle) * mscale

    def norm(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight

    def linear(x, name):
        if act_q8 and "q" in g.types[name + ".weight"]:
            x = int8(x)
        return x @ w[name + ".weight"].T + w.get(name + ".bias", 0.0)

    def rope(x):
        y = x.copy()
        a, b = (np.s_[..., 0:rot:2], np.s_[..., 1:rot:2]) if adjacent else (
            np.s_[..., :rot // 2], np.s_[..., rot // 2:rot])
        y[a], y[b] = x[a] * cos - x[b] * sin, x[a] * sin + x[b] * cos
        return y

    back = np.arange(n)[:, None] - np.arange(n)[None, :] # how far key j lies behind query i
    hidden = (back < 0) | ((back >= window) if window else False)
    x = w["token_embd.weight"][tokens]
    for l in range(key("block_count")):
        p = "blk.%d." % l
        xb = norm(x, w[p + "attn_norm.weight"])
        q, k, v = (linear(xb, p + "attn_" + s).reshape(n, -1, hd) for s in "qkv")
        if p + "attn_q_norm.weight" in w:
            q, k = norm(q, w[p + "attn_q_norm.weight"]), norm(k, w[p + "attn_k_norm.weight"])
        q, k = rope(q), rope(k)
        kv_of = np.arange(n_head) % n_kv if without == "groups" else np.arange(n_head) // (n_head // n_kv)
        s = np.einsum("ihd,jhd->hij", q, k[:, kv_of]) / np.sqrt(hd)
        s = np.where(hidden, -np.inf, s)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        x = x + linear(np.einsum("hij,jhd->ihd", s, v[:, kv_of]).reshape(n, -1), p + "attn_output")
        xb = norm(x, w[p + "ffn_norm.weight"])
        gate = linear(xb, p + "ffn_gate")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(xb, p + "ffn_up"), p + "ffn_down")
    return linear(norm(x, w["output_norm.weight"]), "output" if "output.weight" in w else "token_embd")


def error(a, ref):
    return float(np.abs(a - ref).max() / np.abs(ref).max())


def write_golden(name, tokens, rows, logits):
    """u32 n_tok, n_vocab, n_row; u32 token[n_tok]; u32 row[n_row]; f32 logits[n_row][n_vocab]"""
    logits = np.asarray(logits)
    head = np.array([len(tokens), logits.shape[1], len(rows), *tokens, *rows], "<u4")
    with open(os.path.join(OUT, name + ".golden"), "wb") as f:
        f.write(head.tobytes() + logits.astype("<f4").tobytes())


# ---- random models -------------------------------------------------------------------------------

# Of each: family in transformers, arch and matrix type in GGUF, sizes, what differs, and the features
# without which the logits have to be others.
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 128}
VARIANTS = {
    "llama-mha-f32": dict(family="llama", type="f32", embd=24, ff=12, head=3, kv=3, hd=8,
                          without=["pairs"]),
    "llama-gqa-f16": dict(family="llama", type="f16", embd=32, ff=12, head=4, kv=2, hd=10, base=500000.0, eps=1e-6,
                          without=["pairs", "groups"]),
    "llama-tied-f32": dict(family="llama", type="f32", embd=20, ff=8, head=2, kv=1, hd=10, layers=3, tied=True,
                           without=["pairs"]),
    "llama-llama3-tensor": dict(family="llama", type="bf16", embd=20, ff=12, head=2, kv=1, hd=16, tied=True,
                                scaling=LLAMA3, ctx=1024, factors=True, without=["scaling"]),
    "llama-llama3-keys": dict(family="llama", type="f16", embd=20, ff=12, head=2, kv=1, hd=16, tied=True,
                              scaling=LLAMA3, ctx=1024, without=["scaling"]),
    "llama-linear": dict(family="llama", type="f16", embd=20, ff=12, head=2, kv=1, hd=16, tied=True,
                         scaling={"rope_type": "linear", "factor": 4.0}, ctx=512, without=["scaling"]),
    "llama-yarn": dict(family="llama", type="f16", embd=20, ff=12, head=2, kv=1, hd=16, tied=True, ctx=4096,
                       scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024},
                       without=["scaling", "mscale"]),
    "llama-bias": dict(family="llama", type="f16", embd=24, ff=12, head=4, kv=2, hd=6, bias="qkvo", eps=1e-2,
                       without=["bias", "o_bias", "pairs", "eps"]),
    "llama-partial": dict(family="glm", type="bf16", embd=24, ff=12, head=2, kv=1, hd=12, bias="qkv", partial=0.5,
                          without=["partial", "pairs", "bias"]),
    "mistral-window": dict(family="mistral", type="f16", embd=32, ff=12, head=4, kv=2, hd=8, window=8, tied=True,
                           without=["window"]),
    "qwen2-f32": dict(family="qwen2", type="f32", embd=20, ff=12, head=2, kv=1, bias="qkv", base=1000000.0,
                      without=["pairs", "bias"]),
    "qwen2-tied-bf16": dict(family="qwen2", type="bf16", embd=36, ff=12, head=3, kv=3, bias="qkv", tied=True, eps=1e-6,
                            without=["pairs", "bias"]),
    "qwen2-yarn": dict(family="qwen2", type="f16", embd=32, ff=12, head=2, kv=1, bias="qkv", tied=True, ctx=256,
                       scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
                                "beta_fast": 2.0, "beta_slow": 0.25},
                       without=["scaling", "mscale", "betas", "pairs"]),
    "qwen2-partial": dict(family="phi3", type="f16", embd=24, ff=20, head=2, kv=1, partial=0.5, tied=True,
                          without=["partial", "pairs"]),
    "qwen3-f16": dict(family="qwen3", type="f16", embd=20, ff=12, head=2, kv=1, hd=32, eps=1e-6, base=1000000.0,
                      without=["pairs", "qk_norm"]),
    "qwen3-gqa-bf16": dict(family="qwen3", type="bf16", embd=20, ff=12, head=4, kv=2, hd=8, tied=True, eps=1e-2,
                           without=["pairs", "qk_norm", "groups", "eps"]),
    "llama-dynamic": dict(family="llama", type="f16", embd=20, ff=12, head=2, kv=1, hd=16, tied=True, ctx=8,
                          scaling={"rope_type": "dynamic", "factor": 2.0}, without=["scaling"]),
}
ARCH = {"llama": "llama", "mistral": "llama", "glm": "llama", "qwen2": "qwen2", "phi3": "qwen2", "qwen3": "qwen3"}


def variant(name):
    """All there is to say about the variant NAME."""
    v = dict(name=name, layers=2, base=10000.0, eps=1e-5, ctx=128, tied=False, scaling=None, factors=False,
             bias="", window=0, partial=1.0, seed=1000 + list(VARIANTS).index(name))
    v.update(VARIANTS[name])
    v.setdefault("hd", v["embd"] // v["head"])
    return v


def make_reference(v):
    """A model of transformers with random weights that V's type can hold."""
    import torch
    import transformers as tf
    cls = {"llama": (tf.LlamaConfig, tf.LlamaForCausalLM), "mistral": (tf.MistralConfig, tf.MistralForCausalLM),
           "qwen2": (tf.Qwen2Config, tf.Qwen2ForCausalLM), "qwen3": (tf.Qwen3Config, tf.Qwen3ForCausalLM),
           "glm": (tf.GlmConfig, tf.GlmForCausalLM), "phi3": (tf.Phi3Config, tf.Phi3ForCausalLM)}[v["family"]]
    c = dict(vocab_size=VOCAB, hidden_size=v["embd"], intermediate_size=v["ff"], num_hidden_layers=v["layers"],
             num_attention_heads=v["head"], num_key_value_heads=v["kv"], rms_norm_eps=v["eps"], rope_theta=v["base"],
             max_position_embeddings=v["ctx"], tie_word_embeddings=v["tied"], rope_scaling=v["scaling"],
             hidden_act="silu", pad_token_id=0, bos_token_id=1, eos_token_id=2, attn_implementation="sdpa")
    if v["family"] in ("llama", "mistral", "qwen3", "glm"):
        c["head_dim"] = v["hd"]
    if v["family"] in ("llama", "glm"):
        c["attention_bias"] = bool(v["bias"])
    if v["family"] == "mistral":
        c["sliding_window"] = v["window"]
    if v["family"] in ("glm", "phi3"):
        c["partial_rotary_factor"] = v["partial"]
    if v["family"] == "glm":
        c.pop("rope_scaling")
    if v["family"] == "phi3":
        c["original_max_position_embeddings"] = v["ctx"]
    model = cls[1](cls[0](**c)).double().eval()

    rng = np.random.default_rng(v["seed"])
    round_to = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[v["type"]]
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "norm" in name:
                r = 1 + 0.3 * rng.standard_normal(p.shape)
            elif name.endswith(".bias"):
                r = 0.7 * rng.standard_normal(p.shape)
            elif "embed" in name:
                r = rng.standard_normal(p.shape)
            else: # wide enough that attention is not the mean of everything
                r = 1.3 * rng.standard_normal(p.shape) / np.sqrt(p.shape[-1])
            t = torch.from_numpy(np.asarray(r))
            p.copy_(t.to(round_to if p.dim() == 2 else torch.float32).double())
    return model


def pair_up(w, n_head):
    """Rows of q or k (or their bias) from halves to adjacent pairs, as converters do for llama."""
    return w.reshape(n_head, 2, w.shape[0] // n_head // 2, -1).swapaxes(1, 2).reshape(w.shape)


def to_bytes(w, t):
    w = np.ascontiguousarray(w)
    if t == "bf16":
        return (w.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return w.astype({"f32": "<f4", "f16": "<f2"}[t]).tobytes()


def llama3_factors(v):
    """What converters put into rope_freqs.weight."""
    s, out = v["scaling"], []
    orig, low, high = s["original_max_position_embeddings"], s["low_freq_factor"], s["high_freq_factor"]
    for f in v["base"] ** -(np.arange(0, v["hd"], 2) / v["hd"]):
        wavelen = 2 * np.pi / f
        smooth = (orig / wavelen - low) / (high - low)
        out.append(1.0 if wavelen < orig / high else s["factor"] if wavelen > orig / low
                   else 1 / ((1 - smooth) / s["factor"] + smooth))
    return np.array(out)


def write_gguf(path, v, model):
    g, arch = gw.Gguf(), ARCH[v["family"]]
    g.put("general.architecture", gw.STR, arch)
    g.put("general.name", gw.STR, v["name"])

    def put(key, t, value):
        g.put(arch + "." + key, t, value)
    put("context_length", gw.U32, v["ctx"])
    put("embedding_length", gw.U32, v["embd"])
    put("block_count", gw.U32, v["layers"])
    put("feed_forward_length", gw.U32, v["ff"])
    put("attention.head_count", gw.U32, v["head"])
    if v["kv"] != v["head"]:
        put("attention.head_count_kv", gw.U32, v["kv"])
    put("attention.layer_norm_rms_epsilon", gw.F32, v["eps"])
    put("rope.freq_base", gw.F32, v["base"])
    if v["hd"] * v["head"] != v["embd"]:
        put("attention.key_length", gw.U32, v["hd"])
        put("attention.value_length", gw.U32, v["hd"])
    put("rope.dimension_count", gw.U32, int(v["hd"] * v["partial"]))
    if v["window"]:
        put("attention.sliding_window", gw.U32, v["window"])
    s = v["scaling"]
    if s and not v["factors"]:
        put("rope.scaling.type", gw.STR, s["rope_type"])
        put("rope.scaling.factor", gw.F32, s["factor"])
        for ours, theirs in (("low_freq_factor", "low_freq_factor"), ("high_freq_factor", "high_freq_factor"),
                             ("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")):
            if theirs in s:
                put("rope.scaling." + ours, gw.F32, s[theirs])
        if "original_max_position_embeddings" in s:
            put("rope.scaling.original_context_length", gw.U32, s["original_max_position_embeddings"])

    def tensor(name, w):
        t = v["type"] if w.ndim == 2 else "f32"
        g.tensor(name, t, w.shape[::-1], to_bytes(w, t))

    w = {k: p.detach().numpy() for k, p in model.state_dict().items()}
    tensor("token_embd.weight", w["model.embed_tokens.weight"])
    permuted = v["family"] in ("llama", "mistral") # GLM turns adjacent elements as it is
    n_q, n_kv = v["head"] * v["hd"], v["kv"] * v["hd"]
    for l in range(v["layers"]):
        src, dst = "model.layers.%d." % l, "blk.%d." % l
        tensor(dst + "attn_norm.weight", w[src + "input_layernorm.weight"])
        for kind in ("weight", "bias"):
            if src + "self_attn.qkv_proj." + kind in w:
                qkv = np.split(w[src + "self_attn.qkv_proj." + kind], [n_q, n_q + n_kv])
            elif src + "self_attn.q_proj." + kind in w:
                qkv = [w[src + "self_attn.%s_proj.%s" % (s, kind)] for s in "qkv"]
            else:
                continue
            if permuted:
                qkv[0], qkv[1] = pair_up(qkv[0], v["head"]), pair_up(qkv[1], v["kv"])
            for s, m in zip("qkv", qkv):
                tensor(dst + "attn_%s.%s" % (s, kind), m)
            if src + "self_attn.o_proj." + kind in w:
                tensor(dst + "attn_output." + kind, w[src + "self_attn.o_proj." + kind])
        for s in "qk":
            if src + "self_attn.%s_norm.weight" % s in w:
                tensor(dst + "attn_%s_norm.weight" % s, w[src + "self_attn.%s_norm.weight" % s])
        tensor(dst + "ffn_norm.weight", w[src + "post_attention_layernorm.weight"])
        if src + "mlp.gate_up_proj.weight" in w:
            gate, up = np.split(w[src + "mlp.gate_up_proj.weight"], 2)
        else:
            gate, up = w[src + "mlp.gate_proj.weight"], w[src + "mlp.up_proj.weight"]
        tensor(dst + "ffn_gate.weight", gate)
        tensor(dst + "ffn_up.weight", up)
        tensor(dst + "ffn_down.weight", w[src + "mlp.down_proj.weight"])
    tensor("output_norm.weight", w["model.norm.weight"])
    if not v["tied"]:
        tensor("output.weight", w["lm_head.weight"])
    if v["factors"]:
        tensor("rope_freqs.weight", llama3_factors(v))
    with open(path, "wb") as f:
        f.write(g.bytes())


def make_models(log):
    import torch
    import transformers
    log("NAME.gguf is a random model, NAME.golden the logits of another program for it: u32 n_tok, n_vocab,\n"
        "n_row; u32 token[n_tok]; u32 row[n_row]; f32 logits[n_row][n_vocab], little-endian.\n")
    log("Python %s, torch %s, transformers %s, numpy %s.\n" %
        (sys.version.split()[0], torch.__version__, transformers.__version__, np.__version__))
    torch.set_num_threads(1)
    for i, name in enumerate(VARIANTS):
        v = variant(name)
        tokens = np.random.default_rng(2000 + i).integers(0, VOCAB, N_TOK).tolist()
        model = make_reference(v)
        with torch.no_grad():
            ref = model(torch.tensor([tokens])).logits[0].double().numpy()
        path = os.path.join(OUT, name + ".gguf")
        write_gguf(path, v, model)
        write_golden(name, tokens, range(N_TOK), ref)
        g = Reader(path)
        mine = forward(g, tokens)
        off = {f: error(forward(g, tokens, f), ref) for f in v["without"]}
        log("%s\n    %s of transformers; %d bytes; forward() differs by %.1e; without %s." %
            (name, type(model).__name__, os.path.getsize(path), error(mine, ref),
             ", ".join("%s %.1e" % (k, e) for k, e in off.items())))
        assert error(mine, ref) < 5e-6, (name, error(mine, ref))
        assert min(off.values()) > 1e-3, (name, off)


# ---- a trained model -----------------------------------------------------------------------------

ROWS = [0, 4, 16, 31, 47, 71, 95, 117] # rows whose logits are kept: after tokens 0..row


def make_stories(log):
    folder = os.path.join(os.environ["WEIR_DATA"], "stories260K", "derived")
    given = json.load(open(os.path.join(folder, "greedy.json")))["ids"]
    known = np.fromfile(os.path.join(folder, "greedy-logits-32x512.f32"), "<f4").reshape(32, 512)
    for t in ("f32", "f16", "q8_0", "q4_0"):
        g = Reader(os.path.join(folder, "stories260K-%s.gguf" % t))
        ids = [given[0]]
        while len(ids) < len(given):
            ids.append(int(forward(g, ids)[-1].argmax()))
        same = next((i for i in range(len(ids)) if ids[i] != given[i]), len(ids))
        logits = forward(g, ids)
        if t == "f32":
            log("stories260K-f32\n    forward() differs from greedy-logits-32x512.f32 by %.1e." % error(logits[:32], known))
            assert error(logits[:32], known) < 1e-6
        counts = {}
        for name, kind in g.types.items():
            if g.w[name].ndim == 2:
                counts[kind] = counts.get(kind, 0) + 1
        log("stories260K-%s\n    %s matrices; the first %d of %d greedy tokens are those of greedy.json; "
            "smallest lead of a token %.4f of %.1f." %
            (t, ", ".join("%d %s" % (n, k) for k, n in counts.items()), same, len(ids),
             min(np.diff(np.sort(r)[-2:])[0] for r in logits[:-1]), np.abs(logits).max()))
        if t[0] == "q":
            write_golden("stories260K-" + t, ids, ROWS, logits[ROWS])
            # Few tokens: one rounding that falls to the other side, and all that follows differs.
            rough = forward(g, ids[:4], act_q8=True)
            write_golden("stories260K-%s-int8" % t, ids[:4], [3], rough[3:])
            log("stories260K-%s-int8\n    int8 activations, after 4 tokens; %.1e from float ones." % (t, error(rough[3:], logits[3:4])))


def main():
    what = sys.argv[1:] or ["models", "stories"]
    os.makedirs(OUT, exist_ok=True)
    for name in what:
        lines = []

        def log(s):
            print(s, flush=True)
            lines.append(s)
        {"models": make_models, "stories": make_stories}[name](log)
        with open(os.path.join(OUT, "README." + name), "w") as f:
            f.write("Written by tests/gen/golden_models.py %s.\n\n%s\n" % (name, "\n".join(lines)))


if __name__ == "__main__":
    main()
