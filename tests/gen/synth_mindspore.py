#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a synthetic MindSpore checkpoint of true shape and size, and the config.json beside it.

The weights and shapes are those of synth_gguf.py, the names mindformers', and a parameter larger
than --slice is cut as MindSpore cuts it: into records of one tag ("bytes": every so many bytes, as
the newer writer does; "array": into nearly equal parts, as the older one does).  THE TEXT IT
PRODUCES IS NOISE.  It streams: memory stays below 100 MB.  The same arguments give the same bytes.

    synth_mindspore.py --shape llama-3-8b --type bf16 /tmp/l3ms/l3.ckpt
"""

import argparse
import json
import os
import struct
import time
import zlib

from synth_gguf import P, SHAPES, Patterns, write_all

KINDS = {"f32": ("Float32", 4), "f16": ("Float16", 2), "bf16": ("BFloat16", 2)}


def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def head(tag, dims, kind, n):
    """All of a record but its N bytes of contents."""
    t = b"".join(b"\x08" + varint(d) for d in dims)
    t += b"\x12" + varint(len(kind)) + kind.encode() + b"\x1a" + varint(n)
    v = b"\x0a" + varint(len(tag)) + tag.encode() + b"\x12" + varint(len(t) + n) + t
    return b"\x0a" + varint(len(v) + n) + v


class Out:
    """A file, and the CRC of what was written to it when one is wanted."""

    def __init__(self, path, crc):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self.crc = 0 if crc else None
        self.bytes = 0

    def put(self, data):
        view = memoryview(data)
        if self.crc is not None:
            self.crc = zlib.crc32(view, self.crc)
        self.bytes += len(view)
        write_all(self.fd, view)

    def done(self):
        if self.crc is not None:
            write_all(self.fd, memoryview(b"crc_num" + self.crc.to_bytes(10, "big")))
        os.close(self.fd)


def cuts(total, item, a):
    """Lengths of the pieces of a parameter."""
    n = -(-total // a.slice)
    if n == 1:
        return [total]
    if a.cut == "bytes":
        return [min(a.slice, total - i * a.slice) for i in range(n)]
    elems, rest = divmod(total // item, n)
    return [(elems + (i < rest)) * item for i in range(n)]


def parameters(shape, n_layer):
    """(name, dims, is a norm), in the order of mindformers' llama."""
    _, width, ff, heads, kv, head_dim, vocab, _, _, _, tied, _ = SHAPES[shape]
    yield "model.tok_embeddings.embedding_weight", [vocab, width], False
    for i in range(n_layer):
        b = "model.layers.%d." % i
        yield b + "attention_norm.weight", [width], True
        yield b + "ffn_norm.weight", [width], True
        yield b + "attention.wq.weight", [heads * head_dim, width], False
        yield b + "attention.wk.weight", [kv * head_dim, width], False
        yield b + "attention.wv.weight", [kv * head_dim, width], False
        yield b + "attention.wo.weight", [width, heads * head_dim], False
        yield b + "feed_forward.w1.weight", [ff, width], False
        yield b + "feed_forward.w2.weight", [width, ff], False
        yield b + "feed_forward.w3.weight", [ff, width], False
    yield "model.norm_out.weight", [width], True
    if not tied:
        yield "lm_head.weight", [vocab, width], False


def write_parameter(out, a, patterns, number, name, dims, norm):
    kind, item = KINDS[a.type]
    n = item
    for d in dims:
        n *= d
    one = {"f32": struct.pack("<f", 1), "f16": struct.pack("<e", 1), "bf16": b"\x80\x3f"}[a.type]
    data, size = (memoryview(one * 4096), item) if norm else patterns.get(a.type)
    at = 0 if norm else (a.seed + 7919 * (number + 1)) % P * size
    for piece in cuts(n, item, a):
        out.put(head(name, dims, kind, piece))
        while piece:
            part = data[at:at + piece]
            out.put(part)
            piece -= len(part)
            at = (at + len(part)) % len(data)


def config(a):
    n, width, ff, heads, kv, head_dim, vocab, ctx, base, eps, tied, arch = SHAPES[a.shape]
    return {"model_type": arch, "architectures": ["LlamaForCausalLM"], "hidden_size": width,
            "intermediate_size": ff, "num_hidden_layers": a.layers or n,
            "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": head_dim,
            "vocab_size": vocab, "max_position_embeddings": ctx, "rope_theta": base,
            "rms_norm_eps": eps, "tie_word_embeddings": tied, "hidden_act": "silu"}


def main():
    p = argparse.ArgumentParser(description="Write a synthetic MindSpore checkpoint of true shape "
                                "and size, and its config.json. The text it produces is noise.")
    p.add_argument("--shape", required=True,
                   choices=sorted(s for s in SHAPES if SHAPES[s][-1] == "llama"))
    p.add_argument("--type", default="bf16", choices=sorted(KINDS))
    p.add_argument("--slice", type=int, default=512 << 20, help="bytes of a record (default 2^29)")
    p.add_argument("--cut", default="bytes", choices=("bytes", "array"))
    p.add_argument("--crc", action="store_true", help="with a checksum at the end")
    p.add_argument("--layers", type=int, help="instead of the shape's own number")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("out")
    a = p.parse_args()
    if a.slice < 1 or (a.layers is not None and a.layers < 1):
        p.error("--slice and --layers must be at least 1")
    t0 = time.monotonic()
    os.makedirs(os.path.dirname(os.path.abspath(a.out)), exist_ok=True)
    out, patterns = Out(a.out, a.crc), Patterns(a.seed)
    for i, (name, dims, norm) in enumerate(parameters(a.shape, a.layers or SHAPES[a.shape][0])):
        write_parameter(out, a, patterns, i, name, dims, norm)
    out.done()
    with open(os.path.join(os.path.dirname(os.path.abspath(a.out)), "config.json"), "w") as f:
        json.dump(config(a), f, indent=1)
    print("%s: %d bytes in %.1f s" % (a.out, out.bytes, time.monotonic() - t0))


if __name__ == "__main__":
    main()
