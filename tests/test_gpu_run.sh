#!/bin/sh
# The whole program on the fake device (tests/weir_fake): the same text wherever the weights are,
# saved conversations, what is reported, and every failure in one sentence.
. "$srcdir_abs/tests/lib.sh"
WEIR=$(dirname "$WEIR")/tests/weir_fake
[ -x "$WEIR" ] || skip_all "tests/weir_fake was not built"
model=$srcdir_abs/models/weir.gguf
[ -r "$model" ] || skip_all "no model that comes along"
WEIR_FAKE_CUDA="mem=512M"; export WEIR_FAKE_CUDA
text="What is weir?"
gpu() { weir run "$model" -p "$text" -n 6 --temp 0 --ctx 64 --chunk 8 --threads 1 --stats "$work/s.json" "$@"; }
hash() { number logits_hash "$work/s.json"; }

# Resident, over the bus, from the disk.
gpu; cp "$work/out" "$work/cpu"; on_cpu=$(hash)
check "without --vram the CPU computes" test "$(number device "$work/s.json")" = cpu
gpu --vram 64M; resident=$(hash)
check "--vram 64M: the same text on the GPU" sh -c "[ $rc -eq 0 ] && cmp '$work/out' '$work/cpu'"
check "the device, its name, nothing over the bus" test "$(number device "$work/s.json") $(number gpu "$work/s.json") $(number bus_bytes_per_pass "$work/s.json")" = "cuda fake device 0"
check "it is told on stderr" grep -q 'of weights on fake device: they fit into 64' "$work/err"
gpu --vram auto
check "--vram auto" test "$rc $(hash)" = "0 $resident"
gpu --vram 0
check "--vram 0 is the CPU, bit for bit" test "$rc $(hash)" = "0 $on_cpu"
weir plan "$model" --vram 64M --ctx 64 --chunk 8 --json; least=$(number smallest_vram_bytes "$work/out")
gpu --vram "$least"
check "the smallest --vram ($least): all crosses the bus, the same logits" test "$rc $(hash)" = "0 $resident" -a "$(number bus_bytes_per_pass "$work/s.json")" -gt 1000000
check "and is accounted for to the byte" test "$(number vram_used_bytes "$work/s.json")" -eq $(($(number vram_pinned_bytes "$work/s.json") + $(number vram_slot_bytes "$work/s.json") + $(number vram_kv_bytes "$work/s.json") + $(number vram_scratch_bytes "$work/s.json") + $(number vram_fixed_bytes "$work/s.json")))
check "more crossed it than once" test "$(number bus_bytes "$work/s.json")" -gt $((4 * $(number bus_bytes_per_pass "$work/s.json")))
fails 1 "too small.*--vram $least" "one byte less is refused" run "$model" -p x -n 1 --ctx 64 --chunk 8 --vram $((least - 1))
for io in uring pread mmap; do
    gpu --vram "$least" --io $io
    check "--io $io: the same logits" test "$rc $(hash)" = "0 $resident"
done
gpu --vram "$least" --ram 1G --chunk 3
check "--chunk 3: the same logits" test "$rc $(hash)" = "0 $resident"
gpu --vram 64M --kv q8; q8=$(hash)
gpu --vram "$least" --kv q8
check "--kv q8: the same resident and streamed" test "$rc $(hash)" = "0 $q8" -a "$q8" != "$resident"

# Memory of the device: what it counts is within the budget.
WEIR_FAKE_CUDA="mem=512M,log=$work/log" gpu --vram "$least"
check "what the device saw taken is within --vram, and given back" sh -c "
    grep -q . '$work/log' && sed 's/[,{}]/\n/g' '$work/log' | awk -F: -v b=$least '
        /\"mem_peak_bytes\"/ { peak = \$2 } /\"left_allocs\"/ { left = \$2 } END { exit !(peak > 0 && peak <= b && left == 0) }'"

# Overlap, trace, picture.
gpu --vram "$least" --log-overlap --trace "$work/t.json"
check "--log-overlap tells of the bus" grep -q '^overlap: token 1 .* bus .* MB .* GB/s duty' "$work/err"
check "the summary tells of bus and GPU memory" grep -q 'over the bus, the GPU waited .*; GPU memory' "$work/err"
weir timeline "$work/t.json" -o "$work/t.svg"
check "the timeline has lanes for bus and GPU" sh -c "[ $rc -eq 0 ] && grep -q 'The bus was busy' '$work/t.svg' && grep -q 'busy with weights' '$work/t.svg'"

# What was computed is kept and goes on, also on the other device.
gpu --vram "$least" --prompt-cache "$work/p"; first=$(cat "$work/out")
gpu --vram 64M --prompt-cache "$work/p"
check "a prompt that was kept is taken from its file" test "$rc $(cat "$work/out")" = "0 $first"
say() { rc=0; printf "$1" | "$WEIR" chat "$model" --threads 1 -n 6 --temp 0 --ctx 512 --chunk 64 -q --stats "$work/s.json" $2 >"$work/out" 2>"$work/err" || rc=$?; }
say 'What is weir?\nWhat is a plan?\n' "--vram 64M"; cp "$work/out" "$work/long"; long=$(hash)
say 'What is weir?\n' "--vram 64M --session $work/talk"; cp "$work/out" "$work/all"
say 'What is a plan?\n' "--vram 64M --session $work/talk"; cat "$work/out" >>"$work/all"
check "a conversation that is opened again is one that never stopped" sh -c "[ $rc -eq 0 ] && cmp '$work/all' '$work/long' && [ $(hash) = $long ]"

# bench
weir bench "$model" --vram "16M,0" --ram 512M --threads 1 --prefill 8 --decode 2 -r 1 --json
check "bench --vram: rows of the GPU and of the CPU" sh -c "[ $rc -eq 0 ] && [ \$(grep -c '\"device\":.*\"cuda\"' '$work/out') = 2 ] && grep -q '\"gpu\":.*\"fake device\"' '$work/out'"
weir bench "$model" --vram 16M --ram 512M --threads 1 --prefill 0 --decode 2 -r 1
check "its table has columns for them" grep -qE '^test +budget +vram +threads +io +streams +bus +tok/s' "$work/out"

# Refused, and lost.
fails 1 "more than the .* fake device has free" "--vram beyond the device" run "$model" -p x --vram 1G
fails 1 "no GPU 3" "--gpu 3" run "$model" -p x --vram 64M --gpu 3
WEIR_FAKE_CUDA="devices=0" fails 1 "no GPU" "no device at all" run "$model" -p x --vram 64M
WEIR_FAKE_CUDA="devices=0" gpu --vram auto
check "--vram auto without a device is the CPU" test "$rc $(hash)" = "0 $on_cpu"
for how in fail_alloc=1 fail_alloc=3 fail_copy=2 fail_copy=200 fail_launch=1 fail_launch=500 fail_launch=500,late lose=40 lose=3000; do
    WEIR_FAKE_CUDA="mem=512M,$how" gpu --vram "$least" -q
    check "$how: status 1, one sentence" sh -c "[ $rc -eq 1 ] && [ \$(grep -c . '$work/err') = 1 ] && grep -q '^weir: ' '$work/err'"
done
WEIR_FAKE_CUDA="mem=512M,no_pin" gpu --vram "$least"
check "memory that cannot be pinned: a note, the same logits" sh -c "[ $rc -eq 0 ] && [ $(hash) = $resident ] && grep -q 'note: the driver does not let' '$work/err'"

# Ctrl-C.
WEIR_FAKE_CUDA="mem=512M,launch=0.0002" "$WEIR" run "$model" -p "$text" -n 4000 --ignore-eos --temp 0 --vram 64M --threads 1 >"$work/out" 2>"$work/err" &
pid=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    sleep 1
    [ -s "$work/out" ] && break
done
kill -INT $pid; rc=0; wait $pid || rc=$?
check "SIGINT ends with status 130 and the summary (got $rc)" sh -c "[ $rc -eq 130 ] && grep -q 'tok/s' '$work/err'"
finish
