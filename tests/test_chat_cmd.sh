#!/bin/sh
# `weir chat` driven through a pipe: turns, what stays in the context between them, commands.
. "$srcdir_abs/tests/lib.sh"
model=$work/tiny.gguf
synth --shape tiny --type q4_0 "$model" || skip_all "no python3 to make a model with"

# chat LINES OPTIONS...: say LINES (with \n) to the model, which answers with 12 tokens, always the same.
chat() {
    lines=$1; shift; rc=0
    printf "$lines" | "$WEIR" chat "$model" -n 12 --temp 0 --ignore-eos --stats "$work/s.json" "$@" >"$work/out" 2>"$work/err" || rc=$?
}
# turn N KEY: a figure of turn N, from 1.
turn() { awk -v want="$1" -v key="\"$2\":" '/"prompt_tokens":/ && seen { n++ } /"turns":/ { seen = 1 } seen && $1 == key && n == want { gsub(/[",]/, "", $2); print $2 }' "$work/s.json"; }
line() { sed -n "${1}p" "$work/out"; }

chat 'hello\n/stats\nagain, please\n' --system "be kind"
check "two turns: two answers on stdout, status 0" test "$rc" -eq 0 -a "$(grep -c . "$work/out")" -eq 2
check "each turn ends with a line on stderr" test "$(grep -c 'tok/s; prompt .* kept; context' "$work/err")" -eq 2
check "/stats goes to stderr" grep -q '^1 turns, 3 messages (0 left out); prompt tokens: .* 0 kept' "$work/err"
check "the first turn reads all of its prompt" test "$(turn 1 kept_tokens)" -eq 0 -a "$(turn 1 new_tokens)" -eq "$(turn 1 prompt_tokens)"
# The prompt before, less its last tokens: they may join with what follows.
check "the second turn keeps the first (kept $(turn 2 kept_tokens) of $(turn 1 prompt_tokens))" test "$(turn 2 kept_tokens)" -ge $(($(turn 1 prompt_tokens) - 2))
check "and reads only the rest" test $(($(turn 2 kept_tokens) + $(turn 2 new_tokens))) -eq "$(turn 2 prompt_tokens)"
second=$(line 2); first=$(line 1)

# A conversation that goes on is the same as one that begins with everything.
weir chat "$model" --ram 1M
small=$(sed -n 's/.*(--ram \([0-9]*\)).*/\1/p' "$work/err")
small=$((small + 1048576)) # what the process takes itself is not the same every time
for opts in "" "--ram $small --io pread" "--chunk 3" "--kv f32 --act f32" "--seed 5 --temp 0"; do
    chat 'hello there\nfine, and you? 1 2 3\nthird\n' --system S $opts
    cp "$work/out" "$work/long"
    printf 'hello there\nfine, and you? 1 2 3\n/save %s\n' "$work/c.json" | "$WEIR" chat "$model" -n 12 --temp 0 --ignore-eos --system S $opts -q >/dev/null 2>"$work/err"
    chat '/load '"$work/c.json"'\nthird\n' $opts
    [ "$(turn 1 kept_tokens)" = 0 ] && [ "$(line 1)" = "$(sed -n 3p "$work/long")" ] && [ -n "$(line 1)" ] || differ="$differ [$opts]"
done
check "the third answer of a conversation is that of a fresh run of all of it (not:$differ)" test -z "$differ"
"$WEIR" template "$model" --messages "$work/c.json" -p third >"$work/prompt"
"$WEIR" tokenize "$model" -f "$work/prompt" --special --no-bos --json >"$work/tok.json"
check "its prompt is what template and tokenize say" test "$(grep -o '"id"' "$work/tok.json" | wc -l)" -eq "$(turn 1 prompt_tokens)"

# A grammar gives answers that are read as they were written: then the answer stays, too.
printf 'root ::= "q"\n' >"$work/q.gbnf"
chat 'hello\nhello\n' --grammar "$work/q.gbnf" --template chatml
check "a grammar holds for every answer" test "$(line 1)$(line 2)" = qq
check "an answer is not read again (kept $(turn 2 kept_tokens))" test "$(turn 2 kept_tokens)" -ge "$(turn 1 prompt_tokens)"

# Commands.
chat 'hello\n/reset\nhello\n/stats\n' --system "be kind"
check "/reset: the same question gets the same answer" test "$(line 1)" = "$(line 2)"
check "/reset: the system message stays" grep -q '^2 turns, 3 messages' "$work/err"
chat 'hello\nagain, please\n/undo\nagain, please\n' --system "be kind"
check "/undo: as if it had not been said" test "$(line 2)" = "$second" -a "$(line 3)" = "$second"
check "/undo: nothing is read twice" test "$(turn 3 new_tokens)" -eq 1
chat 'hello\n/regen\n' --system "be kind"
check "/regen: greedy, so the same again" test "$(line 1)" = "$first" -a "$(line 2)" = "$first" -a "$(turn 2 new_tokens)" -eq 1
chat 'hello\n/regen\n' --temp 1.5 --seed 3 --top-k 0
check "/regen: another one where there is choice" test "$(line 1)" != "$(line 2)"
cp "$work/out" "$work/out3"
chat 'hello\n/regen\n' --temp 1.5 --seed 3 --top-k 0
check "--seed repeats a conversation" cmp -s "$work/out" "$work/out3"
chat 'hello\n/system be a pirate\nhello\n/save '"$work/p.json"'\n' --system "be kind"
check "/system: one system message, the new one, in front" sh -c "[ \"\$(grep -c '\"system\"' '$work/p.json')\" = 1 ] && tr -d ' \\n\\t' <'$work/p.json' | grep -q '^{\"messages\":\\[{\"role\":\"system\",\"content\":\"beapirate\"},{\"role\":\"user\"'"
chat '/help\n/params\n'
check "/help and /params" sh -c "[ $rc -eq 0 ] && grep -q '/save FILE' '$work/err' && grep -q 'temp 0, top-k' '$work/err' && [ ! -s '$work/out' ]"
chat 'hello\n/quit\nhello\n'
check "/quit ends it" test "$rc" -eq 0 -a "$(grep -c . "$work/out")" -eq 1
chat '"""\none\ntwo\n"""\nthree\\\nfour\n//five\n\n  \n/save '"$work/m.json"'\n'
check "many lines, a line that goes on, a slash to say, empty lines" test "$(tr -d ' \n\t' <"$work/m.json" | grep -o '"content":"[a-z/\\]*"},{"role":"assistant"' | sed 's/"content":"//; s/".*//' | tr '\n' ' ')" = 'one\ntwo three\nfour /five '
chat '/frobnicate\nhello\n'
check "an unknown command: one sentence, status 1, and on it goes" sh -c "[ $rc -eq 1 ] && grep -q '/frobnicate is not a command' '$work/err' && [ \"\$(grep -c . '$work/out')\" = 1 ]"
for wrong in "/save" "/undo" "/regen" "/reset now" "/load $work/none.json" "/load $model" "/save $work/no/x.json"; do
    chat "$wrong\n" -q
    [ "$rc" -eq 1 ] && [ "$(grep -c . "$work/err")" -eq 1 ] && [ ! -s "$work/out" ] || strange="$strange [$wrong]"
done
check "bad commands are one sentence and status 1 (not:$strange)" test -z "$strange"
chat 'hello\n/load '"$work/none.json"'\nagain, please\n' --system "be kind"
check "a failed /load changes nothing" test "$(line 2)" = "$second"

# What it begins with.
echo '[{"role":"system","content":"be kind"},{"role":"user","content":"hello"}]' >"$work/f.json"
chat '' --file "$work/f.json"
check "--file: a conversation that waits for an answer gets one" test "$(line 1)" = "$first"
printf 'hello\n' >"$work/f.txt"
chat '' --file "$work/f.txt" --system "be kind"
check "--file: a text is the first message" test "$(line 1)" = "$first"
mkfifo "$work/said"
echo hello >"$work/said" & # it waits for a reader
sleep 0.3
timeout 60 "$WEIR" chat "$model" -n 12 --temp 0 --ignore-eos -q --file "$work/said" --system "be kind" </dev/null >"$work/out" 2>"$work/err"
check "--file: so is what comes through a named pipe" test "$(line 1)" = "$first"
echo '{{ messages | length }}{{ x }}{{ enable_thinking }}' >"$work/t.jinja"
echo '{"messages":[{"role":"user","content":"a"}],"x":"yy"}' >"$work/x.json"
chat '/save '"$work/x2.json"'\n' --file "$work/x.json" --template "$work/t.jinja" --thinking off
check "variables of a conversation are kept" sh -c "tr -d ' \\n\\t' <'$work/x2.json' | grep -q '\"x\":\"yy\"'"
printf '1yyFalse' >"$work/prompt"
check "and reach the template, as --thinking off does" test "$("$WEIR" tokenize "$model" -f "$work/prompt" --json | grep -o '"id"' | wc -l)" -eq "$(turn 1 prompt_tokens)"

# Thoughts.
printf 'root ::= "<think>hm</think>ab"\n' >"$work/think.gbnf"
chat 'hello\n/save '"$work/c.json"'\n' --grammar "$work/think.gbnf" -n -1
check "a thought is not the answer" test "$(cat "$work/out")" = ab
check "it is shown on stderr" grep -q '^hm$' "$work/err"
check "and kept apart" sh -c "tr -d ' \\n\\t' <'$work/c.json' | grep -q '\"reasoning_content\":\"hm\",\"content\":\"ab\"'"
chat 'hello\n' --grammar "$work/think.gbnf" -n -1 --thinking hide
check "--thinking hide" sh -c "[ \"\$(cat '$work/out')\" = ab ] && ! grep -q hm '$work/err'"

# A context that is full.
chat 'one two three four\ntwo\nthree\nfour\nfive\nsix\n/save '"$work/full.json"'\n' --system "be kind" --ctx 128
check "a full context: all questions are answered, and it is said" sh -c "[ $rc -eq 0 ] && [ \"\$(grep -c . '$work/out')\" = 6 ] && grep -q 'oldest [0-9]* messages are left out' '$work/err'"
check "what is saved is whole" test "$(grep -c '"user"' "$work/full.json")" -eq 6
check "no prompt is longer than the context" test "$(turn 6 prompt_tokens)" -le 116 -a "$(turn 6 left_out_messages)" -ge 2
python3 - "$work/full.json" "$(turn 6 left_out_messages)" >"$work/rest.json" <<'PY'
import json, sys
m = json.load(open(sys.argv[1]))["messages"][:-1]
print(json.dumps(m[:1] + m[1 + int(sys.argv[2]):]))
PY
last=$(line 6)
chat '' --file "$work/rest.json" --ctx 128
check "the answer is that of a fresh run of what was left" test "$(line 1)" = "$last"
long=$(printf 'word %.0s' $(seq 200))
chat "$long\nhello\n" --ctx 128 -q
check "a message longer than the context is refused, the next one answered" sh -c "[ $rc -eq 1 ] && grep -q 'more than the context of 128' '$work/err' && [ \"\$(grep -c . '$work/out')\" = 1 ]"
# In the middle of an answer the oldest turns leave, and it goes on.
strange=
for opts in "" "--chunk 3" "--threads 1" "--ram $small --io pread"; do
    chat 'one two three four\nhello\n' --system "be kind" --ctx 210 -n 80 $opts
    [ "$rc" -eq 0 ] && [ "$(turn 2 gen_tokens)" = 80 ] && [ "$(turn 2 end)" = length ] && [ "$(turn 2 left_out_messages)" = 2 ] && [ "$(turn 2 again_tokens)" -gt 0 ] || strange="$strange [$opts: $(turn 2 gen_tokens) $(turn 2 end) $(turn 2 left_out_messages)]"
    [ -n "$same" ] || same=$(line 2)
    [ "$(line 2)" = "$same" ] || strange="$strange [$opts: differs]"
done
check "an answer that fills the context goes on without the oldest turn (not:$strange)" test -z "$strange" -a -n "$same"
check "and it is said" grep -q 'became full during the answer: the oldest 2 messages are left out' "$work/err"
chat 'one two three four\nhello\nand then\n' --system "be kind" --ctx 210 -n 80
check "and the next turn goes on from there" test "$rc" -eq 0 -a "$(turn 3 gen_tokens)" = 80 -a "$(turn 3 left_out_messages)" -ge 2
echo '[{"role":"user","content":"one"},{"role":"assistant","content":"two"},{"role":"user","content":"hello"}]' >"$work/f3.json"
chat '' --file "$work/f3.json" --ctx 128 -n 400
check "as long as anything can leave: then it is cut" sh -c "[ $rc -eq 0 ] && [ '$(turn 1 end)' = context ] && grep -q 'the answer is cut' '$work/err' && grep -q 'became full.*oldest 2 messages' '$work/err'"
chat 'hello\n' --ctx 64 -n 100
check "an answer that fills the context is cut, and it is said" sh -c "[ $rc -eq 0 ] && grep -q 'the answer is cut' '$work/err'"

# Usage.
fails 2 "not one of show, hide, off" "--thinking maybe" chat "$model" --thinking maybe
fails 2 "not an option here" "an option of run that chat has not" chat "$model" -p hello
fails 2 "standard input" "-f -" chat "$model" -f -
fails 1 "No such file" "a file that is not there" chat "$model" -f "$work/none.json"
fails 1 "neither" "a template that is not there" chat "$model" --template nothing-like-it
fails 1 "too small.*smallest that works" "a budget that is too small" chat "$model" --ram 1M
echo '{% if x %}' >"$work/t.jinja"
chat 'hello\n' --template "$work/t.jinja" -q
check "a damaged template: one sentence, status 1" test "$rc" -eq 1 -a "$(grep -c . "$work/err")" -eq 1
chat '' -q
check "nothing said: nothing answered, status 0" sh -c "[ $rc -eq 0 ] && [ ! -s '$work/out' ] && [ ! -s '$work/err' ]"
if [ -c /dev/full ]; then
    rc=0; printf 'hello\nhello\n' | "$WEIR" chat "$model" -n 4 --temp 0 --ignore-eos -q >/dev/full 2>"$work/err" || rc=$?
    check "a full disk under stdout ends it with status 1" sh -c "[ $rc -eq 1 ] && grep -q 'No space' '$work/err'"
fi

head -c 5000000 /dev/zero | tr '\0' 'a' >"$work/longline"
rc=0; "$WEIR" chat "$model" -q <"$work/longline" >"$work/out" 2>"$work/err" || rc=$?
check "a line without end is refused" sh -c "[ $rc -eq 1 ] && grep -q 'more than 4194304 bytes' '$work/err' && [ ! -s '$work/out' ]"

# A signal, where nobody types: the answer ends, and the program after it.
printf 'hello\nhello\n' >"$work/two"
"$WEIR" chat "$model" --temp 0 --ignore-eos --ctx 100000 --rope-scaling none <"$work/two" >"$work/out" 2>"$work/err" &
pid=$!
i=0; while [ ! -s "$work/out" ] && [ $i -lt 300 ]; do sleep 0.2; i=$((i + 1)); done
kill -INT $pid; rc=0; wait $pid || rc=$?
check "SIGINT ends with status 130 after one answer (got $rc)" sh -c "[ $rc -eq 130 ] && [ \"\$(grep -c . '$work/out')\" = 1 ] && grep -q '; interrupted' '$work/err'"

# On a terminal.
synth --shape tiny --layers 16 --type q4_0 "$work/slow.gguf"
rc=0; python3 "$srcdir_abs/tests/chat_pty.py" "$WEIR" "$model" "$work/slow.gguf" >"$work/pty" 2>&1 || rc=$?
if [ "$rc" -eq 77 ]; then skip "on a terminal" "no pseudo-terminals here"
else
    while read -r verdict words; do
        if [ "$verdict" = ok ]; then ok "terminal: $words"; else not_ok "terminal: $words" "$(cat "$work/pty")"; fi
    done <<X
$(grep -E '^(ok|not) ' "$work/pty")
X
    check "terminal: the script came to its end" test "$rc" -eq 0
fi
finish
