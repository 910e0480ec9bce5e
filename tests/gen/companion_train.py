#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train the small model that comes with weir, from nothing, on the text of companion_corpus.py.

usage: companion_train.py FOLDER --steps N --decay-from M [--tokens N] [--openings N] [--until N] [--favour X]
                          [--seed N] [--workers N] [--hours H]

Needs torch, tokenizers and numpy.  FOLDER gets tokenizer.json, state.pt (a run that was stopped goes
on from it) and train.log; a file "stop" in it ends the run at the next step.  companion_gguf.py makes
the GGUF file of it.  The model is of the
architecture llama; the loss is on the answers and on plain text, not on questions.  Matrices are
trained with Muon (momentum, made orthogonal by five steps of Newton and Schulz; Jordan et al. 2024), the
rest with AdamW; the rates are constant from a warm-up to step M, then go down to nothing at step N.

Each of the workers is a process with one thread that takes its share of the rows of a step; gradients are
averaged.  Deterministic for given versions and arguments: text and weights come from the seed alone,
and a run that goes on draws the same text as one that was never stopped.
"""
import argparse
import math
import os
import platform
import random
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from companion_corpus import Corpus

VOCAB, DIM, LAYERS, HEADS, KV_HEADS, FFN, CONTEXT = 3072, 256, 3, 8, 4, 640, 512
THETA, EPS = 10000.0, 1e-5
BEGIN, END, USER, ASSISTANT, SYSTEM = range(5)
SPECIAL = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]


def make_tokenizer(path, seed):
    """Byte-level BPE with GPT-2's splitting, from a sample of the corpus."""
    if os.path.exists(path):
        return Tokenizer.from_file(path)
    c = Corpus(seed * 1000 + 999)
    texts = []
    for i in range(12000):
        texts += [t for q, a in c.conversation() for t in (" " + q, a)]
        if i % 8 == 0:
            texts.append(c.plain())
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=SPECIAL, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    assert tok.get_vocab_size() == VOCAB, tok.get_vocab_size()
    tok.save(path)
    return tok


class Rows:
    """Rows of tokens for training, drawn without end."""

    def __init__(self, tok, seed, rank, workers, share):
        self.tok, self.seed, self.known = tok, seed, {}
        self.rank, self.workers, self.share = rank, workers, share

    def ids(self, text):
        """Answers come again and again; questions rarely do."""
        ids = self.known.get(text)
        if ids is None:
            ids = self.tok.encode(text, add_special_tokens=False).ids
            if len(self.known) < 4000:
                self.known[text] = ids
        return ids

    def openings(self, c, n):
        """As row(), of questions with the first tokens of their answers only: what an answer is about shows
        there, and so many more questions fit."""
        ids, learn = [], []
        while len(ids) < n + 1:
            q, a, _ = c.turn()
            text = [BEGIN, USER] + self.tok.encode(" " + q, add_special_tokens=False).ids + [END, ASSISTANT]
            answer = (self.ids(a) + [END])[:c.rnd.randint(2, 6)]
            ids += text + answer
            learn += [0] * len(text) + [1] * len(answer)
        return ids[:n + 1], learn[1:n + 1]

    def row(self, c, n):
        """N + 1 tokens, and which of them (from the second on) are to be learned."""
        ids, learn = [], []
        while len(ids) < n + 1:
            ids.append(BEGIN)
            learn.append(0)
            if c.rnd.random() < 0.035:
                text = self.ids(c.plain()) + [END]
                ids += text
                learn += [1] * len(text)
                continue
            system = c.system()
            if system:
                text = [SYSTEM] + self.ids(system) + [END]
                ids += text
                learn += [0] * len(text)
            for q, a in c.conversation():
                text = [USER] + self.tok.encode(" " + q, add_special_tokens=False).ids + [END, ASSISTANT]
                answer = self.ids(a) + [END]
                ids += text + answer
                learn += [0] * len(text) + [1] * len(answer)
        return ids[:n + 1], learn[1:n + 1]

    def batch(self, step, n_tokens):
        """The rows of STEP: x [rows][n], y [rows][n] with -100 where nothing is learned."""
        c = Corpus.__new__(Corpus)
        c.__dict__.update(self.corpus.__dict__)
        c.rnd = random.Random((self.seed * 1000003 + step) * self.workers + self.rank)
        n = CONTEXT if step % 6 == 5 else CONTEXT // 2
        rows = [self.openings(c, n) if n < CONTEXT and i % 4 < self.share else self.row(c, n) for i in range(n_tokens // n // self.workers)]
        ids = torch.tensor([r[0] for r in rows])
        learn = torch.tensor([r[1] for r in rows], dtype=torch.bool)
        return ids[:, :-1], ids[:, 1:].masked_fill(~learn, -100)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn_norm = nn.Parameter(torch.ones(DIM))
        self.ffn_norm = nn.Parameter(torch.ones(DIM))
        kv = DIM // HEADS * KV_HEADS
        self.sizes = (DIM, kv, kv)
        self.qkv = nn.Linear(DIM, DIM + 2 * kv, bias=False)
        self.out = nn.Linear(DIM, DIM, bias=False)
        self.gate_up = nn.Linear(DIM, 2 * FFN, bias=False)
        self.down = nn.Linear(FFN, DIM, bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        q, k, v = self.qkv(F.rms_norm(x, (DIM,), self.attn_norm, EPS)).split(self.sizes, -1)
        q = rope(q.view(b, t, HEADS, -1).transpose(1, 2), cos, sin)
        k = rope(k.view(b, t, KV_HEADS, -1).transpose(1, 2), cos, sin)
        v = v.view(b, t, KV_HEADS, -1).transpose(1, 2)
        k, v = (a.repeat_interleave(HEADS // KV_HEADS, 1) for a in (k, v))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(b, t, DIM))
        gate, up = self.gate_up(F.rms_norm(x, (DIM,), self.ffn_norm, EPS)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


def rope(x, cos, sin):
    """Turn adjacent pairs."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, DIM)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.Parameter(torch.ones(DIM))
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if "out" in name or "down" in name else 0.02)
        half = torch.arange(0, DIM // HEADS, 2) / (DIM // HEADS)
        angle = torch.outer(torch.arange(CONTEXT).float(), THETA ** -half)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def hidden(self, ids):
        x, t = self.embed(ids), ids.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t])
        return F.rms_norm(x, (DIM,), self.norm, EPS)

    def loss(self, ids, want):
        """The output, tied to the embedding, is only computed where something is learned."""
        h = self.hidden(ids)[want >= 0]
        return F.cross_entropy(F.linear(h, self.embed.weight), want[want >= 0])


class Muon(torch.optim.Optimizer):
    """MINE: the parameters that this worker steps; the others come from other workers."""

    def __init__(self, params, lr, mine, momentum=0.95, decay=0.02):
        self.mine = set(mine)
        super().__init__(params, dict(lr=lr, momentum=momentum, decay=decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                if p not in self.mine:
                    continue
                x = p.grad.lerp(m, group["momentum"])
                tall = x.shape[0] > x.shape[1]
                x = x.T if tall else x
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    a = x @ x.T
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                x = x.T if tall else x
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(x, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


def learn_words(model, tok, seed, n_questions=100000, n_batch=500):
    """Before all else: the mean of a question's embeddings shall tell its answer (a linear classifier, thrown
    away afterwards).  Words that ask for the same thing then begin near each other."""
    c, places, asked = Corpus(seed + 500), {}, []
    while len(asked) < n_questions:
        q, a, _ = c.turn()
        a = "" if a.startswith("Once upon") else a
        asked.append((tok.encode(" " + q, add_special_tokens=False).ids, places.setdefault(a, len(places))))
    head = nn.Linear(DIM, len(places))
    nn.init.normal_(model.embed.weight, std=0.1)
    params = [model.embed.weight] + list(head.parameters())
    opt = torch.optim.Adam(params, lr=0.01, fused=True)
    starts = range(0, n_questions, n_batch)
    for i in starts:
        opt.param_groups[0]["lr"] = 0.01 * (1 - i / n_questions) + 1e-4
        part = asked[i:i + n_batch]
        at = torch.tensor([0] + [len(ids) for ids, _ in part[:-1]]).cumsum(0)
        mean = F.embedding_bag(torch.tensor([t for ids, _ in part for t in ids]), model.embed.weight, at)
        loss = F.cross_entropy(head(mean * 4), torch.tensor([place for _, place in part]), label_smoothing=0.05)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        w = model.embed.weight
        w *= 0.03 / w.square().mean().sqrt()
    return loss.item()


def average_gradients(params):
    flat = torch.cat([p.grad.view(-1) for p in params])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for p, g in zip(params, flat.split([p.numel() for p in params])):
        p.grad = g.view_as(p)


@torch.no_grad()
def exchange(owned):
    """OWNED[rank]: the parameters that worker has the new values of."""
    for rank, params in enumerate(owned):
        flat = torch.cat([p.view(-1) for p in params])
        dist.broadcast(flat, rank)
        for p, v in zip(params, flat.split([p.numel() for p in params])):
            p.copy_(v.view_as(p))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("folder")
    ap.add_argument("--steps", type=int, required=True)
    ap.add_argument("--decay-from", type=int, required=True)
    ap.add_argument("--until", type=int, default=1 << 30, help="stop before this step; a later call goes on")
    ap.add_argument("--tokens", type=int, default=2048, help="of a step")
    ap.add_argument("--hours", type=float, default=2, help="stop after so long, with the state saved")
    ap.add_argument("--lr", type=float, default=0.02, help="of Muon; AdamW has a sixth of it")
    ap.add_argument("--openings", type=int, default=3, help="of four rows, how many have the first tokens of answers only")
    ap.add_argument("--favour", type=float, default=0, help="share of questions about the first fact")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--workers", type=int, default=2)
    a = ap.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    make_tokenizer(os.path.join(a.folder, "tokenizer.json"), a.seed)
    meet = os.path.abspath(os.path.join(a.folder, "meet"))
    if os.path.exists(meet):
        os.remove(meet)
    mp.spawn(train, (a, meet), nprocs=a.workers)


def train(rank, a, meet):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="file://" + meet, rank=rank, world_size=a.workers)
    torch.manual_seed(a.seed)
    tok = make_tokenizer(os.path.join(a.folder, "tokenizer.json"), a.seed)
    rows = Rows(tok, a.seed, rank, a.workers, a.openings)
    rows.corpus = Corpus(a.seed, a.favour)
    model = Model()
    deep = [p for n, p in model.named_parameters() if p.dim() == 2 and n != "embed.weight"]
    flat = [p for n, p in model.named_parameters() if p.dim() < 2 or n == "embed.weight"]
    owned = [[p for i, p in enumerate(deep) if i // 4 % a.workers == r] for r in range(a.workers)] # by layers
    opts = [Muon(deep, a.lr, owned[rank]), torch.optim.AdamW(flat, lr=a.lr / 6, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]
    full = [g["lr"] for opt in opts for g in opt.param_groups]
    stop = os.path.join(a.folder, "stop")
    state, step, spent = os.path.join(a.folder, "state.pt"), 0, 0.0
    if os.path.exists(state):
        s = torch.load(state, weights_only=True)
        model.load_state_dict(s["model"])
        for opt, o in zip(opts, s["opts"]):
            opt.load_state_dict(o)
        step, spent = s["step"], s["spent"]
    log = open(os.path.join(a.folder, "train.log"), "a", encoding="utf-8")
    params = list(model.parameters())

    def say(text):
        if rank:
            return
        print(text, flush=True)
        log.write(text + "\n")
        log.flush()

    def save():
        if rank:
            return
        torch.save({"model": model.state_dict(), "opts": [o.state_dict() for o in opts], "step": step, "spent": spent}, state + ".new")
        os.replace(state + ".new", state)

    say("# python %s, torch %s, %d workers, seed %d, %d parameters, from step %d of %d (down from %d), %d tokens a step, %d openings, lr %g" % (
        platform.python_version(), torch.__version__, a.workers, a.seed, sum(p.numel() for p in model.parameters()),
        step, a.steps, a.decay_from, a.tokens, a.openings, a.lr))
    began, mean = time.time() - spent, None
    if step == 0:
        if rank == 0:
            say("# words: loss %.3f, %.0f s" % (learn_words(model, tok, a.seed), time.time() - began))
        exchange([params])
    saved = time.time()
    while step < min(a.steps, a.until):
        late = torch.tensor(float(time.time() - began > a.hours * 3600 or os.path.exists(stop)))
        dist.all_reduce(late)
        if late:
            break
        rate = min(1.0, (step + 1) / 40, max(0.0, (a.steps - step) / max(1, a.steps - a.decay_from)))
        for lr, g in zip(full, [g for opt in opts for g in opt.param_groups]):
            g["lr"] = lr * rate
        x, y = rows.batch(step, a.tokens)
        loss = model.loss(x, y)
        loss.backward()
        average_gradients(params)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad(set_to_none=True)
        exchange(owned)
        step += 1
        spent = time.time() - began
        mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
        if step % 10 == 0 or step == 1 or step == a.steps:
            say("step %d loss %.4f mean %.4f %.0f s %.0f tok/s" % (step, loss.item(), mean, spent, step * a.tokens / spent))
        if time.time() - saved > 120:
            save()
            saved = time.time()
    save()
    say("# done %d steps, %d tokens, %.0f s" % (step, step * a.tokens, spent))


if __name__ == "__main__":
    sys.exit(main())
