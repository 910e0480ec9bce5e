#!/bin/sh
# The budget is law: inside a memory cgroup of exactly --ram, without swap, a run that streams is
# neither killed nor pushed against the limit while tokens are produced.
. "$srcdir_abs/tests/lib.sh"
group=weir-test.$$
if [ -d /sys/fs/cgroup/memory ]; then
    dir=/sys/fs/cgroup/memory/$group; limit=memory.limit_in_bytes; version=1
else
    dir=/sys/fs/cgroup/$group; limit=memory.max; version=2
fi
mkdir "$dir" 2>/dev/null || skip_all "memory cgroups may not be made here"
trap 'rmdir "$dir" 2>/dev/null; rm -rf "$work"' EXIT
[ -e "$dir/$limit" ] || skip_all "the memory controller is not there"
hits() { if [ $version = 1 ]; then cat "$dir/memory.failcnt"; else sed -n 's/^max //p' "$dir/memory.events"; fi; }

model=$work/model.gguf
synth --shape llama-3.2-1b --type q4_k_m --layers 3 "$model" || skip_all "no python3 to make a model with"
dd if="$model" of=/dev/null bs=1M iflag=direct count=1 2>/dev/null || skip_all "no direct reads in $work"

for case in '96 auto' '160 auto' '224 auto' '160 pread' '160 mmap'; do
    mib=${case% *}; io=${case#* }
    # Fresh page cache: what the model's file left there belongs to nobody's budget.
    dd if="$model" iflag=nocache count=0 2>/dev/null
    # Memory and swap together may not be less than memory: the order depends on which way it goes.
    [ $version = 1 ] && echo $((mib << 20)) 2>/dev/null >"$dir/memory.memsw.limit_in_bytes"
    echo $((mib << 20)) >"$dir/$limit" || skip_all "the limit cannot be set"
    [ $version = 1 ] && echo $((mib << 20)) 2>/dev/null >"$dir/memory.memsw.limit_in_bytes"
    [ $version = 2 ] && echo 0 2>/dev/null >"$dir/memory.swap.max"
    before=$(hits); rc=0
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$dir" "$WEIR" run "$model" --tokens 1,2,3,4,5,6,7,8 -n 12 --temp 0 \
        --ignore-eos --io "$io" --ram "${mib}M" --ctx 256 --stats "$work/s.json" >/dev/null 2>"$work/err" || rc=$?
    after=$(hits)
    check "$mib MiB, --io $io: the run ends well (status $rc)" test "$rc" -eq 0
    check "$mib MiB, --io $io: the limit was not touched (hits: $before, then $after)" test "$before" = "$after"
    check "$mib MiB, --io $io: it streamed" test "$(number streamed_bytes_per_pass "$work/s.json")" -gt 0
    check "$mib MiB, --io $io: most of the budget was used for weights" \
        test $(($(number pinned_bytes "$work/s.json") + $(number ring_bytes "$work/s.json") + \
            $(number misc_bytes "$work/s.json") + (32 << 20))) -gt $((mib << 20)) # misc: sanitizers bring their own
    hash=$(number logits_hash "$work/s.json")
    check "$mib MiB, --io $io: the same logits as at every budget" test "${last:-$hash}" = "$hash"
    last=$hash
done
finish
