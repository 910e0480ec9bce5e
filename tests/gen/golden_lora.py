# SPDX-License-Identifier: MIT
"""A tiny random model with adapters, and the logits peft computes: tests/files/lora.

    python3 tests/gen/golden_lora.py        needs torch, transformers and peft

base/ and base.gguf are the same model (in GGUF the rows of q and k have the order of llama's
converters), all/ and some/ are adapters as peft saves them, all.gguf is the first as a GGUF adapter.
all.golden and both.golden (the first at half its scale, and the second) are in the layout of
golden_models.py.  make check never runs this; it reads what was committed."""

import json
import os
import shutil

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

import gguf_write as gw

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "files", "lora")
HID, FFN, HEADS, KV, HD, VOCAB, N_TOK = 32, 24, 4, 2, 8, 24, 20
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def base():
    torch.manual_seed(7)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCAB, hidden_size=HID, intermediate_size=FFN, num_hidden_layers=2,
        num_attention_heads=HEADS, num_key_value_heads=KV, max_position_embeddings=64,
        rms_norm_eps=1e-5, tie_word_embeddings=False, attn_implementation="eager"))
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.3 if "norm" not in name else 0.1) + ("norm" in name))
    return model.eval()


def adapter(model, name, seed, **config):
    torch.manual_seed(seed)
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **config))
    with torch.no_grad():
        for key, p in peft.named_parameters():
            if "lora_" in key:
                p.copy_(torch.randn_like(p) * 0.3)
    peft.save_pretrained(os.path.join(OUT, name))
    peft.unload()
    os.remove(os.path.join(OUT, name, "README.md"))
    return peft


def logits(model, tokens):
    with torch.no_grad():
        return model.double()(torch.tensor(tokens.astype(np.int64))[None]).logits[0].numpy()


def save_golden(name, tokens, out):
    rows = np.array([0, N_TOK // 2, N_TOK - 1], np.uint32)
    with open(os.path.join(OUT, name + ".golden"), "wb") as f:
        f.write(np.array([N_TOK, VOCAB, len(rows)], "<u4").tobytes())
        f.write(tokens.astype("<u4").tobytes() + rows.astype("<u4").tobytes())
        f.write(out[rows].astype("<f4").tobytes())


def permuted(w, heads):
    """Rows from halves of a head to neighbours."""
    return w.reshape(heads, 2, HD // 2, -1).swapaxes(1, 2).reshape(w.shape)


def order(part, w):
    return permuted(w, HEADS if part == "attn_q" else KV) if part in ("attn_q", "attn_k") else w


def write_gguf(model):
    g = gw.Gguf()
    sd = {k: v.float().numpy() for k, v in model.state_dict().items()}
    g.put("general.architecture", gw.STR, "llama")
    for key, t, v in (("block_count", gw.U32, 2), ("embedding_length", gw.U32, HID),
                      ("context_length", gw.U32, 64), ("feed_forward_length", gw.U32, FFN),
                      ("attention.head_count", gw.U32, HEADS), ("attention.head_count_kv", gw.U32, KV),
                      ("attention.layer_norm_rms_epsilon", gw.F32, 1e-5)):
        g.put("llama." + key, t, v)

    def put(name, w):
        g.tensor(name, "f32", list(w.shape[::-1]), np.ascontiguousarray(w, "<f4").tobytes())
    put("token_embd.weight", sd["model.embed_tokens.weight"])
    put("output_norm.weight", sd["model.norm.weight"])
    put("output.weight", sd["lm_head.weight"])
    for i in range(2):
        hf, own = "model.layers.%d." % i, "blk.%d." % i
        put(own + "attn_norm.weight", sd[hf + "input_layernorm.weight"])
        put(own + "ffn_norm.weight", sd[hf + "post_attention_layernorm.weight"])
        for a, b in NAMES.items():
            put(own + b + ".weight", order(b, sd[hf + a + ".weight"]))
    open(os.path.join(OUT, "base.gguf"), "wb").write(g.bytes())


def write_adapter(peft, alpha):
    g = gw.Gguf()
    g.put("general.architecture", gw.STR, "llama")
    g.put("general.type", gw.STR, "adapter")
    g.put("adapter.type", gw.STR, "lora")
    g.put("adapter.lora.alpha", gw.F32, alpha)
    from safetensors.numpy import load_file
    sd = load_file(os.path.join(OUT, peft, "adapter_model.safetensors"))
    for key, w in sd.items():
        module, half = key[len("base_model.model.model.layers."):].split(".lora_")
        layer, module = module.split(".", 1)
        part = NAMES[module]
        if half.startswith("B"):
            w = order(part, w)
        g.tensor("blk.%s.%s.weight.lora_%s" % (layer, part, half[0].lower()), "f32",
                 list(w.shape[::-1]), np.ascontiguousarray(w, "<f4").tobytes())
    open(os.path.join(OUT, peft + ".gguf"), "wb").write(g.bytes())


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    model = base()
    model.save_pretrained(os.path.join(OUT, "base"))
    os.remove(os.path.join(OUT, "base", "generation_config.json"))
    write_gguf(model)
    all_parts = [k.split(".")[1] for k in NAMES]
    adapter(model, "all", 1, r=4, lora_alpha=8, target_modules=all_parts)
    adapter(model, "some", 2, r=3, lora_alpha=6, use_rslora=True,
            target_modules=["q_proj", "v_proj", "down_proj"], rank_pattern={"down_proj": 5})
    write_adapter("all", 8.0)
    tokens = np.random.default_rng(3).integers(0, VOCAB, N_TOK).astype(np.uint32)
    one = PeftModel.from_pretrained(base(), os.path.join(OUT, "all"))
    first = logits(one, tokens)
    save_golden("all", tokens, first)
    both = PeftModel.from_pretrained(base(), os.path.join(OUT, "all"), adapter_name="all")
    both.load_adapter(os.path.join(OUT, "some"), adapter_name="some")
    for module in both.modules():
        if isinstance(getattr(module, "scaling", None), dict) and "all" in module.scaling:
            module.scaling["all"] *= 0.5
    both.base_model.set_adapter(["all", "some"])
    second = logits(both, tokens)
    save_golden("both", tokens, second)
    plain = logits(base(), tokens)
    for a, b in ((plain, first), (plain, second), (first, second)):
        print("they differ by", np.abs(a - b).max() / np.abs(a).max())


if __name__ == "__main__":
    main()
