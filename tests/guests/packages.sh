# Debian packages out of a cache or the archive; sourced by the scripts that make guests of them. They set:
#   here   the folder with packages.manifest        cache   where downloads stay
#   work   (unpack) a folder of their own; the contents go to $work/unpacked
say() { printf 'guests: %s\n' "$*" >&2; }
skip() { say "skip: $*"; exit 77; }
column() { awk -v role="$1" -v n="$2" '$1 == role { print $n; exit }' "$here/packages.manifest"; }

download() { # download PACKAGE: the path of its .deb, from the cache or the archive
  local package=$1 found
  found=$(find "$cache/debs" -maxdepth 1 -name "${package}_*.deb" | sort | tail -n 1)
  if [ -z "$found" ]; then
    command -v apt-get >/dev/null || return 1
    apt-cache show "$package" >/dev/null 2>&1 || apt-get update -qq >/dev/null 2>&1 || true
    rm -rf "$cache/debs/partial" && mkdir "$cache/debs/partial"
    (cd "$cache/debs/partial" && apt-get download -qq "$package" >/dev/null 2>&1) || return 1
    mv "$cache/debs/partial"/*.deb "$cache/debs/"
    found=$(find "$cache/debs" -maxdepth 1 -name "${package}_*.deb" | sort | tail -n 1)
  fi
  [ -n "$found" ] && printf '%s\n' "$found"
}

unpack() { # unpack ROLE DEB: into $work/unpacked, noting the version
  dpkg-deb -f "$2" Version >"$work/$1.version"
  dpkg-deb -x "$2" "$work/unpacked"
  local want
  want=$(column "$1" 3)
  [ "$(cat "$work/$1.version")" = "$want" ] ||
    say "$(column "$1" 2) is $(cat "$work/$1.version") here; the tests were written against $want"
}
