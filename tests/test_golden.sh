#!/bin/sh
# The real trained model says its text: whole program, from -p to stdout, resident and streamed, with
# every backend, with one thread and two, and with the same logits in all of them.
. "$srcdir_abs/tests/lib.sh"
dir=${WEIR_DATA:-}/stories260K
[ -n "${WEIR_DATA:-}" ] && [ -e "$dir/derived/stories260K-f32.gguf" ] || skip_all "WEIR_DATA names no folder with stories260K"

# smallest ARGS...: weir run ARGS with the smallest budget that works.  Only the run itself knows it to
# the byte (a process takes some pages more or less each time), and says it when it is given less.
smallest() {
    budget=1K
    for try in 1 2 3 4; do
        weir run "$@" --ram "$budget"
        [ "$rc" -eq 1 ] || return 0
        budget=$(sed -n 's/.*smallest that works is .*--ram \([0-9]*\)).*/\1/p' "$work/err")
        [ -n "$budget" ] || return 0
    done
}

for type in f32 f16 q8_0 q4_0; do
    model=$dir/derived/stories260K-$type.gguf
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
    f32 | f16) check "$type: its text is the reference's (not:$other)" test -z "$other" ;;
    esac
done
finish
