# Sourced by the shell tests: TAP, and a place for temporary files.
n=0; bad=0
work=$(mktemp -d "${TMPDIR:-/tmp}/weir-test.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
XDG_CACHE_HOME=$work/cache; export XDG_CACHE_HOME # rates measured here stay here
XDG_STATE_HOME=$work/state; export XDG_STATE_HOME # and what is typed

ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); bad=1; echo "not ok $n - $1"; shift; for line; do printf '%s\n' "$line" | sed 's/^/# /'; done; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
finish() { echo "1..$n"; exit $bad; }

# check NAME COMMAND...: passes when the command does.
check() { name=$1; shift; if "$@"; then ok "$name"; else not_ok "$name" "$(cat "$work/err" 2>/dev/null)"; fi; }

# weir ARGS...: run it; $rc, $work/out and $work/err are what came of it.
weir() { rc=0; "$WEIR" "$@" >"$work/out" 2>"$work/err" </dev/null || rc=$?; }

# fails STATUS WORDS NAME ARGS...: weir ARGS ends with STATUS, one sentence on stderr with WORDS in
# it, and nothing on stdout.
fails() {
    want=$1; words=$2; name=$3; shift 3
    weir "$@"
    if [ "$rc" -eq "$want" ] && grep -qE -- "$words" "$work/err" && [ ! -s "$work/out" ]; then ok "$name"
    else not_ok "$name" "status $rc, expected $want, with: $words" "$(cat "$work/err")" "stdout: $(head -c 300 "$work/out")"
    fi
}

# number KEY FILE: the value of KEY in the JSON weir wrote.
number() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\"\{0,1\}\([^,\"]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$2" | head -1; }

# A small synthetic model in $1, made by tests/gen; false when there is no Python.
synth() { command -v python3 >/dev/null 2>&1 && python3 "$srcdir_abs/tests/gen/synth_gguf.py" "$@" >"$work/synth.log" 2>&1; }
