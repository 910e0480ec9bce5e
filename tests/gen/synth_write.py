# SPDX-License-Identifier: MIT
"""Writing of synth_folder.py's arrays: what fills them, and the containers they lie in."""

import json
import os
import struct
import zipfile

from synth_gguf import P, Patterns, table, write_all, write_pattern

BYTES = {"f16": 2, "f32": 4, "i8": 1, "i32": 4, "u32": 4, "mlc32": 2}
SAFE = {"f16": "F16", "f32": "F32", "i8": "I8", "i32": "I32", "u32": "U32"}
MLC = {"u32": "uint32", "mlc32": "float32"}  # mlc32: a float32 that is stored as bfloat16


def size(a):
    n = BYTES[a.dtype]
    for d in a.dims:
        n *= d
    return n


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)


def nibbles(low, high):
    """A table that turns a nibble LOW into HIGH, in both halves of a byte."""
    return table(lambda r: (high if r & 15 == low else r & 15) | (high if r >> 4 == low else r >> 4) << 4)


class Fills(Patterns):
    """Patterns of P blocks; a scale is of either sign so that weights have no mean."""

    def signed(self, high):
        """Floats of 16 bits, 64 bytes a block: the low byte is random, the high one +-HIGH."""
        b = self.blocks(64)
        b[1::2] = bytes(b[1::2]).translate(table(lambda r: high | (r & 0x80)))
        return b, 64

    def scale_4_bit(self):
        return self.signed(0x1c)  # 2^-8 * (1 to 1.25): q - 8 has a deviation of 4.61

    def scale_2_bit(self):
        return self.signed(0x24)  # 2^-6 * (1 to 1.25): q - 2 has a deviation of 1.12

    def scale_mlc(self):
        b = self.blocks(64)
        b[0::2] = bytes(b[0::2]).translate(table(lambda r: 0x80 | r & 0x1f))  # 2^-8 * (1 to 1.25)
        b[1::2] = bytes(b[1::2]).translate(table(lambda r: 0x3b | (r & 0x80)))
        return b, 64

    def words(self):
        return self.blocks(64), 64

    def glm_nibbles(self):
        return self.blocks(64).translate(nibbles(8, 0)), 64  # -8 does not occur

    def mlc_nibbles(self):
        return self.blocks(64).translate(nibbles(15, 7)), 64  # 15 does not occur

    def repeated(self, word):
        return word * (65536 // len(word)), 64

    def zeros_4_bit(self):
        return self.repeated(b"\x88")

    def zeros_2_bit(self):
        return self.repeated(b"\x55")  # 1, and so 2

    def scale_f32(self):
        return self.repeated(struct.pack("<f", 1 / 64))

    def zero_f32(self):
        return self.repeated(struct.pack("<f", 1.5 / 64))  # between the values, 0 to 3

    def nothing_f32(self):
        return self.repeated(bytes(4))

    def one_f16(self):
        return self.repeated(b"\x00\x3c")

    def one_bf16(self):
        return self.repeated(b"\x80\x3f")

    def groups_128(self):
        return b"".join(struct.pack("<I", i // 128) for i in range(11008)), 64

    def of(self, a, number):
        """(pattern, bytes of a block, first block) of array A, the model's NUMBER-th."""
        pattern, block = self.get(a.fill)
        return pattern, block, 7919 * (number + 1) % P if len(pattern) == P * block else 0

    def put(self, fd, a, number):
        write_pattern(fd, *self.of(a, number), size(a))


def numbered(model):
    return list(enumerate(model.arrays))


def write_safe(path, arrays, fills):
    """In the order of the safetensors library: the widest types first, then by name."""
    arrays = sorted(arrays, key=lambda x: (-BYTES[x[1].dtype], x[1].name))
    head, at = {"__metadata__": {"format": "pt"}}, 0
    for _, a in arrays:
        head[a.name] = {"dtype": SAFE[a.dtype], "shape": a.dims, "data_offsets": [at, at + size(a)]}
        at += size(a)
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.posix_fallocate(fd, 0, 8 + len(text) + at)  # "no space" now instead of later
        write_all(fd, memoryview(struct.pack("<Q", len(text)) + text))
        for number, a in arrays:
            fills.put(fd, a, number)
    finally:
        os.close(fd)
    return at


def write_safetensors(out, model, fills, shard):
    parts, used = [[]], 0
    for number, a in numbered(model):
        if parts[-1] and used + size(a) > shard:
            parts.append([])
            used = 0
        parts[-1].append((number, a))
        used += size(a)
    if len(parts) == 1:
        return write_safe(os.path.join(out, "model.safetensors"), parts[0], fills)
    total, where = 0, {}
    for i, part in enumerate(parts):
        name = "model-%05d-of-%05d.safetensors" % (i + 1, len(parts))
        total += write_safe(os.path.join(out, name), part, fills)
        where.update((a.name, name) for _, a in part)
    write_json(os.path.join(out, "model.safetensors.index.json"),
               {"metadata": {"total_size": total}, "weight_map": where})
    return total


def write_adapter(out, model, fills, _):
    return write_safe(os.path.join(out, "adapter_model.safetensors"), numbered(model), fills)


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def whole(n):
    return b"J" + struct.pack("<i", n)


def ordered_dict():
    return b"ccollections\nOrderedDict\n)R"


def state_dict(arrays):
    """The pickle torch.save writes: a dict of tensors, each on a storage of its own."""
    p = b"\x80\x02" + ordered_dict() + b"("
    for number, a in arrays:
        strides, n = [], 1
        for d in reversed(a.dims):
            strides.insert(0, n)
            n *= d
        p += text(a.name) + b"ctorch._utils\n_rebuild_tensor_v2\n("
        p += b"(" + text("storage") + b"ctorch\nHalfStorage\n" + text(str(number)) + text("cpu")
        p += whole(n) + b"tQ" + whole(0)
        p += b"(" + b"".join(map(whole, a.dims)) + b"t(" + b"".join(map(whole, strides)) + b"t"
        p += b"\x89" + ordered_dict() + b"tR"
    return p + b"u."


def stored(archive, name, n, pattern, at=0):
    """An entry of N bytes of the endless repetition of PATTERN, from its byte AT."""
    # Contents begin at a multiple of 64, as torch has it; 20 bytes are the zip64 field.
    info = zipfile.ZipInfo("consolidated/" + name)
    pad = -(archive.fp.tell() + 30 + len(info.filename) + 20 + 4) % 64
    info.extra = b"FB" + struct.pack("<H", pad) + b"Z" * pad
    info.file_size = n
    with archive.open(info, "w", force_zip64=True) as f:
        while n:
            piece = pattern[at:at + min(n, 1 << 20)]
            f.write(piece)
            n -= len(piece)
            at = (at + len(piece)) % len(pattern)


def write_torch(out, model, fills, _):
    path = os.path.join(out, "consolidated.00.pth")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        pickle = state_dict(numbered(model))
        stored(z, "data.pkl", len(pickle), pickle)
        for number, a in numbered(model):
            pattern, block, start = fills.of(a, number)
            stored(z, "data/%d" % number, size(a), pattern, start * block)
        stored(z, "version", 2, b"3\n")
    return os.path.getsize(path)


def write_mlc(out, model, fills, _, cap=32 << 20):
    """Shards of at most CAP bytes; a larger array has one of its own."""
    shards, used, total = [[]], 0, 0
    for number, a in numbered(model):
        if shards[-1] and used + size(a) > cap:
            shards.append([])
            used = 0
        shards[-1].append((number, a))
        used += size(a)
    records = []
    for i, shard in enumerate(shards):
        name, at, inside = "params_shard_%d.bin" % i, 0, []
        fd = os.open(os.path.join(out, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, a in shard:
            fills.put(fd, a, number)
            inside.append({"name": a.name, "shape": a.dims, "dtype": MLC[a.dtype],
                           "format": "f32-to-bf16", "nbytes": size(a), "byteOffset": at})
            at += size(a)
        os.close(fd)
        records.append({"dataPath": name, "format": "raw-shard", "nbytes": at, "records": inside})
        total += at
    write_json(os.path.join(out, "tensor-cache.json"), {
        "metadata": {"ParamSize": len(model.arrays), "ParamBytes": total, "BitsPerParam": 5.0},
        "records": records})
    return total
