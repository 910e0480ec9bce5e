#!/bin/sh
# `weir selftest --cuda` on the fake device, which computes as the scalar kernels do and can be told
# to go wrong.
. "$srcdir_abs/tests/lib.sh"
real=$WEIR
WEIR=$(dirname "$WEIR")/tests/weir_fake

# selftest NAME STATUS SETTINGS WORDS OPTION...: ends with STATUS and has WORDS in what it prints
selftest()
{
    name=$1 want=$2 words=$4
    WEIR_FAKE_CUDA=$3; export WEIR_FAKE_CUDA
    shift 4
    weir selftest --cuda "$@"
    if [ "$rc" = "$want" ] && cat "$work/out" "$work/err" | grep -q -- "$words"; then ok "$name"
    else not_ok "$name" "status $rc, expected $want, with: $words" "$(cat "$work/out" "$work/err")"; fi
}

selftest "right products are right, each way of them a line" 0 mem=128M "all 4 are right" --only "mul q4_k"
selftest "the device is named" 0 mem=128M "GPU 0: fake device" --only "act_q8"
selftest "a launch that did nothing is found" 1 mem=128M,skip=5 "1 of 4 are wrong" --only "mul q4_k"
selftest "so it is where bits are compared" 1 mem=128M,skip=2 "WRONG: bytes that are to be equal" --only "kv_store q8"
selftest "attention" 0 mem=128M "^attend q8 .*ok" --only "attend q8"
selftest "a packed matrix by columns, in two steps" 0 mem=128M "^packed gptq 4 .*ok" --only "packed gptq 4"
selftest "a packed matrix by rows" 0 mem=128M "^packed int8 .*ok" --only "packed int8"
selftest "one launch for two" 0 mem=128M "^two things .*ok" --only "two things"
selftest "one launch for two that did nothing is found" 1 mem=128M,skip=6 "other bits" --only "two things"
selftest "the largest logits" 0 mem=128M "^top_k .*ok" --only top_k
selftest "streams that wait for events" 0 mem=128M "all 2 are right" --only streams
selftest "streams that do not" 1 mem=128M,loose,copy=100M "out of order" --only streams
selftest "memory that cannot be pinned" 1 mem=128M,no_pin "cannot be pinned" --only streams
selftest "a device that is lost" 1 mem=128M,lose=30 "^weir: mul q4_k.*, case [0-9]*: GPU 0: the device is lost" --only "mul q4_k"
selftest "a device with too little memory" 1 mem=1M "^weir: GPU 0 has no"
selftest "no device" 1 devices=0 "^weir: there is no GPU 0"
selftest "not so many devices" 1 mem=128M "^weir: there is no GPU 3" --gpu 3
selftest "no such operation is wrong usage" 2 mem=128M "no operation has" --only "no such"
selftest "a model is wrong usage" 2 mem=128M "needs no model" model.gguf
selftest "as JSON" 0 mem=128M '"operation":' --json --only norm
unset WEIR_FAKE_CUDA

WEIR=$real
fails 2 "which part" "without a part it is wrong usage" selftest
case $("$WEIR" --version) in
*"CUDA devices: 0"*) fails 1 "there is no GPU 0" "without a device the program says so" selftest --cuda ;;
*) skip "without a device the program says so" "there is a device" ;;
esac
finish
