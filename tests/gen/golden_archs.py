# SPDX-License-Identifier: MIT
"""Tiny random models of the architectures beyond llama's form: more of tests/files/models.

    python3 tests/gen/golden_archs.py      needs torch and transformers

As golden_models.py, whose helpers these are, with another forward(): phi3, gemma2, gemma3, chatglm
(GLM-4-9B's form, GlmForCausalLM) and glm4 have classes in transformers, and forward() has to agree
with them.  internlm2, baichuan and qwen have none: their logits are those of forward(), a float64
pass over the finished GGUF file written from their descriptions.  In both cases a feature left out
must change the logits."""

import os
import sys

import numpy as np

import gguf_write as gw
from golden_models import N_TOK, OUT, VOCAB, Reader, error, to_bytes, write_golden

# ---- a forward pass over a file ------------------------------------------------------------------

ADJACENT = ("chatglm", "glm4", "internlm2", "baichuan")


def forward(g, tokens, without=None):
    """float64 logits [n][vocab].  WITHOUT: a feature to leave out."""
    arch, w, n = g.meta["general.architecture"], g.w, len(tokens)

    def key(name, fallback=None):
        if without == name:
            return fallback
        return g.meta.get(arch + "." + name, fallback)

    n_head, embd = key("attention.head_count"), key("embedding_length")
    n_kv = key("attention.head_count_kv", n_head)
    hd = key("attention.key_length", embd // n_head)
    rot = hd if without == "partial" else key("rope.dimension_count", hd)
    n_ff = key("feed_forward_length") // (2 if arch == "qwen" else 1)
    eps = key("attention.layer_norm_rms_epsilon")
    gemma = arch.startswith("gemma")
    adjacent = (arch in ADJACENT) != (without == "pairs")
    back = np.arange(n)[:, None] - np.arange(n)[None, :]

    def norm(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight

    def linear(x, name):
        bias = 0.0 if without == "bias" else w.get(name + ".bias", 0.0)
        return x @ w[name + ".weight"].T + bias

    def rope(x, local):
        base, f = key("rope.freq_base", 10000.0), 1.0
        if local and without != "local_base":
            base = 10000.0 if gemma else base
        elif key("rope.scaling.type") == "linear":
            f = key("rope.scaling.factor")
        if "rope_factors_long.weight" in w and without != "factors":
            far = n > key("rope.scaling.original_context_length")
            f = w["rope_factors_%s.weight" % ("long" if far else "short")]
        angle = np.arange(n)[:, None, None] * (base ** (-np.arange(0, rot, 2) / rot) / f)
        m = key("rope.scaling.attn_factor", 1.0)
        cos, sin, y = np.cos(angle) * m, np.sin(angle) * m, x.copy()
        a, b = (np.s_[..., 0:rot:2], np.s_[..., 1:rot:2]) if adjacent else (
            np.s_[..., :rot // 2], np.s_[..., rot // 2:rot])
        y[a], y[b] = x[a] * cos - x[b] * sin, x[a] * sin + x[b] * cos
        return y

    def cap(x, name):
        c = key(name, 0)
        return np.tanh(x / c) * c if c else x

    def slopes():
        p = 2 ** int(np.log2(n_head))
        s = [2 ** (-8 / p * (h + 1)) for h in range(p)]
        return np.array(s + [2 ** (-4 / p * (2 * h + 1)) for h in range(n_head - p)])

    def post(x, name):
        return x if without == "post_norm" or name not in w else norm(x, w[name])

    x = w["token_embd.weight"][tokens] * (np.sqrt(embd) if gemma and without != "embd_scale" else 1)
    window, every = key("attention.sliding_window", 0), {"gemma2": 2, "gemma3": 6}.get(arch, 0)
    every = g.meta.get(arch + ".attention.sliding_window_pattern", every)
    for l in range(key("block_count")):
        p = "blk.%d." % l
        local = window and not (every and without != "pattern" and l % every == every - 1)
        hidden = (back < 0) | ((back >= window) if local else False)
        xb = norm(x, w[p + "attn_norm.weight"])
        if p + "attn_qkv.weight" in w:
            qkv = linear(xb, p + "attn_qkv")
            if arch == "internlm2" and without != "groups":
                qkv = qkv.reshape(n, n_kv, n_head // n_kv + 2, hd)
                q, k, v = qkv[:, :, :-2].reshape(n, n_head, hd), qkv[:, :, -2], qkv[:, :, -1]
            else:
                q, k, v = np.split(qkv.reshape(n, -1, hd), [n_head, n_head + n_kv], axis=1)
        else:
            q, k, v = (linear(xb, p + "attn_" + s).reshape(n, -1, hd) for s in "qkv")
        if p + "attn_q_norm.weight" in w and without != "qk_norm":
            q, k = norm(q, w[p + "attn_q_norm.weight"]), norm(k, w[p + "attn_k_norm.weight"])
        alibi = key("attention.max_alibi_bias")
        if not alibi:
            q, k = rope(q, local), rope(k, local)
        kv_of = np.arange(n_head) // (n_head // n_kv)
        s = np.einsum("ihd,jhd->hij", q, k[:, kv_of]) * key("attention.scale", hd ** -0.5)
        s = cap(s, "attn_logit_softcapping")
        if alibi:
            s = s - slopes()[:, None, None] * back
        s = np.where(hidden, -np.inf, s)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        att = linear(np.einsum("hij,jhd->ihd", s, v[:, kv_of]).reshape(n, -1), p + "attn_output")
        x = x + post(att, p + "post_attention_norm.weight")
        xb = norm(x, w[p + "ffn_norm.weight"])
        up = linear(xb, p + "ffn_up")
        gate, up = (linear(xb, p + "ffn_gate"), up) if p + "ffn_gate.weight" in w else (up[:, :n_ff], up[:, n_ff:])
        if gemma and without != "gelu":
            gate = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate ** 3)))
        else:
            gate = gate / (1 + np.exp(-gate))
        x = x + post(linear(gate * up, p + "ffn_down"), p + "post_ffw_norm.weight")
    out = norm(x, w["output_norm.weight"])
    m = w["output.weight" if "output.weight" in w else "token_embd.weight"]
    if key("output_row_norm", False):
        m = m / np.linalg.norm(m, axis=1, keepdims=True)
    return cap(out @ m.T, "final_logit_softcapping")


# ---- the models ----------------------------------------------------------------------------------

LONG = {"type": "longrope", "short_factor": [1.1, 1.2, 1.3], "long_factor": [1.5, 3.0, 9.0]}
VARIANTS = {
    "phi3-fused": dict(family="phi3", embd=24, ff=20, head=2, kv=1, partial=0.5, tied=True, type="f16",
                       without=["partial", "pairs"]),
    "phi3-window": dict(family="phi3", embd=24, ff=12, head=3, kv=1, window=8, type="f32", without=["attention.sliding_window"]),
    "phi3-short": dict(family="phi3", embd=24, ff=12, head=4, kv=2, scaling=LONG, ctx=128, orig=32, type="f16",
                       without=["factors", "rope.scaling.attn_factor"]),
    "phi3-long": dict(family="phi3", embd=24, ff=12, head=4, kv=2, scaling=LONG, ctx=128, orig=16, type="f16",
                      without=["factors", "rope.scaling.attn_factor"]),
    "gemma2": dict(family="gemma2", embd=20, ff=12, head=2, kv=1, hd=16, layers=3, window=8, query=11.0, type="f32",
                   attn_cap=3.0, out_cap=2.0,
                   without=["embd_scale", "post_norm", "gelu", "attn_logit_softcapping", "final_logit_softcapping",
                            "attention.scale", "attention.sliding_window", "pattern", "pairs"]),
    "gemma3": dict(family="gemma3", embd=20, ff=12, head=2, kv=1, hd=16, layers=3, window=8, query=9.0, every=3, type="f16",
                   base=1000000.0, scaling={"rope_type": "linear", "factor": 8.0},
                   without=["embd_scale", "post_norm", "gelu", "qk_norm", "attention.scale", "attention.sliding_window",
                            "pattern", "local_base", "rope.scaling.type", "pairs"]),
    "chatglm": dict(family="glm", embd=24, ff=12, head=4, kv=2, hd=12, partial=0.5, bias=True, type="f16",
                    without=["partial", "pairs", "bias"]),
    "glm4": dict(family="glm4", embd=24, ff=12, head=4, kv=2, hd=12, partial=0.5, bias=True, type="f32",
                 without=["partial", "pairs", "bias", "post_norm"]),
    "internlm2": dict(family="internlm2", embd=24, ff=12, head=4, kv=2, hd=6, type="f16", base=1000000.0,
                      without=["pairs", "groups"]),
    "internlm2-apart": dict(family="internlm2", embd=24, ff=12, head=4, kv=2, hd=6, type="f16", apart=True,
                            scaling={"rope_type": "dynamic", "factor": 2.0}, without=["pairs"]),
    "baichuan-7b": dict(family="baichuan", embd=24, ff=12, head=4, kv=4, hd=6, type="f16", without=["pairs"]),
    "baichuan-13b": dict(family="baichuan", embd=24, ff=12, head=6, kv=6, hd=4, type="f16", alibi=8.0, rownorm=True,
                         without=["attention.max_alibi_bias", "output_row_norm"]),
    "qwen": dict(family="qwen", embd=24, ff=24, head=4, kv=4, hd=6, type="f16", bias=True, without=["pairs", "bias"]),
}
ARCH = {"glm": "chatglm"}


def variant(name):
    """All there is to say about the variant NAME."""
    given = VARIANTS[name]
    v = dict(name=name, layers=2, base=10000.0, eps=1e-5, ctx=128, tied=given["family"].startswith("gemma"), scaling=None,
             bias=False, window=0, partial=1.0, query=0, attn_cap=None, out_cap=None, alibi=0, rownorm=False, orig=0,
             every=0, apart=False, seed=3000 + list(VARIANTS).index(name))
    v.update(given)
    v.setdefault("hd", v["embd"] // v["head"])
    return v


def make_reference(v):
    """A model of transformers with random weights that V's type can hold, or None."""
    import torch
    import transformers as tf
    cls = {"phi3": (tf.Phi3Config, tf.Phi3ForCausalLM), "gemma2": (tf.Gemma2Config, tf.Gemma2ForCausalLM),
           "gemma3": (tf.Gemma3TextConfig, tf.Gemma3ForCausalLM), "glm": (tf.GlmConfig, tf.GlmForCausalLM),
           "glm4": (tf.Glm4Config, tf.Glm4ForCausalLM)}.get(v["family"])
    if not cls:
        return None
    c = dict(vocab_size=VOCAB, hidden_size=v["embd"], intermediate_size=v["ff"], num_hidden_layers=v["layers"],
             num_attention_heads=v["head"], num_key_value_heads=v["kv"], rms_norm_eps=v["eps"], rope_theta=v["base"],
             max_position_embeddings=v["ctx"], tie_word_embeddings=v["tied"], pad_token_id=0, bos_token_id=1,
             eos_token_id=2, attn_implementation="eager")
    if v["family"] == "phi3":
        c.update(original_max_position_embeddings=v["orig"] or v["ctx"], sliding_window=v["window"] or None,
                 partial_rotary_factor=v["partial"], rope_scaling=v["scaling"])
    elif v["family"].startswith("gemma"):
        c.update(head_dim=v["hd"], sliding_window=v["window"], query_pre_attn_scalar=v["query"], rope_scaling=v["scaling"],
                 attn_logit_softcapping=v["attn_cap"], final_logit_softcapping=v["out_cap"])
        if v["every"]:
            c["layer_types"] = ["full_attention" if l % v["every"] == v["every"] - 1 else "sliding_attention"
                                for l in range(v["layers"])]
    else:
        c.update(head_dim=v["hd"], partial_rotary_factor=v["partial"], attention_bias=v["bias"])
    model = cls[1](cls[0](**c)).double().eval()
    rng = np.random.default_rng(v["seed"])
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            plain = not v["family"].startswith("gemma") # whose norms are stored as what is added to 1
            r = random_tensor(rng, name, p.shape, plain)
            t = {"f32": torch.float32, "f16": torch.float16}[v["type"]] if p.dim() == 2 else torch.float32
            p.copy_(torch.from_numpy(np.asarray(r)).to(t).double())
    return model


def random_tensor(rng, name, shape, plain=True):
    if "norm" in name:
        return plain + 0.3 * rng.standard_normal(shape)
    if name.endswith("bias"):
        return 0.7 * rng.standard_normal(shape)
    if "emb" in name:
        return rng.standard_normal(shape)
    return 1.3 * rng.standard_normal(shape) / np.sqrt(shape[-1])


def tensors_of(v, model):
    """(name, array) of the GGUF file, from a model of transformers or at random."""
    if model is None:
        rng, e, ff = np.random.default_rng(v["seed"]), v["embd"], v["ff"] // (2 if v["family"] == "qwen" else 1)
        n_q, n_kv, shapes = v["head"] * v["hd"], v["kv"] * v["hd"], []
        shapes.append(("token_embd.weight", (VOCAB, e)))
        for l in range(v["layers"]):
            p = "blk.%d." % l
            shapes += [(p + "attn_norm.weight", (e,)), (p + "ffn_norm.weight", (e,)),
                       (p + "attn_output.weight", (e, n_q)), (p + "ffn_gate.weight", (ff, e)),
                       (p + "ffn_up.weight", (ff, e)), (p + "ffn_down.weight", (e, ff))]
            if v["apart"] or v["family"] == "baichuan":
                shapes += [(p + "attn_%s.weight" % s, (r, e)) for s, r in (("q", n_q), ("k", n_kv), ("v", n_kv))]
            else:
                shapes.append((p + "attn_qkv.weight", (n_q + 2 * n_kv, e)))
            if v["bias"]:
                shapes.append((p + "attn_qkv.bias", (n_q + 2 * n_kv,)))
        shapes += [("output_norm.weight", (e,)), ("output.weight", (VOCAB, e))]
        return [(name, random_tensor(rng, name, shape)) for name, shape in shapes]
    w = {k: p.detach().numpy() for k, p in model.state_dict().items()}
    one, out = v["family"].startswith("gemma"), [("token_embd.weight", w["model.embed_tokens.weight"])]
    names = {"self_attn.qkv_proj": "attn_qkv", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_up_proj": "ffn_up",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
             "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "input_layernorm": "attn_norm"}
    if v["family"].startswith("gemma"):
        names.update({"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm",
                      "post_feedforward_layernorm": "post_ffw_norm"})
    elif v["family"] == "glm4":
        names.update({"post_self_attn_layernorm": "post_attention_norm", "post_attention_layernorm": "ffn_norm",
                      "post_mlp_layernorm": "post_ffw_norm"})
    else:
        names["post_attention_layernorm"] = "ffn_norm"
    for l in range(v["layers"]):
        for theirs, ours in names.items():
            for kind in (".weight", ".bias"):
                m = w.get("model.layers.%d.%s%s" % (l, theirs, kind))
                if m is not None:
                    out.append(("blk.%d.%s%s" % (l, ours, kind), m + one if "norm" in ours else m))
        if v["family"] == "glm": # one matrix, as the files of the family have it
            tail = out[-20:]
            for kind in ("weight", "bias"):
                parts = [m for s in "qkv" for name, m in tail if name == "blk.%d.attn_%s.%s" % (l, s, kind)]
                out.append(("blk.%d.attn_qkv.%s" % (l, kind), np.concatenate(parts)))
            out = [t for t in out if t[0].split(".")[2:3] not in (["attn_q"], ["attn_k"], ["attn_v"])]
    out.append(("output_norm.weight", w["model.norm.weight"] + one))
    if not v["tied"]:
        out.append(("output.weight", w["lm_head.weight"]))
    if v["scaling"] and "long_factor" in v["scaling"]:
        for s in ("long", "short"):
            out.append(("rope_factors_%s.weight" % s, np.array(v["scaling"][s + "_factor"])))
    return out


def write_gguf(path, v, model):
    g, arch = gw.Gguf(), ARCH.get(v["family"], v["family"])
    g.put("general.architecture", gw.STR, arch)
    g.put("general.name", gw.STR, v["name"])

    def put(key, t, value):
        if value:
            g.put(arch + "." + key, t, value)
    put("context_length", gw.U32, v["ctx"])
    put("embedding_length", gw.U32, v["embd"])
    put("block_count", gw.U32, v["layers"])
    put("feed_forward_length", gw.U32, v["ff"])
    put("attention.head_count", gw.U32, v["head"])
    put("attention.head_count_kv", gw.U32, v["kv"])
    put("attention.layer_norm_rms_epsilon", gw.F32, v["eps"])
    put("attention.key_length", gw.U32, v["hd"])
    put("attention.value_length", gw.U32, v["hd"])
    put("rope.freq_base", gw.F32, v["base"])
    put("rope.dimension_count", gw.U32, int(v["hd"] * v["partial"]))
    put("attention.sliding_window", gw.U32, v["window"])
    put("attention.sliding_window_pattern", gw.U32, v["every"])
    put("attention.scale", gw.F32, v["query"] and v["query"] ** -0.5)
    put("attn_logit_softcapping", gw.F32, v["attn_cap"])
    put("final_logit_softcapping", gw.F32, v["out_cap"])
    put("attention.max_alibi_bias", gw.F32, v["alibi"])
    put("output_row_norm", gw.BOOL, v["rownorm"])
    put("rope.scaling.original_context_length", gw.U32, v["orig"])
    s = v["scaling"] or {}
    if "long_factor" in s:
        put("rope.scaling.attn_factor", gw.F32, float(np.sqrt(1 + np.log(v["ctx"] / v["orig"]) / np.log(v["orig"]))))
    else:
        put("rope.scaling.type", gw.STR, s.get("rope_type"))
        put("rope.scaling.factor", gw.F32, s.get("factor"))
    for name, m in tensors_of(v, model):
        t = v["type"] if m.ndim == 2 else "f32"
        g.tensor(name, t, m.shape[::-1], to_bytes(m, t))
    with open(path, "wb") as f:
        f.write(g.bytes())


def main():
    import torch
    import transformers
    lines = ["Written by tests/gen/golden_archs.py; the files are as README.models says.\n",
             "Python %s, torch %s, transformers %s, numpy %s.\n" %
             (sys.version.split()[0], torch.__version__, transformers.__version__, np.__version__)]
    torch.set_num_threads(1)
    for i, name in enumerate(VARIANTS):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        v = variant(name)
        tokens = np.random.default_rng(4000 + i).integers(0, VOCAB, N_TOK).tolist()
        model = make_reference(v)
        path = os.path.join(OUT, name + ".gguf")
        write_gguf(path, v, model)
        g = Reader(path)
        mine = ref = forward(g, tokens)
        if model is not None:
            with torch.no_grad():
                ref = model(torch.tensor([tokens])).logits[0].double().numpy()
        write_golden(name, tokens, range(N_TOK), ref)
        off = {f: error(forward(g, tokens, f), ref) for f in v["without"]}
        lines.append("%s\n    %s; %d bytes; without %s." %
                     (name, "%s of transformers, from which forward() differs by %.1e" %
                      (type(model).__name__, error(mine, ref)) if model is not None else "forward()",
                      os.path.getsize(path), ", ".join("%s %.1e" % (k, e) for k, e in off.items())))
        print(lines[-1], flush=True)
        assert error(mine, ref) < 5e-6, (name, error(mine, ref))
        assert min(off.values()) > 1e-3, (name, off)
    if not sys.argv[1:]:
        with open(os.path.join(OUT, "README.archs"), "w") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
