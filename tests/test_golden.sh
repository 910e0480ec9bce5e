#!/bin/sh
# The real trained model says its text: whole program, from -p to stdout, resident and streamed, with
# every backend, with one thread and two, and with the same logits in all of them.
. "$srcdir_abs/tests/lib.sh"
dir=${WEIR_DATA:-}/stories260K
[ -n "${WEIR_DATA:-}" ] && [ -e "$dir/derived/stories260K-f32.gguf" ] || skip_all "WEIR_DATA names no folder with stories260K"

# smallest ARGS...: weir run ARGS with a budget so small that it must stream.  Only the run itself knows
# the smallest that works: what a process takes besides its accounts differs by some pages each time,
# and is rounded to a MiB, more than these models have.  So it is asked, and asked again when it moved.
smallest() {
    budget=1K
    for try in $(seq 40); do
        weir run "$@" --ram "$budget"
        if [ "$rc" -eq 0 ]; then
            [ "$(number streamed_bytes_per_pass "$work/s.json")" -eq 0 ] || return 0
            budget=1K
        else
            budget=$(sed -n 's/.*smallest that works is .*--ram \([0-9]*\)).*/\1/p' "$work/err")
            [ -n "$budget" ] || return 0
        fi
    done
}

for type in f32 f16 q8_0 q4_0 hf; do
    model=$dir/derived/stories260K-$type.gguf
    [ $type != hf ] || model=$dir/derived/hf # the same weights as a folder of safetensors
    hashes= other=
    for case in "resident auto 1" "resident auto 2" "streamed auto 1" "streamed uring 2" "streamed pread 2" "streamed mmap 1"; do
        set -- $case
        how="--temp 0 -n 256 --ctx 512 --io $2 --threads $3 -q --stats $work/s.json"
        if [ "$1" = streamed ]; then smallest "$model" -p "" $how; else weir run "$model" -p "" $how --ram 1G; fi
        if [ "$rc" -ne 0 ]; then not_ok "$type: $case" "$(cat "$work/err")"; continue; fi
        bytes=$(number streamed_bytes_per_pass "$work/s.json")
        if [ "$1" = streamed ]; then check "$type: $case: it streamed $bytes bytes a token" test "$bytes" -gt 0
        else check "$type: $case: it did not stream" test "$bytes" -eq 0
        fi
        hashes="$hashes $(number logits_hash "$work/s.json")"
        echo >>"$work/out"
        cmp -s "$work/out" "$dir/greedy-output.txt" || other="$other ($case)"
    done
    check "$type: the same logits in all of them:$hashes" test "$(echo $hashes | tr ' ' '\n' | sort -u | wc -l)" -eq 1
    # Quantized weights are other weights: what they say is held by test_models.
    case $type in
    f32 | f16 | hf) check "$type: its text is the reference's (not:$other)" test -z "$other" ;;
    esac
done
# A folder's own files say which tokens end an answer: here the one that greedy.json has 20th.
mkdir "$work/ends"
for f in config.json model.safetensors tokenizer.model; do ln -s "$dir/derived/hf/$f" "$work/ends/$f"; done
ids=$(sed -n 's/.*"ids": \[\([^]]*\)\].*/\1/p' "$dir/derived/greedy.json")
end=$(echo "$ids" | tr -d ' ' | cut -d, -f21)
first=$(echo "$ids" | tr -d ' ' | tr , '\n' | grep -nx "$end" | head -1 | cut -d: -f1)
printf '{"eos_token_id": [2, %s]}' "$end" >"$work/ends/generation_config.json"
weir run "$work/ends" -p "" --temp 0 -n 256 --ctx 512 --ram 1G -q --stats "$work/s.json"
n_gen=$(number gen_tokens "$work/s.json")
check "hf: generation_config.json ends it: $n_gen tokens" test "$n_gen" -le "$first" -a "$n_gen" -ge $((first - 2))
weir run "$work/ends/model.safetensors" -p "" --temp 0 -n 8 --ram 1G -q
check "hf: the file of weights is as good as its folder" test "$rc" -eq 0 -a -s "$work/out"
rm "$work/ends/tokenizer.model"
fails 1 "tokenizer" "hf: a folder without a tokenizer is refused for text" run "$work/ends" -p "Once" -n 1 --ram 1G
weir run "$work/ends" --tokens 1,2,3 -n 1 --ram 1G --temp 0
check "hf: and takes tokens" test "$rc" -eq 0
# Every instruction set says the same; each sums in its own order, so the logits differ in their last bits.
for isa in scalar avx2 avx512 neon; do
    WEIR_CPU=$isa; export WEIR_CPU
    weir run "$dir/derived/stories260K-f32.gguf" -p "" --temp 0 -n 256 --ctx 512 --ram 1G -q
    echo >>"$work/out"
    check "f32 with $isa kernels, or the best there are: the reference's text" cmp -s "$work/out" "$dir/greedy-output.txt"
done
finish
