#!/usr/bin/env bash
# tools/find.sh browser|node prints the path of a program that the tests need.
# On Debian as root, where there is none, installs Debian's own. Fails elsewhere.
set -euo pipefail

case "${1:-}" in
browser)
  names=("${CHROME:-}" chromium chromium-browser google-chrome google-chrome-stable chrome
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    "/Applications/Chromium.app/Contents/MacOS/Chromium")
  packages=(chromium fonts-noto-cjk)
  ;;
node)
  names=(node nodejs)
  packages=(nodejs)
  ;;
*)
  echo "usage: tools/find.sh browser|node" >&2
  exit 2
  ;;
esac

find_one() {
  local name
  for name in "${names[@]}"; do
    [ -n "$name" ] && command -v "$name" && return 0
  done
  return 1
}

debian_root() {
  [ "$(id -u)" = 0 ] && grep -qsx 'ID=debian' /etc/os-release && command -v apt-get >/dev/null
}

find_one && exit 0
if debian_root; then
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}"; } >&2
  find_one && exit 0
fi
exit 1
