# SPDX-License-Identifier: MIT
"""The tiny random models of golden_models.py as transformers saves them: tests/files/folders.

    python3 tests/gen/golden_folders.py     needs torch, transformers and safetensors

make check never runs this; it reads what was committed.  The weights are those of the GGUF files of
tests/files/models, so the golden logits there are those of these folders too.  Some are saved in
several shards, some are then rewritten so that no tensor is aligned to anything."""

import json
import os
import shutil
import struct

import golden_models as gm

OUT = os.path.join(gm.HERE, "..", "files", "folders")
WANTED = ["llama-mha-f32", "llama-gqa-f16", "llama-tied-f32", "llama-llama3-keys", "llama-linear", "llama-yarn",
          "llama-bias", "mistral-window", "qwen2-f32", "qwen2-tied-bf16", "qwen2-yarn", "qwen3-f16",
          "qwen3-gqa-bf16"]
SHARDED = {"llama-gqa-f16": "8KB", "qwen2-f32": "12KB"}
ODD = {"llama-mha-f32", "qwen3-f16", "qwen3-gqa-bf16", "qwen2-f32"}


def make_odd(path):
    """One byte more of blanks in the header: every offset is odd."""
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    head = data[8:8 + n].rstrip()
    head += b" " * (1 - len(head) % 2)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + data[8 + n:])
    assert (8 + len(head)) % 2


def save(name, folder):
    import torch
    v = gm.variant(name)
    model = gm.make_reference(v)
    kind = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[v["type"]]
    weights = {k: p.to(kind if p.dim() == 2 else torch.float32) for k, p in model.state_dict().items()}
    if v["tied"]:
        weights.pop("lm_head.weight", None)
    model.save_pretrained(folder, state_dict=weights, max_shard_size=SHARDED.get(name, "1GB"))
    os.remove(os.path.join(folder, "generation_config.json"))
    for f in sorted(os.listdir(folder)):
        if name in ODD and f.endswith(".safetensors"):
            make_odd(os.path.join(folder, f))
    with open(os.path.join(folder, "config.json")) as f:
        return json.load(f)


def main():
    import torch
    import transformers
    lines = []
    for name in WANTED:
        folder = os.path.join(OUT, name)
        shutil.rmtree(folder, ignore_errors=True)
        c = save(name, folder)
        files = [f for f in sorted(os.listdir(folder)) if f.endswith(".safetensors")]
        lines.append("%s\n    %s; %d file%s%s." % (name, c["architectures"][0], len(files), "s"[:len(files) - 1],
                                              ", at odd addresses" if name in ODD else ""))
        print(lines[-1], flush=True)
    with open(os.path.join(OUT, "README"), "w") as f:
        f.write("Written by tests/gen/golden_folders.py: the models of ../models, with the same golden\n"
                "logits, as transformers saves them.\n\ntorch %s, transformers %s.\n\n%s\n"
                % (torch.__version__, transformers.__version__, "\n".join(lines)))


if __name__ == "__main__":
    main()
