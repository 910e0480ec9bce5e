# Sourced by ./quickstart and ./check: make sure what weir is built with is installed, and build it.
# Not a program of its own.

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }

# Run as root, whoever we are.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo "$@"
    else die "installing packages needs root, and there is no sudo here; run as root: $*"
    fi
}

debian_packages="gcc g++ make autoconf automake liburing-dev libcjson-dev libpcre2-dev libutf8proc-dev libedit-dev libcurl4-openssl-dev python3"

# Install what is missing, after saying so.
install_packages() {
    if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        for tool in cc make autoreconf automake python3; do
            command -v "$tool" >/dev/null 2>&1 || missing="${missing:-} $tool"
        done
        for header in cjson/cJSON.h liburing.h pcre2.h utf8proc.h curl/curl.h histedit.h; do
            [ -e "/usr/include/$header" ] || [ -e "/usr/local/include/$header" ] || missing="${missing:-} $header"
        done
        [ -z "${missing:-}" ] && return 0
        say "This is not a Debian or Ubuntu machine, so please install first (missing:$missing):"
        say "  Fedora, RHEL: dnf install gcc gcc-c++ make autoconf automake liburing-devel cjson-devel pcre2-devel utf8proc-devel libedit-devel libcurl-devel python3"
        say "  Arch:         pacman -S base-devel liburing cjson pcre2 libutf8proc libedit curl python"
        say "  openSUSE:     zypper install gcc gcc-c++ make autoconf automake liburing-devel libcjson-devel pcre2-devel utf8proc-devel libedit-devel libcurl-devel python3"
        say "  Alpine:       apk add build-base linux-headers autoconf automake liburing-dev cjson-dev pcre2-dev utf8proc-dev libedit-dev curl-dev python3"
        exit 1
    fi
    missing=
    for package in $debian_packages "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    say "Installing with apt-get:$missing"
    # The lists may be old or absent; a failed update is only fatal if the packages then cannot be had.
    as_root apt-get update -qq || say "(apt-get update failed; trying with the lists there are)"
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null ||
        die "apt-get could not install$missing"
}

# build DIR [configure options]: configure and make in DIR, out of the source tree.
build() {
    build_dir=$1; shift
    mkdir -p "$build_dir"
    [ -x "$top/configure" ] && [ "$top/configure" -nt "$top/configure.ac" ] ||
        (cd "$top" && ./autogen.sh >"$build_dir/autogen.log" 2>&1) ||
        { tail -20 "$build_dir/autogen.log" >&2; die "autogen.sh failed"; }
    if [ ! -e "$build_dir/Makefile" ]; then
        (cd "$build_dir" && "$top/configure" -q "$@") >"$build_dir/configure.log" 2>&1 ||
            { tail -20 "$build_dir/configure.log" >&2; die "configure failed: see $build_dir/config.log"; }
    fi
    make -C "$build_dir" -j"$(nproc)" >"$build_dir/make.log" 2>&1 ||
        { grep -B2 -A12 -E 'error|Error' "$build_dir/make.log" | head -60 >&2; die "make failed: see $build_dir/make.log"; }
}

# cuda_flags: for the GPU that is here; without one nothing of CUDA, which takes minutes to compile.
cuda_flags() {
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d '. ' | grep -E '^[0-9]+$' | sort -u | paste -sd, -)
    if [ -n "$arch" ]; then echo "--with-cuda-arch=$arch"; else echo "--with-cuda=no"; fi
}
