#!/bin/sh
# The whole program on the fake device, whose operations are done by the CUDA kernels themselves, as
# C++ on the host: the text of real models, and the same bits wherever the weights are.
. "$srcdir_abs/tests/lib.sh"
cpu=$WEIR; WEIR=$(dirname "$WEIR")/tests/weir_fake
[ -x "$WEIR" ] || skip_all "tests/weir_fake was not built"
grep -q '^#define WEIR_BUILD_CUDA_EMU 1' "$(dirname "$cpu")/config.h" || skip_all "no C++ compiler"
WEIR_FAKE_CUDA="mem=512M,kernels"; export WEIR_FAKE_CUDA
hash() { number logits_hash "$work/s.json"; }
# same NAME MODEL ARGS...: the text of MODEL all in VRAM ($work/resident), and all over the bus.
same() {
    label=$1; unlike=; shift
    weir run "$@" --ctx 64 --temp 0 -q --stats "$work/s.json" --vram 64M
    cp "$work/out" "$work/resident"; resident=$rc:$(hash)
    weir plan "$1" --ctx 64 --json --vram 64M; least=$(number smallest_vram_bytes "$work/out")
    for how in "--vram $least" "--vram $least --io pread --ram 256M" "--vram $((least + 1048576))"; do
        weir run "$@" --ctx 64 --temp 0 -q --stats "$work/s.json" $how
        [ "$rc:$(hash)" = "$resident" ] && cmp -s "$work/out" "$work/resident" || unlike="$unlike [$how: $rc $(head -1 "$work/err")]"
    done
    check "$label: the same bits resident and streamed (not:$unlike)" test "${resident%%:*}" -eq 0 -a -z "$unlike"
    [ -s "$work/resident" ] || return 0 # no tokenizer, no text
    weir run "$@" --ctx 64 --temp 0 -q
    check "$label: the text of the CPU (\"$(head -c 40 "$work/out")\")" cmp -s "$work/out" "$work/resident"
}
model=$srcdir_abs/models/weir.gguf
[ -r "$model" ] && same "the model that comes along" "$model" -p "Once upon a time there was a clever" -n 6
same "Meta's parts, slices of matrices" "$srcdir_abs/tests/files/meta/llama-2-parts" --tokens 5,17,3,14,22,9,21,12,7,15 -n 8
# Each kind of cache, and a prompt in passes of few rows, which are other kernels than those for many.
for kv in f32 q8 q4; do
    weir run "$model" -p "Once upon a time there was a clever" -n 4 --ctx 64 --temp 0 -q --kv $kv --vram 64M; cp "$work/out" "$work/gpu"
    weir run "$model" -p "Once upon a time there was a clever" -n 4 --ctx 64 --temp 0 -q --kv $kv
    cmp -s "$work/out" "$work/gpu" || other="$other $kv"
done
weir run "$model" -p "Once upon a time there was a clever" -n 4 --ctx 64 --temp 0 -q; cp "$work/out" "$work/cpu"
weir run "$model" -p "Once upon a time there was a clever" -n 4 --ctx 64 --temp 0 -q --chunk 4 --vram 64M
cmp -s "$work/out" "$work/cpu" || other="$other chunks"
check "every kind of cache, and few rows at a time (not:$other)" test -z "$other"
weir selftest --cuda
check "weir selftest: every kernel is right ($(tail -1 "$work/out"))" sh -c "[ $rc -eq 0 ] && grep -q 'all [0-9]* are right' '$work/out'"
dir=${WEIR_DATA:-}/stories260K
if [ -n "${WEIR_DATA:-}" ] && [ -e "$dir/derived/stories260K-f32.gguf" ]; then
    for type in f32 f16; do
        weir run "$dir/derived/stories260K-$type.gguf" -p "" --temp 0 -n 24 --ctx 128 -q --vram 64M
        check "stories260K $type: its text is the reference's" sh -c "[ $rc -eq 0 ] && [ \$(wc -c <'$work/out') -gt 20 ] && cmp -s -n \$(wc -c <'$work/out') '$work/out' '$dir/greedy-output.txt'"
    done
    for type in q8_0 q4_0; do same "stories260K $type" "$dir/derived/stories260K-$type.gguf" -p "Once upon a time" -n 8; done
else
    skip "stories260K" "WEIR_DATA names no folder with it"
fi
finish
