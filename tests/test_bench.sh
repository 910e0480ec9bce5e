#!/bin/sh
# `weir bench`: what its table, JSON and CSV look like, and what it does when something is in the way.
# Never how fast anything is.
. "$srcdir_abs/tests/lib.sh"
model=$work/tiny.gguf
synth --shape tiny --type q4_0 "$model" || skip_all "no python3 to make a model with"
fast="--prefill 8 --decode 2 -r 1 --threads 1"

# The file is JSON, and EXPRESSION (about its value, j) is true.
json() { python3 -c "import json,sys; j=json.load(open(sys.argv[1])); sys.exit(0 if ($2) else 1)" "$1"; }
# The file is CSV with a name for every column and as many cells in every line, and EXPRESSION (about
# its lines as dictionaries, rows) is true.
csv() {
    python3 -c "
import csv, sys
lines = list(csv.reader(open(sys.argv[1], newline='')))
rows = [dict(zip(lines[0], l)) for l in lines[1:]]
sys.exit(0 if all(len(l) == len(lines[0]) for l in lines) and ($2) else 1)" "$1"
}

# Usage.
fails 1 "No such file" "a model that is not there" bench "$work/none.gguf"
fails 2 "exclude" "--json and --csv" bench "$model" --json --csv
fails 2 "no baseline" "--kernels and --baseline" bench --kernels --baseline true
fails 2 "nothing to measure" "no test at all" bench "$model" --prefill 0 --decode 0
fails 2 "not a size" "a bad size in a list" bench "$model" --ram 2G,4X
fails 2 "more than 0" "a zero in a list of sizes" bench "$model" --ram 2G,0
fails 2 "not a whole number" "a bad number in a list" bench "$model" --prefill 8,,16
fails 2 "outside" "a number out of range in a list" bench "$model" --threads 1,0
fails 2 "not one of" "an unknown backend in a list" bench "$model" --io uring,telepathy
fails 2 "at most" "a list without end" bench "$model" --depth 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17
fails 2 "less than the tests need" "a context that is too short" bench "$model" --prefill 64 --ctx 32
fails 1 "No such file" "a missing model" bench "$work/none.gguf"

# The table.
weir bench "$model" --ram 64M,auto --threads 1,2 --prefill 8,16 --decode 2 --depth 0,64 -r 2
check "a table, status 0, nothing on stderr" test "$rc" -eq 0 -a ! -s "$work/err"
check "its head names model and machine" sh -c "grep -q '^model .*llama' '$work/out' && grep -q '^machine .*memory .*GB/s' '$work/out'"
check "its columns" grep -qE '^test +budget +threads +io +streams +tok/s +min\.\.max +bound +tok/s +reached +hidden +duty$' "$work/out"
check "every combination is a row (2 budgets, 2 threads, 4 tests)" test "$(grep -cE '^(pp8|pp16|tg2|tg2@d64) ' "$work/out")" -eq 16
check "a row has its bound and the share reached" grep -qE '^tg2 .* [0-9.]+ +[0-9.]+\.\.[0-9.]+ +(memory|compute) +[0-9.]+ +[0-9]+ %' "$work/out"

# JSON and CSV.
weir bench "$model" $fast --json
check "--json: status 0" test "$rc" -eq 0
check "--json: rows with bound, fraction and samples" json "$work/out" \
    "[r['test'] for r in j['rows']] == ['pp8', 'tg2'] and all(r['bound'] in ('disk', 'memory', 'compute') and r['fraction'] > 0 and len(r['tok_per_s_samples']) == 1 and r['tok_per_s_min'] <= r['tok_per_s'] <= r['tok_per_s_max'] for r in j['rows'])"
check "--json: the bound is the least of all" json "$work/out" \
    "all(abs(r['bound_tok_per_s'] - min(r['memory_tok_per_s'], r['compute_tok_per_s'])) < 1e-6 * r['bound_tok_per_s'] for r in j['rows'])"
weir bench "$model" $fast --csv --io uring,pread,mmap --ram 512M,1M
check "--csv: status 0 although a budget is too small" test "$rc" -eq 0
check "--csv: a line for every row" csv "$work/out" "len(rows) == 12 and rows[0]['test'] == 'pp8' and rows[0]['threads'] == '1'"
check "--csv: the rows of the small budget say so" csv "$work/out" \
    "sum(r['status'] == 'too small' and 'would work' in r['error'] and r['tok_per_s'] == '' for r in rows) >= 6"
weir bench "$model" $fast --ram 1M
check "when nothing could be measured the status is 1 (got $rc)" test "$rc" -eq 1
check "and the rows say what would work" grep -qE '^tg2 .*too small: .* would work' "$work/out"

# A model whose context ends with [gMASK] <sop>, and whose tokens before it see each other both ways.
glm=$srcdir_abs/tests/files/archs/chatglm1.gguf
weir bench "$glm" --prefill 16,2 --decode 2 --depth 0,1,8 -r 2 --threads 1 --json
check "a model that sees its context both ways: every row is measured" json "$work/out" \
    "[r['test'] for r in j['rows']] == ['pp16', 'pp2', 'tg2', 'tg2@d1', 'tg2@d8'] and all(r['status'] == 'ok' and r['tok_per_s'] > 0 for r in j['rows'])"
weir bench "$glm" --prefill 1 --decode 2 -r 1 --threads 1 --csv
check "its context has two tokens at least, and a row of one says so" csv "$work/out" \
    "rows[0]['status'] == 'failed' and '<sop>' in rows[0]['error'] and rows[1]['status'] == 'ok'"

# A model of packed matrices has a bound of its own kernels.
packed=$srcdir_abs/tests/files/packed/chatglm2-int4
weir bench "$packed" $fast
check "packed matrices: a bound for each row" sh -c "grep -q '^model .*chatglm-4' '$work/out' && test \$(grep -cE '^(pp8|tg2) .* (memory|compute) ' '$work/out') -eq 2"

# The least budget at which this streams: what a run needs, and one slot more.
least=$(sed -n 's/^tg2 .*too small: \([0-9]*\)\.[0-9]* MiB would work.*/\1/p' "$work/out")
weir bench "$model" $fast --ram "$((least + 1))M" --json
check "a model that does not fit has hidden and duty" json "$work/out" \
    "all(r['status'] != 'ok' or r['fits'] or ('hidden' in r and 'disk_duty' in r and r['streamed_bytes_per_pass'] > 0) for r in j['rows'])"

# The baseline.
weir bench "$model" $fast --baseline true
check "--baseline without a figure" sh -c "[ $rc -eq 0 ] && grep -qE '^baseline  [0-9.]+ s .*: true$' '$work/out'"
weir bench "$model" $fast --json --baseline 'echo "prompt eval time = 1 ms ( 9.0 tokens per second)"; echo "eval time = 2 ms / 3 runs ( 0.5 ms per token, 12.5 tokens per second)" >&2'
check "--baseline with llama.cpp's figures" json "$work/out" \
    "j['baseline']['tok_per_s'] == 12.5 and abs(j['rows'][1]['baseline_ratio'] * 12.5 / j['rows'][1]['tok_per_s'] - 1) < 1e-6 and 'baseline_ratio' not in j['rows'][0]"
weir bench "$model" $fast --csv --baseline "'$WEIR' run '$model' -p hello -n 8 --temp 0 --ignore-eos"
check "--baseline with our own" csv "$work/out" "rows[-1]['test'] == 'baseline' and float(rows[-1]['tok_per_s']) > 0 and float(rows[-1]['seconds']) > 0"
weir bench "$model" $fast --baseline 'echo "| tg 16 | 7.25 ± 0.10 |"'
check "--baseline with llama-bench's table" grep -q '^baseline .* 7.25 tok/s' "$work/out"
weir bench "$model" $fast --baseline 'echo out of cheese >&2; exit 3'
check "--baseline that fails: its words, our rows, status 1" sh -c "[ $rc -eq 1 ] && grep -q '^baseline  failed, status 3: out of cheese' '$work/out' && grep -qE '^tg2 .*%' '$work/out'"

# Kernels.
weir bench --kernels -r 1 --threads 1 --csv
check "--kernels --csv: every type, scalar too, all figures positive" csv "$work/out" \
    "any(r['kernels'] == 'scalar' for r in rows) and len(rows) % 50 == 0 and all(float(r['bytes_per_s']) > 0 and float(r['fraction']) > 0 and r['tokens'] in ('1', '64') for r in rows)"
weir bench --kernels "$model" -r 2 --threads 1,2 --json
check "--kernels MODEL: only its types" json "$work/out" "{r['type'] for r in j['rows']} == {'q4_0', 'q6_k'} and {r['threads'] for r in j['rows']} == {1, 2}"
weir bench --kernels "$srcdir_abs/tests/files/packed/chatglm2-int4" -r 1 --threads 1 --csv
check "--kernels MODEL: packed matrices by their own kernels" csv "$work/out" \
    "'chatglm-4' in {r['type'] for r in rows} and all(float(r['bytes_per_s']) > 0 for r in rows)"
weir bench --kernels "$model" -r 1
check "--kernels as a table" grep -qE '^scalar +q4_0 +1 +[0-9.]+ GB/s +[0-9.]+\.\.[0-9.]+ +[0-9]+ %' "$work/out"

# Output that cannot be written.
if [ -c /dev/full ]; then
    rc=0; "$WEIR" bench "$model" $fast >/dev/full 2>"$work/err" || rc=$?
    check "a full disk under stdout is status 1" test "$rc" -eq 1
fi

# Ctrl-C: what there is, status 130; the other program ends too.
"$WEIR" bench "$model" --prefill 8 --decode 2 -r 100 >"$work/out" 2>"$work/err" &
pid=$!
sleep 1; kill -INT $pid; rc=0; wait $pid || rc=$?
check "SIGINT ends with status 130 (got $rc)" test "$rc" -eq 130
check "and prints what there is" sh -c "grep -q '^tg2 ' '$work/out' && grep -q interrupted '$work/err'"
"$WEIR" bench "$model" $fast --json --baseline "echo \$\$ >'$work/pid'; sleep 60; true" >"$work/out" 2>"$work/err" &
pid=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s "$work/pid" ] && break; sleep 0.2; done
kill -INT $pid; rc=0; wait $pid || rc=$?
check "SIGINT while the baseline runs: status 130, whole JSON" sh -c "[ $rc -eq 130 ]"
check "the JSON says that it was interrupted" json "$work/out" "j['interrupted'] and j['rows'][1]['tok_per_s'] > 0 and j['baseline']['status'] == 'not measured'"
check "the baseline is gone" sh -c "! kill -0 $(cat "$work/pid") 2>/dev/null"
finish
