#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/files/packed: small matrices in the layouts of bitsandbytes and compressed-tensors, packed
and decoded by those packages.

    python3 tests/gen/packed_golden.py tests/files/packed

Needs torch, safetensors, bitsandbytes and compressed_tensors (0.50.2 and 0.20.0 were used)."""
import pathlib
import sys

import torch
from bitsandbytes import functional as bnb
from compressed_tensors.compressors import pack_quantized
from safetensors.torch import save_file

N, K = 8, 128


def save(out, name, weight, scale, value):
    save_file({"weight": weight.contiguous(), "weight_scale": scale.contiguous(),
               "expected_NK": value.float().contiguous()}, str(out / f"{name}.safetensors"))


def main(out):
    torch.manual_seed(1)
    out.mkdir(exist_ok=True)
    w = torch.randn(N, K)
    w[0, :17] = torch.linspace(-3, 3, 17)
    for kind in ("nf4", "fp4"):
        q, state = bnb.quantize_4bit(w, blocksize=64, quant_type=kind)
        save(out, kind, q.reshape(N, K // 2), state.absmax.reshape(N, K // 64),
             bnb.dequantize_4bit(q, state))

    scb = w.abs().amax(1)
    q = torch.round(w * (127 / scb)[:, None]).to(torch.int8)
    save(out, "int8", q, scb / 127, q.float() * (scb / 127)[:, None])

    for bits, group in ((4, 32), (8, 128)):
        top = 2 ** (bits - 1)
        scale = (w.reshape(N, -1, group).abs().amax(2) / (top - 1)).to(torch.bfloat16)
        s = scale.float().repeat_interleave(group, 1)
        q = torch.clamp(torch.round(w / s), -top, top - 1).to(torch.int8)
        packed = pack_quantized.pack_to_int32(q, bits)
        assert torch.equal(pack_quantized.unpack_from_int32(packed, bits, q.shape), q)
        save(out, f"ct{bits}", packed, scale, q.float() * s)

    scale = torch.tensor([[0.0123]])
    q = torch.arange(256, dtype=torch.uint8).repeat(4).reshape(N, K)
    q[(q & 127) == 127] = 0x38
    save(out, "fp8", q, scale, q.view(torch.float8_e4m3fn).float() * scale)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
