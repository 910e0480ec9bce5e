#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a synthetic GGUF model of true shape and size, for measuring speed and memory.

Its weights are random with a standard deviation of about 0.02 and its norms are 1, so activations
stay finite and logits differ; its vocabulary is made up.  THE TEXT IT PRODUCES IS NOISE.  All that
a reader checks is right: shapes, mixes of types as llama.cpp makes them, metadata, a tokenizer
that loads.  The same arguments give the same bytes.

Weights are not made one by one.  For each type a pattern of P blocks is made once, P a prime above
the number of rows of any matrix, and repeated; so no two rows of a matrix are equal, and a file is
written at about the rate of the disk.

    synth_gguf.py --shape llama-3-8b --type q4_k_m /tmp/l3.gguf
"""

import argparse
import os
import random
import struct
import time

import gguf_write as g

#                layers width    ff heads kv  head  vocab   ctx     base   eps  tied arch
SHAPES = {
    "llama-2-7b": (32, 4096, 11008, 32, 32, 128, 32000, 4096, 10000.0, 1e-5, False, "llama"),
    "llama-3-8b": (32, 4096, 14336, 32, 8, 128, 128256, 8192, 500000.0, 1e-5, False, "llama"),
    "llama-3.2-1b": (16, 2048, 8192, 32, 8, 64, 128256, 131072, 500000.0, 1e-5, True, "llama"),
    "qwen3-0.6b": (28, 1024, 3072, 16, 8, 128, 151936, 40960, 1000000.0, 1e-6, True, "qwen3"),
    "tiny": (4, 256, 768, 8, 4, 32, 2048, 512, 10000.0, 1e-5, False, "llama"),
}
FILE_TYPE = {
    "f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "q5_0": 8, "q2_k": 10, "q3_k": 12, "q4_k_m": 15,
    "q6_k": 18, "iq2_xxs": 19, "iq2_xs": 20, "iq3_xxs": 23, "iq1_s": 24, "iq4_nl": 25, "iq3_s": 26,
    "iq2_s": 28, "iq4_xs": 30, "iq1_m": 31, "bf16": 32, "tq1_0": 36, "tq2_0": 37, "mxfp4": 38,
}

# Rows of the largest matrix are 151936; a prime above it is coprime to the blocks of any row.
P = 151939


def f16(x):
    return struct.pack("<e", x)


def table(f):
    """For bytes.translate: what each random byte becomes."""
    return bytes(f(r) & 255 for r in range(256))


def uniform_f16_high(r):
    """High byte of a half such that the values are about uniform in +-2^-5."""
    bits = (r >> 2) & 31
    e = 9 if bits >= 16 else 8 if bits >= 8 else 7 if bits >= 4 else 6 if bits >= 2 else 5
    return (r & 0x80) | e << 2 | (r & 3)


# Bytes of a block, where its scale is, and the high byte of the scale: such that weights have a
# deviation of about 0.02.
SIMPLE = {
    "q5_0": (22, 0, 0x18), "q3_k": (110, 108, 0x0f), "iq4_nl": (18, 0, 0x0c),
    "iq4_xs": (136, 0, 0x01), "tq1_0": (54, 52, 0x24), "tq2_0": (66, 64, 0x24),
    "iq2_xxs": (66, 0, 0x0e), "iq2_xs": (74, 0, 0x0e), "iq2_s": (82, 0, 0x0e),
    "iq3_xxs": (98, 0, 0x09), "iq3_s": (110, 0, 0x09), "iq1_s": (50, 0, 0x1a),
}


class Patterns:
    """One pattern of P blocks per type; F16, BF16 and F32 count 32 elements as a block."""

    def __init__(self, seed):
        self.rnd = random.Random(seed)
        self.made = {}

    def get(self, name):
        """(memoryview, bytes of a block)"""
        if name not in self.made:
            data, size = self.simple(name) if name in SIMPLE else getattr(self, name)()
            self.made[name] = (memoryview(data), size)
        return self.made[name]

    def noise(self, n):
        # In pieces: randbytes goes through one huge integer.
        return b"".join(self.rnd.randbytes(min(1 << 20, n - i)) for i in range(0, n, 1 << 20))

    def blocks(self, size):
        return bytearray(self.noise(P * size))

    def q4_0(self):
        # (q - 8) has a deviation of 4.61 and a mean of -0.5; d is +-2^-8 * (1 to 1.25), and its
        # sign takes the mean away, which would otherwise grow from layer to layer.
        b = self.blocks(18)
        b[1::18] = self.noise(P).translate(table(lambda r: 0x1c | (r & 0x80)))
        return b, 18

    def q8_0(self):
        # q has a deviation of 73.6 and is never -128, as in real files; d is 2^-12 * (1 to 1.25)
        b = self.blocks(34).translate(table(lambda r: 0 if r == 0x80 else r))
        b[0::34] = self.noise(P)
        b[1::34] = b"\x0c" * P
        return b, 34

    def q4_k(self):
        # v = d * sc * (q - 7.5): the mins equal the scales, and dmin = 7.5 d.  Scales are 32 to 63
        # (deviation 4.61 * 48), d is 2^-14 * (1.25 to 1.5).
        b = self.blocks(144)
        low = self.noise(P)
        dmin = [f16(7.5 * struct.unpack("<e", bytes((r, 5)))[0]) for r in range(256)]
        b[0::144] = low
        b[1::144] = b"\x05" * P
        b[2::144] = low.translate(bytes(d[0] for d in dmin))
        b[3::144] = low.translate(bytes(d[1] for d in dmin))
        for j in range(4):
            six = self.noise(P).translate(table(lambda r: r | 0xa0))
            b[4 + j::144] = six
            b[8 + j::144] = six
            b[12 + j::144] = self.noise(P).translate(table(lambda r: (r & 15) * 17))
        return b, 144

    def q6_k(self):
        # (q - 32) has a deviation of 18.5, scales are +-(32 to 63), d is a subnormal half as in
        # real files: 256 to 511 times 2^-24.
        b = self.blocks(210)
        signed = table(lambda r: -(32 + (r & 31)) if r & 0x80 else 32 + (r & 31))
        for j in range(192, 208):
            b[j::210] = self.noise(P).translate(signed)
        b[209::210] = b"\x01" * P
        return b, 210

    def simple(self, name):
        """Random blocks with a scale of the right size, and of either sign so that no mean is left."""
        size, at, high = SIMPLE[name]
        b = self.blocks(size)
        b[at + 1::size] = self.noise(P).translate(table(lambda r: high | (r & 0x80)))
        return b, size

    def mxfp4(self):
        b = self.blocks(17)
        b[0::17] = b"\x78" * P  # 2^-8 times the doubled table
        return b, 17

    def iq1_m(self):
        # d = 2^-9 * 1.5, a nibble in the top of each word of scales
        b = self.blocks(56)
        for i, nibble in enumerate((0, 0, 10, 1)):
            b[49 + 2 * i::56] = bytes(b[49 + 2 * i::56]).translate(
                table(lambda r, n=nibble: (r & 15) | n << 4))
        return b, 56

    def q2_k(self):
        # v = d * sc * (q - 1.5): the mins equal the scales, and dmin = 1.5 d
        b = self.blocks(84)
        for j in range(16):
            b[j::84] = self.noise(P).translate(table(lambda r: (r & 15) * 17))
        for j, byte in enumerate(f16(2.0**-9) + f16(1.5 * 2.0**-9)):
            b[80 + j::84] = bytes((byte,)) * P
        return b, 84

    def f16(self):
        b = self.blocks(64)
        b[1::2] = bytes(b[1::2]).translate(table(uniform_f16_high))
        return b, 64

    def brain_high(self, b, step):
        # exponents 2^-6 and 2^-7, and a quarter of 2^-8 and 2^-9
        b[step - 1::step] = bytes(b[step - 1::step]).translate(
            table(lambda r: (r & 0x80) | (0x3c if r & 0x60 else 0x3b)))

    def bf16(self):
        b = self.blocks(64)
        self.brain_high(b, 2)
        return b, 64

    def f32(self):
        b = self.blocks(128)
        self.brain_high(b, 4)
        return b, 128


def more_bits(i, n):
    """The layers to which llama.cpp's Q4_K_M gives more bits."""
    return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


def type_of(kind, name, layer, n_layer, tied):
    is_output = name == "output.weight" or (tied and name == "token_embd.weight")
    if kind == "q4_k_m":
        wide = name.endswith(("ffn_down.weight", "attn_v.weight")) and more_bits(layer, n_layer)
        return "q6_k" if is_output or wide else "q4_k"
    float_or_wide = kind in ("f32", "f16", "bf16", "q8_0", "q6_k")
    return kind if float_or_wide or not (is_output or name == "token_embd.weight") else "q6_k"


def rope_factors(head_dim, base, factor=32.0, low=1.0, high=4.0, original=8192):
    """The frequency factors of Llama 3.2."""
    out = []
    for i in range(head_dim // 2):
        wave = 2 * 3.141592653589793 * base ** (2 * i / head_dim)
        if wave < original / high:
            out.append(1.0)
        elif wave > original / low:
            out.append(factor)
        else:
            s = (original / wave - low) / (high - low)
            out.append(1 / ((1 - s) / factor + s))
    return struct.pack("<%df" % len(out), *out)


def add_tensors(f, shape, kind):
    """In the order in which llama.cpp's converter writes them."""
    _, width, ff, heads, kv, head, vocab, _, base, _, tied, arch = SHAPES[shape]
    n_layer = f.n_layer

    def weight(name, dims, layer=0):
        f.tensor(name, type_of(kind, name, layer, n_layer, tied), dims)

    def ones(name, n):
        f.tensor(name, "f32", [n], struct.pack("<f", 1.0) * n)

    if shape == "llama-3.2-1b":
        f.tensor("rope_freqs.weight", "f32", [head // 2], rope_factors(head, base))
    weight("token_embd.weight", [width, vocab])
    for i in range(n_layer):
        b = "blk.%d." % i
        ones(b + "attn_norm.weight", width)
        weight(b + "ffn_down.weight", [ff, width], i)
        weight(b + "ffn_gate.weight", [width, ff], i)
        weight(b + "ffn_up.weight", [width, ff], i)
        ones(b + "ffn_norm.weight", width)
        if arch == "qwen3":
            ones(b + "attn_k_norm.weight", head)
        weight(b + "attn_k.weight", [width, kv * head], i)
        weight(b + "attn_output.weight", [heads * head, width], i)
        if arch == "qwen3":
            ones(b + "attn_q_norm.weight", head)
        weight(b + "attn_q.weight", [width, heads * head], i)
        weight(b + "attn_v.weight", [width, kv * head], i)
    ones("output_norm.weight", width)
    if not tied:
        weight("output.weight", [width, vocab])


def words(first, letters):
    """Made-up words of 2, 3, ... symbols, each with its left part and last letter: the left part of
    every word of three symbols is a word of two, and so on, so that merges are consistent."""
    level = first
    while True:
        nxt = []
        for left in level:
            for c in letters:
                yield left + c, left, c
                nxt.append(left + c)
        level = nxt


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def add_spm(f, n):
    tokens = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]
    types = [2, 3, 3] + [6] * 256
    single = ["\u2581"] + [chr(c) for c in range(33, 127)]
    pieces = []
    make = words(["\u2581"] + list(LETTERS), LETTERS)
    while len(tokens) + len(pieces) + len(single) < n:
        pieces.append(next(make)[0])
    tokens += pieces + single
    types += [1] * (len(pieces) + len(single))
    f.put("tokenizer.ggml.model", g.STR, "llama")
    f.put("tokenizer.ggml.pre", g.STR, "default")
    f.put_list("tokenizer.ggml.tokens", g.STR, tokens)
    f.put_list("tokenizer.ggml.scores", g.F32, [0.0] * 259 + [-float(i) for i in range(n - 259)])
    f.put_list("tokenizer.ggml.token_type", g.I32, types)
    for key, v in (("bos", 1), ("eos", 2), ("unknown", 0)):
        f.put("tokenizer.ggml.%s_token_id" % key, g.U32, v)
    f.put("tokenizer.ggml.add_bos_token", g.BOOL, 1)
    f.put("tokenizer.ggml.add_eos_token", g.BOOL, 0)


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes, in the order of its vocabulary."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]


def add_bpe(f, n, pre, n_plain, special, ids):
    tokens, merges = byte_alphabet(), []
    make = words(["\u0120"] + list(LETTERS), LETTERS)  # U+0120 stands for a space
    while len(tokens) < n_plain:
        word, left, right = next(make)
        tokens.append(word)
        merges.append(left + " " + right)
    types = [1] * n_plain + [3] * len(special)
    tokens += special
    while len(tokens) < n:
        tokens.append("[PAD%d]" % len(tokens))
        types.append(5)
    f.put("tokenizer.ggml.model", g.STR, "gpt2")
    f.put("tokenizer.ggml.pre", g.STR, pre)
    f.put_list("tokenizer.ggml.tokens", g.STR, tokens)
    f.put_list("tokenizer.ggml.token_type", g.I32, types)
    f.put_list("tokenizer.ggml.merges", g.STR, merges)
    for key, v in ids:
        f.put("tokenizer.ggml.%s_token_id" % key, g.U32, v)
    f.put("tokenizer.ggml.add_bos_token", g.BOOL, int(pre == "llama-bpe"))


def add_tokenizer(f, vocab):
    if vocab == 128256:
        named = {0: "begin_of_text", 1: "end_of_text", 4: "finetune_right_pad_id",
                 6: "start_header_id", 7: "end_header_id", 8: "eom_id", 9: "eot_id"}
        rest = iter(range(256))
        special = ["<|%s|>" % (named.get(i) or "reserved_special_token_%d" % next(rest))
                   for i in range(256)]
        add_bpe(f, vocab, "llama-bpe", 128000, special,
                (("bos", 128000), ("eos", 128001), ("eot", 128009)))
    elif vocab == 151936:
        special = ["<|%s|>" % s for s in (
            "endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start",
            "box_end", "quad_start", "quad_end", "vision_start", "vision_end", "vision_pad",
            "image_pad", "video_pad")]
        add_bpe(f, vocab, "qwen2", 151643, special,
                (("bos", 151643), ("eos", 151645), ("eot", 151645), ("padding", 151643)))
    else:
        add_spm(f, vocab)


def add_metadata(f, shape, kind, seed):
    _, width, ff, heads, kv, head, vocab, ctx, base, eps, _, arch = SHAPES[shape]
    f.put("general.architecture", g.STR, arch)
    f.put("general.name", g.STR, "synthetic %s (seed %d)" % (shape, seed))
    f.put("general.file_type", g.U32, FILE_TYPE[kind])
    f.put("general.quantization_version", g.U32, 2)
    for key, v in (("block_count", f.n_layer), ("context_length", ctx), ("embedding_length", width),
                   ("feed_forward_length", ff), ("attention.head_count", heads),
                   ("attention.head_count_kv", kv), ("attention.key_length", head),
                   ("attention.value_length", head), ("rope.dimension_count", head),
                   ("vocab_size", vocab)):
        f.put("%s.%s" % (arch, key), g.U32, v)
    f.put(arch + ".rope.freq_base", g.F32, base)
    f.put(arch + ".attention.layer_norm_rms_epsilon", g.F32, eps)
    add_tokenizer(f, vocab)


def write_all(fd, view):
    while view:
        view = view[os.write(fd, view):]


def write_pattern(fd, pattern, size, start, n):
    """N bytes of the endless repetition of PATTERN, beginning with its block START."""
    at = start * size
    while n:
        piece = pattern[at:at + n]
        write_all(fd, piece)
        n -= len(piece)
        at = 0


def write_file(path, f, seed):
    patterns = Patterns(seed)
    head, offsets, total = f.layout()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        try:
            os.posix_fallocate(fd, 0, total)  # in few pieces, and "no space" now instead of later
        except OSError as e:
            if e.errno == 28:
                raise
        write_all(fd, memoryview(head))
        for i, (name, type_name, dims, data) in enumerate(f.tensors):
            os.lseek(fd, offsets[i], os.SEEK_SET)  # the holes between tensors read as zeros
            if data is not None:
                write_all(fd, memoryview(data))
            else:
                pattern, size = patterns.get(type_name)
                write_pattern(fd, pattern, size, (seed + 7919 * (i + 1)) % P,
                              g.tensor_bytes(type_name, dims))
        os.ftruncate(fd, total)
    finally:
        os.close(fd)
    return total


def main():
    p = argparse.ArgumentParser(description="Write a synthetic GGUF model of true shape and size. "
                                "The text it produces is noise.")
    p.add_argument("--shape", required=True, choices=sorted(SHAPES))
    p.add_argument("--type", required=True, choices=sorted(FILE_TYPE))
    p.add_argument("--align", type=int, default=32, help="general.alignment (default 32)")
    p.add_argument("--layers", type=int, help="instead of the shape's own number")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("out")
    a = p.parse_args()
    if a.align < 8 or a.align & (a.align - 1):
        p.error("--align must be a power of two, at least 8")
    if a.layers is not None and a.layers < 1:
        p.error("--layers must be at least 1")
    t0 = time.monotonic()
    f = g.Gguf(align=a.align)
    f.n_layer = a.layers or SHAPES[a.shape][0]
    add_metadata(f, a.shape, a.type, a.seed)
    add_tensors(f, a.shape, a.type)
    total = write_file(a.out, f, a.seed)
    print("%s: %d bytes in %.1f s" % (a.out, total, time.monotonic() - t0))


if __name__ == "__main__":
    main()
