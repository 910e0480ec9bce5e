#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the small PyTorch samples of tests/files/torch, its README and golden.txt.

    torch_samples.py [FOLDER [DATA]]     (default: ../files/torch, next to this script)

good-* are written by torch.save (and by hand where torch no longer writes such a form) and open;
bad-* are refused; unsupported-* are sound but not for us.  golden.txt has, for every tensor of
every good one, what torch.load gives: type, shape, first and last element.  With DATA (the folder
WEIR_DATA names) golden-data.txt is written too, for the real files there.
tests/test_torch.c holds the sentence that each refused one must produce.  Needs torch."""

import collections
import io
import os
import pickle
import struct
import sys
import zipfile
import zlib

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", "files", "torch")
ROWS = []


def save(name, sentence, data):
    assert len(data) < 8192, (name, len(data))
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
    ROWS.append((name, sentence))


def torch_bytes(obj, **kw):
    b = io.BytesIO()
    torch.save(obj, b, **kw)
    return b.getvalue()


# --- pickles by hand ---------------------------------------------------------------------------

def uni(s):
    s = s.encode() if isinstance(s, str) else s
    return b"X" + struct.pack("<I", len(s)) + s


def num(i):
    if 0 <= i < 256:
        return b"K" + bytes([i])
    if -2**31 <= i < 2**31:
        return b"J" + struct.pack("<i", i)
    return b"\x8a" + bytes([len(i.to_bytes(9, "little", signed=True))]) + i.to_bytes(9, "little", signed=True) \
        if not -2**63 <= i < 2**63 else b"\x8a\x08" + struct.pack("<q", i)


def glob(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def tup(*parts):
    return b"(" + b"".join(parts) + b"t"


def storage(key="0", numel=6, cls="FloatStorage", extra=b""):
    return tup(uni("storage"), glob("torch", cls), uni(key), uni("cpu"), num(numel), extra) + b"Q"


def tensor(size=(2, 3), stride=(3, 1), offset=0, **kw):
    return glob("torch._utils", "_rebuild_tensor_v2") + tup(
        storage(**kw), num(offset), tup(*map(num, size)), tup(*map(num, stride)), b"\x89",
        glob("collections", "OrderedDict") + b")R") + b"R"


def state(*pairs):
    return b"\x80\x02" + b"}(" + b"".join(uni(k) + v for k, v in pairs) + b"u."


W = state(("w", tensor()))
DATA = struct.pack("<6f", *range(1, 7))


# --- archives by hand, where every number may be a lie -------------------------------------------

class Entry:
    def __init__(self, name, data, **lies):
        self.name, self.data, self.lies = name.encode() if isinstance(name, str) else name, data, lies


def archive(entries, count=None, dir_bytes=None, dir_offset=None, zip64=None, tail=b"", gap=b"", comment=b"",
            locator=None, disk=0):
    out, central = b"", b""
    for e in entries:
        x = e.lies
        n = len(e.data)
        at = len(out)
        flags, method = x.get("flags", 0), x.get("method", 0)
        crc = zlib.crc32(e.data)
        out += struct.pack("<IHHHHHIIIHH", x.get("local_sig", 0x04034b50), 20, x.get("local_flags", flags),
                           x.get("local_method", method), 0, 0, crc, x.get("local_packed", n),
                           x.get("local_bytes", n), x.get("local_name_len", len(e.name)),
                           x.get("local_extra_len", len(x.get("local_extra", b""))))
        out += x.get("local_name", e.name) + x.get("local_extra", b"") + e.data
        extra = x.get("extra", b"")
        central += struct.pack("<IHHHHHHIIIHHHHHII", x.get("sig", 0x02014b50), 20, 20, flags, method, 0, 0, crc,
                               x.get("packed", n), x.get("bytes", n), x.get("name_len", len(e.name)), len(extra),
                               0, 0, 0, 0, x.get("at", at)) + e.name + extra
    where = len(out)
    n = len(entries) if count is None else count
    size = len(central) if dir_bytes is None else dir_bytes
    offset = where if dir_offset is None else dir_offset
    out += central + gap
    if zip64 is not None:
        at = len(out)
        z = dict(n=n, size=size, offset=offset)
        z.update(zip64)
        out += struct.pack("<IQHHIIQQQQ", z.get("sig", 0x06064b50), 44, 45, 45, 0, 0, z["n"], z["n"], z["size"],
                           z["offset"])
        out += struct.pack("<IIQI", 0x07064b50, 0, at if locator is None else locator, 1)
        n, size, offset = z.get("short_n", 0xffff), z.get("short_size", 0xffffffff), z.get("short_offset", 0xffffffff)
    out += struct.pack("<IHHHHIIH", 0x06054b50, disk, disk, n, n, size, offset, len(comment)) + comment
    return out + tail


def checkpoint(pkl=W, data=DATA, data_lies=None, pkl_lies=None, more=(), **kw):
    return archive([Entry("a/data.pkl", pkl, **(pkl_lies or {})), Entry("a/byteorder", b"little"),
                    Entry("a/data/0", data, **(data_lies or {})), *more], **kw)


def legacy(pkl=None, keys=("0",), stores=((6, DATA),), version=1001, little=True):
    out = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
    out += pickle.dumps(version, 2) + pickle.dumps({"protocol_version": 1001, "little_endian": little,
                                                    "type_sizes": {"short": 2}}, 2)
    out += pkl or state(("w", tensor(extra=b"N")))
    out += pickle.dumps(list(keys), 2)
    for n, d in stores:
        out += struct.pack("<q", n) + d
    return out


# --- samples --------------------------------------------------------------------------------------

def good():
    torch.manual_seed(1)
    t = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 4
    types = collections.OrderedDict(
        (str(d).split(".")[1], torch.tensor([3, -2, 1]).to(d))
        for d in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                  torch.int8))
    types["uint8"] = torch.tensor([200, 1], dtype=torch.uint8)
    types["bool"] = torch.tensor([True, False])
    types["scalar"] = torch.tensor(7)
    types["four"] = torch.arange(24.).reshape(2, 3, 4, 1)
    save("good-types.pt", "every type of element, a scalar, four dimensions.", torch_bytes(types))
    base = torch.arange(40, dtype=torch.float16)
    views = {"rows": base[6:30].reshape(4, 6), "tied": t, "tied.too": t, "whole": base, "transposed": t[:, :4].clone().t(),
             "column": base[:8].reshape(8, 1).t(), "one": base[39:]}
    save("good-views.pt", "parts of a storage, a tensor under two names, a transposed matrix.", torch_bytes(views))
    save("good-legacy.pt", "the same in the form from before torch 1.6.",
         torch_bytes(views, _use_new_zipfile_serialization=False))
    lin = torch.nn.Linear(3, 2)
    opt = torch.optim.AdamW(lin.parameters(), lr=1e-3)
    lin(torch.ones(1, 3)).sum().backward()
    opt.step()
    save("good-wrapped.pt", "a state_dict beside an optimizer and counters, as training scripts save.",
         torch_bytes({"epoch": 3, "loss": 0.5, "state_dict": lin.state_dict(), "optimizer": opt.state_dict(),
                      "args": {"lr": 1e-3, "betas": (0.9, 0.95), "name": None}}))
    save("good-model.pt", "weights under \"model\".", torch_bytes({"model": lin.state_dict(), "iter": 10 ** 12}))
    save("good-module.pt", "weights under \"module\", parameters.",
         torch_bytes({"module": {"w": torch.nn.Parameter(t)}, "global_steps": 10 ** 30}))
    save("good-hand.pt", "entries without data descriptors.", checkpoint())
    save("good-empty.pt", "a tensor without elements, which is left out, beside another.",
         checkpoint(state(("none", tensor(size=(2, 0), stride=(1, 1))), ("w", tensor()))))
    save("good-comment.pt", "a comment at the end of the archive.", checkpoint(comment=b"PK\5\6 made by hand"))
    save("good-zip64.pt", "a zip64 end record and 64-bit sizes.",
         checkpoint(zip64={}, data_lies=dict(packed=0xffffffff, bytes=0xffffffff,
                                             extra=struct.pack("<HHQQ", 1, 16, 24, 24))))
    save("good-untyped.pt", "an untyped storage, the type beside it.",
         checkpoint(state(("w", glob("torch._utils", "_rebuild_tensor_v3") + tup(
             storage(numel=24, cls="UntypedStorage"), num(0), tup(num(2), num(3)), tup(num(3), num(1)), b"\x89",
             glob("collections", "OrderedDict") + b")R", glob("torch", "float32")) + b"R"))))
    save("good-python2.pt", "as Python 2 wrote it: short strings, an OrderedDict made from pairs.",
         checkpoint(b"\x80\x02" + glob("collections", "OrderedDict") + b"]]" + b"(U\x01w" + tensor() + b"ea\x85R."))
    save("good-legacy-view.pt", "a storage that is a part of another.",
         legacy(state(("w", tensor(size=(2, 2), stride=(2, 1),
                                   extra=tup(uni("v"), num(2), num(4)))), ("all", tensor(extra=b"N")))))


def evil():
    """Everything here would run code, or ask for something outside, in a real unpickler."""
    call = uni("true") + b"\x85R."
    rows = {
        "os-system": (b"\x80\x02" + glob("os", "system") + call, "a call of os.system"),
        "eval": (b"\x80\x02" + glob("builtins", "eval") + call, "a call of eval"),
        "posix": (b"\x80\x02" + glob("posix", "system") + call, "a call of posix.system"),
        "subprocess": (state(("w", glob("subprocess", "Popen") + call[:-1])), "a call inside a dict of weights"),
        "getattr": (b"\x80\x02" + glob("builtins", "getattr") + b".", "a dangerous global that is not even called"),
        "torch-load": (b"\x80\x02" + glob("torch", "load") + call, "a function of torch that is not for weights"),
        "numpy": (b"\x80\x02" + glob("numpy.core.multiarray", "_reconstruct") + call, "an array of numpy"),
        "module-dots": (b"\x80\x02" + glob("torch._utils", "_rebuild_tensor_v2.__globals__") + call,
                        "a path behind a name that is allowed"),
        "stack-global": (b"\x80\x04" + uni("os") + uni("system") + b"\x93" + call, "STACK_GLOBAL"),
        "stack-global-allowed": (b"\x80\x04" + uni("collections") + uni("OrderedDict") + b"\x93)R.",
                                 "STACK_GLOBAL of a name that is allowed"),
        "stack-global-empty": (b"\x80\x04\x93.", "STACK_GLOBAL of nothing"),
        "inst": (b"\x80\x02(" + uni("true") + b"ios\nsystem\n.", "INST"),
        "obj": (b"\x80\x02(" + glob("collections", "OrderedDict") + b"o.", "OBJ"),
        "newobj": (b"\x80\x02" + glob("collections", "OrderedDict") + b")\x81.", "NEWOBJ"),
        "newobj-ex": (b"\x80\x04" + glob("collections", "OrderedDict") + b")}\x92.", "NEWOBJ_EX"),
        "ext1": (b"\x80\x02\x82\x01.", "EXT1"),
        "ext2": (b"\x80\x02\x83\x01\0.", "EXT2"),
        "ext4": (b"\x80\x02\x84\x01\0\0\0.", "EXT4"),
        "persid": (b"\x80\x02Pexec\n.", "PERSID, whose id is text"),
        "binpersid-text": (b"\x80\x02" + uni("/etc/passwd") + b"Q.", "an id that is a string"),
        "binpersid-module": (b"\x80\x02" + tup(uni("module"), glob("torch", "FloatStorage"), uni("0"), uni("cpu"),
                                               num(6)) + b"Q.", "an id that is not a storage"),
        "binpersid-class": (b"\x80\x02" + tup(uni("storage"), glob("collections", "OrderedDict"), uni("0"), uni("cpu"),
                                              num(6)) + b"Q.", "a storage of a class that is none"),
        "binpersid-negative": (state(("w", tensor(numel=-6))), "a storage of -6 elements"),
        "call-string": (b"\x80\x02" + uni("os.system") + uni("x") + b"\x85R.", "a call of a string"),
        "call-tensor": (state(("w", tensor() + b")R")), "a call of a tensor"),
        "call-storage": (b"\x80\x02" + glob("torch", "FloatStorage") + num(1 << 30) + b"\x85R.",
                         "a storage made by a call"),
        "call-many": (b"\x80\x02" + glob("collections", "OrderedDict") + tup(*[b"N"] * 9) + b"R.",
                      "a call with nine arguments"),
        "call-few": (state(("w", glob("torch._utils", "_rebuild_tensor_v2") + tup(storage()) + b"R")),
                     "a tensor made from too little"),
        "call-no-tuple": (b"\x80\x02" + glob("collections", "OrderedDict") + b"]R.", "arguments that are no tuple"),
        "build-tensor": (state(("w", tensor() + b"}b")), "a state for a tensor"),
        "build-class": (b"\x80\x02" + glob("torch", "Size") + b"}b.", "a state for a class"),
        "memo-get": (b"\x80\x02h\x05.", "a remembered value that there is not"),
        "memo-long-get": (b"\x80\x02j" + struct.pack("<I", 0xffffffff) + b".", "remembered value 2^32-1"),
        "memo-leap": (b"\x80\x02Nr" + struct.pack("<I", 0xfffffff0) + b".", "a value remembered as number 2^32-16"),
        "memo-nothing": (b"\x80\x02q\0.", "nothing, remembered"),
        "deep": (b"\x80\x02" + b"(" * 5000 + b".", "5000 things inside each other"),
        "cycle": (b"\x80\x02}q\0" + uni("state_dict") + b"h\0s.", "a dict inside itself"),
        "string-long": (b"\x80\x02X\xff\xff\xff\xffabc.", "a string of 4 GiB"),
        "string-short": (b"\x80\x02U\xffabc.", "a string longer than the pickle"),
        "long-cut": (b"\x80\x02\x8a\xff\0\0.", "a number of 255 bytes, of which there are 3"),
        "global-endless": (b"\x80\x02c" + b"a" * 600 + b"\n" + b"b\n.", "a name of 600 letters"),
        "opcode": (b"\x80\x02\xfe.", "no instruction"),
        "protocol": (b"\x80\x09N.", "protocol 9"),
        "cut": (W[:60], "the end is missing"),
        "nothing": (b"\x80\x02.", "no value"),
        "two-values": (b"\x80\x02NN.", "two values"),
        "open-mark": (b"\x80\x02N(.", "a beginning without an end"),
        "underflow": (b"\x80\x02R.", "a call of nothing"),
        "tuple-underflow": (b"\x80\x02N\x87.", "three of one value"),
        "mark-underflow": (b"\x80\x02NN(\x86.", "two values from below a mark"),
        "pop-mark": (b"\x80\x02NNt.", "a tuple without a beginning"),
        "odd-items": (b"\x80\x02}(" + uni("w") + b"u.", "a key without a value"),
        "items-for-list": (b"\x80\x02](" + uni("w") + b"Nu.", "keys for a list"),
        "append-dict": (b"\x80\x02}Na.", "an element for a dict"),
        "dup": (b"\x80\x02N2.", "an instruction that no weights need"),
        "frame": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.", "a frame of 2^60 bytes"),
        "bytes8": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".", "2^60 bytes"),
        "pairs": (b"\x80\x02" + glob("collections", "OrderedDict") + b"(NNNl".replace(b"l", b"t") + b"\x85R.",
                  "an OrderedDict made from what is not pairs"),
        # Views and sizes.
        "root-list": (b"\x80\x02].", "a list in place of a dict"),
        "root-empty": (b"\x80\x02}.", "no tensor"),
        "no-tensors": (state(("epoch", num(3))), "only a counter"),
        "key-number": (b"\x80\x02}(" + num(5) + tensor() + b"u.", "a tensor whose name is a number"),
        "key-empty": (state(("", tensor())), "a tensor without a name"),
        "key-zero": (state(("a\0b", tensor())), "a name with a zero byte"),
        "twice": (state(("w", tensor()), ("w", tensor())), "a tensor twice"),
        "numel-large": (state(("w", tensor(numel=7))), "a storage of more elements than its entry holds"),
        "numel-huge": (state(("w", tensor(numel=2 ** 62))), "a storage whose size overflows"),
        "size-large": (state(("w", tensor(size=(3, 3)))), "a tensor larger than its storage"),
        "size-negative": (state(("w", tensor(size=(-2, 3)))), "a size of -2"),
        "size-overflow": (state(("w", tensor(size=(2 ** 32, 2 ** 32), stride=(2 ** 32, 1)))), "sizes whose product is 2^64"),
        "size-text": (state(("w", glob("torch._utils", "_rebuild_tensor_v2") + tup(
            storage(), num(0), tup(uni("2")), tup(num(1)), b"\x89", b"N") + b"R")), "a size that is text"),
        "offset-negative": (state(("w", tensor(offset=-1))), "an offset of -1"),
        "offset-large": (state(("w", tensor(offset=1))), "an offset that leads out of the storage"),
        "offset-huge": (state(("w", tensor(offset=2 ** 62))), "an offset that overflows"),
        "stride-negative": (state(("w", tensor(stride=(-3, 1)))), "a stride of -3"),
        "stride-count": (state(("w", tensor(stride=(3,)))), "two sizes and one stride"),
        "key-missing": (state(("w", tensor(key="9"))), "a storage that is not in the archive"),
        "key-path": (state(("w", tensor(key="../byteorder"))), "a key that leads elsewhere"),
        "key-long": (state(("w", tensor(key="0" * 200))), "a key of 200 letters"),
    }
    for name, (pkl, sentence) in rows.items():
        save(f"bad-{name}.pt", sentence + ".", checkpoint(pkl))
    rows = {
        "stride-gap": (state(("w", tensor(size=(2, 2)))), "rows that are further apart than they are long"),
        "stride-zero": (state(("w", tensor(stride=(0, 1)))), "one row seen twice"),
        "stride-huge": (state(("w", tensor(stride=(2 ** 62, 1)))), "a stride of 2^62"),
        "transposed-3d": (state(("w", tensor(size=(1, 2, 3), stride=(1, 1, 2), numel=6))), "a transposed matrix in three dimensions"),
        "transposed-int": (state(("w", tensor(size=(2, 3), stride=(1, 2), cls="IntStorage"))), "a transposed matrix of integers"),
        "dims-5": (state(("w", tensor(size=(1, 1, 1, 2, 3), stride=(6, 6, 6, 3, 1)))), "five dimensions"),
        "complex": (state(("w", tensor(size=(1,), stride=(1,), numel=1, cls="ComplexDoubleStorage"))), "complex numbers of 128 bits"),
        "untyped": (state(("w", tensor(numel=24, cls="UntypedStorage"))), "a storage without a type"),
    }
    for name, (pkl, sentence) in rows.items():
        save(f"unsupported-{name}.pt", sentence + ".", checkpoint(pkl))


def zips():
    rows = {
        "zip-cut": (checkpoint()[:-10], "the end record is cut"),
        "zip-cut-directory": (checkpoint()[:-40], "the directory is cut"),
        "zip-begin": (checkpoint()[:40], "the beginning of an archive"),
        "zip-count-more": (checkpoint(count=4), "four entries of three"),
        "zip-count-less": (checkpoint(count=2), "two entries of three"),
        "zip-directory-far": (checkpoint(dir_offset=1 << 30), "a directory at 2^30"),
        "zip-directory-long": (checkpoint(dir_bytes=1 << 30), "a directory of 2^30 bytes"),
        "zip-directory-gap": (checkpoint(gap=b"12345678"), "bytes after the directory"),
        "zip-tail": (checkpoint(tail=b"more"), "bytes after the end"),
        "zip-twice": (checkpoint(more=[Entry("a/data.pkl", b"N.")]), "an entry twice"),
        "zip-two-roots": (checkpoint(more=[Entry("b/data.pkl", W)]), "two checkpoints"),
        "zip-no-pickle": (archive([Entry("a/readme", b"hello")]), "an archive of something else"),
        "zip-name-zero": (checkpoint(more=[Entry(b"a/\0b", b"")]), "a name with a zero byte"),
        "zip-name-empty": (checkpoint(more=[Entry("", b"")]), "an entry without a name"),
        "zip-name-long": (checkpoint(more=[Entry("a/" + "x" * 1100, b"")]), "a name of 1102 letters"),
        "zip-entry-far": (checkpoint(data_lies=dict(at=1 << 30)), "an entry at 2^30"),
        "zip-entry-long": (checkpoint(data_lies=dict(bytes=4000, packed=4000)), "an entry that runs into the directory"),
        "zip-entry-sizes": (checkpoint(data_lies=dict(bytes=4000)), "an entry stored in fewer bytes than it has"),
        "zip-entry-sig": (checkpoint(data_lies=dict(sig=0x12345678)), "a directory entry that is none"),
        "zip-overlap": (checkpoint(pkl_lies=dict(bytes=len(W) + 20, packed=len(W) + 20)), "two entries that share bytes"),
        "zip-local-sig": (checkpoint(data_lies=dict(local_sig=0)), "a local header that is none"),
        "zip-local-name": (checkpoint(data_lies=dict(local_name=b"a/data/1")), "another name in the local header"),
        "zip-local-size": (checkpoint(data_lies=dict(local_bytes=23)), "another size in the local header"),
        "zip-local-zero": (checkpoint(data_lies=dict(local_bytes=0)), "no size in the local header, and no descriptor"),
        "zip-local-method": (checkpoint(data_lies=dict(local_method=8)), "compressed by the local header only"),
        "zip-local-extra": (checkpoint(data_lies=dict(local_extra_len=60000)), "a local header that pushes the data out"),
        "zip64-missing": (checkpoint(data_lies=dict(packed=0xffffffff, bytes=0xffffffff)), "64-bit sizes that are not there"),
        "zip64-short": (checkpoint(data_lies=dict(packed=0xffffffff, bytes=0xffffffff,
                                                  extra=struct.pack("<HHQ", 1, 8, 24))), "half of the 64-bit sizes"),
        "zip64-huge": (checkpoint(data_lies=dict(packed=0xffffffff, bytes=0xffffffff,
                                                 extra=struct.pack("<HHQQ", 1, 16, 2 ** 64 - 1, 2 ** 64 - 1))),
                       "an entry of 2^64 bytes"),
        "zip64-far": (checkpoint(data_lies=dict(at=0xffffffff, extra=struct.pack("<HHQ", 1, 8, 2 ** 64 - 40))),
                      "an entry at 2^64"),
        "zip64-locator": (checkpoint(zip64={}, locator=2 ** 63), "a zip64 end record at 2^63"),
        "zip64-sig": (checkpoint(zip64=dict(sig=1)), "a zip64 end record that is none"),
        "zip64-count": (checkpoint(zip64=dict(n=2 ** 60)), "2^60 entries by zip64"),
        "zip64-disagree": (checkpoint(zip64=dict(short_n=2)), "two counts of entries"),
        "zip64-offset": (checkpoint(zip64=dict(offset=2 ** 64 - 8)), "a directory at 2^64"),
    }
    for name, (data, sentence) in rows.items():
        save(f"bad-{name}.pt", sentence + ".", data)
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_DEFLATED) as z:
        for n, d in (("a/data.pkl", W), ("a/data/0", DATA)):
            info = zipfile.ZipInfo(n)
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, d)
    save("unsupported-compressed.pt", "compressed entries.", b.getvalue())
    save("unsupported-encrypted.pt", "an encrypted entry.", checkpoint(data_lies=dict(flags=1)))
    save("unsupported-volumes.pt", "an archive in several volumes.", checkpoint(disk=1))
    big = archive([Entry("a/data.pkl", W), Entry("a/byteorder", b"big"), Entry("a/data/0", DATA)])
    save("unsupported-big-endian.pt", "numbers in big-endian order.", big)
    save("unsupported-script.pt", "a TorchScript program.", checkpoint(more=[Entry("a/constants.pkl", b"N.")]))


def legacies():
    rows = {
        "legacy-cut": (legacy()[:-1], "the last byte is missing"),
        "legacy-cut-pickle": (legacy()[:40], "the end is missing"),
        "legacy-numel": (legacy(stores=((2 ** 62, DATA),)), "a storage of 2^62 elements"),
        "legacy-numel-negative": (legacy(stores=((-1, DATA),)), "a storage of -1 elements"),
        "legacy-numel-less": (legacy(stores=((5, DATA),)), "a storage with fewer elements than the pickle says"),
        "legacy-keys": (legacy(keys=("1",)), "a storage that is not in the list"),
        "legacy-keys-twice": (legacy(keys=("0", "0")), "a storage twice in the list"),
        "legacy-keys-more": (legacy(keys=("0", "1"), stores=((6, DATA), (1, b"1234"))), "a storage that nobody uses"),
        "legacy-keys-number": (legacy(keys=(0,)), "a key that is a number"),
        "legacy-two-types": (legacy(state(("w", tensor(extra=b"N")), ("v", tensor(extra=b"N", cls="HalfStorage")))),
                             "a storage of two types"),
        "legacy-view": (legacy(state(("w", tensor(extra=tup(uni("v"), num(1), num(6)))))), "a part that leads out of its storage"),
        "legacy-view-huge": (legacy(state(("w", tensor(extra=tup(uni("v"), num(2 ** 62), num(2 ** 62)))))), "a part whose place overflows"),
        "legacy-view-text": (legacy(state(("w", tensor(extra=uni("v"))))), "a part that is text"),
        "legacy-evil": (legacy(b"\x80\x02" + glob("os", "system") + uni("x") + b"\x85R."), "a call of os.system"),
    }
    for name, (data, sentence) in rows.items():
        save(f"bad-{name}.pt", sentence + ".", data)
    save("unsupported-legacy-version.pt", "another version.", legacy(version=1002))
    save("unsupported-legacy-big-endian.pt", "numbers in big-endian order.", legacy(little=False))


def describe(path, shown):
    """Lines for golden.txt: what torch.load gives."""
    d = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model", "module"):
        if isinstance(d.get(key), dict):
            d = d[key]
            break
    for name, t in d.items():
        flat = t.detach().reshape(-1).double()
        dims = "x".join(str(s) for s in reversed(t.shape)) or "1"
        turned = int(t.dim() == 2 and not t.is_contiguous())
        yield f"{shown} {name} {str(t.dtype).split('.')[1]} {dims} {flat[0]:.17g} {flat[-1]:.17g} {turned}\n"


def golden():
    with open(os.path.join(OUT, "golden.txt"), "w") as f:
        for name, _ in ROWS:
            # torch refuses to read some of the hand-made ones without the entries it does not need
            if name in ("good-types.pt", "good-views.pt", "good-legacy.pt", "good-wrapped.pt", "good-model.pt",
                        "good-module.pt"):
                f.writelines(describe(os.path.join(OUT, name), name))
        for name in ("hand", "empty", "comment", "zip64", "untyped", "python2"):
            f.write(f"good-{name}.pt w float32 3x2 1 6 0\n")
        f.write("good-legacy-view.pt w float32 2x2 3 6 0\ngood-legacy-view.pt all float32 3x2 1 6 0\n")
    if len(sys.argv) > 2:
        with open(os.path.join(OUT, "golden-data.txt"), "w") as f:
            for name in ("pytorch_model-bf16.bin", "pytorch_model-f16-views.bin", "pytorch_model-f32.pt", "legacy-f16.bin"):
                path = os.path.join("stories260K", "derived", "torch", name)
                f.writelines(describe(os.path.join(sys.argv[2], path), path))


def main():
    os.makedirs(OUT, exist_ok=True)
    for n in os.listdir(OUT):
        if n.endswith(".pt"):
            os.remove(os.path.join(OUT, n))
    good()
    evil()
    zips()
    legacies()
    golden()
    with open(os.path.join(OUT, "README"), "w") as f:
        f.write("Small PyTorch files for the tests, made by tests/gen/torch_samples.py, which also wrote this list.\n"
                "golden*.txt: what torch.load gives: file, tensor, type, shape (innermost first), first and last\n"
                "element, 1 for a transposed matrix.\n\n")
        for name, sentence in ROWS:
            f.write(f"{name}\n    {sentence[0].upper()}{sentence[1:]}\n")


main()
