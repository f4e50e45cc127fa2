#!/bin/sh
# forge lint, in folders of its own: it compiles what has changed without byte code and records that as built, so that in
# those of `forge build` the next build would find nothing to do and leave artifacts that cannot be deployed. FORGE names
# the native forge.
set -eu
cd "$(dirname "$0")/../.."
FOUNDRY_OUT=target/forge-lint/out FOUNDRY_CACHE_PATH=target/forge-lint/cache
export FOUNDRY_OUT FOUNDRY_CACHE_PATH
exec "${FORGE:?the native forge}" lint --deny warnings src-sol script
