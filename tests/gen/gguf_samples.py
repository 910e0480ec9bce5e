#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the small GGUF samples of tests/files, and tests/files/README, which says what each is.

    gguf_samples.py [FOLDER]     (default: ../files, next to this script)

good-* open; bad-* are damaged in one place and refused; unsupported-* are sound but not for us.
tests/test_map.c holds the sentence that each bad one must produce."""

import os
import struct
import sys

import gguf_write as g

ROWS = []  # (name, sentence)
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "files")


def save(name, sentence, data):
    assert len(data) < 4096, (name, len(data))
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
    ROWS.append((name, sentence))


def pattern(n, seed=0):
    return bytes((i * 7 + seed) & 255 for i in range(n))


def tensor(f, name, type_name, dims, seed=0):
    f.tensor(name, type_name, dims, pattern(g.tensor_bytes(type_name, dims), seed))


def raw(pairs=(), infos=(), data=64, version=3, n_pairs=None, n_infos=None, align=32):
    """A file from parts, where a test may lie about the counts."""
    head = g.header(len(infos) if n_infos is None else n_infos,
                    len(pairs) if n_pairs is None else n_pairs, version) + b"".join(pairs)
    head += b"".join(infos)
    return head + g.pad(len(head), align) + pattern(data)


ARCH = g.pair("general.architecture", g.STR, "llama")
VALUES = {g.U8: 200, g.I8: -100, g.U16: 60000, g.I16: -30000, g.U32: 4000000000, g.I32: -2000000000,
          g.F32: 0.5, g.BOOL: 1, g.STR: "text", g.U64: 1 << 63, g.I64: -(1 << 62), g.F64: 0.1}
NAMES = "u8 i8 u16 i16 u32 i32 f32 bool str array u64 i64 f64".split()


def good():
    f = g.Gguf()
    f.put("general.architecture", g.STR, "llama")
    for t, v in VALUES.items():
        f.put("one." + NAMES[t], t, v)
        f.put_list("list." + NAMES[t], t, [v, v, VALUES[t]])
        f.put_list("single." + NAMES[t], t, [v])
    f.put_list("list.empty", g.U32, [])
    f.put("one.control", g.STR, b"a\0b\xff")
    tensor(f, "one.weight", "f32", [8])
    save("good-metadata.gguf", "every type of value: alone, in a list of three, in a list of one.",
         f.bytes())

    f = g.Gguf()
    f.put("general.architecture", g.STR, "llama")
    for i, (name, (_, elems, size)) in enumerate(g.TYPES.items()):
        if size < 128:
            tensor(f, name + ".weight", name, [elems], i)
    save("good-types-small.gguf", "a block of every tensor type whose block is below 128 bytes.",
         f.bytes())

    f = g.Gguf()
    for i, (name, (_, elems, size)) in enumerate(g.TYPES.items()):
        if size >= 128:
            tensor(f, name + ".weight", name, [elems], i)
    save("good-types-large.gguf", "a block of every tensor type whose block is larger.", f.bytes())

    f = g.Gguf()
    f.put("general.architecture", g.STR, "llama")
    tensor(f, "experts.weight", "q4_0", [32, 2, 3, 2])
    tensor(f, "cube.weight", "f16", [3, 5, 7], 1)
    save("good-dims.gguf", "tensors of three and four dimensions.", f.bytes())

    f = g.Gguf(version=2)
    f.put("general.architecture", g.STR, "llama")
    tensor(f, "a.weight", "f32", [4, 2])
    save("good-v2.gguf", "version 2.", f.bytes())

    f = g.Gguf(align=64)
    f.put("general.architecture", g.STR, "llama")
    tensor(f, "a.weight", "f32", [3])
    tensor(f, "b.weight", "q8_0", [32, 2], 1)
    save("good-align-64.gguf", "an alignment of 64.", f.bytes())

    infos = [g.tensor_info("last.weight", [4], 0, 192), g.tensor_info("scalar", [], 0, 0),
             g.tensor_info("middle.weight", [2, 2], 1, 64)]
    save("good-order.gguf", "tensors not in the order of their offsets, with holes between them; "
         "one is without dimensions.", raw([ARCH], infos, 208))

    save("good-no-tensors.gguf", "metadata only, as vocabulary files are.",
         g.header(0, 1) + ARCH)

    for no in range(3):
        f = g.Gguf()
        if no == 0:
            f.put("general.architecture", g.STR, "llama")
        f.put("split.no", g.U16, no)
        f.put("split.count", g.U16, 3)
        f.put("split.tensors.count", g.I32, 3)
        if no:
            tensor(f, "part%d.weight" % no, "f32", [16], no)
        if no == 2:
            tensor(f, "part2.more.weight", "f16", [16], 9)
        save("good-split-%05d-of-00003.gguf" % (no + 1), "part %d of a model split into three; the "
             "first has no tensor." % (no + 1), f.bytes())


def bad_header():
    def v(name, sentence, data):
        save("bad-%s.gguf" % name, sentence, data)

    info = g.tensor_info("a.weight", [16], 0, 0)
    whole = raw([ARCH], [info])
    v("cut-data", "the last 40 bytes of the only tensor are missing.", whole[:-40])
    v("cut-header", "it ends in the middle of a string of its metadata.", whole[:60])
    v("cut-magic", "it ends after its version number.", whole[:8])
    v("version-0", "version 0.", raw([ARCH], [info], version=0))
    v("count-pairs", "it claims 2^40 metadata pairs.", raw([ARCH], [info], n_pairs=1 << 40))
    v("count-tensors", "it claims 2^60 tensors.", raw([ARCH], [info], n_infos=1 << 60))
    v("count-one-more", "it claims one metadata pair more than it has.",
      raw([ARCH], [info], n_pairs=2))
    v("key-twice", "a metadata key is there twice.", raw([ARCH, ARCH], [info]))
    v("key-empty", "a metadata key of length 0.", raw([ARCH, g.pair("", g.U32, 1)], [info]))
    v("key-zero-byte", "a metadata key with a zero byte in it.",
      raw([g.pair(b"general\0name", g.U32, 1)], [info]))
    v("key-long", "a metadata key that claims 65536 bytes.",
      raw([ARCH, struct.pack("<Q", 65536) + bytes(64)], [info]))
    v("value-type", "a metadata value of type 13.",
      raw([ARCH, g.string("odd.key") + struct.pack("<I", 13) + bytes(8)], [info]))
    v("string-length", "a string that claims 2^63 bytes.",
      raw([g.string("general.name") + struct.pack("<IQ", g.STR, 1 << 63) + b"abc"], [info]))
    lie = lambda et, n: g.string("tokens") + struct.pack("<IIQ", g.ARRAY, et, n) + bytes(16)
    v("array-length", "a list that claims 2^32 numbers.", raw([lie(g.U32, 1 << 32)], [info]))
    v("array-product", "a list of 2^61 numbers of 8 bytes, whose product overflows to 0.",
      raw([lie(g.U64, 1 << 61)], [info]))
    v("array-strings", "a list of strings, the last of which is longer than the file.",
      raw([g.string("tokens") + struct.pack("<IIQ", g.ARRAY, g.STR, 2) + g.string("a")
           + struct.pack("<Q", 5000)], [info]))
    v("array-type", "a list of elements of type 99.", raw([lie(99, 2)], [info]))
    for name, t, n in (("0", g.U32, 0), ("3", g.U32, 3), ("4", g.U32, 4), ("huge", g.U32, 1 << 31),
                       ("negative", g.I32, -32), ("string", g.STR, "32")):
        v("alignment-" + name, "an alignment of %s." % (n if t != g.STR else "the string \"32\""),
          raw([ARCH, g.pair("general.alignment", t, n)], [info]))


def bad_tensors():
    def v(name, sentence, infos, data=64):
        save("bad-%s.gguf" % name, sentence, raw([ARCH], infos, data))

    i = g.tensor_info
    v("tensor-twice", "two tensors of the same name.",
      [i("a.weight", [4], 0, 0), i("a.weight", [4], 0, 32)])
    v("name-empty", "a tensor without a name.", [i("", [4], 0, 0)])
    v("name-long", "a tensor name of 65 bytes.", [i("n" * 65, [4], 0, 0)])
    v("dims-5", "a tensor of five dimensions.", [i("a.weight", [2, 2, 2, 2, 2], 0, 0)])
    v("dim-zero", "a tensor with a dimension of 0.", [i("a.weight", [4, 0], 0, 0)])
    v("dims-overflow", "dimensions whose product is 2^64.",
      [i("a.weight", [1 << 16, 1 << 16, 1 << 16, 1 << 16], 0, 0)])
    v("dim-huge", "a row of 2^62 elements of 4 bytes, whose size overflows to 0.",
      [i("a.weight", [1 << 62], 0, 0)])
    v("row-block", "a q4_0 tensor with rows of 48 elements.", [i("a.weight", [48], 2, 0)])
    v("offset-unaligned", "an offset that is not a multiple of the alignment.",
      [i("a.weight", [4], 0, 8)])
    v("offset-outside", "an offset past the end of the file.", [i("a.weight", [4], 0, 4096)])
    v("offset-overflow", "an offset that wraps around to the start of the file.",
      [i("a.weight", [4], 0, (1 << 64) - 32)])
    v("overlap", "two tensors that share bytes.",
      [i("a.weight", [12], 0, 0), i("b.weight", [4], 0, 32)])


def bad_others():
    two = [g.pair("split.no", g.U16, 0), g.pair("split.count", g.U16, 2)]
    save("bad-split-name.gguf", "part 1 of 2 by its metadata, with a name that does not say so.",
         raw([ARCH] + two))
    save("bad-split-no.gguf", "part 3 of 2 by its metadata.",
         raw([ARCH, g.pair("split.no", g.U16, 2), g.pair("split.count", g.U16, 2)]))
    save("bad-split-missing-00001-of-00002.gguf", "part 1 of 2; the other part is missing.",
         raw([ARCH] + two))
    save("bad-empty.gguf", "nothing at all.", b"")
    save("bad-zeros.gguf", "zeros only, as an unfinished download.", bytes(64))
    save("bad-web-page.gguf", "a web page.",
         b"\n<!DOCTYPE html>\n<html><title>404</title></html>\n")
    save("bad-git-lfs.gguf", "a git-lfs pointer.", b"version https://git-lfs.github.com/spec/v1\n"
         b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
         b"size 12345\n")
    save("bad-noise.gguf", "no known format.", b"noise" * 8)


def unsupported():
    def v(name, sentence, data):
        save("unsupported-%s.gguf" % name, sentence, data)

    info = g.tensor_info("a.weight", [16], 0, 0)
    v("v1", "version 1, whose counts have 32 bits.",
      b"GGUF" + struct.pack("<III", 1, 0, 0) + bytes(32))
    v("v4", "version 4.", raw([ARCH], [info], version=4))
    v("big-endian", "version 3 in big-endian order.", b"GGUF" + struct.pack(">IQQ", 3, 0, 0))
    v("nested-array", "a list of lists.", raw(
        [ARCH, g.pair("odd.key", g.ARRAY, (g.ARRAY, [(g.U8, [1]), (g.U8, [2])]))], [info]))
    for name, number, why in (("removed", 4, "removed from GGUF (Q4_2)"),
                              ("repacked", 31, "removed from GGUF (Q4_0_4_4)"),
                              ("fork", 144, "of a fork (IQ5_K)"),
                              ("unknown", 4000000000, "nobody knows")):
        v("type-" + name, "a tensor of type %d, %s." % (number, why),
          raw([ARCH], [g.tensor_info("odd.weight", [256], number, 0)], 256))
    v("zip", "the beginning of a zip archive.", b"PK\3\4\0\0\0\0" + pattern(56))
    v("pickle", "the beginning of a Python pickle.", b"\x80\x02\x8a\x0a" + pattern(60))
    v("ggjt", "the beginning of a file from before GGUF.",
      struct.pack("<II", 0x67676a74, 3) + bytes(56))
    v("gzip", "the beginning of a gzip file.", b"\x1f\x8b\x08\0" + pattern(60))


def main():
    good()
    bad_header()
    bad_tensors()
    bad_others()
    unsupported()
    with open(os.path.join(OUT, "README"), "w") as f:
        f.write("Small files for the tests, made by tests/gen/gguf_samples.py, which also wrote "
                "this list.\n\n")
        for name, sentence in ROWS:
            f.write("%s\n    %s\n" % (name, sentence[0].upper() + sentence[1:]))


if __name__ == "__main__":
    main()
