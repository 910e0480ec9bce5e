#!/bin/sh
# weir plan with a GPU: one that is described, one that is there, and none.
. "$srcdir_abs/tests/lib.sh"
model=$work/tiny.gguf
synth --shape tiny --type q4_0 "$model" || skip_all "no python3 to make a model with"
gpu=cpu=4,mem=8G,disk=3G,mul=20G,vram=64M,bus=12G,vmem=300G,gpu=Example

# A machine that is described.
weir plan "$model" --ram 100M --vram 40M --machine $gpu
check "status 0, nothing on stderr" test "$rc" -eq 0 -a ! -s "$work/err"
for line in '^gpu        Example, 64.00 MiB, .*bus 12.88 GB/s, memory 322.1 GB/s .as told' \
    '^vram       40.00 MiB of the GPU.s memory' '^  fixed ' '^budget     100 MiB of memory' \
    '^streamed   nothing: the model fits into the GPU' '^forecast .*bound by gpu .gpu .*bus .*disk' \
    '^smallest .*--vram [0-9]* --ram [0-9]*'; do
    grep -q "$line" "$work/out" || missing="$missing; $line"
done
check "the plan tells GPU, accounts and bound (not:$missing)" test -z "$missing"

# The JSON, and that it adds up.
weir plan "$model" --ram 100M --vram 40M --machine $gpu --json
cp "$work/out" "$work/fits.json"
sum=0
for key in vram_pinned_bytes vram_slot_bytes vram_kv_bytes vram_scratch_bytes vram_fixed_bytes; do
    v=$(number $key "$work/fits.json")
    sum=$((sum + ${v:-9999999999}))
done
check "the accounts sum to vram_used_bytes, $sum" test "$sum" -eq "$(number vram_used_bytes "$work/fits.json")"
check "within vram_budget_bytes" test "$sum" -le "$(number vram_budget_bytes "$work/fits.json")"
check "gpu, device and bound" sh -c "grep -q '\"gpu\":[[:space:]]*\"Example\"' '$work/fits.json' && grep -q '\"device\":[[:space:]]*\"cuda\"' '$work/fits.json' && grep -q '\"bound\":[[:space:]]*\"gpu\"' '$work/fits.json'"
check "nothing crosses the bus" test "$(number bus_bytes_per_pass "$work/fits.json")" -eq 0
check "nothing of the cache is in RAM" test "$(number kv_bytes "$work/fits.json")" -eq 0

# The smallest budgets work, and nothing less does.
vram=$(number smallest_vram_bytes "$work/fits.json")
ram=$(number smallest_budget_bytes "$work/fits.json")
ram=$((ram + 4194304)) # what a process has when it starts differs from run to run
weir plan "$model" --vram "$vram" --ram "$ram" --machine $gpu --json
check "the smallest budgets work" test "$rc" -eq 0
check "and most is moved" test "$(number bus_bytes_per_pass "$work/out")" -gt 1000000
fails 1 "too small.*the smallest that works is .*--vram $vram" "a byte less of GPU memory" plan "$model" --vram $((vram - 1)) --ram "$ram" --machine $gpu
fails 1 "memory beside the GPU is too small.*--ram [0-9]*" "a quarter of the memory" plan "$model" --vram "$vram" --ram $((ram / 4)) --machine $gpu
weir plan "$model" --vram 1M --ram 100M --machine $gpu --json
check "--json has the number when the answer is no" test "$rc" -eq 1 -a "$(number smallest_vram_bytes "$work/out")" = "$vram"

# auto, 0, and no GPU.
weir plan "$model" --vram auto --machine cpu=4,mem=8G,mul=20G,vram=1G,bus=12G,vmem=300G --json
check "auto: what is free less 256 MiB" test "$(number vram_budget_bytes "$work/out")" = $((768 << 20))
weir plan "$model" --vram auto --machine cpu=4,mem=8G,disk=3G,mul=20G --json
check "auto without a GPU: the CPU" grep -q '"device":[[:space:]]*"cpu"' "$work/out"
weir plan "$model" --vram 0 --machine $gpu --json
check "0: the CPU" grep -q '"device":[[:space:]]*"cpu"' "$work/out"
fails 1 "has no GPU.*vram=8G" "a size, and a machine that is described without one" plan "$model" --vram 1G --machine cpu=4
fails 1 "1.00 GiB is more than the 64.00 MiB" "a size beyond its memory" plan "$model" --vram 1G --machine $gpu
fails 2 "vram: .*not a size" "no size" plan "$model" --vram much
fails 2 "gpu" "no number of a GPU" plan "$model" --gpu first
fails 1 "not known of a machine.*vram=8G" "a word no machine has" plan "$model" --machine vrem=8G
for cmd in "run -p a" "chat" "plan"; do
    "$WEIR" $cmd "$model" --vram 1G --gpu 99 >"$work/out" 2>"$work/err" </dev/null && said="$said; $cmd: status 0"
    [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q "^weir: --vram 1.00 GiB: .*--vram 0 computes on the CPU" "$work/err" || said="$said; $cmd: $(cat "$work/err")"
done
check "a size without a GPU is one sentence (not:$said)" test -z "$said"

# What streams, by tier.
weir plan "$model" --vram "$vram" --ram 100M --ctx 256 --chunk 1 --machine $gpu --json
check "little GPU memory and much RAM: the bus, no disk" test "$(number bus_bytes_per_pass "$work/out")" -gt 1000000 -a "$(number streamed_bytes_per_pass "$work/out")" -eq 0

# A device that is there, if this program can have one that is not real.
fake=$(dirname "$WEIR")/tests/weir_fake
if [ -x "$fake" ]; then
    WEIR_FAKE_CUDA=mem=64M,copy=100M,vram=1G,simulate; export WEIR_FAKE_CUDA
    WEIR=$fake
    weir plan "$model" --vram 40M --ram 400M --json
    check "its bus is measured" sh -c "[ $rc -eq 0 ] && [ '$(number bus_probe_bytes_per_s "$work/out" | cut -c1-3)' -ge 100 ] && grep -q '\"gpu\":[[:space:]]*\"fake device\"' '$work/out'"
    weir plan "$model" --vram 40M --ram 400M
    check "and known the next time" grep -q '^gpu .*bus 0.1. GB/s, memory .* (known)' "$work/out"
    weir plan "$model" --vram 40M --ram 400M --probe
    check "and measured again with --probe" grep -q '^gpu .*(measured now)' "$work/out"
    fails 1 "too small.*--vram" "too little of it" plan "$model" --vram 2M --ram 400M
    WEIR_FAKE_CUDA=mem=1T,copy=100M,vram=1G,simulate,integrated
    weir plan "$model" --vram auto --json
    both=$(($(number vram_budget_bytes "$work/out") + $(number budget_bytes "$work/out")))
    have=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) * 1024))
    check "what it shares with the host is counted once: $both of $have" test "$rc" -eq 0 -a "$both" -gt 0 -a "$both" -lt "$have"
    WEIR_FAKE_CUDA=mem=64M,copy=100M,vram=1G,simulate
    fails 1 "80.00 MiB is more than the 64.00 MiB" "more than it has" plan "$model" --vram 80M --ram 400M
else
    skip "a device that is measured" "tests/weir_fake was not built"
fi
finish
