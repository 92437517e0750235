# shellcheck shell=bash
# What the other scripts share. Sourced, not run.
#
# Two ways lead to a working toolchain, and scripts/setup chooses between them:
#   plain    the cargo and rustc on the PATH (usually rustup's), with their own wasm32-wasip2 library
#   debian   /usr/bin/cargo and /usr/bin/rustc of the packages rustc-web and cargo-web; for wasm the
#            standard library is built from rust-web-src (-Zbuild-std) against Debian's wasi-libc
# The choice is one word for native and one for wasm code, kept in .cache/toolchain.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$ROOT/.cache
# The oldest Rust that builds this (spin-sdk's minimum).
RUST_MIN=94
# Everything is built into the one ignored folder, whatever the caller's environment says.
export CARGO_TARGET_DIR=$ROOT/target

# The one list of components. Features unify over what is built together, so it never varies.
COMPONENTS=(master slave allocate heartbeat ingest import plan rule search timeline)
# The native programs.
PROGRAMS=(edge-native worker-native)
# What is tested apart from them, with the end-to-end scenarios.
LIBRARIES=(domain worker-api store store-native stages web testkit tests)

say() { printf '%s\n' "sluice: $*" >&2; }
fail() { say "$*"; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

# A rustup that is installed but not on the PATH (cron, services) counts as well.
have cargo || { [ -x "${HOME:-}/.cargo/bin/cargo" ] && PATH=$HOME/.cargo/bin:$PATH; }

is_debian() { [ -e /etc/debian_version ] && have apt-get; }

# apt_install PACKAGE... installs what is missing of the list, or says the command to run.
apt_install() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    is_debian || fail "missing: ${missing[*]} (no apt-get here: install the like of them yourself)"
    [ "$(id -u)" = 0 ] || fail "missing packages; run: sudo apt-get install -y ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    apt_get "${missing[@]}" || apt_upgrade "${missing[@]}"
}

apt_get() {
    mkdir -p "$CACHE"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$CACHE/apt.log" 2>&1
}

# apt_upgrade PACKAGE... installs the newest of them, by lists that are fetched anew.
apt_upgrade() {
    [ "$(id -u)" = 0 ] || fail "packages are out of date; run: sudo apt-get update && sudo apt-get install -y $*"
    say "fetching the lists of Debian packages for: $*"
    mkdir -p "$CACHE"
    { apt-get update >"$CACHE/apt.log" 2>&1 && apt_get "$@"; } ||
        { tail -n 20 "$CACHE/apt.log" >&2; fail "apt-get could not install: $*"; }
}

# load_toolchain reads what scripts/setup chose into NATIVE and WASM.
load_toolchain() {
    if [ -n "${SLUICE_TOOLCHAIN:-}" ] || ! [ -f "$CACHE/toolchain" ]; then "$ROOT/scripts/setup"; fi
    read -r NATIVE WASM <"$CACHE/toolchain"
    # What was chosen may have been removed since, or the PATH may be another one.
    if { [ "$NATIVE" = plain ] && ! have cargo; } || { [ "$NATIVE" = debian ] && ! [ -x /usr/bin/cargo ]; }; then
        "$ROOT/scripts/setup"
        read -r NATIVE WASM <"$CACHE/toolchain"
    fi
}

# native_cargo ARGS... runs cargo for this machine.
native_cargo() {
    if [ "$NATIVE" = debian ]; then
        RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc PATH=/usr/bin:$PATH /usr/bin/cargo "$@"
    else
        cargo "$@"
    fi
}

# wasm_cargo SUBCOMMAND ARGS... runs cargo for wasm32-wasip2 with the profile of components.
wasm_cargo() {
    local command=$1
    shift
    if [ "$WASM" = debian ]; then
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 PATH=/usr/bin:$PATH \
            CARGO_TARGET_WASM32_WASIP2_LINKER=$(wasm_linker) \
            CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="-Clink-self-contained=no -L/usr/lib/wasm32-wasi -Clink-arg=--wasm-ld-path=/usr/bin/wasm-ld-14" \
            /usr/bin/cargo "$command" -Zbuild-std=std,panic_abort --profile wasm --target wasm32-wasip2 "$@"
    else
        cargo "$command" --profile wasm --target wasm32-wasip2 "$@"
    fi
}

# wasm_linker prints the path of wasm-component-ld: a rustup toolchain ships it, else setup has built it.
wasm_linker() {
    local linker
    for linker in "$CACHE/tools/bin/wasm-component-ld" \
        "${RUSTUP_HOME:-${HOME:-/root}/.rustup}"/toolchains/*/lib/rustlib/*/bin/wasm-component-ld; do
        [ -x "$linker" ] && { printf '%s\n' "$linker"; return 0; }
    done
    return 1
}

# component_flags prints the fixed list as cargo's -p flags.
component_flags() { printf -- '-p component-%s ' "${COMPONENTS[@]}"; }

# Sources of each half, for the freshness check.
SHARED_SOURCES=(Cargo.toml Cargo.lock crates sql scripts/build scripts/lib.sh)
COMPONENT_SOURCES=("${SHARED_SOURCES[@]}" components wit)
NATIVE_SOURCES=("${SHARED_SOURCES[@]}" edge-native worker-native wit)

# is_fresh components|native: cheap, no cargo. True if nothing in the sources is newer than the last build.
is_fresh() {
    local half=$1 stamp=$ROOT/build/.stamp-$1 sources=() path
    [ -f "$stamp" ] && [ "$stamp" -nt "$CACHE/toolchain" ] || return 1
    if [ "$half" = components ]; then
        for path in "${COMPONENTS[@]}"; do [ -f "$ROOT/build/$path.wasm" ] || return 1; done
        sources=("${COMPONENT_SOURCES[@]}")
    else
        [ -x "$ROOT/target/release/sluice" ] && [ -x "$ROOT/target/release/sluice-worker" ] || return 1
        sources=("${NATIVE_SOURCES[@]}")
    fi
    local existing=()
    for path in "${sources[@]}"; do [ -e "$ROOT/$path" ] && existing+=("$ROOT/$path"); done
    [ -z "$(find "${existing[@]}" -newer "$stamp" -print -quit)" ]
}
