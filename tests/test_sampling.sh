#!/bin/sh
# The options that choose tokens: usage, aliases, grammars and schemas from the command line.
. "$srcdir_abs/tests/lib.sh"
model=$work/tiny.gguf
synth --shape tiny --type q4_0 "$model" || skip_all "no python3 to make a model with"

for option in "--mirostat 1" "--mirostat 3" "--typical 1.5" "--xtc-probability 2" "--xtc-threshold -1" "--repeat-last-n -2" \
    "--frequency-penalty x" "--presence-penalty 1000" "--dry-multiplier -1" "--dry-base 0.5" "--dry-allowed-length -1" \
    "--dry-penalty-last-n -5" "--mirostat-eta 2" "--mirostat-ent x" "--top-n-sigma -1" "--logit-bias 5" \
    "--logit-bias 5+x" "--logit-bias +1" "--logit-bias 4294967296+1" "--dry-sequence-breaker="; do
    weir run "$model" -p a $option
    [ "$rc" -eq 2 ] && [ "$(grep -c . "$work/err")" -eq 2 ] && [ ! -s "$work/out" ] || strange="$strange [$option]"
done
check "bad values are one sentence and status 2 (not:$strange)" test -z "$strange"
fails 2 "exclude" "--grammar with --json-schema" run "$model" -p a --grammar a --json-schema b
fails 1 "token 99999, but the vocabulary has" "a bias for a token that is not there" run "$model" -p a --logit-bias 99999+1 -q
fails 1 "No such file" "a grammar that is not there" run "$model" -p a --grammar "$work/none" -q

text() { weir run "$model" -p hello -n 12 --seed 3 --ignore-eos -q "$@"; cp "$work/out" "$work/$name"; [ "$rc" -eq 0 ]; }
differ() { ! cmp -s "$work/$1" "$work/$2"; }
name=plain; text
for name in typical=0.2 top-n-sigma=0.5 xtc-probability=1 frequency-penalty=20 presence-penalty=20 mirostat=2; do
    text --$name $([ $name = xtc-probability=1 ] && echo --xtc-threshold 0.001) && differ plain $name || same="$same $name"
done
check "each option changes what is drawn (not:$same)" test -z "$same"
name=a; text --repeat-penalty 1.5 --repeat-last 2 --mirostat 2 --mirostat-ent 3 --mirostat-lr 0.2
name=b; text --repeat-penalty 1.5 --repeat-last-n 2 --mirostat 2 --mirostat-tau 3 --mirostat-eta 0.2
check "other names mean the same" cmp -s "$work/a" "$work/b"
weir run "$model" --tokens 5 -n 6 --temp 0 --ignore-eos -q --logit-bias 70+1000
cp "$work/out" "$work/a"
weir run "$model" --tokens 5 -n 6 --temp 0 --ignore-eos -q --logit-bias 70+1000 --logit-bias 70-inf
check "a bias decides, and -inf bans" sh -c "[ $rc -eq 0 ] && ! cmp -s '$work/a' '$work/out'"

printf 'root ::= "yes" | "no"\n' >"$work/yes.gbnf"
weir run "$model" -p hello --grammar "$work/yes.gbnf" --seed 1 -q --ignore-eos --stats "$work/s.json"
check "a grammar is followed to its end" grep -qx 'yes\|no' "$work/out"
check "and that is the reason to stop" grep -q '"end":.*"grammar"' "$work/s.json"
printf 'root ::= "a"\n\nroot ::= "b"\n' >"$work/bad.gbnf"
fails 1 "bad.gbnf: grammar, line 3: rule 'root' is defined again" "a bad grammar" run "$model" -p a --grammar "$work/bad.gbnf"
echo '{"type":"object","properties":{"n":{"type":"integer","minimum":3,"maximum":12},"s":{"enum":["x","y"]}},"required":["n","s"]}' >"$work/schema"
for seed in 1 2 3 4 5; do
    weir run "$model" -p hello --json-schema "$work/schema" --seed $seed -q
    [ "$rc" -eq 0 ] && python3 -c "
import json, sys
v = json.load(open(sys.argv[1]))
assert list(v) == ['n', 's'] and 3 <= v['n'] <= 12 and v['s'] in 'xy'" "$work/out" 2>"$work/err" || odd="$odd $seed"
done
check "a schema is satisfied (not:$odd)" test -z "$odd"
echo '{"type":"object","not":{}}' >"$work/schema"
fails 1 "schema: the schema at #: the keyword 'not' is not supported" "a schema with an unknown keyword" run "$model" -p a --json-schema "$work/schema"
finish
