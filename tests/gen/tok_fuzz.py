#!/usr/bin/env python3
"""Compare tokenizers with the programs they come from, on random text.

    tok_fuzz.py TOK_IDS DATA [N] [SEED] [NAME...]

TOK_IDS is the program tests/tok_ids, DATA a folder with tokenizers/ and ggml-vocab/.  Needs
sentencepiece, tiktoken and tokenizers from PyPI.  Prints a line for each tokenizer: how many of N
strings came out differently.  Exit status 1 if any did.

Characters are those of which Python and tokenizers know the same normalization: the latter has the
tables of an old Unicode.  What looks like a special token of the model's own is left out where the
reference would take a user's words for it, which this program never does.
"""
import base64
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

import sentencepiece
import tiktoken
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")

WORDS = """the of and a to in is you that it he was for on are as with his they I at be this have
from or one had by word but not what all were we when your can said there use an each which she do
how their if will up other about out many then them these so some her would make like him into time
has look two more write go see number no way could people my than first water been call who oil its
now find long down day did get come made may part don't I'm we'll they've he'd IT'S Won'T hello
Hello HELLO helloWorld snake_case camelCase 3.14159 1,000,000 2024-01-31 http://example.com/a?b=c
int main(void) { return 0; } def f(x): print(x) <html> </div> #include <stdio.h> \\n \\t
你好 世界 今天 天气 很好 我们 中文 分词 测试 模型 「引号」 ，。！？ こんにちは カタカナ ひらがな 日本語 ﾊﾝｶｸ
안녕하세요 한국어 Привет мир Ελληνικά مرحبا שלום नमस्ते สวัสดี ไทย café naïve Zürich ﬁ ﬂ ½ ² ™ Ⅳ ①
😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ 𝒳 𝔘𝔫𝔦 ｆｕｌｌｗｉｄｔｈ ＡＢＣ １２３ e\u0301 o\u0308 \u0301 \u200d \u200b \ufeff""".split()
SPECIALS = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|eot_id|>", "<n>", "<|tab|>",
            "<|blank_3|>", "[MASK]", "[gMASK]", "<eoh>", "<eoa>", "<0x0A>", "\u2581", "\u2581\u2581",
            "<tok_a>", "<tok_b>", "<tok_c>", "[PAD]", "<TOKENS_UNUSED_5>"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2003", "\u180e", "\x0b",
          "\x85", "\u2028"]
_NFD, _NFKC, _STRIP = normalizers.NFD(), normalizers.NFKC(), normalizers.StripAccents()
_PUNCT = pre_tokenizers.Punctuation()


def known(c):
    ch = chr(c)
    kind = unicodedata.category(ch)
    if kind in ("Cn", "Cs", "Co"):
        return False
    if c < 0x300:
        return True
    return (_NFD.normalize_str(ch) == unicodedata.normalize("NFD", ch) and
            _NFKC.normalize_str(ch) == unicodedata.normalize("NFKC", ch) and
            (_STRIP.normalize_str("a" + ch) == "a") == (kind[0] == "M") and
            (len(_PUNCT.pre_tokenize_str("a" + ch)) == 2) == (kind[0] == "P"))


ASSIGNED = [c for c in range(1, 0x110000) if known(c)]
COMMON = [c for c in ASSIGNED if c < 0x3000 or 0x4e00 <= c < 0xa000 or 0x1f300 <= c < 0x1f700]
MARKS = [c for c in ASSIGNED if unicodedata.category(chr(c))[0] == "M"]
HANGUL = list(range(0x1100, 0x1200)) + list(range(0x3131, 0x318f)) + list(range(0xac00, 0xac80))


def one(r):
    k = r.random()
    if k < 0.45:
        return r.choice(WORDS)
    if k < 0.65:
        return r.choice(SPACES)
    if k < 0.72:
        return r.choice(SPECIALS)
    if k < 0.78:
        return "".join(chr(r.randrange(33, 127)) for _ in range(r.randrange(1, 8)))
    if k < 0.84:
        return "".join(chr(r.choice(COMMON)) for _ in range(r.randrange(1, 6)))
    if k < 0.90:
        return "".join(chr(r.choice(ASSIGNED)) for _ in range(r.randrange(1, 4)))
    if k < 0.93:
        return "".join(chr(r.choice(MARKS)) for _ in range(r.randrange(1, 4)))
    if k < 0.95:
        return "".join(chr(r.choice(HANGUL)) for _ in range(r.randrange(1, 4)))
    if k < 0.98:
        return str(r.randrange(10 ** r.randrange(1, 12)))
    return r.choice(WORDS)[0] * r.randrange(1, 40)


def corpus(n, seed):
    r = random.Random(seed)
    out = []
    for _ in range(n):
        sep = r.choice(["", "", " ", " "])
        out.append(sep.join(one(r) for _ in range(r.randrange(0, 14))))
    return out


def plain_corpus(n, seed):
    """Words only: few different characters, so that small vocabularies can be trained."""
    r = random.Random(seed)
    words = [w for w in WORDS if all(ord(c) < 0x10000 for c in w)] + SPECIALS
    return [" ".join(r.choice(words) for _ in range(r.randrange(1, 20))) for _ in range(n)]


def broken(texts, seed):
    """The same as bytes, some of which are no UTF-8."""
    r = random.Random(seed)
    out = []
    for t in texts:
        b = bytearray(t.encode())
        for _ in range(r.randrange(3)):
            if b and r.random() < 0.5:
                b[r.randrange(len(b))] = r.randrange(128, 256)
            else:
                b.insert(r.randrange(len(b) + 1), r.randrange(128, 256))
        out.append(bytes(b))
    return out


def ours(program, path, texts, special):
    lines = "\n".join(t.hex() for t in texts) + "\n"
    p = subprocess.run([program, path] + (["special"] if special else []), input=lines.encode(),
                       capture_output=True)
    if p.returncode:
        return p.stderr.decode().strip()
    return [l if l.startswith("!") else [int(x) for x in l.split()]
            for l in p.stdout.decode().split("\n")[:-1]]


def sentencepiece_of(path):
    sp = sentencepiece.SentencePieceProcessor(model_file=path)
    return lambda t: sp.encode(t)


def tiktoken_of(path, pattern, special=()):
    ranks = {}
    for line in open(path, "rb"):
        if line.strip():
            tok, rank = line.split()
            ranks[base64.b64decode(tok)] = int(rank)
    enc = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=ranks,
                            special_tokens={s: len(ranks) + i for i, s in enumerate(special)})
    return lambda t: enc.encode(t, disallowed_special=())


def hf_of(path, special):
    tok = Tokenizer.from_file(path)
    tok.encode_special_tokens = not special
    return lambda t: tok.encode(t, add_special_tokens=False).ids


def make_hf(data, tmp):
    """tokenizer.json files of many kinds, trained here or made from vocabularies."""
    made = {}
    text = plain_corpus(3000, 99)
    base = f"{data}/tokenizers/qwen3"

    def save(name, tok):
        d = f"{tmp}/{name}"
        os.makedirs(d)
        tok.save(f"{d}/tokenizer.json")
        made[name] = f"{d}/tokenizer.json"

    merges = [tuple(l.rstrip("\n").split(" ")) for l in open(f"{base}/merges.txt", encoding="utf8")
              if not l.startswith("#version")]
    vocab = json.load(open(f"{base}/vocab.json", encoding="utf8"))

    def qwen(ignore_merges=False):
        return Tokenizer(models.BPE(vocab, [m for m in merges if len(m) == 2],
                                    ignore_merges=ignore_merges))
    t = qwen()
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False),
                          AddedToken("<|im_start|>", special=True, normalized=False)])
    t.add_tokens([AddedToken("<tok_a>", normalized=False),
                  AddedToken("<tok_b>", lstrip=True, rstrip=True, normalized=False),
                  AddedToken("<tok_c>", single_word=True, normalized=True)])
    save("qwen3-json", t)
    t = qwen(True)
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    save("bytelevel-prefix", t)
    t = qwen()
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(),
                                         normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("isolated"), pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9]{3}"), "merged_with_previous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    save("nfkc-lower-digits", t)
    t = qwen()
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(),
                                         normalizers.Replace(Regex(" {2,}"), " "),
                                         normalizers.Replace("a", "bb")])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"[\r\n]"), "contiguous"),
        pre_tokenizers.Split(" ", "merged_with_next"),
        pre_tokenizers.Split(Regex(r"\w+|[^\w\s]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    save("nfd-splits", t)
    from tokenizers import trainers
    for scheme in ("always", "first", "never"):
        t = Tokenizer(models.Unigram())
        t.normalizer = normalizers.NFKC()
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
        t.decoder = decoders.Metaspace(prepend_scheme=scheme)
        t.train_from_iterator(text, trainers.UnigramTrainer(
            vocab_size=1500, special_tokens=["<unk>", "<s>"], unk_token="<unk>", show_progress=False))
        save(f"unigram-metaspace-{scheme}", t)
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                               pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(text[:1000], trainers.BpeTrainer(
        vocab_size=2500, special_tokens=["<unk>", "<s>"], limit_alphabet=300, show_progress=False))
    save("bpe-words-unk", t)
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.train_from_iterator(text[:1000], trainers.BpeTrainer(
        vocab_size=2500, special_tokens=["<unk>"], limit_alphabet=200, show_progress=False))
    save("bpe-whitespace-unk", t)
    made["llama1-json"] = f"{data}/configs/wizard-vicuna-30b-gptq/tokenizer.json"
    d = json.load(open(made["llama1-json"], encoding="utf8"))
    d["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    d["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "},
                          "behavior": "MergedWithPrevious", "invert": False}
    os.makedirs(f"{tmp}/gemma-like")
    json.dump(d, open(f"{tmp}/gemma-like/tokenizer.json", "w", encoding="utf8"))
    made["gemma-like"] = f"{tmp}/gemma-like/tokenizer.json"
    return made


def main():
    program, data = sys.argv[1:3]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    only = sys.argv[5:]
    texts = corpus(n, seed)
    jobs = []  # name, our path, their function, as bytes?, special?
    tk = f"{data}/tokenizers"
    with tempfile.TemporaryDirectory() as tmp:
        # Alone in a folder: what classes of the model's own code add is not the library's.
        for name, path in {"llama2": f"{tk}/llama2/tokenizer.model",
                           "chinese-llama2": f"{tk}/chinese-llama2/tokenizer.model",
                           "internlm-7b": f"{tk}/internlm-7b/tokenizer.model",
                           "chatglm2-6b": f"{tk}/chatglm2-6b/tokenizer.model",
                           "tok512": f"{data}/bitllama2c/tokenizer.model"}.items():
            jobs.append((f"sp/{name}", path, sentencepiece_of(path), True, False))
        ice = f"{tk}/chatglm-6b/ice_text.model"
        sp = sentencepiece_of(ice)

        def glm(t):
            t = t.replace("\n", "<n>").replace("\t", "<|tab|>")
            for i in range(80, 1, -1):
                t = t.replace(" " * i, f"<|blank_{i}|>")
            return sp(t)
        jobs.append(("sp/chatglm-6b", ice, glm, False, False))
        for kind in ("unigram", "bpe"):
            for opts in ({}, {"byte_fallback": True, "normalization_rule_name": "identity",
                              "remove_extra_whitespaces": False},
                         {"add_dummy_prefix": False, "user_defined_symbols": ["<tok_a>", "<n>", "▁▁"]},
                         {"treat_whitespace_as_suffix": True,
                          "normalization_rule_name": "nfkc_cf"}):
                name = f"{kind}{len(jobs)}"
                sentencepiece.SentencePieceTrainer.train(
                    sentence_iterator=iter(plain_corpus(4000, 7)),
                    model_prefix=f"{tmp}/{name}", model_type=kind, vocab_size=900,
                    character_coverage=0.98, minloglevel=2, hard_vocab_limit=False, **opts)
                os.makedirs(f"{tmp}/{name}")
                os.rename(f"{tmp}/{name}.model", f"{tmp}/{name}/tokenizer.model")
                path = f"{tmp}/{name}/tokenizer.model"
                jobs.append((f"sp/{kind} {opts}", path, sentencepiece_of(path), True, False))
        jobs.append(("tiktoken/llama3", f"{tk}/llama3/tokenizer.model",
                     tiktoken_of(f"{tk}/llama3/tokenizer.model", LLAMA3), False, False))
        qwen = tiktoken_of(f"{tk}/qwen1-vl-chat-int4/qwen.tiktoken", QWEN2)
        jobs.append(("tiktoken/qwen", f"{tk}/qwen1-vl-chat-int4/qwen.tiktoken",
                     lambda t: qwen(unicodedata.normalize("NFC", t)), False, False))
        for name, path in make_hf(data, tmp).items():
            for special in (False, True):
                jobs.append((f"tokenizers/{name}" + (" special" if special else ""), path,
                             hf_of(path, special), False, special))
        failed = 0
        for name, path, theirs, as_bytes, special in jobs:
            if only and not any(o in name for o in only):
                continue
            mine = [t.encode() for t in texts]
            want = texts
            if as_bytes:
                mine = mine + broken(texts[: n // 4], seed)
                want = mine
            if name.startswith("tokenizers/unigram") and not special:
                want = [t for t in want if "<unk>" not in t and "<s>" not in t]
                mine = [t.encode() for t in want]
            got = ours(program, path, mine, special)
            if isinstance(got, str):
                print(f"{name}: {got}")
                failed += 1
                continue
            bad = [i for i, t in enumerate(want) if theirs(t) != got[i]]
            print(f"{name}: {len(bad)} of {len(want)} differ", flush=True)
            for i in bad[:2]:
                print("   ", ascii(want[i]))
                print("      theirs", theirs(want[i])[:60])
                print("      ours  ", got[i][:60])
            failed += bool(bad)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
