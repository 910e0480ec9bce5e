#!/bin/sh
# How long a context may be: what the model was trained for, and what its rope scaling adds.
. "$srcdir_abs/tests/lib.sh"
models=$srcdir_abs/tests/files/models
plain=$models/llama-mha-f32.gguf # trained for 128 positions

# hash MODEL OPTIONS...: the logits of six tokens.
hash() { m=$1; shift; weir run "$models/$m.gguf" --tokens 1,2,3,4,5,6 -n 6 --temp 0 --ignore-eos -q --stats "$work/s.json" "$@"; [ "$rc" -eq 0 ] && number logits_hash "$work/s.json"; }

# ---- the model's own length ----
for cmd in "run $plain --tokens 1,2,3 -n 4" "plan $plain"; do
    fails 1 "129 is more than the 128 positions this model was trained for.*--rope-scaling yarn" "${cmd%% *}: a context beyond the trained length" $cmd --ctx 129
done
weir run "$plain" --tokens 1,2,3 -n 4 --ctx 128
check "the whole trained length" test "$rc" -eq 0
weir bench "$plain" --prefill 200 --decode 0 --reps 1
check "bench: a test beyond it" sh -c "[ $rc -ne 0 ] && grep -qh 'more than the 128 positions' '$work/err' '$work/out'"
weir bench "$plain" --prefill 20 --decode 0 --reps 1
check "bench: short tests share what there is" test "$rc" -eq 0
fails 1 "150 is more than the 128 positions" "a prompt beyond it" run "$plain" --tokens "$(seq -s, 1 150 | sed 's/[0-9]\{1,\}/1/g')" -n 1
weir run "$plain" --tokens 1,2,3 -n 400 --temp 0 --ignore-eos
check "an answer that comes to the end" sh -c "[ $rc -eq 0 ] && grep -q 'context is full, and the model was trained for no more' '$work/err'"
weir run "$plain" --tokens 1,2,3 -n 400 --temp 0 --ignore-eos --ctx 20
check "an answer that comes to an end we set" grep -q 'context is full; a larger one needs --ctx N' "$work/err"

# ---- the model's own scaling ----
weir plan "$models/llama-yarn.gguf" --json
check "yarn: the original length times the factor is aimed for" test "$(number ctx "$work/out")" -eq 4096
fails 1 "4097 is more than the 4096 positions.*yarn, 4 times 1024" "yarn: and no more" plan "$models/llama-yarn.gguf" --ctx 4097
weir plan "$models/llama-llama3-keys.gguf" --ctx 1024
check "llama3: the same" test "$rc" -eq 0
fails 1 "1025 is more than the 1024 positions.*llama3, 8 times 128" "llama3: and no more" plan "$models/llama-llama3-keys.gguf" --ctx 1025
weir plan "$models/llama-linear.gguf" --json
check "linear without an original length: what the metadata says is aimed for" test "$(number ctx "$work/out")" -eq 512
weir run "$models/llama-linear.gguf" --tokens 1 -n 1 --ctx 2048
check "and the factor times it allowed, with a word" sh -c "[ $rc -eq 0 ] && grep -q 'warning: the model was trained for 512' '$work/err'"
fails 1 "2049 is more than the 2048 positions.*linear, 4 times 512.*linear:4.01" "and no more" plan "$models/llama-linear.gguf" --ctx 2049
weir run "$models/mistral-window.gguf" --tokens 1,2,3 -n 300 --temp 0 --ignore-eos --ctx 400
check "a window shorter than the trained length: no end" sh -c "[ $rc -eq 0 ] && grep -q 'no further than its window' '$work/err'"

# ---- what the user wants ----
for how in linear:4 yarn:4 dynamic:2; do
    m=llama-${how%:*}
    a=$(hash $m --ctx 12) b=$(hash $m --rope-scaling $how --ctx 12) c=$(hash $m --rope-scaling none --ctx 12)
    check "--rope-scaling $how: the bits of a model that says so itself" test -n "$a" -a "$a" = "$b"
    check "--rope-scaling none: others" test -n "$c" -a "$a" != "$c"
done
a=$(hash llama-mha-f32 --rope-scaling yarn:4) b=$(hash llama-mha-f32 --rope-scaling yarn --ctx 512)
check "without a factor it is what the context needs" test -n "$a" -a "$a" = "$b"
a=$(hash llama-mha-f32) b=$(hash llama-mha-f32 --rope-scaling dynamic --ctx 128) c=$(hash llama-mha-f32 --rope-scaling dynamic --ctx 256)
check "dynamic: nothing within the trained length" test -n "$a" -a "$a" = "$b"
check "dynamic: something beyond it" test -n "$c" -a "$a" != "$c"
weir run "$plain" --tokens 1,2,3 -n 300 --temp 0 --ignore-eos --rope-scaling yarn --ctx 400 --stats "$work/s.json"
check "yarn: 300 tokens in a model of 128" test "$rc" -eq 0 -a "$(number gen_tokens "$work/s.json")" -eq 300
weir run "$plain" --tokens 1,2,3 -n 300 --temp 0 --ignore-eos --rope-scaling linear -q
check "the context needed may come from -n" test "$rc" -eq 0
weir plan "$plain" --rope-scaling linear:3 --json
check "a factor alone: the context goes as far" test "$(number ctx "$work/out")" -eq 384
fails 1 "385 is more than the 384 positions.*linear, 3 times 128.*linear:3.01" "and no further" plan "$plain" --rope-scaling linear:3 --ctx 385
weir plan "$plain" --rope-scaling linear:3.01 --ctx 385
check "what it says then is enough" test "$rc" -eq 0
weir run "$plain" --tokens 1,2,3 -n 4 --rope-scaling none --ctx 1000
check "none: no limit, and a warning" sh -c "[ $rc -eq 0 ] && grep -q 'its answers get worse' '$work/err'"
fails 1 "needs a factor .yarn:2.* or the context" "neither factor nor context" plan "$plain" --rope-scaling yarn
strange=
for bad in ntk yarn: yarn:0.5 yarn:x none:2 ""; do
    weir plan "$plain" --rope-scaling "$bad"
    [ "$rc" -eq 2 ] && grep -q -e '--rope-scaling' "$work/err" || strange="$strange [$bad]"
done
check "wrong values are wrong usage (not:$strange)" test -z "$strange"

# ---- what it costs ----
model=$work/tiny.gguf
if synth --shape tiny --type q4_0 "$model"; then
    # 4 layers, 4 heads of 32: 2 KiB a position at f16
    for kind in f32:4096 f16:2048 q8:1088 q4:576; do
        weir plan "$model" --ctx 512 --kv ${kind%:*} --json
        [ "$(number kv_type "$work/out")" = "${kind%:*}" ] || strange="$strange $kind"
        bytes=$(sed -n "/\"${kind%:*}\":/,/}/s/.*\"bytes\":[^0-9]*\([0-9]*\).*/\1/p" "$work/out")
        [ "$bytes" = $((512 * ${kind#*:})) ] || strange="$strange [$kind is $bytes]"
    done
    check "plan --json: what every kind of cache takes (not:$strange)" test -z "$strange"
    weir plan "$model" --ctx 512
    check "plan: what smaller kinds would take" grep -q 'kv q8: 544 KiB, --kv q4: 288 KiB' "$work/out"
    weir plan "$model" --ctx 100000 --rope-scaling none --ram 1M
    small=$(sed -n 's/.*(--ram \([0-9]*\)).*/\1/p' "$work/err")
    fails 1 "cache needs 195 MiB at f16; --kv q8 would take 104 MiB and fit, --kv q4 54.93 MiB" \
        "a context too large for f16: which kinds would fit" plan "$model" --ctx 100000 --rope-scaling none --ram $((small - 60000000))
    fails 1 "f16; --kv q4 would take 54.93 MiB and fit" "only the smallest" \
        plan "$model" --ctx 100000 --rope-scaling none --ram $((small - 120000000))
    weir plan "$model" --ctx 100000 --rope-scaling none --ram $((small - 60000000)) --kv q8
    check "and what it says is so" test "$rc" -eq 0
    for more in 12 6 8 4 10 2 14 3 9 5 13 7 11 1; do # what the process takes differs a little from run to run
        weir plan "$model" --ram 1M --kv f32
        weir plan "$model" --ram $(($(sed -n 's/.*(--ram \([0-9]*\)).*/\1/p' "$work/err") + more * 100000)) --kv f32
        grep -q 'kv q8: [0-9]* tokens' "$work/out" && break
    done
    check "a context that was cut: how long it would be (got: $(grep -A1 tokens "$work/out"))" grep -Eq 'kv q8: [0-9]+ tokens, --kv q4: [0-9]+ tokens' "$work/out"
    for kv in f16 q8 q4 f32; do
        a=$(printf 'hello there, how are you\n' | "$WEIR" chat "$model" -n 40 --temp 0 --ignore-eos -q --kv $kv 2>"$work/err")
        [ -n "$a" ] || strange="$strange [$kv]"
    done
    check "chat with every kind (not:$strange)" test -z "$strange"
else
    skip "what it costs" "no python3 to make a model with"
fi
fails 2 "--kv q5 is not one of f16, q8, q4, f32" "a kind there is not" plan "$plain" --kv q5
if [ -e "${WEIR_DATA:-}/stories260K/derived/stories260K-f32.gguf" ]; then
    for kv in f32 f16 q8; do
        weir run "$WEIR_DATA/stories260K/derived/stories260K-f32.gguf" -p "Once upon a time" --temp 0 -n 60 --kv $kv -q
        cp "$work/out" "$work/$kv.txt"
    done
    check "60 tokens of a story: the same text with f32, f16 and q8" sh -c "[ -s '$work/q8.txt' ] && cmp '$work/f32.txt' '$work/f16.txt' && cmp '$work/f32.txt' '$work/q8.txt'"
else
    skip "a story with q8" "it is not in WEIR_DATA"
fi
finish
