#!/usr/bin/env bash
# The system test: real processes on loopback, or (--compose) the containers of
# docker-compose.yml. It prints a line for each check and exits with 1 when one
# fails.
set -euo pipefail
cd "$(dirname "$0")"
exec go run ./test/system "$@"
