#!/bin/sh
# safetensors_seeds.sh CORPUS: inputs to begin with for fuzz_safetensors, made of tests/files.
files=$(dirname "$0")/../files
mkdir -p "$1" || exit 1
n=0
corpus=$1
seed() { # seed CONFIG INDEX WEIGHTS
    n=$((n + 1))
    { cat "$1"; printf '\0'; cat "$2"; printf '\0'; cat "$3"; } >"$corpus/seed$n"
}
for f in "$files"/*.safetensors; do seed /dev/null /dev/null "$f"; done
for d in "$files"/folders/*/ "$files"/packed/*/; do
    for f in "$d"*.safetensors; do
        [ ! -e "$f" ] || seed "$d/config.json" /dev/null "$f"
    done
done
for d in "$files"/shards-*/; do
    [ ! -e "$d/model.safetensors.index.json" ] ||
        for f in "$d"*.safetensors; do seed /dev/null "$d/model.safetensors.index.json" "$f"; done
done
