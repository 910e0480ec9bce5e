#!/bin/sh
# `weir timeline`: the words of small traces with known sums, and that no file can hurt it.
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0; bad=0
ok() { # ok STATUS WHAT
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}
draw() { "$WEIR" timeline "$1" -o "$dir/out.svg" 2>"$dir/err"; }
says() { # says WORDS WHAT
    grep -qF -- "$1" "$dir/out.svg"; ok $? "$2"
}
whole() { [ "$(head -c 4 "$dir/out.svg")" = "<svg" ] && [ "$(tail -n 1 "$dir/out.svg")" = "</svg>" ]; }
x() { # x TID NAME TS DUR N: a span, times in microseconds
    printf ',{"ph":"X","pid":1,"tid":%s,"name":"%s","ts":%s,"dur":%s,"args":{"n":%s}}\n' "$@"
}
trace() { # the list of what stdin has, comma first
    printf '{"displayTimeUnit":"ms","traceEvents":[{"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"disk"}}'
    cat
    printf ']}\n'
}

# Reads overlap to 3 ms of 4 ms; a product of 2 ms waits 1 ms of them for its weights.
{
    x 1 pin 0 2000 1000000; x 1 read 1000 2000 2000000
    printf ',{"ph":"C","pid":1,"tid":2,"name":"ring","ts":3000,"args":{"bytes":4000000}}\n'
    x 3 matmul 1000 2000 1; x 3 attention 3000 500 1; x 4 stall 1500 1000 7
    x 5 prefill 0 3500 5; x 5 token 3500 500 1
} | trace >"$dir/a.json"
draw "$dir/a.json" && whole; ok $? "a trace is drawn"
says "The disk was busy 75 % of 4.00 ms; compute waited for it 1.00 ms, so 67 % of the disk's time was hidden" "overlapping reads count once"
says "The disk was the longer side." "a product's wait is not compute"
says "3.00 MB in 2 reads, 1.00 GB/s while busy (1.00 MB of it once" "bytes and rate"
says "Prefill: 5 tokens in 3.50 ms, 1429 tok/s. Generated: 1 token in 500 µs, 2000 tok/s." "tokens and rates"
says "at most 2 in flight at once" "the tooltip has the reads in flight"
says "max 4.00 MB" "the ring has its maximum"
! grep -q enlarged "$dir/out.svg"; ok $? "two passes are not enlarged"

# A GPU: copies of 2 ms, products of 2 ms of which 0.5 ms wait for them, in 4 ms.
{
    x 1 read 0 1000 2000000; x 6 copy 500 1500 2000000; x 6 copy 2000 500 1000000
    x 7 step 1000 2000 1; x 4 stall 1500 500 1; x 5 token 0 4000 1
} | trace >"$dir/gpu.json"
draw "$dir/gpu.json" && whole; ok $? "a trace of a GPU is drawn"
says "The bus was busy 50 % of 4.00 ms, the disk 25 %; the GPU waited for weights 500 µs, so 75 % of the longer of the two was hidden." "what the bus and the GPU did"
says "busy 50 % of 4.00 ms; 2 copies in the whole run, 3.00 MB" "the lane of the bus"
says "busy with weights 38 % of 4.00 ms" "the lane of the GPU, without its waits"
! grep -q ">matmul<" "$dir/out.svg"; ok $? "the CPU has no lane then"

cp "$dir/a.json" "$dir/a<b>&\".json"
draw "$dir/a<b>&\".json"; says "a&#60;b&#62;&#38;&#34;.json" "a file's name is escaped"

# 120,000 events: columns, not events, make the size.
awk 'BEGIN { for (i = 0; i < 30000; i++) {
    printf ",{\"ph\":\"X\",\"tid\":1,\"name\":\"read\",\"ts\":%d,\"dur\":150,\"args\":{\"n\":65536}}\n", i * 100
    printf ",{\"ph\":\"C\",\"tid\":2,\"name\":\"ring\",\"ts\":%d,\"args\":{\"bytes\":%d}}\n", i * 100, (i * 7919) % 1000
    printf ",{\"ph\":\"X\",\"tid\":3,\"name\":\"matmul\",\"ts\":%d,\"dur\":%d,\"args\":{\"n\":1}}\n", i * 100, (i * 31) % 90
    printf ",{\"ph\":\"X\",\"tid\":5,\"name\":\"token\",\"ts\":%d,\"dur\":99,\"args\":{\"n\":1}}\n", i * 100 } }' </dev/null |
    trace >"$dir/big.json"
draw "$dir/big.json" && whole && [ "$(wc -c <"$dir/out.svg")" -lt 500000 ]; ok $? "a long run stays below 500 KB"
says "Tokens 15000 to 15002, enlarged" "three tokens in the middle are enlarged"
says "compute never waited for it" "no stall is said so"

rm -f "$dir/out.svg"
for t in '{"traceEvents":[]}' '[]' '{}' '7' 'null' '"x"' '{"traceEvents":7}' '[1,null,[],{},"x",{"ph":1}]' \
    '[{"ph":"X","tid":1,"ts":-1,"dur":1}]' '[{"ph":"X","tid":1,"ts":0,"dur":1e308}]' '{"traceEvents":[' ''; do
    printf %s "$t" >"$dir/bad.json"
    draw "$dir/bad.json"; s=$?
    [ $s = 1 ] && [ ! -e "$dir/out.svg" ] && [ "$(wc -l <"$dir/err")" = 1 ] && grep -qF "$dir/bad.json" "$dir/err"
    ok $? "refused in one sentence: $t"
done

# What is valid is drawn, what is not is counted.
{
    x 1 read 0 1000 1e308; x 1 read 1e308 1e308 1; x 3 matmul -5 1 1; x 3 '\u0007<g>' 0 1000 '"x"'; x 4 stall '"1"' 1 1
    x 5 token 0 1000 -3; printf ',{"ph":"C","tid":2,"ts":1},7,{"ph":"X"},{"ph":"Z","tid":1}\n'
} | trace >"$dir/odd.json"
draw "$dir/odd.json" && whole; ok $? "a half-valid trace is drawn"
says "4 impossible events were left out." "and says what was left out"
says "busy 100 % of 1.00 ms" "and is right about the rest"

echo "1..$n"; exit $bad
