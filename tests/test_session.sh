#!/bin/sh
# Saved conversations: one that is closed and opened again is, bit for bit, one that never stopped,
# and nothing is read twice; whoever is killed loses the unfinished answer at most; files of other
# models and damaged files are refused, and their text can be read.  The same of --prompt-cache.
. "$srcdir_abs/tests/lib.sh"
model=$work/tiny.gguf
synth --shape tiny --type q4_0 "$model" || skip_all "no python3 to make a model with"
synth --shape tiny --type q4_0 --seed 1 "$work/other.gguf" || skip_all "no python3 to make a model with"
file=$work/talk.sess

# chat LINES OPTIONS...: say LINES (with \n); answers of 12 tokens.
chat() {
    lines=$1; shift; rc=0
    printf "$lines" | "$WEIR" chat "$model" --threads 1 -n 12 --ignore-eos -q --stats "$work/s.json" "$@" >"$work/out" 2>"$work/err" || rc=$?
}
turn() { awk -v want="$1" -v key="\"$2\":" '/"prompt_tokens":/ && seen { n++ } /"turns":/ { seen = 1 } seen && $1 == key && n == want { gsub(/[",]/, "", $2); print $2 }' "$work/s.json"; }

# Closed and opened after each turn, against one that never stopped.
for opts in "--temp 0" "--temp 0.8 --seed 5" \
    "--temp 1.1 --seed 6 --mirostat 2 --repeat-penalty 1.2 --dry-multiplier 0.8 --kv f32 --act f32 --chunk 5" "--temp 0.7 --seed 8 --ctx 128"; do
    rm -f "$file"
    chat 'hello there\nand you?\n/undo\nfine 1 2 3\n/regen\nthe fourth one\n' --system "be kind" $opts
    cp "$work/out" "$work/long"; hash=$(number logits_hash "$work/s.json"); new=
    for i in 1 2 3 4 5; do new="$new $(turn $i new_tokens)"; done
    : >"$work/all"; again=
    for line in 'hello there' 'and you?' '/undo' 'fine 1 2 3' '/regen' 'the fourth one'; do
        chat "$line\n" --system "be kind" $opts --session "$file"
        [ "$rc" -eq 0 ] || not_ok "$line ($opts)" "$(cat "$work/err")"
        cat "$work/out" >>"$work/all"
        [ "$line" = /undo ] || again="$again $(turn 1 new_tokens)"
    done
    check "$opts: the text is that of one that never stopped" sh -c "cmp '$work/all' '$work/long' && [ -s '$work/all' ]"
    check "$opts: so are the logits of every token ($hash)" test "$(number logits_hash "$work/s.json")" = "$hash"
    check "$opts: nothing is read twice (new tokens:$again)" test "$again" = "$new"
done
chat '/stats\n' --session "$file"
check "the context is as large as it was" grep -q 'of 128 tokens' "$work/err"
check "the file is its owner's alone" test "$(stat -c %a "$file")" = 600

# /save and /load, in the middle of another conversation.
chat 'one\ntwo\nthree\n' --temp 0.8 --seed 3
cp "$work/out" "$work/long"
chat 'one\ntwo\n/save '"$work/two.sess"'\n/save '"$work/two.json"'\n' --temp 0.8 --seed 3 --ctx 300
chat 'something else\n/load '"$work/two.sess"'\nthree\n' --temp 0.8
check "/load goes on where /save was" test "$(tail -1 "$work/out")" = "$(tail -1 "$work/long")"
check "and reads only what is new (kept $(turn 2 kept_tokens))" test "$(turn 2 kept_tokens)" -gt 40
cp "$work/two.sess" "$file"
chat 'three\n' --temp 0.8 --session "$file" --ctx 512
check "in a larger context" test "$(cat "$work/out") $(turn 1 kept_tokens)" = "$(tail -1 "$work/long") $(turn 1 prompt_tokens | awk -v new="$(turn 1 new_tokens)" '{ print $1 - new }')" -a "$(turn 1 kept_tokens)" -gt 40
cp "$work/two.sess" "$file"
chat 'three\n' --temp 0 --session "$file" --ctx 80
cp "$work/out" "$work/less"; left=$(turn 1 left_out_messages)
chat '/load '"$work/two.json"'\nthree\n' --temp 0 --ctx 80
check "in a context that is too small ($left messages left out): what a fresh run says" sh -c "cmp '$work/out' '$work/less' && [ -s '$work/out' ] && [ '$left' -gt 0 ]"
check "/save FILE.json is the messages as JSON" grep -q '"messages"' "$work/two.json"
"$WEIR" session "$work/two.sess" --json -q >"$work/out2"
check "which is what weir session --json prints" cmp -s "$work/out2" "$work/two.json"
chat 'x\n/save '"$work/two.json.txt"'\n/save '"$model"'\n' --temp 0
check "/save does not overwrite what is no conversation" sh -c "[ $rc -eq 1 ] && grep -q 'not overwritten' '$work/err'"
chat 'hello\n/load '"$work/two.sess"'\nthree\n' --temp 0.8 --session "$work/new.sess"
chat 'four\n' --temp 0.8 --session "$work/new.sess"
check "/load into a session is kept" test "$("$WEIR" session "$work/new.sess" -q | grep -c '^\[user\]')" -eq 4
rm -f "$work/new.sess"
chat 'one\n/reset\n' --session "$work/new.sess"
check "/reset too" test "$("$WEIR" session "$work/new.sess" -q | grep -c '^\[')" -eq 0
chat '' --session "$work/empty.sess"
check "nothing said: no file" test ! -e "$work/empty.sess"

# Killed at any moment: the turns before are there, and the question that was being answered.
set -- 'the first question' 'a second one' 'and a third' 'fourth' 'fifth and last'
printf '%s\n' "$@" >"$work/lines"
slow="--threads 1 -n 120 --ignore-eos --temp 0.8 --seed 9 -q --ctx 2000 --rope-scaling none" # beyond what it was trained for
"$WEIR" chat "$model" $slow <"$work/lines" >"$work/long" 2>"$work/err"
rm -f "$file"; kills=0; bad_state=
asked() { "$WEIR" session "$file" --json -q 2>/dev/null | grep -c '"user"'; }
for i in $(seq 13); do # the last one is left alone
    said=0; [ -s "$file" ] && said=$(asked)
    tail -n +$((said + 1)) "$work/lines" | "$WEIR" chat "$model" $slow --session "$file" >/dev/null 2>"$work/err" &
    pid=$!
    if [ "$i" -lt 13 ]; then
        sleep "$(awk -v t="$i" 'BEGIN { srand(t); print 0.05 + rand() * 0.35 }')"
        kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
    fi
    rc=0; wait $pid 2>/dev/null || rc=$?
    [ "$rc" -eq 0 ] && break
    [ "$rc" -eq 137 ] || bad_state="$bad_state [$i: status $rc: $(cat "$work/err")]"
    [ -s "$file" ] && { [ "$(asked)" -ge "$said" ] || bad_state="$bad_state [$i: $(asked) questions after $said]"; }
done
check "killed $kills times, it came to its end (not:$bad_state)" test -z "$bad_state" -a "$rc" -eq 0
"$WEIR" chat "$model" -q --rope-scaling none --session "$file" </dev/null >/dev/null 2>"$work/err"
"$WEIR" session "$file" --json -q >"$work/killed.json"
rm -f "$work/whole.sess"
"$WEIR" chat "$model" $slow --session "$work/whole.sess" <"$work/lines" >"$work/out" 2>"$work/err"
"$WEIR" session "$work/whole.sess" --json -q >"$work/whole.json"
check "and is what it is without being killed" cmp -s "$work/killed.json" "$work/whole.json"
check "which is what it is without a file" cmp -s "$work/out" "$work/long"

# What is refused.
cp "$work/two.sess" "$file"
model_is=$model; model=$work/other.gguf
chat 'three\n' --session "$file"
check "another model: refused in a sentence" sh -c "[ $rc -eq 1 ] && grep -q 'is of another model: llama' '$work/err' && [ ! -s '$work/out' ]"
chat '/load '"$file"'\n'
check "/load refuses it too" sh -c "[ $rc -eq 1 ] && grep -q 'is of another model' '$work/err'"
model=$model_is
chat 'three\n' --session "$file" --kv f32
check "another cache: refused with what to give" sh -c "[ $rc -eq 1 ] && grep -q 'give --kv f16' '$work/err'"
chat 'three\n' --session "$file" --act f32
check "other activations: the same" sh -c "[ $rc -eq 1 ] && grep -q 'give --act q8' '$work/err'"
check "a refused file is as it was" cmp -s "$work/two.sess" "$file"
chat 'three\n' --session "$model"
check "a file that is something else" sh -c "[ $rc -eq 1 ] && grep -q 'is not a saved conversation' '$work/err'"
chat 'three\n' --session "$work/no/such.sess"
check "a folder that is not there" sh -c "[ $rc -eq 1 ] && grep -q 'No such file' '$work/err'"
fails 2 "for /save" "--session x.json" chat "$model" --session x.json
fails 1 "is a saved conversation: go on with" "--file with a saved one" chat "$model" --file "$file"
fails 2 "which" "weir session without a file" session
fails 1 "no text of a saved conversation" "weir session with another file" session "$model"
fails 1 "No such file" "weir session without one" session "$work/none"
mkfifo "$work/fifo"
"$WEIR" chat "$model" -n 4 -q --session "$file" <"$work/fifo" >"$work/out1" 2>&1 &
pid=$!
exec 3>"$work/fifo"
echo hello >&3
for i in $(seq 100); do [ -s "$work/out1" ] && break; sleep 0.2; done
chat '' --session "$file"
check "two programs at once: the second is refused" sh -c "[ $rc -eq 1 ] && grep -q 'is open in another program' '$work/err'"
exec 3>&-; wait $pid
cp "$work/two.sess" "$file"
if [ "$(WEIR_CPU=scalar "$WEIR" --version)" != "$("$WEIR" --version)" ]; then
    printf 'three\n' | WEIR_CPU=scalar "$WEIR" chat "$model" -n 12 --ignore-eos --temp 0 --session "$file" --stats "$work/s.json" >"$work/out" 2>"$work/err"
    cp "$work/out" "$work/scalar"
    check "other instructions: all is computed again, and said" sh -c "[ '$(turn 1 kept_tokens)' = 0 ] && grep -q 'computed again' '$work/err'"
    printf '/load %s\nthree\n' "$work/two.json" | WEIR_CPU=scalar "$WEIR" chat "$model" -n 12 --ignore-eos --temp 0 -q >"$work/out" 2>"$work/err"
    check "as if it had been said to them" cmp -s "$work/out" "$work/scalar"
else
    skip "other instructions" "this machine has only one kind"
fi

# Damaged: the program's side of what tests/test_saved does for every byte.
flip() { cp "$work/two.sess" "$file"; printf '\377' | dd of="$file" bs=1 seek="$1" conv=notrunc 2>/dev/null; }
crash=; wrong=; count=0
cp "$work/two.sess" "$file"; bytes=$(stat -c %s "$file")
chat 'three\n' --temp 0 --session "$file"; cp "$work/out" "$work/three"
for at in 3 20 130 4090 8210 12300 12350 12400 $((bytes / 3)) $((bytes / 2)) $((bytes * 3 / 4)) $((bytes - 3000)) $((bytes - 600)); do
    flip $at; cmp -s "$file" "$work/two.sess" && continue
    count=$((count + 1))
    chat 'three\n' --temp 0 --session "$file"
    if [ "$rc" -eq 1 ] && [ "$(grep -c . "$work/err")" -eq 1 ]; then :
    elif [ "$rc" -eq 0 ] && cmp -s "$work/out" "$work/three"; then :
    else wrong="$wrong [$at: status $rc, $(head -c 200 "$work/err")]"; fi
    weir session "$file"
    [ "$rc" -le 1 ] && { [ "$at" -lt 12288 ] || [ "$at" -gt 12500 ]; } && { grep -q '^\[user\]' "$work/out" || crash="$crash $at"; }
    [ "$rc" -gt 1 ] && crash="$crash $at($rc)"
done
check "$count flipped bytes: refused in a sentence (not:$wrong)" test -z "$wrong" -a "$count" -ge 8
check "and the text can be read (not:$crash)" test -z "$crash"
head -c $((bytes - 1000)) "$work/two.sess" >"$file"
chat 'three\n' --session "$file"
check "cut short: both sizes are in the sentence" grep -q "cut short: it has $((bytes - 1000)) bytes of $bytes" "$work/err"
weir session "$file"
check "its text is there, and the status says that it is damaged" sh -c "[ $rc -eq 1 ] && [ \"\$(grep -c '^.user.' '$work/out')\" = 2 ]"

# A full disk.
cp "$work/two.sess" "$file"
(ulimit -f $(((bytes + 4096) / 512)); printf 'three\nfour\n' | "$WEIR" chat "$model" -n 40 --ignore-eos -q --temp 0 --session "$file" >"$work/out" 2>"$work/err"; echo $? >"$work/rc")
check "a disk that is full: answers go on, a sentence each, status 1" sh -c "[ \"\$(cat '$work/rc')\" = 1 ] && [ \"\$(grep -c . '$work/out')\" -ge 2 ] && grep -q 'cannot write: File too large; it is as it was' '$work/err'"
weir session "$file"
check "and the old state is whole" sh -c "[ $rc -eq 0 ] && [ \"\$(grep -c '^.user.' '$work/out')\" -ge 2 ]"
mkdir "$work/small"
if mount -t tmpfs -o size=400k none "$work/small" 2>/dev/null; then
    trap 'umount "$work/small"; rm -rf "$work"' EXIT
    chat 'a question\nanother one\nmore\nand more\nstill more of it\nand again\n' --temp 0 --session "$work/small/f.sess"
    check "a real full disk: a sentence, status 1" sh -c "[ $rc -eq 1 ] && grep -q 'No space left on device; it is as it was' '$work/err' && [ \"\$(grep -c . '$work/out')\" = 6 ]"
    weir session "$work/small/f.sess"
    check "what was written before is whole" sh -c "[ $rc -eq 0 ] && grep -q '^.user.' '$work/out' && [ ! -e '$work/small/f.sess.weir-new' ]"
    umount "$work/small"; trap 'rm -rf "$work"' EXIT
else
    skip "a real full disk" "nothing may be mounted here"
fi

# A prompt.
cache=$work/prompt.cache
long=$(printf 'word %.0s' $(seq 40))
prompt() { weir run "$model" --threads 1 --ignore-eos -n 16 --stats "$work/s.json" "$@"; }
for opts in "--temp 0" "--temp 0.8 --seed 4 --repeat-penalty 1.3 --chunk 7"; do
    rm -f "$cache"; news=; differ=
    prompt -p "$long end" $opts; cp "$work/out" "$work/first"; hash=$(number logits_hash "$work/s.json"); all=$(number prompt_tokens "$work/s.json")
    prompt -p "$long end" $opts --prompt-cache "$cache"
    check "$opts: writing a cache changes nothing" sh -c "cmp '$work/out' '$work/first' && [ $rc -eq 0 ] && [ '$(number logits_hash "$work/s.json")' = $hash ]"
    sum=$(cksum <"$cache")
    prompt -p "$long end" $opts --prompt-cache "$cache"
    check "$opts: with it the text is the same" cmp "$work/out" "$work/first"
    check "$opts: and the logits, with one token of $all read" test "$(number logits_hash "$work/s.json") $(number prompt_tokens "$work/s.json") $(number kept_tokens "$work/s.json")" = "$hash 1 $((all - 1))"
    check "$opts: the file stays as it is" test "$(cksum <"$cache")" = "$sum"
    prompt -p "$long another end" $opts; cp "$work/out" "$work/first"; hash=$(number logits_hash "$work/s.json")
    for again in 1 2; do
        prompt -p "$long another end" $opts --prompt-cache "$cache"
        cmp -s "$work/out" "$work/first" && [ "$(number logits_hash "$work/s.json")" = "$hash" ] || differ="$differ $again"
        news="$news $(number prompt_tokens "$work/s.json")"
    done
    check "$opts: another end: the same text as without (read:$news; not:$differ)" test -z "$differ"
    prompt -p word $opts; cp "$work/out" "$work/first"
    prompt -p word $opts --prompt-cache "$cache"
    check "$opts: a beginning of it, in a smaller context" sh -c "cmp '$work/out' '$work/first' && [ '$(number prompt_tokens "$work/s.json")' = 1 ]"
done
prompt -p "$long another end" --temp 0 --prompt-cache "$cache"
check "a shorter prompt leaves the file as it is" test "$(number prompt_tokens "$work/s.json")" = 1
if command -v flock >/dev/null; then
    flock "$cache" "$WEIR" run "$model" --ignore-eos -n 16 --temp 0 -p "$long another ending" --prompt-cache "$cache" --stats "$work/s.json" >"$work/out" 2>"$work/err"
    check "while another program has it, it is only read" sh -c "grep -q 'only read' '$work/err' && [ '$(number kept_tokens "$work/s.json")' -gt 100 ]"
else
    skip "while another program has it, it is only read" "no flock here"
fi
fails 1 "is of another model" "another model's prompt" run "$work/other.gguf" -p hello -n 1 --prompt-cache "$cache"
fails 1 "holds a prompt" "a prompt as a conversation" chat "$model" --session "$cache"
fails 1 "holds a conversation" "a conversation as a prompt" run "$model" -p hello -n 1 --prompt-cache "$work/two.sess"
fails 1 "give --kv f16" "a prompt in another cache" run "$model" -p hello -n 1 --kv f32 --prompt-cache "$cache"
fails 2 "needs all of the prompt" "--logits" run "$model" -p hello -n 1 --logits "$work/l" --prompt-cache "$cache"
printf 'X' | dd of="$cache" bs=1 seek=14000 conv=notrunc 2>/dev/null
fails 1 "is damaged" "a damaged prompt" run "$model" -p "$long another end" -n 1 --prompt-cache "$cache"
finish
