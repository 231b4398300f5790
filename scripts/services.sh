#!/usr/bin/env bash
# Makes sure that what the tests and the bench run against is on this machine: PostgreSQL, Redis,
# nginx, curl, Chromium, Node with npm, and the test clients from npm. Installs what is missing when it may,
# says exactly what to install when it may not, and starts nothing: tests/services.py does that.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NODE_MAJOR=18
readonly POLICY=/usr/sbin/policy-rc.d
missing=()  # for people
packages=() # for apt-get
as_root=()  # what to put before a command that only root may run

have() { command -v "$1" >/dev/null 2>&1; }

have_postgres() {
  local folder
  for folder in /usr/lib/postgresql/*/bin; do
    [[ -x $folder/initdb && -x $folder/postgres ]] && return 0
  done
  have initdb && have postgres
}

have_chromium() { have chromium || have chromium-browser || have google-chrome; }

have_node() {
  local version
  have node && version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  version=${version%%.*}
  [[ $version =~ ^[0-9]+$ ]] && ((version >= NODE_MAJOR))
}

need() { # need <name for people> <Debian package> ...
  missing+=("$1")
  shift
  packages+=("$@")
}

look() {
  missing=() packages=()
  have_postgres || need "PostgreSQL server (initdb, postgres)" postgresql
  have redis-server || need "Redis (redis-server)" redis-server
  have nginx || [[ -x /usr/sbin/nginx ]] || need "nginx" nginx
  have curl || need "curl" curl
  have_chromium || need "Chromium (chromium, chromium-browser or google-chrome)" chromium
  if ! have_node; then
    need "Node $NODE_MAJOR or newer with npm (node, npm)" nodejs npm
  elif ! have npm; then
    need "npm" npm
  fi
}

may_install() {
  have apt-get || return 1
  ((EUID == 0)) && return 0
  have sudo && sudo -n true 2>/dev/null || return 1
  as_root=(sudo -n)
}

refuse() { # refuse <why>
  {
    echo "the tests need what is not on this machine:"
    printf '  - %s\n' "${missing[@]}"
    echo "$1. On Debian and Ubuntu:"
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends -y ${packages[*]}"
    echo "then run this again."
  } >&2
  exit 1
}

# A package that brings a daemon starts it. The tests run their own, so nothing new may stay running.
# An existing policy is the machine's own and is left alone; RUNLEVEL covers plain init scripts.
forbid_daemons() {
  # noclobber: of two runs at once, the one that made the file removes it.
  # shellcheck disable=SC2016  # $1 is for the inner shell
  "${as_root[@]}" sh -c 'set -C; printf "#!/bin/sh\n# %s\nexit 101\n" "$2" >"$1" && chmod 755 "$1"' \
    sh "$POLICY" "left by an interrupted scripts/services.sh of idp; safe to remove" 2>/dev/null ||
    return 0
  trap '"${as_root[@]}" rm -f "$POLICY"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

allow_daemons() {
  [[ -z $(trap -p EXIT) ]] && return 0
  "${as_root[@]}" rm -f "$POLICY"
  trap - EXIT INT TERM HUP
}

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get -q -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

install_packages() {
  echo "installing for the tests: ${packages[*]} (some minutes; apt-get reports below) ..."
  forbid_daemons
  # One broken third-party source must not stop the packages that the others have.
  apt update || echo "apt-get update failed; trying with the package lists at hand ..." >&2
  apt install --no-install-recommends -y "${packages[@]}" || refuse "apt-get could not install them"
  allow_daemons
  hash -r
}

install_clients() {
  local lock=tests/interop/package-lock.json
  local installed=tests/interop/node_modules/.package-lock.json # npm writes it last
  [[ -e $lock ]] || return 0
  [[ -e $installed && ! $installed -ot $lock ]] && return 0
  echo "installing test clients from npm ..."
  (cd tests/interop && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error </dev/null) || {
    echo "npm ci failed in tests/interop: is the npm registry reachable from here?" >&2
    exit 1
  }
}

look
if ((${#missing[@]})); then
  may_install || refuse "They cannot be installed from here (no apt-get, or no right to use it)"
  install_packages
  look
  ((${#missing[@]} == 0)) || refuse "apt-get installed its packages, yet these are not usable"
fi
install_clients
