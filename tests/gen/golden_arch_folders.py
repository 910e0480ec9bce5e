# SPDX-License-Identifier: MIT
"""The models of golden_archs.py as their own programs save them: tests/files/archs.

    python3 tests/gen/golden_arch_folders.py      needs torch, transformers and safetensors

What transformers has a class for, it saves; of the others the tensors of the GGUF file are given the
names, and where rows of q and k were permuted the order, that their own files have, beside a
config.json with the keys that those have.  So the golden logits of ../models hold for both forms.

Two are not in ../models: chatglm1, ChatGLM-6B's form, which lies here as a GGUF file too and whose
logits are those of forward1(), a float64 pass written from the description of GLM (its arithmetic is
held against the original program's by tests/test_archs.c), and chatglm2, which is the model `chatglm`
under the names of ChatGLM2, ChatGLM3 and GLM-4-9B."""

import json
import os
import shutil

import numpy as np

import golden_archs as ga
import golden_models as gm
import gguf_write as gw
from golden_models import N_TOK, OUT, VOCAB, Reader, error, to_bytes, write_golden

FOLDERS = os.path.join(OUT, "..", "archs")
SAVED = ["phi3-fused", "phi3-window", "phi3-short", "phi3-long", "gemma2", "gemma3", "chatglm", "glm4"]

# ---- ChatGLM-6B ----------------------------------------------------------------------------------

MASK, GMASK, SOP = 20, 21, 22
C1 = dict(embd=32, ff=24, head=4, hd=8, layers=2, eps=1e-5, ctx=64)


def forward1(w, tokens, without=None):
    n, c, hd = len(tokens), tokens.index(SOP), C1["hd"]
    if without == "context":
        c = 0
    place = np.minimum(np.arange(n), tokens.index(GMASK) if c else 0)
    place[:c] = np.arange(c)
    block = np.maximum(np.arange(n) - c + 1, 0)
    if without == "second_half":
        block = block * 0
    hidden = np.arange(n)[None, :] >= np.maximum(np.arange(n) + 1, c)[:, None]
    alpha = 1.0 if without == "alpha" else np.sqrt(2 * 28)

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + C1["eps"]) * w[name + ".weight"] + w[name + ".bias"]

    def linear(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def rope(x, pos):
        h = hd // 4
        angle = pos[:, None, None] * 10000.0 ** (-np.arange(h) / h)
        return np.concatenate([x[..., :h] * np.cos(angle) - x[..., h:] * np.sin(angle),
                               x[..., h:] * np.cos(angle) + x[..., :h] * np.sin(angle)], -1)

    x = w["token_embd.weight"][tokens]
    for l in range(C1["layers"]):
        p = "blk.%d." % l
        a = norm(x, p + "attn_norm")
        q, k, v = np.split(linear(a, p + "attn_qkv").reshape(n, C1["head"], 3 * hd), 3, axis=-1)
        q, k = (np.concatenate([rope(t[..., :hd // 2], place), rope(t[..., hd // 2:], block)], -1) for t in (q, k))
        s = np.where(hidden, -np.inf, np.einsum("ihd,jhd->hij", q, k) / np.sqrt(hd))
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        x = a * alpha + linear(np.einsum("hij,jhd->ihd", s, v).reshape(n, -1), p + "attn_output")
        b = norm(x, p + "ffn_norm")
        h = linear(b, p + "ffn_up")
        h = 0.5 * h * (1 + np.tanh(0.7978845608028654 * (h + 0.044715 * h ** 3)))
        x = b * alpha + linear(h, p + "ffn_down")
    return norm(x, "output_norm") @ w["output.weight"].T


def make_chatglm1():
    """The Reader of the file and a line to log; writes archs/chatglm1.gguf and its golden logits."""
    e, ff, rng = C1["embd"], C1["ff"], np.random.default_rng(5000)
    shapes = {"token_embd": (VOCAB, e)}
    for l in range(C1["layers"]):
        shapes.update({"blk.%d.%s" % (l, k): s for k, s in {
            "attn_norm": (e,), "attn_qkv": (3 * e, e), "attn_output": (e, e), "ffn_norm": (e,), "ffn_up": (ff, e),
            "ffn_down": (e, ff)}.items()})
    shapes["output_norm"] = (e,)
    w = {}
    for name, s in shapes.items():
        # Wide enough beside a stream that alpha multiplies.
        w[name + ".weight"] = ga.random_tensor(rng, name, s) * (1 if len(s) == 1 or "embd" in name else 4)
        if name != "token_embd":
            w[name + ".bias"] = 0.7 * rng.standard_normal(s[0])
    w["output.weight"] = ga.random_tensor(rng, "output", (VOCAB, e))
    g = gw.Gguf()
    g.put("general.architecture", gw.STR, "chatglm1")
    for key, v in (("context_length", C1["ctx"]), ("embedding_length", e), ("block_count", C1["layers"]),
                   ("feed_forward_length", ff), ("attention.head_count", C1["head"]), ("attention.start_token", SOP),
                   ("attention.gmask_token", GMASK), ("attention.mask_token", MASK)):
        g.put("chatglm1." + key, gw.U32, v)
    g.put("chatglm1.attention.layer_norm_epsilon", gw.F32, C1["eps"])
    for name, m in w.items():
        t = "f16" if m.ndim == 2 else "f32"
        g.tensor(name, t, m.shape[::-1], to_bytes(m, t))
    path = os.path.join(FOLDERS, "chatglm1.gguf")
    with open(path, "wb") as f:
        f.write(g.bytes())
    tokens = rng.integers(0, MASK, N_TOK).tolist()
    tokens[9:11] = [GMASK, SOP]
    r = Reader(path)
    logits = forward1(r.w, tokens)
    off = {k: error(forward1(r.w, tokens, k), logits) for k in ("context", "second_half", "alpha")}
    assert min(off.values()) > 1e-3, off
    write_golden(os.path.join("..", "archs", "chatglm1"), tokens, range(N_TOK), logits)
    return r, "chatglm1\n    forward1(); without %s." % ", ".join("%s %.1e" % i for i in off.items())


# ---- names ---------------------------------------------------------------------------------------

GLM = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "ffn_up": "mlp.dense_h_to_4h",
       "ffn_down": "mlp.dense_4h_to_h"}
LLAMA = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_qkv": "self_attn.W_pack"}
# of each: where layers are, names in them, names outside of them
NAMES = {
    "chatglm1": ("transformer.layers.", dict(GLM, attn_qkv="attention.query_key_value", attn_output="attention.dense"),
                 {"token_embd": "transformer.word_embeddings", "output_norm": "transformer.final_layernorm", "output": "lm_head"}),
    "chatglm2": ("transformer.encoder.layers.", dict(GLM, attn_qkv="self_attention.query_key_value",
                                                     attn_output="self_attention.dense"),
                 {"token_embd": "transformer.embedding.word_embeddings", "output_norm": "transformer.encoder.final_layernorm",
                  "output": "transformer.output_layer"}),
    "internlm2": ("model.layers.", {"attn_qkv": "attention.wqkv", "attn_output": "attention.wo", "ffn_gate": "feed_forward.w1",
                                    "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2", "attn_norm": "attention_norm",
                                    "ffn_norm": "ffn_norm"},
                  {"token_embd": "model.tok_embeddings", "output_norm": "model.norm", "output": "output"}),
    "baichuan": ("model.layers.", LLAMA, {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}),
    "qwen": ("transformer.h.", {"attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_norm": "ln_2",
                                "ffn_up": "mlp.w1", "ffn_gate": "mlp.w2", "ffn_down": "mlp.c_proj"},
             {"token_embd": "transformer.wte", "output_norm": "transformer.ln_f", "output": "lm_head"}),
}


def halves(m, n_head):
    """The inverse of pair_up: adjacent pairs of rows to halves."""
    hs = m.shape[0] // n_head
    return m.reshape(n_head, hs // 2, 2, -1).swapaxes(1, 2).reshape(m.shape)


def config_of(kind, g):
    arch = g.meta["general.architecture"]

    def key(k, fallback=None):
        return g.meta.get(arch + "." + k, fallback)
    hidden, heads, layers = key("embedding_length"), key("attention.head_count"), key("block_count")
    eps, ff, ctx = key("attention.layer_norm_rms_epsilon"), key("feed_forward_length"), key("context_length")
    common = {"hidden_size": hidden, "num_attention_heads": heads, "vocab_size": VOCAB}
    if kind == "chatglm1":
        return dict(common, architectures=["ChatGLMModel"], model_type="chatglm", bos_token_id=SOP, gmask_token_id=GMASK,
                    mask_token_id=MASK, inner_hidden_size=ff, layernorm_epsilon=C1["eps"], max_sequence_length=ctx,
                    num_layers=layers, position_encoding_2d=True)
    if kind == "chatglm2":
        common.pop("vocab_size")
        return dict(common, architectures=["ChatGLMModel"], model_type="chatglm", add_bias_linear=False, add_qkv_bias=True,
                    apply_residual_connection_post_layernorm=False, ffn_hidden_size=ff, kv_channels=key("attention.key_length"),
                    layernorm_epsilon=eps, multi_query_attention=True, multi_query_group_num=key("attention.head_count_kv"),
                    num_layers=layers, original_rope=True, padded_vocab_size=VOCAB, post_layer_norm=True, rmsnorm=True,
                    seq_length=ctx, tie_word_embeddings=False)
    if kind == "qwen":
        return dict(common, architectures=["QWenLMHeadModel"], model_type="qwen", intermediate_size=ff, kv_channels=hidden // heads,
                    layer_norm_epsilon=eps, num_hidden_layers=layers, seq_length=ctx, rotary_emb_base=10000, rotary_pct=1.0,
                    use_dynamic_ntk=True, use_logn_attn=True, no_bias=True, tie_word_embeddings=False)
    common.update(hidden_act="silu", intermediate_size=ff, num_hidden_layers=layers, rms_norm_eps=eps, tie_word_embeddings=False)
    if kind == "internlm2":
        return dict(common, architectures=["InternLM2ForCausalLM"], model_type="internlm2", bias=False,
                    num_key_value_heads=key("attention.head_count_kv"), max_position_embeddings=ctx, rope_theta=key("rope.freq_base"),
                    rope_scaling={"type": "dynamic", "factor": 2.0})
    common.update(architectures=["BaichuanForCausalLM"], model_type="baichuan", model_max_length=ctx)
    if key("attention.max_alibi_bias"):
        return dict(common, z_loss_weight=0)
    return dict(common, max_position_embeddings=ctx)


def rename(kind, g):
    where, layer, outside = NAMES[kind]
    n_head, out = g.meta[g.meta["general.architecture"] + ".attention.head_count"], {}
    g.w = dict(g.w)
    if kind == "baichuan":
        for name in [n for n in g.w if n.endswith("attn_q.weight")]:
            q, k, v = (g.w.pop(name.replace("_q.", "_%s." % s)) for s in "qkv")
            g.w[name.replace("_q.", "_qkv.")] = np.concatenate([halves(q, n_head), halves(k, n_head), v])
    for name, m in g.w.items():
        part = name.split(".")
        if part[0] == "blk":
            if kind == "internlm2" and part[2] == "attn_qkv": # per key/value head: q heads, k, v
                n_kv = g.meta["internlm2.attention.head_count_kv"]
                rep = n_head // n_kv + 2
                m = m.reshape(n_kv, rep, -1, m.shape[-1])
                m = np.stack([[h if r == rep - 1 else halves(h, 1) for r, h in enumerate(group)] for group in m])
                m = m.reshape(-1, m.shape[-1])
            out[where + part[1] + "." + layer[part[2]] + "." + part[3]] = m
        else:
            out[outside[part[0]] + "." + part[1]] = m
    return {k: np.ascontiguousarray(m.astype("<f2" if m.ndim == 2 else "<f4")) for k, m in out.items()}


def main():
    import torch
    from safetensors.numpy import save_file
    first, line = make_chatglm1()
    lines = [line]
    for name in SAVED:
        folder = os.path.join(FOLDERS, name)
        v = ga.variant(name)
        model = ga.make_reference(v)
        kind = {"f32": torch.float32, "f16": torch.float16}[v["type"]]
        weights = {k: p.to(kind if p.dim() == 2 else torch.float32) for k, p in model.state_dict().items()}
        if v["tied"]:
            weights.pop("lm_head.weight", None)
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, state_dict=weights)
        os.remove(os.path.join(folder, "generation_config.json"))
        lines.append("%s\n    %s." % (name, type(model).__name__))
    # InternLM 1 is llama with biases under a type of its own.
    folder = os.path.join(FOLDERS, "internlm")
    v = gm.variant("llama-bias")
    model = gm.make_reference(v)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, state_dict={k: p.to(torch.float16 if p.dim() == 2 else torch.float32)
                                              for k, p in model.state_dict().items()})
    os.remove(os.path.join(folder, "generation_config.json"))
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        c = json.load(f)
    c.update(model_type="internlm", architectures=["InternLMForCausalLM"], bias=c.pop("attention_bias"),
             rotary={"base": 10000, "type": "dynamic"})
    for k in ("rope_theta", "rope_scaling", "mlp_bias"):
        c.pop(k, None)
    with open(path, "w") as f:
        json.dump(c, f, indent=2)
    lines.append("internlm\n    from llama-bias.gguf.")
    for name, source, kind in (("chatglm1", None, "chatglm1"), ("chatglm2", "chatglm", "chatglm2"),
                               ("internlm2", "internlm2", "internlm2"), ("baichuan-7b", "baichuan-7b", "baichuan"),
                               ("baichuan-13b", "baichuan-13b", "baichuan"), ("qwen", "qwen", "qwen")):
        g = Reader(os.path.join(OUT, source + ".gguf")) if source else first
        folder = os.path.join(FOLDERS, name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        save_file(rename(kind, g), os.path.join(folder, "model.safetensors"))
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump(config_of(kind, g), f, indent=2)
        lines.append("%s\n    from %s.gguf." % (name, source or name))
    with open(os.path.join(FOLDERS, "README"), "w") as f:
        f.write("Written by tests/gen/golden_arch_folders.py.\n\n%s\n" % "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
