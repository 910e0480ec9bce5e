#!/usr/bin/env python3
"""Make tests/files/tok: small tokenizers of every kind, with what their reference programs make of
some texts.

    tok_golden.py tests/files/tok

Needs sentencepiece, tokenizers and mistral-common from PyPI.  Each folder holds a tokenizer as a model's folder
would, and cases.txt: lines of text in hexadecimal, a tab, ids; a line "special" begins those where
control tokens are looked for.
"""
import base64
import json
import os
import random
import shutil
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, \
    processors, trainers

from tok_fuzz import QWEN2, broken, corpus, hf_of, plain_corpus, sentencepiece_of

import sentencepiece

N = 70
top = sys.argv[1]
shutil.rmtree(top, ignore_errors=True)
TEXT = plain_corpus(1500, 99)
CASES = ["", " ", "  ", "\n", "a", " a", "a ", "  a  b  ", "\u2581", " \u2581 ", "e\u0301 \u00e9",
         "\ufb01 \uff21\uff22", "<s>a</s>", "x<tok_a>y <tok_b> z<tok_c>", "12345 1,000",
         "don't DON'T"] + corpus(N, 5)


def write(name, cases):
    with open(f"{top}/{name}/cases.txt", "w") as f:
        for special, text, ids in cases:
            f.write(f"{'s' if special else '-'}\t{text.hex()}\t{' '.join(map(str, ids))}\n")


def sp(name, kind, **opts):
    d = f"{top}/{name}"
    os.makedirs(d)
    with open(f"{d}/rules.tsv", "w", encoding="utf8") as f:  # a small charsmap
        for a, b in ("\ufb01", "fi"), ("\uff21", "A"), ("\uff22", "B"), ("\u3000", " "), \
                ("e\u0301", "\u00e9"), ("\u00bd", "1/2"), ("\u00a0", " "):
            f.write(" ".join(f"{ord(c):X}" for c in a) + "\t" +
                    " ".join(f"{ord(c):X}" for c in b) + "\n")
    if "normalization_rule_name" not in opts:
        opts["normalization_rule_tsv"] = f"{d}/rules.tsv"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_prefix=f"{d}/m", model_type=kind,
        vocab_size=700, character_coverage=0.98, minloglevel=2, hard_vocab_limit=False, **opts)
    os.rename(f"{d}/m.model", f"{d}/tokenizer.model")
    os.remove(f"{d}/m.vocab")
    os.remove(f"{d}/rules.tsv")
    ref = sentencepiece_of(f"{d}/tokenizer.model")
    texts = [t.encode() for t in CASES] + broken(CASES[-N // 3:], 3)
    write(name, [(False, t, ref(t)) for t in texts])


def hf(name, tok):
    d = f"{top}/{name}"
    os.makedirs(d)
    tok.save(f"{d}/tokenizer.json")
    path = f"{d}/tokenizer.json"
    data = json.load(open(path, encoding="utf8"))
    json.dump(data, open(path, "w", encoding="utf8"), ensure_ascii=name.endswith("first"))
    cases = []
    for special in (False, True):
        ref = hf_of(path, special)
        cases += [(special, t.encode(), ref(t)) for t in CASES
                  if special or ("<unk>" not in t and "<s>" not in t)]
    write(name, cases)


def add(tok):
    tok.add_special_tokens([AddedToken("<s>", special=True, normalized=False),
                            AddedToken("</s>", special=True, normalized=False),
                            AddedToken("<|im_start|>", special=True, normalized=True)])
    tok.add_tokens([AddedToken("<tok_a>", normalized=False),
                    AddedToken("<tok_b>", lstrip=True, rstrip=True, normalized=False),
                    AddedToken("<tok_c>", single_word=True, normalized=True)])


def bytelevel(name, norm, pre, size=500, ignore=False, post=None):
    tok = Tokenizer(models.BPE(ignore_merges=ignore))
    if norm:
        tok.normalizer = norm
    tok.pre_tokenizer = pre
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    add(tok)
    if post:
        tok.post_processor = post(tok)
    hf(name, tok)


bl = pre_tokenizers.ByteLevel
sp("sp-bpe", "bpe", byte_fallback=True)
sp("sp-bpe-plain", "bpe", user_defined_symbols=["<tok_a>", "\u2581\u2581", "12"],
   add_dummy_prefix=False, remove_extra_whitespaces=False)
sp("sp-unigram", "unigram", user_defined_symbols=["<tok_a>", "<tok_b>"], byte_fallback=True)
sp("sp-unigram-suffix", "unigram", treat_whitespace_as_suffix=True,
   normalization_rule_name="identity")
bytelevel("hf-qwen", normalizers.NFC(), pre_tokenizers.Sequence(
    [pre_tokenizers.Split(Regex(QWEN2), "isolated"), bl(add_prefix_space=False, use_regex=False)]),
    post=lambda t: processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(x, t.token_to_id(x)) for x in ("<s>", "</s>")]))
bytelevel("hf-prefix", None, bl(add_prefix_space=True), ignore=True)
bytelevel("hf-splits", normalizers.Sequence(
    [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(),
     normalizers.Replace(Regex(" {2,}"), " "), normalizers.Replace("a", "bb")]),
    pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Digits(individual_digits=False),
         pre_tokenizers.Split(Regex("[0-9]{3}"), "merged_with_previous"),
         pre_tokenizers.Split(" ", "merged_with_next"),
         pre_tokenizers.Split(Regex(r"\w+|[^\w\s]+| "), "removed", invert=True),
         bl(add_prefix_space=False, use_regex=False)]))
for scheme in ("first", "always"):
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents()])
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tok.decoder = decoders.Metaspace(prepend_scheme=scheme)
    tok.train_from_iterator(TEXT, trainers.UnigramTrainer(
        vocab_size=600, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False))
    hf(f"hf-unigram-{scheme}", tok)
tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=False))
tok.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"),
                                       normalizers.Replace(" ", "\u2581")])
tok.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse(),
                                 decoders.Strip(" ", 1, 0)])
tok.train_from_iterator(TEXT[:300], trainers.BpeTrainer(
    vocab_size=600, special_tokens=["<unk>"], limit_alphabet=100, max_token_length=12,
    show_progress=False))
add(tok)
hf("hf-llama", tok)
tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                             pre_tokenizers.Metaspace()])
tok.decoder = decoders.Metaspace()
tok.train_from_iterator(TEXT[:300], trainers.BpeTrainer(
    vocab_size=500, special_tokens=["<unk>"], limit_alphabet=100, show_progress=False))
hf("hf-words", tok)

# Ranks as Mistral writes them: the 256 bytes, then what merging found.
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

tok = Tokenizer(models.BPE())
tok.pre_tokenizer = bl(add_prefix_space=False)
tok.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=600, initial_alphabet=bl.alphabet(),
                                                  show_progress=False))
letters = {}
free = 256
for b in range(256):
    if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174:
        letters[chr(b)] = b
    else:
        letters[chr(free)] = b
        free += 1
words = sorted(tok.get_vocab().items(), key=lambda x: x[1])
words = [bytes(letters[c] for c in w) for w, _ in words]
words = [bytes([b]) for b in range(256)] + [w for w in words if len(w) > 1]
os.makedirs(f"{top}/tekken")
json.dump({"config": {"pattern": QWEN2, "num_vocab_tokens": len(words),
                      "default_vocab_size": len(words) + 50, "default_num_special_tokens": 50,
                      "version": "v3"},
           "vocab": [{"rank": i, "token_bytes": base64.b64encode(w).decode(), "token_str": None}
                     for i, w in enumerate(words)],
           "special_tokens": [{"rank": i, "token_str": t, "is_control": True}
                              for i, t in enumerate(("<unk>", "<s>", "</s>", "[INST]"))],
           "version": 1, "type": "Tekken"}, open(f"{top}/tekken/tekken.json", "w"))
ref = Tekkenizer.from_file(f"{top}/tekken/tekken.json")
write("tekken", [(False, t.encode(), ref.encode(t, bos=False, eos=False)) for t in CASES + TEXT[:40]])
