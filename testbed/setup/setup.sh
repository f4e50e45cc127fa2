#!/bin/sh
# Makes a checkout ready to build, run and test: checks what has to be there and installs what npm has. It says what it
# does, does nothing twice, and needs no network when nothing is missing. What it cannot mend it names with the command
# that does.
set -eu
cd "$(dirname "$0")/../.."

missing=0
say() { echo "setup: $*"; }
lacks() {
    echo "setup: MISSING $1" >&2
    echo "       mend it with: $2" >&2
    missing=1
}

# at_least WANTED FOUND: both as major.minor[.patch]
at_least() {
    [ "${2%%.*}" -gt "${1%%.*}" ] && return 0
    [ "${2%%.*}" -eq "${1%%.*}" ] || return 1
    minor=${2#*.}
    [ "${minor%%.*}" -ge "${1#*.}" ]
}

check_rust() {
    mend="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh, or: rustup update stable"
    rustc=$(rustc --version 2>/dev/null) || { lacks "rustc, 1.95 or newer" "$mend"; return; }
    version=$(echo "$rustc" | cut -d' ' -f2)
    at_least 1.95 "$version" || lacks "rustc 1.95 or newer, here is $version" "$mend"
    cargo --version >/dev/null 2>&1 || lacks "cargo" "$mend"
    if [ "$(uname -s)" = Darwin ]; then mend='xcode-select --install'; else mend='apt-get install -y gcc libc6-dev'; fi
    command -v cc >/dev/null || lacks "a C compiler (cc)" "$mend"
    say "rustc $version"
}

check_node() {
    mend='the installer of https://nodejs.org/, or: apt-get install -y nodejs npm, or: brew install node'
    version=$(node --version 2>/dev/null) || { lacks "node, 20 or newer" "$mend"; return; }
    at_least 20.0 "${version#v}" || lacks "node 20 or newer, here is $version" "$mend"
    command -v npm >/dev/null || { lacks "npm" "$mend"; return; }
    say "node $version"
}

# install_packages FOLDER: the lock file is kept beside what was installed from it
install_packages() {
    if cmp -s "$1/package-lock.json" "$1/node_modules/.installed-lock.json"; then
        say "$1/node_modules is as its lock file has it"
        return
    fi
    say "$1: npm ci --ignore-scripts"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$1/package-lock.json" "$1/node_modules/.installed-lock.json"
}

# The pages, which the daemons embed. The mark stands beside dist/, a change of which lets cargo compile anew.
build_pages() {
    mark=web/node_modules/.built-pages
    if [ -f web/dist/wallet.html ] && [ -f "$mark" ] &&
        [ -z "$(find web -name node_modules -prune -o -name dist -prune -o -name tests -prune -o -type f -newer "$mark" -print)" ]; then
        say "web/dist is as its sources have it"
        return
    fi
    say "web: node build.mjs"
    node web/build.mjs
    touch "$mark"
}

check_tool() {
    path="lib/node_modules/@foundry-rs/$1-$2/bin/$1"
    version=$("$path" --version 2>/dev/null | head -n 1) || version=
    if [ -n "$version" ]; then
        say "$version"
    else
        lacks "$1 for $2 ($path)" "rm -r lib/node_modules && make setup; there is none for platforms other than Linux and macOS"
    fi
}

check_rust
check_node
[ "$missing" = 0 ] || exit 1

install_packages lib
install_packages testbed
install_packages web
build_pages

case "$(uname -s)" in Darwin) system=darwin ;; *) system=linux ;; esac
case "$(uname -m)" in arm64 | aarch64) machine=arm64 ;; *) machine=amd64 ;; esac
check_tool forge "$system-$machine"
check_tool anvil "$system-$machine"
if solc=$(lib/solc --version 2>/dev/null); then
    say "solc ${solc##*Version: }"
else
    lacks "the Solidity compiler (lib/solc)" "rm -r lib/node_modules && make setup"
fi
[ "$missing" = 0 ] || exit 1
say "ready"
