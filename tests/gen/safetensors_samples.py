#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the small safetensors samples of tests/files, and tests/files/README.safetensors, which says
what each is.

    safetensors_samples.py [FOLDER]     (default: ../files, next to this script)

good-* open; bad-* are damaged in one place and refused; unsupported-* are sound but not for us.
tests/test_safetensors.c holds the sentence that each bad one must produce."""

import json
import os
import struct
import sys

ROWS = []  # (name, sentence)
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "files")

# Bits of an element.
DTYPES = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32,
          "U16": 16, "U8": 8, "BOOL": 8, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
          "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}


def save(name, sentence, data):
    assert len(data) < 4096, (name, len(data))
    os.makedirs(os.path.dirname(os.path.join(OUT, name)), exist_ok=True)
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
    ROWS.append((name, sentence))


def pattern(n, seed=0):
    return bytes((i * 7 + seed) & 255 for i in range(n))


def raw(text, data=b"", n=None):
    """A file with the header TEXT (a string or bytes), which claims N bytes."""
    if isinstance(text, str):
        text = text.encode()
    return struct.pack("<Q", len(text) if n is None else n) + text + data


def whole(tensors, metadata=None, pad=8):
    """tensors: [(name, dtype, shape)].  The header is padded with blanks to a multiple of PAD."""
    head, at = {}, 0
    if metadata is not None:
        head["__metadata__"] = metadata
    for name, dtype, shape in tensors:
        n = DTYPES[dtype]
        for d in shape:
            n *= d
        assert n % 8 == 0
        head[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + n // 8]}
        at += n // 8
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % pad)
    return raw(text, pattern(at))


def entry(dtype='"F32"', shape="[2,3]", offsets="[0,24]", more=""):
    return '{"dtype":%s,"shape":%s,"data_offsets":%s%s}' % (dtype, shape, offsets, more)


def one(e, data=24):
    return raw('{"a.weight":%s}' % e, pattern(data))


def good():
    save("good-dtypes.safetensors", "a tensor of every dtype.",
         whole([(t, t, (3, 8)) for t in DTYPES]))
    save("good-shapes.safetensors", "a scalar, a row, tensors of two to four dimensions, two without elements, "
         "and metadata.", whole([("scalar", "F32", ()), ("row", "F16", (5,)), ("matrix", "BF16", (3, 4)),
                                ("cube", "I8", (2, 3, 4)), ("four", "U8", (2, 3, 4, 5)), ("none", "F32", (0,)),
                                ("none.either", "F32", (7, 0, 7))], {"format": "pt", "note": "\u00fcber \"all\"", "empty": ""}))
    save("good-unaligned.safetensors", "a header of an odd length, so that no tensor is aligned.",
         raw(json.dumps({"b": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                         "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [1, 25]}}).ljust(131), pattern(25)))
    save("good-order.safetensors", "tensors not in the order of their offsets, with a hole between them, bytes after "
         "the last, keys in another order and one that nobody knows.",
         raw('{"z":{"data_offsets":[40,48],"shape":[2],"dtype":"F32"},"\\u0061.weight":%s}' % entry(more=',"who":[{"k":1}]'),
             pattern(64)))
    save("good-empty.safetensors", "no tensor at all.", raw("{}"))


def bad():
    def v(name, sentence, data):
        save("bad-%s.safetensors" % name, sentence, data)
    sound = one(entry())
    v("cut-data", "the last 4 bytes of the only tensor are missing.", sound[:-4])
    v("cut-header", "it ends in the middle of its header.", sound[:40])
    v("cut-short", "9 bytes.", raw("{"))
    v("header-huge", "a header that claims 2^63 bytes.", raw("{}", n=1 << 63))
    v("header-large", "a header that claims 99999999 bytes.", raw("{}", n=99999999))
    v("header-tail", "text after the header's object.", raw('{"a":%s} x' % entry(), pattern(24)))
    v("json", "a header that is not JSON.", raw('{"a.weight":{"dtype" "F32"}}', pattern(24)))
    v("json-open", "a header that ends too early.", raw('{"a.weight":', pattern(24)))
    v("deep", "a header nested deeper than is believed.", raw('{"a":' + "[" * 1500, b""))
    v("utf8", "a name that is not UTF-8.", raw(b'{"\xff\xfe":' + entry().encode() + b"}", pattern(24)))
    v("entry", "an entry that is a number.", one("7"))
    v("twice", "two tensors of the same name.", raw('{"a":%s,"a":%s}' % (entry(), entry(offsets="[24,48]")), pattern(48)))
    v("key-twice", "an entry with two shapes.", one(entry(more=',"shape":[1,6]')))
    v("no-dtype", "an entry without a dtype.", one('{"shape":[2,3],"data_offsets":[0,24]}'))
    v("no-shape", "an entry without a shape.", one('{"dtype":"F32","data_offsets":[0,24]}'))
    v("no-offsets", "an entry without offsets.", one('{"dtype":"F32","shape":[2,3]}'))
    v("offsets-one", "one offset.", one(entry(offsets="[24]")))
    v("offsets-three", "three offsets.", one(entry(offsets="[0,24,24]")))
    v("offsets-back", "an end before the beginning.", one(entry(offsets="[24,0]")))
    v("offsets-size", "offsets that are 4 bytes too far apart.", one(entry(offsets="[0,28]"), 28))
    v("offsets-outside", "offsets past the end of the file.", one(entry(offsets="[4000,4024]")))
    v("offsets-huge", "an end of 2^63 - 1.", one(entry(offsets="[9223372036854775783,9223372036854775807]")))
    v("offsets-text", "offsets that are strings.", one(entry(offsets='["0","24"]')))
    v("shape-negative", "a dimension of -2.", one(entry(shape="[-2,-3]")))
    v("shape-real", "a dimension of 2.5.", one(entry(shape="[2.5,3]")))
    v("shape-large", "a dimension of 2^64.", one(entry(shape="[18446744073709551616]")))
    v("shape-product", "dimensions whose product is 2^64.", one(entry(shape="[65536,65536,65536,65536]", offsets="[0,0]")))
    v("shape-row", "a row of 2^62 elements of 4 bytes, whose size overflows to 0.",
      one(entry(shape="[4611686018427387904]", offsets="[0,0]")))
    v("shape-f4", "rows of an odd number of 4-bit elements.", one(entry('"F4"', "[2,3]", "[0,3]")))
    v("overlap", "two tensors that share bytes.", raw('{"a":%s,"b":%s}' % (entry(), entry(offsets="[20,44]")), pattern(44)))
    v("name-empty", "a tensor without a name.", raw('{"":%s}' % entry(), pattern(24)))
    v("name-zero", "a name with a zero byte.", raw('{"a\\u0000b":%s}' % entry(), pattern(24)))
    v("metadata-list", "metadata that is a list.", raw('{"__metadata__":[]}'))
    v("metadata-number", "metadata with a number in it.", raw('{"__metadata__":{"n":1}}'))
    v("metadata-twice", "metadata with the same key twice.", raw('{"__metadata__":{"n":"1","n":"2"}}'))
    save("unsupported-dims.safetensors", "a tensor of five dimensions.", one(entry(shape="[1,2,1,3,1]")))
    save("unsupported-dtype.safetensors", "a tensor of dtype Q5.", one(entry('"Q5"')))


def index(pairs, total=48):
    return json.dumps({"metadata": {"total_size": total}, "weight_map": pairs}, indent=1).encode()


def sharded():
    """Folders; each is a model of two files."""
    a = whole([("a.weight", "F32", (2, 3))], {"format": "pt"})
    b = whole([("b.weight", "F32", (2, 3)), ("extra", "F32", (2,))], {"format": "pt"})
    names = ["model-%05d-of-00002.safetensors" % i for i in (1, 2)]
    sound = {"b.weight": names[1], "a.weight": names[0]}

    def v(name, sentence, files, index_bytes, index_name="model.safetensors.index.json"):
        for f, data in files:
            save("%s/%s" % (name, f), "", data)
        if index_bytes is not None:
            save("%s/%s" % (name, index_name), sentence, index_bytes)
        else:
            ROWS.append((name, sentence))
    both = [(names[0], a), (names[1], b)]
    v("shards-good", "two files and an index, which does not have a tensor of the second.", both, index(sound))
    v("shards-no-index", "two files, and no index.", both, None)
    v("shards-names", "files whose names do not say which is the first.", [("one.safetensors", a), ("two.safetensors", b)],
      index({"a.weight": "one.safetensors", "b.weight": "two.safetensors"}))
    v("shards-missing", "an index of a file that is not there.", both[:1], index(sound))
    v("shards-absent", "an index with a tensor that no file has.", both, index(dict(sound, **{"c.weight": names[0]})))
    v("shards-other", "an index that has both tensors in the wrong file.", both, index({"a.weight": names[1], "b.weight": names[0]}))
    v("shards-outside", "an index of a file in another folder.", both, index(dict(sound, **{"a.weight": "../" + names[0]})))
    v("shards-suffix", "an index of a file with another ending.", both, index(dict(sound, **{"a.weight": "/etc/passwd"})))
    v("shards-twice", "an index with a tensor twice.", both,
      b'{"weight_map":{"a.weight":"%s","a.weight":"%s"}}' % (names[0].encode(), names[1].encode()))
    v("shards-empty", "an index without a map.", both, b'{"metadata":{}}')
    v("shards-damaged", "an index that is not JSON.", both, index(sound)[:-20])
    v("shards-same", "two files with the same tensor, and no index.", [(names[0], a), (names[1], a)], None)


def main():
    good()
    bad()
    sharded()
    with open(os.path.join(OUT, "README.safetensors"), "w") as f:
        f.write("Small files for the tests, made by tests/gen/safetensors_samples.py, which also wrote this list.\n\n")
        for name, sentence in ROWS:
            if sentence:
                f.write("%s\n    %s\n" % (name, sentence[0].upper() + sentence[1:]))


if __name__ == "__main__":
    main()
