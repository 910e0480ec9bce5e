#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a synthetic model of true shape and size in one of the forms that folders have.

For measuring speed and memory: weights are random with a deviation of about 0.02, norms are 1, and
THE TEXT IT PRODUCES IS NOISE.  There is no tokenizer (use weir run --tokens).  As in synth_gguf.py a
pattern of P blocks is made for each type, P prime, and repeated; so it streams at about the rate of
the disk, and the same arguments give the same bytes.  synth_mindspore.py writes checkpoints.

    synth_folder.py --form llama-2-7b-safetensors /tmp/synth/l2st
"""

import argparse
import os
import time

import synth_forms as forms
import synth_write as out


def main():
    p = argparse.ArgumentParser(description="Write a synthetic model folder of true shape and size. "
                                "The text it produces is noise.")
    p.add_argument("--form", required=True, choices=sorted(forms.FORMS))
    p.add_argument("--layers", type=int, help="instead of the model's own number")
    p.add_argument("--shard", type=int, default=5_000_000_000,
                   help="most bytes of a safetensors file (default 5 GB)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("out")
    a = p.parse_args()
    if a.shard < 1 or (a.layers is not None and a.layers < 1):
        p.error("--shard and --layers must be at least 1")
    t0 = time.monotonic()
    os.makedirs(a.out, exist_ok=True)
    model = forms.FORMS[a.form](a.layers)
    fills = out.Fills(a.seed)
    total = getattr(out, "write_" + model.container)(a.out, model, fills, a.shard)
    for name, value in model.configs.items():
        out.write_json(os.path.join(a.out, name), value)
    print("%s: %d bytes in %.1f s" % (a.out, total, time.monotonic() - t0))


if __name__ == "__main__":
    main()
