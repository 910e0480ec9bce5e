# SPDX-License-Identifier: MIT
"""Writing GGUF files with nothing but the standard library.

Low level: string(), value(), pair(), tensor_info() give the bytes of one item, so that a test can
put together a file that is wrong in exactly one place.  High level: class Gguf collects pairs and
tensors and lays them out correctly.  Layout: see "GGUF" in the ggml documentation."""

import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARRAY, U64, I64, F64 = range(13)

PACK = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q",
        I64: "q", F64: "d"}

# name: (ggml type number, elements in a block, bytes of a block)
TYPES = {
    "f32": (0, 1, 4), "f16": (1, 1, 2), "q4_0": (2, 32, 18), "q4_1": (3, 32, 20),
    "q5_0": (6, 32, 22), "q5_1": (7, 32, 24), "q8_0": (8, 32, 34), "q8_1": (9, 32, 36),
    "q2_k": (10, 256, 84), "q3_k": (11, 256, 110), "q4_k": (12, 256, 144), "q5_k": (13, 256, 176),
    "q6_k": (14, 256, 210), "q8_k": (15, 256, 292), "iq2_xxs": (16, 256, 66),
    "iq2_xs": (17, 256, 74), "iq3_xxs": (18, 256, 98), "iq1_s": (19, 256, 50),
    "iq4_nl": (20, 32, 18), "iq3_s": (21, 256, 110),
    "iq2_s": (22, 256, 82), "iq4_xs": (23, 256, 136), "i8": (24, 1, 1), "i16": (25, 1, 2),
    "i32": (26, 1, 4), "i64": (27, 1, 8), "f64": (28, 1, 8), "iq1_m": (29, 256, 56),
    "bf16": (30, 1, 2), "tq1_0": (34, 256, 54), "tq2_0": (35, 256, 66), "mxfp4": (39, 32, 17),
    "nvfp4": (40, 64, 36), "q1_0": (41, 128, 18), "q2_0": (42, 64, 18),
}


def string(s):
    """A length and the bytes; S is bytes or text."""
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(s)) + s


def value(t, v):
    """The bytes of V as type T; an array is (element type, list)."""
    if t == STR:
        return string(v)
    if t == ARRAY:
        et, items = v
        head = struct.pack("<IQ", et, len(items))
        if et == STR or et == ARRAY:
            return head + b"".join([value(et, i) for i in items])
        return head + struct.pack("<%d%s" % (len(items), PACK[et]), *items)
    return struct.pack("<" + PACK[t], v)


def pair(key, t, v):
    return string(key) + struct.pack("<I", t) + value(t, v)


def tensor_info(name, dims, type_id, offset):
    return (string(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims)
            + struct.pack("<IQ", type_id, offset))


def header(n_tensors, n_pairs, version=3, magic=b"GGUF"):
    return magic + struct.pack("<IQQ", version, n_tensors, n_pairs)


def pad(n, align):
    """Zero bytes after N."""
    return b"\0" * (-n % align)


def tensor_bytes(type_name, dims):
    _, elems, size = TYPES[type_name]
    n = 1
    for d in dims:
        n *= d
    assert dims[0] % elems == 0, (type_name, dims)
    return n // elems * size


class Gguf:
    """pairs: bytes of each pair; tensors: (name, type name, dims, data or None)."""

    def __init__(self, version=3, align=32):
        self.version, self.align = version, align
        self.pairs, self.tensors = [], []
        if align != 32:
            self.put("general.alignment", U32, align)

    def put(self, key, t, v):
        self.pairs.append(pair(key, t, v))

    def put_list(self, key, et, items):
        self.put(key, ARRAY, (et, items))

    def tensor(self, name, type_name, dims, data=None):
        assert data is None or len(data) == tensor_bytes(type_name, dims), name
        self.tensors.append((name, type_name, list(dims), data))

    def layout(self):
        """(bytes before the data section, offsets of the tensors in the file, size of the file)."""
        infos, offsets, at = [], [], 0
        for name, type_name, dims, _ in self.tensors:
            infos.append(tensor_info(name, dims, TYPES[type_name][0], at))
            offsets.append(at)
            at += tensor_bytes(type_name, dims)
            at += -at % self.align
        head = header(len(self.tensors), len(self.pairs), self.version)
        head += b"".join(self.pairs + infos)
        if self.tensors:
            head += pad(len(head), self.align)
        return head, [len(head) + o for o in offsets], len(head) + at

    def bytes(self):
        """The whole file; for small ones."""
        out = bytearray(self.layout()[0])
        for name, type_name, dims, data in self.tensors:
            out += data if data is not None else bytes(tensor_bytes(type_name, dims))
            out += pad(len(out), self.align)
        return bytes(out)
