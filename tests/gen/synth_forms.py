# SPDX-License-Identifier: MIT
"""The models that synth_folder.py can write: names, shapes and types of their arrays, and their
configurations, as the programs that made such files have them."""

from collections import namedtuple

from synth_gguf import SHAPES

# fill: a method of synth_write.Fills; dims outermost first
Array = namedtuple("Array", "name dtype dims fill")
Model = namedtuple("Model", "container arrays configs")


def llama_config(shape, n, **more):
    _, width, ff, heads, kv, head_dim, vocab, ctx, base, eps, tied, _ = SHAPES[shape]
    return {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": width,
            "intermediate_size": ff, "num_hidden_layers": n, "num_attention_heads": heads,
            "num_key_value_heads": kv, "head_dim": head_dim, "vocab_size": vocab, "rope_theta": base,
            "max_position_embeddings": ctx, "rms_norm_eps": eps, "tie_word_embeddings": tied,
            "hidden_act": "silu", "torch_dtype": "float16", **more}


def llama_linears(width, ff, kv_rows):
    """(name in Hugging Face's files, name in Meta's, rows, columns)"""
    return (("self_attn.q_proj", "attention.wq", width, width),
            ("self_attn.k_proj", "attention.wk", kv_rows, width),
            ("self_attn.v_proj", "attention.wv", kv_rows, width),
            ("self_attn.o_proj", "attention.wo", width, width),
            ("mlp.gate_proj", "feed_forward.w1", ff, width),
            ("mlp.down_proj", "feed_forward.w2", width, ff),
            ("mlp.up_proj", "feed_forward.w3", ff, width))


def plain(prefix, rows, cols):
    yield Array(prefix + ".weight", "f16", [rows, cols], "f16")


def llama_arrays(n, width, ff, vocab, linear, bias=False):
    """Hugging Face's llama; LINEAR gives the arrays of a matrix."""
    yield from plain("model.embed_tokens", vocab, width)
    for i in range(n):
        b = "model.layers.%d." % i
        for name, _, rows, cols in llama_linears(width, ff, width):
            yield from linear(b + name, rows, cols)
            if bias and "attn" in name:
                yield Array(b + name + ".bias", "f16", [rows], "f16")
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield Array(b + name + ".weight", "f16", [width], "one_f16")
    yield Array("model.norm.weight", "f16", [width], "one_f16")
    yield from plain("lm_head", vocab, width)


def llama2_safetensors(layers):
    n = layers or 32
    return Model("safetensors", list(llama_arrays(n, 4096, 11008, 32000, plain)),
                 {"config.json": llama_config("llama-2-7b", n)})


def llama2_meta(layers):
    n = layers or 32
    arrays = list(plain("tok_embeddings", 32000, 4096))
    arrays += [Array("norm.weight", "f16", [4096], "one_f16")]
    arrays += plain("output", 32000, 4096)
    for i in range(n):
        b = "layers.%d." % i
        for _, name, rows, cols in llama_linears(4096, 11008, 4096):
            arrays += plain(b + name, rows, cols)
        for name in ("attention_norm", "ffn_norm"):
            arrays.append(Array(b + name + ".weight", "f16", [4096], "one_f16"))
    return Model("torch", arrays, {"params.json": {
        "dim": 4096, "multiple_of": 256, "n_heads": 32, "n_layers": n, "norm_eps": 1e-5,
        "vocab_size": -1}})


def int4_glm(prefix, rows, cols):
    yield Array(prefix + ".weight", "i8", [rows, cols // 2], "glm_nibbles")
    yield Array(prefix + ".weight_scale", "f16", [rows], "scale_4_bit")


def glm(layers, linear, **more):
    n = layers or 28
    arrays = list(plain("transformer.word_embeddings", 130528, 4096))
    for i in range(n):
        b = "transformer.layers.%d." % i
        for name, rows, cols in (("attention.query_key_value", 12288, 4096),
                                 ("attention.dense", 4096, 4096),
                                 ("mlp.dense_h_to_4h", 16384, 4096),
                                 ("mlp.dense_4h_to_h", 4096, 16384)):
            arrays += linear(b + name, rows, cols)
            arrays.append(Array(b + name + ".bias", "f16", [rows], "f16"))
        for name in ("input_layernorm", "post_attention_layernorm"):
            arrays.append(Array(b + name + ".weight", "f16", [4096], "one_f16"))
            arrays.append(Array(b + name + ".bias", "f16", [4096], "f16"))
    arrays.append(Array("transformer.final_layernorm.weight", "f16", [4096], "one_f16"))
    arrays.append(Array("transformer.final_layernorm.bias", "f16", [4096], "f16"))
    arrays += plain("lm_head", 130528, 4096)
    return Model("safetensors", arrays, {"config.json": {
        "model_type": "chatglm", "architectures": ["ChatGLMModel"], "bos_token_id": 130004,
        "eos_token_id": 130005, "mask_token_id": 130000, "gmask_token_id": 130001,
        "pad_token_id": 3, "hidden_size": 4096, "inner_hidden_size": 16384,
        "layernorm_epsilon": 1e-5, "max_sequence_length": 2048, "num_attention_heads": 32,
        "num_layers": n, "position_encoding_2d": True, "torch_dtype": "float16",
        "vocab_size": 130528, **more}})


def glm_f16(layers):
    return glm(layers, plain)


def glm_int4(layers):
    return glm(layers, int4_glm, quantization_bit=4, quantization_embeddings=False)


def awq(prefix, rows, cols):
    yield Array(prefix + ".qweight", "i32", [cols, rows // 8], "words")
    yield Array(prefix + ".qzeros", "i32", [cols // 128, rows // 8], "zeros_4_bit")
    yield Array(prefix + ".scales", "f16", [cols // 128, rows], "scale_4_bit")


def internlm_awq(layers):
    n = layers or 32
    return Model("safetensors", list(llama_arrays(n, 4096, 11008, 103168, awq, bias=True)), {
        "config.json": {
            "model_type": "internlm", "architectures": ["InternLMForCausalLM"], "bias": True,
            "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "hidden_act": "silu",
            "hidden_size": 4096, "intermediate_size": 11008, "max_position_embeddings": 2048,
            "num_attention_heads": 32, "num_hidden_layers": n, "rms_norm_eps": 1e-6,
            "tie_word_embeddings": False, "torch_dtype": "float16", "vocab_size": 103168,
            "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128,
                                    "zero_point": True, "version": "gemm"}}})


def gptq2(prefix, rows, cols):
    """Words run along the inputs; the stored zero point is one less than the true one."""
    yield Array(prefix + ".qweight", "i32", [cols // 16, rows], "words")
    yield Array(prefix + ".qzeros", "i32", [cols // 128, rows // 16], "zeros_2_bit")
    yield Array(prefix + ".scales", "f16", [cols // 128, rows], "scale_2_bit")
    yield Array(prefix + ".g_idx", "i32", [cols], "groups_128")


def llama_gptq2(layers):
    n = layers or 32
    quant = {"bits": 2, "group_size": 128, "desc_act": False, "sym": False, "quant_method": "gptq"}
    return Model("safetensors", list(llama_arrays(n, 4096, 11008, 32000, gptq2)),
                 {"config.json": llama_config("llama-2-7b", n, max_position_embeddings=2048,
                                              rms_norm_eps=1e-6, quantization_config=quant)})


def gptq_old(prefix, rows, cols):
    """GPTQ-for-LLaMa of March 2023: floats for each output, the zero point already scaled."""
    yield Array(prefix + ".qweight", "i32", [cols // 16, rows], "words")
    yield Array(prefix + ".scales", "f32", [rows, 1], "scale_f32")
    yield Array(prefix + ".zeros", "f32", [rows, 1], "zero_f32")
    yield Array(prefix + ".bias", "f32", [rows], "nothing_f32")


def llama_gptq_old(layers):
    n = layers or 32
    return Model("safetensors", list(llama_arrays(n, 4096, 11008, 32000, gptq_old)),
                 {"config.json": llama_config("llama-2-7b", n, max_position_embeddings=2048,
                                              rms_norm_eps=1e-6),
                  "quantize_config.json": {"bits": 2}})


def llama_lora(layers):
    """An adapter as peft saves it, for the attention of a Llama of 7B."""
    rank, modules = 16, ("q_proj", "k_proj", "v_proj", "o_proj")
    arrays = []
    for i in range(layers or 32):
        for m in modules:
            b = "base_model.model.model.layers.%d.self_attn.%s.lora_" % (i, m)
            arrays.append(Array(b + "A.weight", "f32", [rank, 4096], "f32"))
            arrays.append(Array(b + "B.weight", "f32", [4096, rank], "f32"))
    return Model("adapter", arrays, {"adapter_config.json": {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 32, "bias": "none",
        "target_modules": modules, "fan_in_fan_out": False, "base_model_name_or_path": None}})


def mlc(prefix, rows, cols):
    yield Array(prefix + ".q_weight", "u32", [rows, cols // 8], "mlc_nibbles")
    yield Array(prefix + ".q_scale", "mlc32", [rows, cols // 32], "scale_mlc")


def mlc_1b(layers):
    """1.3B as a wide model of few layers: q4f32_1, embeddings and head too."""
    n, width, ff, vocab = layers or 4, 4096, 11008, 55296
    arrays = list(mlc("model.embed_tokens", vocab, width))
    for i in range(n):
        b = "model.layers.%d." % i
        arrays += mlc(b + "self_attn.qkv_proj", 3 * width, width)
        arrays += mlc(b + "self_attn.o_proj", width, width)
        arrays += mlc(b + "mlp.gate_up_proj", 2 * ff, width)
        arrays += mlc(b + "mlp.down_proj", width, ff)
        for name in ("input_layernorm", "post_attention_layernorm"):
            arrays.append(Array(b + name + ".weight", "mlc32", [width], "one_bf16"))
    arrays.append(Array("model.norm.weight", "mlc32", [width], "one_bf16"))
    arrays += mlc("lm_head", vocab, width)
    return Model("mlc", arrays, {"mlc-chat-config.json": {
        "model_type": "llama", "quantization": "q4f32_1", "vocab_size": vocab,
        "context_window_size": 4096, "model_config": {
            "hidden_size": width, "intermediate_size": ff, "num_attention_heads": 32,
            "num_hidden_layers": n, "num_key_value_heads": 32, "head_dim": 128,
            "rms_norm_eps": 1e-5, "vocab_size": vocab, "position_embedding_base": 10000,
            "context_window_size": 4096, "tie_word_embeddings": False}}})


FORMS = {
    "llama-2-7b-safetensors": llama2_safetensors,
    "llama-2-7b-meta": llama2_meta,
    "chatglm-6b-f16": glm_f16,
    "chatglm-6b-int4": glm_int4,
    "internlm-7b-awq": internlm_awq,
    "llama-7b-gptq-2": llama_gptq2,
    "llama-7b-gptq-old-2": llama_gptq_old,
    "llama-7b-lora": llama_lora,
    "llama-1.3b-mlc": mlc_1b,
}
