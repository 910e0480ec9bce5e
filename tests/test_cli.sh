#!/bin/sh
# The command line as a contract: words, statuses, what goes to stdout and what to stderr.
. "$srcdir_abs/tests/lib.sh"
model=$work/tiny.gguf
synth --shape tiny --type q4_0 "$model" || skip_all "no python3 to make a model with"

# Help and usage.
weir --help; check "--help: stdout, status 0" test "$rc" -eq 0 -a ! -s "$work/err"
check "--help names every command" sh -c "for c in run chat plan inspect tokenize bench timeline template pull list rm; do grep -q \"weir \$c\" '$work/out' || exit 1; done"
weir --version; check "--version: stdout, status 0" grep -q '^weir [0-9]' "$work/out"
for c in run chat plan inspect tokenize bench timeline template pull list rm; do
    weir $c --help
    check "$c --help: stdout, status 0" sh -c "[ $rc -eq 0 ] && grep -q '^Usage: weir $c' '$work/out' && [ ! -s '$work/err' ]"
done
fails 2 "not a command" "an unknown command is status 2" frobnicate
fails 2 "Usage" "no command is status 2"
fails 2 "not an option here" "an unknown option is status 2" run "$model" --frobnicate
fails 2 "needs a value" "a missing value is status 2" run "$model" --ram
fails 2 "not a size" "a bad size is status 2" run "$model" --ram 4X -p a
fails 2 "outside" "a number out of range is status 2" run "$model" -p a --top-p 2
fails 2 "not a whole number" "a bad number is status 2" run "$model" -p a -n 3.5
fails 2 "which model" "no name is status 2" rm
fails 2 "what should it continue" "no prompt is status 2" run "$model"
fails 2 "exclude" "two prompts are status 2" run "$model" -p a -f b
fails 2 "not one of" "an unknown backend is status 2" run "$model" -p a --io telepathy

# Failures: one sentence, status 1.
fails 1 "No such file" "a missing model" run "$work/none.gguf" -p a
mkdir "$work/empty"
fails 1 "empty" "a folder without a model" run "$work/empty" -p a
fails 1 "No such file" "a missing prompt file" run "$model" -f "$work/none.txt"
fails 1 "too small.*smallest that works" "a budget that is too small" run "$model" -p a --ram 1M
fails 1 "vocabulary" "a token outside the vocabulary" run "$model" --tokens 4000000000 -n 1 -q
fails 1 "not a list of token ids" "a bad token list" run "$model" --tokens 1,x
fails 1 "more than the context" "a prompt longer than the context" run "$model" --tokens 1,2,3,4,5,6,7,8,9 --ctx 4 -n 1
head -c 20000 "$model" >"$work/cut.gguf"
fails 1 "needs .*bytes" "a truncated model" run "$work/cut.gguf" -p a
# patch KEY OLD NEW FILE: the model with the bytes after metadata KEY changed.
patch() {
    python3 - "$model" "$@" <<'PY'
import sys
src, key, old, new, dst = sys.argv[1:]
data = open(src, "rb").read()
at = data.index(key.encode()) + len(key)
old, new = (bytes.fromhex(v) for v in (old, new))
at = data.index(old, at)
assert len(old) == len(new)
open(dst, "wb").write(data[:at] + new + data[at + len(old):])
PY
}
patch general.architecture "$(printf llama | od -An -tx1 | tr -d ' ')" "$(printf zebra | od -An -tx1 | tr -d ' ')" "$work/arch.gguf"
fails 1 "architecture 'zebra' is not one weir computes \(llama" "an unknown architecture" run "$work/arch.gguf" -p a
weir inspect "$work/arch.gguf"
check "but it can be inspected" sh -c "[ $rc -eq 0 ] && grep -q 'cannot run it' '$work/out'"
ff=$("$WEIR" inspect "$model" --json | sed -n 's/.*"llama.feed_forward_length":[[:space:]]*\([0-9]*\).*/\1/p')
le32() { printf '%08x' "$1" | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/'; }
patch feed_forward_length "$(le32 "$ff")" "$(le32 $((ff + 32)))" "$work/shape.gguf"
fails 1 "tensor 'blk.0.ffn_gate.weight' is .* x $ff, expected .* x $((ff + 32))" "a tensor of the wrong shape" run "$work/shape.gguf" -p a
patch feed_forward_length "$(le32 "$ff")" "ffffffff" "$work/huge.gguf"
fails 1 "feed_forward_length is 4294967295, expected" "a number that makes no sense" run "$work/huge.gguf" -p a
for f in "$srcdir_abs"/tests/files/bad-*.gguf "$srcdir_abs"/tests/files/unsupported-*.gguf; do
    weir run "$f" -p a
    [ "$rc" -eq 1 ] && [ "$(wc -l <"$work/err")" -eq 1 ] && [ ! -s "$work/out" ] || strange="$strange ${f##*/}"
done
check "every bad sample is one sentence and status 1 (not:$strange)" test -z "$strange"

fails 1 "not JSON" "a trace that is none" timeline "$model"
if [ "$(id -u)" -ne 0 ]; then
    cp "$model" "$work/unreadable.gguf"; chmod 0 "$work/unreadable.gguf"
    fails 1 "Permission denied" "an unreadable model" run "$work/unreadable.gguf" -p a
else
    skip "an unreadable model" "root can read everything"
fi

# A run: text on stdout only, figures on stderr, stats and trace where asked.
weir run "$model" -p "hello" -n 8 --temp 0 --ignore-eos --stats "$work/s.json" --trace "$work/t.json" --log-overlap
check "a run ends with status 0" test "$rc" -eq 0
check "its summary is on stderr" grep -q 'tok/s.*peak RAM' "$work/err"
check "--log-overlap prints a line a token" test "$(grep -c '^overlap: token' "$work/err")" -eq 7
for key in model arch budget_bytes pinned_bytes ring_bytes kv_bytes scratch_bytes streamed_bytes_per_pass io \
    disk_probe_bytes_per_s forecast_tok_per_s prompt_tokens prompt_seconds gen_tokens gen_seconds gen_tok_per_s \
    compute_seconds stall_seconds io_busy_seconds bytes_read hidden disk_duty peak_rss_bytes logits_hash; do
    [ -n "$(number $key "$work/s.json")" ] || missing="$missing $key"
done
check "--stats has every field of the contract (missing:$missing)" test -z "$missing"
check "gen_tokens is what was asked for" test "$(number gen_tokens "$work/s.json")" = 8
weir timeline "$work/t.json" -o "$work/t.svg"
check "timeline draws the trace" sh -c "[ $rc -eq 0 ] && grep -q '<svg' '$work/t.svg'"
first=$(number logits_hash "$work/s.json")
weir run "$model" -p "hello" -n 8 --temp 0 --ignore-eos --stats "$work/s.json" -q
check "--quiet says nothing" test ! -s "$work/err"
check "--temp 0 repeats exactly" test "$(number logits_hash "$work/s.json")" = "$first"
weir run "$model" -p "hello" -n 8 --seed 7 --ignore-eos -q; cp "$work/out" "$work/out7"
weir run "$model" -p "hello" -n 8 --seed 7 --ignore-eos -q
check "--seed repeats exactly" cmp -s "$work/out" "$work/out7"
printf 'hello' | "$WEIR" run "$model" -f - -n 8 --temp 0 --ignore-eos -q --stats "$work/s2.json" >/dev/null
check "-f - reads standard input" test "$(number logits_hash "$work/s2.json")" = "$first"
weir run "$model" --tokens 5,6,7 -n 0 --logits "$work/l.f32" -q --stats "$work/s.json"
vocab=$(($(wc -c <"$work/l.f32") / 12))
check "--logits writes f32 [tokens][vocabulary]" test "$rc" -eq 0 -a "$vocab" -gt 100 -a $((vocab * 12)) -eq "$(wc -c <"$work/l.f32")"
weir run "$model" --tokens 5,6,7,8,9 -n 12 --temp 0 --ignore-eos -q; cp "$work/out" "$work/plain"
weir run "$model" --tokens 5,6,7,8,9 -n 12 --temp 0 --ignore-eos -q --logits "$work/l.f32"
check "what follows is the same with --logits" cmp "$work/out" "$work/plain"
weir run "$model" --tokens 5 -n 200 --temp 0 --ignore-eos --ctx 16
check "a full context ends with a sentence and status 0" sh -c "[ $rc -eq 0 ] && grep -q 'context is full' '$work/err'"
weir plan "$model" --json
check "plan --json has bound, fits and the smallest budget" sh -c "grep -q '\"bound\"' '$work/out' && grep -q '\"fits\"' '$work/out' && grep -q smallest_budget_bytes '$work/out'"
if grep -q '^#define WEIR_SANITIZED' "$(dirname "$WEIR")/config.h"; then
    skip "the smallest budget that a plan names" "sanitizers take memory of their own"
else
    weir plan "$model" --ctx 256 --json; least=$(number smallest_budget_bytes "$work/out")
    weir run "$model" -p a -n 1 --ctx 256 --ram "$least"
    check "a run works in the smallest budget that the plan names ($least)" test "$rc" -eq 0
fi
weir plan "$model" --machine cpu=4,mem=8G,disk=3G,mul=20G
check "plan works for a machine that is only described" grep -q '^forecast' "$work/out"
weir inspect "$model" --json; check "inspect --json" grep -q '"runs":.*true' "$work/out"
cp "$srcdir_abs/tests/files/ckpt/good-crc.ckpt" "$srcdir_abs/tests/files/ckpt/sum-crc.ckpt" "$work"
weir inspect "$work/good-crc.ckpt" --verify; check "inspect --verify: the sum is right" sh -c "[ $rc -eq 0 ] && grep -q 'are right' '$work/err'"
weir inspect "$work/sum-crc.ckpt" --verify; check "inspect --verify: it is another" sh -c "[ $rc -eq 1 ] && grep -q 'CRC-32' '$work/err'"
weir inspect "$model" --verify; check "inspect --verify without one" sh -c "[ $rc -eq 0 ] && grep -q 'no sums' '$work/err'"
weir inspect "$model" --tensors; check "inspect --tensors" grep -q 'token_embd.weight' "$work/out"
weir tokenize "$model" -p "hello" --json; check "tokenize --json" grep -q '"tokens"' "$work/out"

# Conversations.
echo '{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q <|im_end|>"}], "x": 1.0}' >"$work/m.json"
echo '[{"name": "f"}]' >"$work/t.json"
weir template "$model" --messages "$work/m.json" --template chatml
printf '<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ <|im_end|><|im_end|>\n<|im_start|>assistant\n' >"$work/want"
check "template: the text, and nothing else" cmp -s "$work/out" "$work/want"
weir template "$model" -p Q --system S --template chatml --no-generation-prompt
check "template: a system message before -p, no beginning of an answer" sh -c "[ $rc -eq 0 ] && tr '\\n' ' ' <'$work/out' | grep -q '^<|im_start|>system S<|im_end|> <|im_start|>user Q<|im_end|> $'"
weir template "$model" -p "Q <|im_end|>" --template chatml --json
check "template --json says what was said" sh -c "tr -d ' \\n\\t' <'$work/out' | grep -q '\"template\":\"chatml\",\"from_conversation\":\[\[17,29\]\]'"
echo '{{ tools | tojson }} {{ x }} {{ messages | length }}' >"$work/t.jinja"
weir template "$model" --messages "$work/m.json" --tools "$work/t.json" --template "$work/t.jinja"
check "template: a file, tools and other variables" grep -q '^\[{"name": "f"}\] 1.0 2$' "$work/out"
echo '{% if x %}' >"$work/t.jinja"
fails 1 "line 1: 'elif' expected" "template: a damaged template" template "$model" -p Q --template "$work/t.jinja"
fails 1 "neither" "template: no such template" template "$model" -p Q --template nothing-like-it
echo '[5]' >"$work/t.json"
fails 1 "must be an object" "template: messages that are none" template "$model" --messages "$work/t.json" --template chatml
fails 2 "what is said" "template: nothing to say" template "$model"

# Output that cannot be written.
if [ -c /dev/full ]; then
    rc=0; "$WEIR" run "$model" -p hello -n 4 --temp 0 --ignore-eos >/dev/full 2>"$work/err" || rc=$?
    check "a full disk under stdout is status 1" sh -c "[ $rc -eq 1 ] && grep -q 'No space' '$work/err'"
    fails 1 "No space|cannot write" "a full disk under --logits" run "$model" --tokens 1,2 -n 0 -q --logits /dev/full
fi
fails 1 "cannot write" "--stats into a folder that is not there" run "$model" --tokens 1,2 -n 0 -q --stats "$work/no/s.json"

# Ctrl-C: within a token, with the summary and the figures, status 130.
"$WEIR" run "$model" -p "hello" -n 1000000 --ignore-eos --temp 0 --ctx 100000 --rope-scaling none --stats "$work/int.json" >"$work/out" 2>"$work/err" &
pid=$!
i=0; while [ ! -s "$work/out" ] && [ $i -lt 300 ]; do sleep 0.2; i=$((i + 1)); done
kill -INT $pid; rc=0; wait $pid || rc=$?
check "SIGINT ends with status 130 (got $rc)" test "$rc" -eq 130
check "and still prints the summary" grep -q 'peak RAM' "$work/err"
check "and still writes --stats" grep -q '"end":.*"interrupt"' "$work/int.json"

# A reader that goes away: an error, not a silent death and not an endless run.
{ rc=0; "$WEIR" run "$model" -p "hello" -n 100000 --ignore-eos --temp 0 --ctx 100000 --rope-scaling none -q 2>"$work/err" || rc=$?; echo $rc >"$work/status"; } | head -c 1 >/dev/null
check "a closed pipe ends the run with status 1" sh -c "[ \"\$(cat '$work/status')\" = 1 ] && grep -q 'Broken pipe' '$work/err'"
finish
