#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the small samples of tests/files/ckpt (MindSpore) and tests/files/mlc (MLC-LLM indexes with
two shards), and a README in each, which says what each is.

    ckpt_samples.py [FOLDER]     (default: ../files, next to this script)

good-* open; bad-* are damaged in one place and refused; unsupported-* are sound but not for us;
sum-* open, but their checksum is another.  tests/test_ckpt.c holds the sentences."""

import hashlib
import json
import os
import struct
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "files")
ROWS = {"ckpt": [], "mlc": []}


def save(folder, name, sentence, data):
    assert len(data) < 4096, (name, len(data))
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    with open(os.path.join(OUT, folder, name), "wb") as f:
        f.write(data)
    ROWS[folder].append((name, sentence))


def readme(folder):
    with open(os.path.join(OUT, folder, "README"), "w") as f:
        f.write("Small files for the tests, made by tests/gen/ckpt_samples.py, which also wrote "
                "this list.\n\n")
        for name, sentence in ROWS[folder]:
            f.write(f"{name}\n    {sentence}\n")


# ---- MindSpore ----

def varint(v):
    out = b""
    v &= (1 << 64) - 1
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(dims, kind, content, packed=False):
    d = field(1, b"".join(map(varint, dims))) if packed else b"".join(
        b"\x08" + varint(v) for v in dims)
    return d + (field(2, kind.encode()) if kind else b"") + field(3, content)


def record(tag, dims, kind, content, **more):
    if isinstance(tag, str):
        tag = tag.encode()
    return field(1, field(1, tag) + field(2, tensor(dims, kind, content, **more)))


def crc(data):
    return data + b"crc_num" + zlib.crc32(data).to_bytes(10, "big")


def pattern(n, seed=0):
    return bytes((i * 7 + seed) & 255 for i in range(n))


def pieces(tag, dims, kind, content, cuts):
    """The parameter in pieces that end at CUTS."""
    out, at = b"", 0
    for end in list(cuts) + [len(content)]:
        out += record(tag, dims, kind, content[at:end])
        at = end
    return out


def ckpt(name, sentence, data):
    save("ckpt", name + ".ckpt", sentence, data)


A = record("a.weight", [4, 3], "Float32", pattern(48))
B = record("b.bias", [5], "BFloat16", pattern(10, 9))


def good_ckpt():
    ckpt("good-plain", "Six types, scalars in both ways, and what training leaves.",
         A + B + record("c", [], "Float64", pattern(8, 1)) + record("d", [0], "Int64", pattern(8, 2)) +
         record("e", [2, 3, 2, 1], "Float16", pattern(24, 3)) + record("f", [3], "Int8", b"abc") +
         record("random_op", [1], "Int32", b"\0" * 4) + record("adam_m.a.weight", [4, 3], "Float32",
                                                                pattern(48)) +
         record("epoch_num", [], "Int32", b"\1\0\0\0") + record("note", [3], "str", b"a\0\0\0" * 3) +
         record("moments.a.weight", [2, 2, 2, 2, 2], "Uint8", b"?" * 32))
    ckpt("good-bytes", "A parameter in five pieces of 33 bytes, cut inside numbers, then one whole.",
         pieces("a.weight", [7, 5], "Float32", pattern(140), [33, 66, 99, 132]) + B)
    ckpt("good-split", "A parameter in three nearly equal parts, and an empty fourth.",
         pieces("a.weight", [7, 5], "Float16", pattern(70), [24, 48, 70]) + B)
    ckpt("good-tiny-pieces", "A parameter whose rows lie in several pieces each.",
         A + pieces("p.weight", [3, 8], "BFloat16", pattern(48, 5), [1, 2, 9, 11, 30, 31]))
    ckpt("good-crc", "With a checksum behind it.", crc(A + B))
    ckpt("good-packed", "Its dimensions are packed, as another writer may do.",
         record("a.weight", [4, 3], "Float32", pattern(48), packed=True))
    late = field(3, pattern(48)) + b"\x08\x04" + field(2, b"Float32") + b"\x08\x03"
    ckpt("good-order", "The contents come before the type, and there are fields nobody knows yet.",
         B + field(1, field(2, late + field(9, b"new") + b"\x50\x07") + b"\x3d1234" + b"\x39" + b"8" * 8 +
                   field(1, b"a.weight")))
    ckpt("good-only-skipped", "Nothing but what training leaves.",
         record("global_step", [1], "Int32", b"\1\0\0\0"))


def bad_ckpt():
    ckpt("bad-cut-content", "The last ten bytes are missing.", (A + B)[:-10])
    ckpt("bad-cut-number", "It ends inside a length.", A + b"\x0a\x80")
    ckpt("bad-number-long", "A length of eleven bytes.", A + b"\x0a" + b"\x80" * 10 + b"\1")
    ckpt("bad-length-huge", "A record that claims 2^63 bytes.", A + b"\x0a" + varint(1 << 63) + B)
    ckpt("bad-nested", "A tensor longer than the record it is in.",
         A + field(1, field(1, b"x") + b"\x12\x7f\x08\x04"))
    ckpt("bad-group", "A field of the kind that went away.", A + field(1, field(1, b"x") + b"\x1b\x1c"))
    ckpt("bad-field-0", "A field of number 0.", A + field(1, b"\x02\x00"))
    ckpt("bad-garbage", "Other bytes behind a good record.", A + b"garbage, no record")
    ckpt("bad-dims-overflow", "Dimensions whose product is 2^64.",
         A + record("x", [1 << 32, 1 << 32], "Int8", b"1234"))
    ckpt("bad-dims-bytes", "2^62 numbers of four bytes, whose size overflows to 0.",
         A + record("x", [1 << 31, 1 << 31], "Float32", b""))
    ckpt("bad-dim-negative", "A dimension of -3.", A + record("x", [4, -3], "Float32", pattern(48)))
    ckpt("bad-dim-zero", "A dimension of 0 beside another.", A + record("x", [4, 0], "Float32", b""))
    ckpt("bad-dims-5", "Five dimensions.", A + record("x", [1] * 5, "Float32", pattern(4)))
    ckpt("bad-dims-17", "Seventeen dimensions.", A + record("x", [1] * 17, "Float32", pattern(4)))
    ckpt("bad-short", "One piece with fewer bytes than its dimensions need.",
         A + record("x", [4, 3], "Float32", pattern(44)))
    ckpt("bad-pieces-short", "Two pieces that have 4 bytes too few together.",
         pieces("x", [4, 3], "Float32", pattern(44), [20]) + A)
    ckpt("bad-pieces-long", "Two pieces that have 4 bytes too many together.",
         pieces("x", [4, 3], "Float32", pattern(52), [20]) + A)
    ckpt("bad-pieces-dims", "Two pieces of one parameter with other dimensions.",
         record("x", [4, 3], "Float32", pattern(24)) + record("x", [3, 4], "Float32", pattern(24)))
    ckpt("bad-pieces-type", "Two pieces of one parameter with other types.",
         record("x", [4, 3], "Float32", pattern(24)) + record("x", [4, 3], "Int32", pattern(24)))
    ckpt("bad-again", "A parameter that comes again after another.", A + B + A)
    ckpt("bad-tag-empty", "A tag of length 0.", A + record("", [1], "Float32", pattern(4)))
    ckpt("bad-tag-control", "A tag with a control character.", A + record("x\x1b[2J", [1], "Float32",
                                                                           pattern(4)))
    ckpt("bad-tag-long", "A tag of 513 bytes.", A + record("x" * 513, [1], "Float32", pattern(4)))
    ckpt("bad-no-tag", "A record without a tag.", A + field(1, field(2, tensor([1], "Int8", b"1"))))
    ckpt("bad-no-type", "A tensor without a type.", A + record("x", [1], "", pattern(4)))
    ckpt("bad-content-twice", "A tensor with contents twice.",
         A + field(1, field(1, b"x") + field(2, tensor([1], "Int8", b"1") + field(3, b"2"))))
    ckpt("bad-crc-wide", "A checksum of more than 32 bits.", A + b"crc_num" + b"\1" + b"\0" * 9)
    ckpt("bad-encrypted", "No record at all, as an encrypted file.", hashlib.sha256(b"k").digest() * 8)
    ckpt("bad-first", "A first record that ends inside its tag.", field(1, field(1, b"x"))[:-1] + b"")
    ckpt("unsupported-type", "A parameter of complex numbers.",
         A + record("x", [1], "Complex64", pattern(8)))
    ckpt("unsupported-map", "A parameter that is a map.",
         A + field(1, field(1, b"table") + field(3, field(1, b"x"))))
    ckpt("sum-crc", "A checksum that is not its own.", crc(A + B)[:-1] + b"\0")


# ---- MLC-LLM ----

SHARDS = {"a.bin": pattern(96), "b.bin": pattern(40, 3)}


def array(name, shape, dtype, offset, nbytes, form="f32-to-bf16", **more):
    return dict({"name": name, "shape": shape, "dtype": dtype, "format": form, "nbytes": nbytes,
                 "byteOffset": offset}, **more)


def shard(path, *arrays, **more):
    data = SHARDS[path.split("?")[0]] if path.split("?")[0] in SHARDS else b""
    s = {"dataPath": path, "format": "raw-shard", "nbytes": len(data), "records": list(arrays),
         "md5sum": hashlib.md5(data).hexdigest()}
    s.update(more)
    return {k: v for k, v in s.items() if v is not None}


W = array("w.q_weight", [4, 2], "uint32", 0, 32)
S = array("w.q_scale", [4, 2], "float32", 32, 16)
F = array("f", [3], "float32", 48, 12, "raw")
H = array("h", [2, 3], "float16", 60, 12)


def index(name, sentence, *shards, text=None, **more):
    j = dict({"metadata": {"ParamSize": 4, "ParamBytes": 1.0, "BitsPerParam": 4.5},
              "records": list(shards)}, **more)
    save("mlc", name + "-cache.json", sentence, text if text is not None
         else json.dumps(j).encode())


def mlc():
    for name, data in SHARDS.items():
        save("mlc", name, "A shard of the indexes here.", data)
    index("good", "Two shards, one named as a server has it; every dtype and format.",
          shard("a.bin?partitions=4", W, S, F, H), shard("b.bin", array("z", [5], "int64", 0, 40)))
    swapped = json.dumps({"records": [{"records": [array("w\\u002e", [24], "float32", 0, 96, "raw", new=[
        {}])], "extra": {"a": [1, {"b": None}]}, "nbytes": 96, "dataPath": "a.bin"}],
                          "metadata": None, "later": [[], {}]})
    index("good-order", "Everything in another order, no MD5, and keys nobody knows.",
          text=swapped.replace("\\\\u002e", "\\u002e").encode())
    index("good-b16", "The second index, whose floats are bfloat16.",
          shard("a.bin", W, array("w.q_scale", [4, 2], "bfloat16", 32, 16, "raw")))
    index("sum-md5", "An MD5 that is not the shard's.", shard("a.bin", W, md5sum="0" * 32))
    index("bad-text", "Not JSON.", text=b'{"metadata": {"ParamSize": 4}, "records": [}')
    index("bad-cut", "It ends in the middle.", text=b'{"metadata": {"ParamSize": 4}, "records": [{"da')
    index("bad-deep", "A thousand lists in one another.",
          text=b'{"metadata": {"ParamSize": 4}, "x": ' + b"[" * 1000 + b"]" * 1000 + b"}")
    index("bad-array", "A list and not an object.", text=b'[{"dataPath": "a.bin"}]')
    index("bad-none", "No arrays.", shard("a.bin"))
    index("bad-records", "A number for the list of shards.", records=3)
    index("bad-records-twice", "The list of shards twice.",
          text=b'{"records": [], "records": [], "metadata": {"ParamSize": 1}}')
    index("bad-list", "A number in the list of arrays.", shard("a.bin", 7))
    index("bad-outside", "An array that ends behind its shard.",
          shard("a.bin", array("x", [4], "float32", 88, 16, "raw")))
    index("bad-offset-overflow", "An offset near 2^63.",
          shard("a.bin", array("x", [4], "float32", (1 << 63) - 1, 16, "raw")))
    index("bad-offset-wide", "An offset of 2^64.",
          shard("a.bin", array("x", [4], "float32", 1 << 64, 16, "raw")))
    index("bad-offset-real", "An offset with a fraction.",
          shard("a.bin", array("x", [4], "float32", 0.5, 16, "raw")))
    index("bad-nbytes", "A length that is not the shape's.",
          shard("a.bin", array("x", [4], "float32", 0, 16)))
    index("bad-shape-overflow", "A shape of 2^64 bytes.",
          shard("a.bin", array("x", [1 << 31, 1 << 31], "float32", 0, 0, "raw")))
    index("bad-shape-negative", "A dimension of -1.",
          shard("a.bin", array("x", [-1, 4], "float32", 0, 16, "raw")))
    index("bad-shape-zero", "A dimension of 0.", shard("a.bin", array("x", [0], "float32", 0, 0)))
    index("bad-shape-5", "Five dimensions.", shard("a.bin", array("x", [1] * 5, "float32", 0, 4, "raw")))
    index("bad-path-up", "A shard in the folder above.", shard("../a.bin", W, nbytes=96))
    index("bad-path-root", "A shard with an absolute path.", shard("/etc/passwd", W, nbytes=96))
    index("bad-path-zero", "A shard's name with a zero byte.", shard("a.bin\0x", W, nbytes=96))
    index("bad-path-query", "A shard's name that is a query only.", shard("?a.bin", W, nbytes=96))
    index("bad-path-long", "A shard's name of 300 bytes.", shard("a" * 300, W, nbytes=96))
    index("bad-missing", "A shard that is not there.", shard("c.bin", W, nbytes=96))
    index("bad-size", "A shard that is longer than the file.", shard("a.bin", W, nbytes=97))
    index("bad-shard-twice", "A shard twice.", shard("a.bin", W), shard("a.bin?x", H))
    index("bad-twice", "An array twice.", shard("a.bin", W, W))
    index("bad-no-dtype", "An array without a dtype.",
          shard("a.bin", {"name": "x", "shape": [1], "nbytes": 4, "byteOffset": 0}))
    index("bad-no-path", "A shard without a name.", shard("a.bin", W, dataPath=None))
    index("bad-md5", "An MD5 with another letter.", shard("a.bin", W, md5sum="g" * 32))
    index("unsupported-dtype", "An array of fp8.", shard("a.bin", array("x", [4], "float8_e4m3fn", 0, 4)))
    index("unsupported-format", "An array in another encoding.",
          shard("a.bin", array("x", [4], "float32", 0, 4, "zstd")))
    index("unsupported-shard", "A shard in another encoding.", shard("a.bin", W, format="lz4"))


good_ckpt()
bad_ckpt()
readme("ckpt")
mlc()
readme("mlc")
