#!/bin/sh
# PyTorch folders, Meta's and llama2.c's files run, and give the logits of the same weights in the
# forms that other tests hold against other programs: to the bit where rope turns the same pairs.
. "$srcdir_abs/tests/lib.sh"
meta=$srcdir_abs/tests/files/meta models=$srcdir_abs/tests/files/models
tokens=3,1,4,1,5,9,2,6,5,3,5,8

# logits MODEL FILE [OPTION...]: those of all tokens
logits() { m=$1 f=$2; shift 2; weir run "$m" --tokens $tokens -n 0 --ram 256M --logits "$f" "$@"; }

# same NAME MODEL MODEL [OPTION...]
same() {
    name=$1 a=$2 b=$3; shift 3
    logits "$a" "$work/a" "$@"; rc_a=$rc
    logits "$b" "$work/b" "$@"
    if [ $rc_a = 0 ] && [ $rc = 0 ] && [ -s "$work/a" ] && cmp -s "$work/a" "$work/b"; then ok "$name"
    else not_ok "$name" "status $rc_a and $rc" "$(cat "$work/err")"; fi
}

# near NAME MODEL MODEL: all logits within 1e-4 of the largest
near() {
    logits "$2" "$work/a"; rc_a=$rc
    logits "$3" "$work/b"
    od -An -v -w4 -tf4 "$work/a" >"$work/a.txt"; od -An -v -w4 -tf4 "$work/b" >"$work/b.txt"
    if [ $rc_a = 0 ] && [ $rc = 0 ] && paste "$work/a.txt" "$work/b.txt" | awk '
        { d = $1 - $2; d = d < 0 ? -d : d; v = $2 < 0 ? -$2 : $2; off = d > off ? d : off; top = v > top ? v : top }
        END { exit !(NR >= 200 && NF == 2 && top > 0 && off <= 1e-4 * top) }'; then ok "$1"
    else not_ok "$1" "status $rc_a and $rc" "$(cat "$work/err")"; fi
}

# runs NAME MODEL TEXT: greedy generation says TEXT
runs() {
    weir run "$2" -p "Once upon a time" -n 40 --temp 0 --ram 256M
    if [ $rc = 0 ] && [ "$(cat "$work/out")" = "$3" ]; then ok "$1"
    else not_ok "$1" "status $rc" "$(cat "$work/out")" "$(cat "$work/err")"; fi
}

same "Meta's folder is the GGUF file of the same model" "$models/llama-gqa-f16.gguf" "$meta/llama"
same "and so is the file in it" "$models/llama-gqa-f16.gguf" "$meta/llama/consolidated.00.pth"
for io in mmap pread uring; do
    same "Meta's folder by $io" "$models/llama-gqa-f16.gguf" "$meta/llama" --io $io
done
for v in 0 1; do
    same "llama2.c version $v, a table for the output" "$models/llama-mha-f32.gguf" "$meta/own-v$v.bin"
    same "llama2.c version $v, one table for both" "$models/llama-tied-f32.gguf" "$meta/shared-v$v.bin"
done
same "two PyTorch files and an index are one model" "$meta/hf-one" "$meta/hf"
same "opened through the second file" "$meta/hf-one" "$meta/hf/pytorch_model-00002-of-00002.bin"
for f in own shared; do
    near "llama2.c version 2, int8 in groups, is its weights as floats ($f)" "$meta/$f-v2.bin" "$meta/$f-v2-as-v1.bin"
done
logits "$meta/own-v2.bin" "$work/a"; logits "$meta/own-v2.bin" "$work/b" --io pread --chunk 5
check "the same bits read and not mapped, in passes of five" cmp "$work/a" "$work/b"

# What is damaged or missing.
cp -R "$meta" "$work/m" && chmod -R u+w "$work/m"
rm "$work/m/hf/pytorch_model-00002-of-00002.bin"
fails 1 '00002-of-00002.bin: this part of the model is missing' "a missing part" inspect "$work/m/hf"
cp "$meta/llama/consolidated.00.pth" "$work/m/llama/consolidated.01.pth"
fails 1 'expected' "a model beside itself is no model in two parts" run "$work/m/llama" --tokens 1 -n 0
rm "$work/m/llama/consolidated.01.pth" "$work/m/llama/params.json"
fails 1 'no params.json' "Meta's weights without numbers" run "$work/m/llama" --tokens 1 -n 0
for v in 0 1 2; do
    printf x >>"$work/m/own-v$v.bin"
    fails 1 'llama2.c model .* bytes, but the file has' "version $v with a byte more" inspect "$work/m/own-v$v.bin"
    len=$(wc -c <"$meta/own-v$v.bin")
    head -c $((len - 4)) "$meta/own-v$v.bin" >"$work/m/cut.bin"
    fails 1 'llama2.c model .* bytes, but the file has' "version $v with a number less" inspect "$work/m/cut.bin"
done
head -c 20 "$meta/own-v1.bin" >"$work/m/cut.bin"
fails 1 'damaged' "a cut header" inspect "$work/m/cut.bin"
{ printf 24ka; head -c 300 /dev/zero; } >"$work/m/cut.bin"
fails 1 'damaged' "version 0 with the magic number of others" inspect "$work/m/cut.bin"

# put BYTES AT: into a copy of version 2
put() { cp "$meta/own-v2.bin" "$work/m/bad.bin"; printf "$1" | dd of="$work/m/bad.bin" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
put '\377\377\377\377' 1288 # behind 5 norms of 24 floats and a table of 23 x 24 bytes
fails 1 "scales of 'tok_embeddings.weight' are not where" "version 2 with its scales elsewhere" inspect "$work/m/bad.bin"
put '\0' 37
fails 1 'damaged' "version 2 in groups of none" inspect "$work/m/bad.bin"
put '\010' 37
fails 1 "groups of 8 run across the rows of its w2, which have 12" "version 2 in groups that do not divide rows" inspect "$work/m/bad.bin"
put '\003' 4
fails 1 'version 3.*0, 1 and 2' "a version that is not known" inspect "$work/m/bad.bin"

# The same small trained model in every form.
d=$WEIR_DATA/stories260K
if [ -n "$WEIR_DATA" ] && [ -r "$d/stories260K.bin" ]; then
    weir run "$d/derived/stories260K-f32.gguf" -p "Once upon a time" -n 40 --temp 0 --ram 256M
    text=$(cat "$work/out")
    for f in pytorch_model-bf16.bin pytorch_model-f32.pt legacy-f16.bin; do
        mkdir "$work/$f" && cp "$d/derived/hf/config.json" "$d/derived/hf/tokenizer.model" "$d/derived/torch/$f" "$work/$f/"
        runs "$f: greedy text" "$work/$f" "$text"
    done
    same "pytorch_model-f32.pt: logits of the safetensors file" "$d/derived/hf" "$work/pytorch_model-f32.pt"
    mkdir "$work/l" && cp "$d/stories260K.bin" "$d/tok512.bin" "$work/l/"
    runs "llama2.c: greedy text, its own tokenizer" "$work/l" "$text"
    runs "llama2.c: the file by name" "$work/l/stories260K.bin" "$text"
    same "llama2.c: logits of the GGUF file" "$d/derived/stories260K-f32.gguf" "$work/l"
    same "the same, read and not mapped" "$d/derived/stories260K-f32.gguf" "$work/l" --io pread
    weir tokenize "$WEIR_DATA/tokenizers/llama2/tokenizer.bin" -f "$srcdir_abs/README.md"; cp "$work/out" "$work/a"
    weir tokenize "$WEIR_DATA/tokenizers/llama2/tokenizer.model" -f "$srcdir_abs/README.md"
    if [ -s "$work/a" ] && cmp -s "$work/a" "$work/out"; then ok "tokenizer.bin gives the tokens of tokenizer.model"
    else not_ok "tokenizer.bin gives the tokens of tokenizer.model"; fi
else
    skip "the real model in every form" "WEIR_DATA is not set"
fi
finish
