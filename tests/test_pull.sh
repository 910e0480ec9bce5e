#!/bin/sh
# weir pull, list and rm against a server of our own, with everything that can go wrong on the way.
. "$srcdir_abs/tests/lib.sh"
model=$work/tiny.gguf
command -v python3 >/dev/null 2>&1 || skip_all "no python3 to serve a model with"
HF_ENDPOINT=http://127.0.0.1:1 "$WEIR" pull t/x --retries 0 2>&1 </dev/null | grep -q "built without libcurl" && skip_all "built without libcurl"
synth --shape tiny --type q4_0 "$model" || skip_all "no python3 to make a model with"

export HOME="$work/home" WEIR_MODELS="$work/models"
unset XDG_DATA_HOME HF_HOME HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_TOKEN_PATH http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
mkdir "$work/home" "$work/server"
# Two parts of one model: the first has the metadata, the second its last tensor.
python3 - "$model" "$work/part" <<'PY' || skip_all "no model can be split"
import struct, sys
data = open(sys.argv[1], "rb").read()
n_tensor, n_kv = struct.unpack_from("<QQ", data, 8)
at = 24
def text():
    global at
    n = struct.unpack_from("<Q", data, at)[0]
    at += 8 + n
    return data[at - n:at]
size = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
def value(t):
    global at
    if t == 8:
        text()
    elif t == 9:
        of, n = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(n):
            value(of)
    else:
        at += size[t]
for _ in range(n_kv):
    text()
    at += 4
    value(struct.unpack_from("<I", data, at - 4)[0])
kv, infos = data[24:at], []
for _ in range(n_tensor):
    begin = at
    text()
    at += 4 + 8 * struct.unpack_from("<I", data, at)[0] + 4 + 8
    infos.append((data[begin:at - 8], struct.unpack_from("<Q", data, at - 8)[0]))
base = (at + 31) // 32 * 32
cut = max(o for _, o in infos)
def u(key, t, f, v):
    return struct.pack("<Q", len(key)) + key + struct.pack("<I" + f, t, v)
for no in (0, 1):
    mine = [(i, o - no * cut) for i, o in infos if (o >= cut) == bool(no)]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(mine), (0 if no else n_kv) + 3) + (b"" if no else kv)
    head += u(b"split.no", 2, "H", no) + u(b"split.count", 2, "H", 2)
    head += u(b"split.tensors.count", 5, "i", n_tensor)
    head += b"".join(i + struct.pack("<Q", o) for i, o in mine)
    head += bytes(-len(head) % 32)
    open("%s-%05d-of-00002.gguf" % (sys.argv[2], no + 1), "wb").write(
        head + (data[base + cut:] if no else data[base:base + cut]))
PY
python3 "$srcdir_abs/tests/gen/pull_server.py" "$model" "$work/server" "$work/part" "$srcdir_abs/tests/files" 2>"$work/server.err" &
trap 'touch "$work/server/stop"; wait; rm -rf "$work"' EXIT
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -e "$work/server/port2" ] && break
    sleep 0.2
done
[ -e "$work/server/port2" ] || skip_all "the server does not start: $(tail -1 "$work/server.err")"
port=$(cat "$work/server/port"); port2=$(cat "$work/server/port2")
export HF_ENDPOINT="http://127.0.0.1:$port/"

# here NAME REPO [FILE]: status 0, the path on stdout, the right bytes there, nothing beside them.
here() {
    file=$WEIR_MODELS/$2/${3:-model.gguf}
    if [ "$rc" -eq 0 ] && [ "$(cat "$work/out")" = "$file" ] && cmp -s "$file" "$model" &&
        [ -z "$(find "$WEIR_MODELS/$2" -name '*.part*'; find "$WEIR_MODELS" -name '.plan*')" ]; then ok "$1"
    else not_ok "$1" "status $rc" "$(cat "$work/err" "$work/out")" "$(find "$WEIR_MODELS")"; fi
}
# nothing NAME REPO: no trace of REPO's file, whole or in part.
nothing() { check "$1" test -z "$(find "$WEIR_MODELS" -path "*/$2/*" -type f; find "$WEIR_MODELS" -name ".plan*")"; }
logged() { grep -cE -- "$1" "$work/server/log"; }

# The ordinary way.
weir pull t/normal --dry-run
check "--dry-run: the plan is on stdout" grep -q "tok/s" "$work/out"
nothing "--dry-run leaves nothing" normal
weir pull t/normal; here "a name is fetched" t/normal
check "the plan is told first" grep -q "^weir: .* of weights fit into" "$work/err"
check "several parts were asked for" test "$(logged '/t/normal/resolve/main/model.gguf bytes=[0-9]+-')" -gt 3
weir pull t/normal; here "a second pull changes nothing" t/normal
check "and says so" grep -q "here already" "$work/err"
weir pull t/one --connections 1 -q; here "one connection" t/one
check "-q is silent" test ! -s "$work/err"
weir run t/normal --tokens 1,2 -n 2 -q
check "the name works as MODEL" test "$rc" -eq 0
weir run "$WEIR_MODELS/t/normal/model.gguf" --tokens 1,2 -n 2 -q
check "so does the path" test "$rc" -eq 0
fails 1 "no such model was pulled.*weir pull t/never:Q4" "a name that was not pulled names weir pull" inspect t/never:Q4
weir pull "http://127.0.0.1:$port/plain/some-model.gguf?x=1"
here "an address is fetched" "127.0.0.1_$port/some-model" some-model.gguf
weir inspect "127.0.0.1_$port/some-model"; check "and has a name" test "$rc" -eq 0

# Tags.
weir pull t/quants; here "without a tag: Q4_K_M" t/quants m-Q4_K_M.gguf
weir pull t/quants:q8_0; here "a tag in any case, not the mmproj" t/quants m-Q8_0.gguf
weir pull t/quants:m-IQ4_XS; here "a whole name" t/quants m-IQ4_XS.gguf
weir pull t/parts:Q8
check "a split model: all its parts" test "$rc" -eq 0 -a "$(cat "$work/out")" = "$WEIR_MODELS/t/parts/Q8 0/m-00001-of-00002.gguf" -a -e "$WEIR_MODELS/t/parts/Q8 0/m-00002-of-00002.gguf"
check "its plan came from both headers" grep -q "weights fit into" "$work/err"
weir run t/parts --tokens 1,2 -n 2 -q
check "it works as MODEL" test "$rc" -eq 0
weir rm t/parts
check "rm removes its parts and its folder" test "$(grep -c ^removed "$work/out")" -eq 2 -a ! -e "$WEIR_MODELS/t/parts"
weir pull t/beside; here "without a tag: the only model, not what is beside it" t/beside m-f16.gguf
fails 1 "which of these.*m-Q4_K_M, m-Q4_K_S" "a tag that fits two" pull t/quants:Q4_K
fails 1 "no .gguf file there has 'Q3_K'.*m-Q4_K_M" "a tag that fits none" pull t/quants:Q3_K
fails 1 "which of these.*m-Q5_0, m-Q8_0" "no tag, and no usual one" pull t/noquants
fails 1 "one of 3 parts, but there are 2" "a split that lacks a part" pull t/missingpart
fails 1 "no .gguf file" "a repository without a model" pull t/nomodel
fails 2 "which model" "a name that is none" pull normal
fails 2 "which model" "a name with dots" pull ../normal
fails 1 "does not end in .gguf" "an address of something else" pull "http://127.0.0.1:$port2/plain/x.bin"

# Folders.
weir pull t/folder --dry-run
check "a folder: a plan from its headers" grep -q "qwen2.* safetensors.* in 2 files" "$work/out"
nothing "--dry-run leaves nothing of it" folder
weir pull t/folder
check "a folder is fetched" test "$rc" -eq 0 -a "$(cat "$work/out")" = "$WEIR_MODELS/t/folder/model-00001-of-00002.safetensors"
check "its plan is told" grep -q "weights fit into" "$work/err"
check "all of it, and nothing else" diff -r "$srcdir_abs/tests/files/folders/qwen2-f32" "$WEIR_MODELS/t/folder"
weir run t/folder --tokens 1,2 -n 2 -q; check "it works as MODEL" test "$rc" -eq 0
weir pull "${HF_ENDPOINT}t/folder/blob/main/model-00002-of-00002.safetensors"
check "the address of a file of it is the folder, which is here" sh -c "[ $rc -eq 0 ] && [ \"\$(grep -c 'here already' '$work/err')\" -eq 4 ]"
weir list; check "list names it once" test "$(grep -c "^t/folder  .*/t/folder/model-00001-of-00002.safetensors" "$work/out")" -eq 1 -a "$(grep -c folder "$work/out")" -eq 1
weir pull t/torch; check "a folder of PyTorch, without a plan" sh -c "[ $rc -eq 0 ] && grep -q 'no plan: a PyTorch file' '$work/err'"
check "all of that, and nothing else" sh -c "diff -r '$srcdir_abs/tests/files/meta/hf' '$WEIR_MODELS/t/torch'"
weir run t/torch --tokens 1,2 -n 2 -q; check "it works as MODEL, too" test "$rc" -eq 0
fails 1 "none at all, so leave the tag out" "a tag for a folder" pull t/folder:Q8_0
fails 1 "config.json: its answer has more than [0-9]+ bytes" "a small file that is longer than listed" pull t/folderlong
fails 1 "config.json: the server sent [0-9]+ bytes, expected [0-9]+" "and one that is shorter" pull t/foldershort
fails 1 "safetensors" "weights that are a web page" pull t/folderhtml
fails 1 "index.json.*evil" "an index that leads out of the folder" pull t/folderout
for name in folderlong foldershort folderhtml folderout; do nothing "it leaves nothing: $name" "$name"; done
rm "$WEIR_MODELS/t/folder/model-00002-of-00002.safetensors"
fails 1 "one of 2 parts, but there are 1" "a folder that lacks a part" run t/folder --tokens 1 -n 1
weir rm t/folder; check "rm removes all of a folder" test "$rc" -eq 0 -a ! -e "$WEIR_MODELS/t/folder"

# As people copy it from a browser.
for address in t/normal t/normal/ t/normal/tree/main t/normal/blob/main/model.gguf "t/normal/resolve/main/model.gguf?download=true"; do
    weir rm t/normal; weir pull "$HF_ENDPOINT$address"; here "$address at the hub is the model" t/normal
done
weir pull "${HF_ENDPOINT}t/parts/blob/main/Q8%200/m-00002-of-00002.gguf"
check "a part of a split model: all of it" test "$rc" -eq 0 -a "$(cat "$work/out")" = "$WEIR_MODELS/t/parts/Q8 0/m-00001-of-00002.gguf"
weir pull hf.co/t/quants:Q8_0 -q; check "hf.co/ in front of a name" grep -q "/t/quants/m-Q8_0.gguf$" "$work/out"

# What the hub does.
weir pull t/paged; here "a list of files in pages" t/paged
fails 1 "more than 200 pages" "a list that does not end" pull t/endless
fails 1 "next page is at an address that is none" "a list that goes on in a file" pull t/nextfile
weir pull t/moved; here "a repository that has another name now" t/moved
weir pull t/xet; here "signed addresses for ranges, of caches with ETags of their own" t/xet
weir pull t/limited; here "429 with RateLimit" t/limited
check "it waits as long as that says, and says so" grep -q "limited/.*status 429; trying again in 2 s" "$work/err"
weir pull t/whole; here "now and then the whole file for a part" t/whole
weir pull "http://127.0.0.1:$port/t/xet/resolve/v1/named.gguf"; here "the address of another revision" "127.0.0.1_$port/named" named.gguf
fails 1 "SHA-256 [0-9a-f]{64}, expected 0{64}" "it is checked by the SHA-256 that the hub tells" pull "http://127.0.0.1:$port/t/xetbad/resolve/v1/other.gguf"

# What goes wrong on the way.
weir pull t/cut; here "connections that break" t/cut
weir pull t/busy; here "429, then OK" t/busy
weir pull t/norange; here "a server without ranges" t/norange
weir pull t/norangecut; here "a server without ranges that breaks off" t/norangecut
weir pull t/longer --retries 1; here "more promised than sent, but all of it sent" t/longer
fails 1 "status 500; tried 2 times" "500" pull t/broken --retries 1
nothing "500 leaves nothing" broken
fails 1 "no such thing \(status 404\)" "404 for the file" pull t/gone
nothing "404 leaves nothing" gone
fails 1 "no such thing" "404 for the repository" pull t/unknown
fails 1 "redirects" "a redirect to itself" pull t/loop
fails 1 "neither http nor https|[Pp]rotocol" "a redirect to a file" pull t/filescheme
fails 1 "server's file has [0-9]+ bytes, expected [0-9]+" "a size other than the hub's" pull t/badsize
nothing "it leaves nothing" badsize
fails 1 "SHA-256 [0-9a-f]{64}, expected 0{64}" "a file with another SHA-256" pull t/badsha
nothing "it leaves nothing" badsha
fails 1 "no GGUF file" "a file that is no model" pull t/nogguf
nothing "it leaves nothing" nogguf
fails 1 "sent bytes from 1 on, asked for from 0 on" "bytes from another place" pull t/wrongplace
nothing "they leave nothing" wrongplace
fails 1 "not JSON|JSON" "an answer that is not JSON" pull t/notjson
fails 1 "a list of files was expected" "an answer that is no list" pull t/object
fails 1 "size of -5" "a negative size" pull t/negative
fails 1 "needs [0-9.]+ [TP]iB more on the disk" "a model larger than the disk" pull t/huge
nothing "it leaves nothing" huge
HF_ENDPOINT=http://127.0.0.1:1 fails 1 "127.0.0.1:1/api.*tried 1 times" "nobody there" pull t/normal --retries 0
HF_ENDPOINT=ftp://x fails 1 "HF_ENDPOINT is 'ftp://x'" "an endpoint that is none" pull t/normal
for name in dots middle absolute control newline hidden empty back long; do
    fails 1 "is refused" "a hostile file name: $name" pull "t/$name"
    check "its sentence is clean: $name" sh -c "! LC_ALL=C grep -q '[[:cntrl:]]' '$work/err'"
    nothing "it leaves nothing: $name" "$name"
done
check "nothing escaped" test -z "$(find "$work" /tmp/evil.gguf -name 'evil*' 2>/dev/null)"

# Going on.
fails 1 "tried 1 times" "most of a file" pull t/stuck --retries 0
check "its part stays" test -e "$WEIR_MODELS/t/stuck/model.gguf.part" -a ! -e "$WEIR_MODELS/t/stuck/model.gguf"
fails 1 "tried 1 times" "most of a file of another" pull t/changes --retries 0
"$WEIR" pull t/slow -q >"$work/out" 2>"$work/err" </dev/null & slow=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ "$(logged '/t/slow/.* bytes=2097152-.*')" -gt 0 ] || [ ! -e "$WEIR_MODELS/t/slow/model.gguf.part.state" ] || break
    sleep 0.2
done
sleep 0.5; kill -TERM "$slow"; rc=0; wait "$slow" || rc=$?
check "an interrupted pull: status 130, a sentence, and its part" sh -c "[ $rc -eq 130 ] && grep -q 'interrupted' '$work/err' && [ -e '$WEIR_MODELS/t/slow/model.gguf.part.state' ] && [ ! -e '$WEIR_MODELS/t/slow/model.gguf' ]"
touch "$work/server/mended"; : >"$work/server/log"
weir pull t/stuck; here "the rest is fetched" t/stuck
check "and only the rest" grep -q "went on at" "$work/err"
weir pull t/slow; here "the rest of an interrupted pull" t/slow
check "only the rest" grep -q "went on at" "$work/err"
weir pull t/changes; here "a file that is another now is fetched from its start" t/changes
check "without a word of going on" sh -c "! grep -q 'went on at' '$work/err'"

# The token.
: >"$work/server/log"
fails 1 "status 401.*HF_TOKEN" "a repository that wants a token" pull t/locked
export HF_TOKEN=sesame
weir pull t/locked; here "HF_TOKEN is sent" t/locked
HF_TOKEN=old fails 1 "status 403.*granted.*HF_TOKEN" "a gated repository, with a token" pull t/gated
HF_TOKEN='' fails 1 "status 401.*granted.*HF_TOKEN" "and without one" pull t/gated
: >"$work/server/log"
fails 1 "status 401.*granted.*HF_TOKEN" "a mirror of a hub that refuses" pull t/mirrored
check "which is asked once" test "$(logged "^$port2 ")" -eq 1
HF_TOKEN=old fails 1 "status 401.*does not know the token in HF_TOKEN" "a token that the hub does not know" pull t/notoken
weir pull t/elsewhere; here "a redirect to another port" t/elsewhere
check "the other port was asked" test "$(logged "^$port2 ")" -gt 0
check "and was never sent the token" test "$(logged "^$port2 .* token ")" -eq 0
check "the endpoint was" test "$(logged "^$port /t/elsewhere/.* token ")" -gt 0
weir pull t/nextelse; here "a list that goes on at another port" t/nextelse
check "which is not sent the token either" test "$(logged "^$port2 /api")" -eq 1 -a "$(logged "^$port2 .* token ")" -eq 0
weir pull "http://127.0.0.1:$port2/plain/other.gguf"
check "nor for an address elsewhere" test "$rc" -eq 0 -a "$(logged "^$port2 .* token ")" -eq 0
HF_TOKEN=$(printf 'a\001b') fails 1 "token has a character" "a token that is none" pull t/normal
unset HF_TOKEN
mkdir -p "$HOME/.cache/huggingface"; echo sesame >"$HOME/.cache/huggingface/token"
weir rm t/locked; weir pull t/locked; here "the token from its file" t/locked
rm "$HOME/.cache/huggingface/token"
token_in() { weir rm t/locked; rc=0; env "$2" "$WEIR" pull t/locked >"$work/out" 2>"$work/err" </dev/null || rc=$?; here "the token from $1" t/locked; }
mkdir -p "$work/hf" "$work/hfcache/huggingface"; echo sesame >"$work/hf/token"; echo sesame >"$work/hfcache/huggingface/token"
token_in HUGGING_FACE_HUB_TOKEN HUGGING_FACE_HUB_TOKEN=sesame
token_in HF_TOKEN_PATH "HF_TOKEN_PATH=$work/hf/token"
token_in HF_HOME "HF_HOME=$work/hf"
token_in XDG_CACHE_HOME "XDG_CACHE_HOME=$work/hfcache"

# Proxies.
: >"$work/server/log"
weir rm t/normal; http_proxy=http://127.0.0.1:$port2 no_proxy='' weir pull t/normal
here "http_proxy is used" t/normal
check "by every request" test "$(logged "^$port2 ")" -gt 0 -a "$(logged "^$port ")" -eq 0
weir rm t/normal; http_proxy=http://127.0.0.1:$port2 no_proxy=127.0.0.1 weir pull t/normal
check "but not for no_proxy" test "$(logged "^$port ")" -gt 0

# list and rm.
weir list
check "list names a model with its path" grep -qE "^t/normal +[0-9.]+ MiB  $WEIR_MODELS/t/normal/model.gguf\$" "$work/out"
check "list names one of several by its file" grep -q "^t/quants:m-Q8_0 " "$work/out"
weir list --json
check "list --json" python3 -c "import json; d=json.load(open('$work/out')); e={m['name']: m for m in d}['t/normal']; assert e['bytes']==$(wc -c <"$model") and e['files']==1 and e['path'].endswith('model.gguf')"
fails 2 "takes no name" "list takes no name" list t/normal
weir rm t/quants:Q8_0
check "rm removes one of several" test "$rc" -eq 0 -a ! -e "$WEIR_MODELS/t/quants/m-Q8_0.gguf" -a -e "$WEIR_MODELS/t/quants/m-Q4_K_M.gguf"
check "and says what" grep -q "removed .*m-Q8_0.gguf" "$work/out"
weir rm t/quants
check "rm removes all of a name and its folder" test "$rc" -eq 0 -a ! -e "$WEIR_MODELS/t/quants"
fails 1 "t/quants is not in" "rm of what is not there" rm t/quants
fails 2 "which model" "rm of a path" rm ../home
fails 2 "which model" "rm of an absolute path" rm "$WEIR_MODELS/t/normal"
mkdir -p "$work/precious/repo"; cp "$model" "$work/precious/repo/p.gguf"; cp "$model" "$work/precious/p.gguf"
ln -s "$work/precious" "$WEIR_MODELS/linked"; ln -s "$work/precious/repo" "$WEIR_MODELS/t/linked"
mkdir "$WEIR_MODELS/t/inner"; ln -s "$work/precious/p.gguf" "$WEIR_MODELS/t/inner/p.gguf"
for name in linked/repo t/linked t/inner; do
    weir rm "$name"; check "rm follows no link: $name" test "$rc" -eq 1 -a -e "$work/precious/repo/p.gguf" -a -e "$work/precious/p.gguf"
done
ln -s "$work/precious" "$WEIR_MODELS/t/one2"
fails 1 "symbolic link" "pull writes through no link" pull t/one2
check "and wrote nothing there" test ! -e "$work/precious/model.gguf"
WEIR_MODELS=$work/none weir list
check "an empty store is no error" test "$rc" -eq 0 -a ! -s "$work/out"
finish
