#!/usr/bin/env bash
# Makes the Debian package out of what `make build` made:  deb.sh PROGRAM FOLDER
#
# PROGRAM is the daemon with its folder `flows` beside it; the package goes into FOLDER, and its path to standard output.
# DEB_VERSION is the version in place of the program's own; DEB_COMPRESSION one of dpkg-deb's (xz). Needs no root. Two
# runs on the same input make the same bytes (SOURCE_DATE_EPOCH, else the time of the last commit).
set -euo pipefail

program=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for tool in dpkg-deb dpkg-shlibdeps strip; do
    command -v "$tool" >/dev/null || { echo "deb.sh: $tool is missing: apt-get install dpkg-dev binutils" >&2; exit 1; }
done

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
version=${DEB_VERSION:-$("$program" --version | cut -d' ' -f2)-1}
architecture=$(dpkg --print-architecture)
day=$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)
tree=$work/tokenhost
# Of dpkg-deb: how, and how hard.
read -ra compression <<<"-Z${DEB_COMPRESSION:-xz}"
umask 022

# put MODE SOURCE TARGET; `-`: standard input.
put() {
    mkdir -p "$(dirname "$tree/$3")"
    if [[ $2 == - ]]; then cat >"$tree/$3"; else cp "$2" "$tree/$3"; fi
    chmod "$1" "$tree/$3"
}
squeeze() { gzip -9n; }

# --- the program. Its symbols for backtraces stay out, as of all of Debian's programs ---------------------------------
put 755 "$program" usr/lib/tokenhost/tokenhost
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$tree/usr/lib/tokenhost/tokenhost"
# The flows are looked for beside the program, wherever a link to it stands.
mkdir -p "$tree/usr/bin"
ln -s ../lib/tokenhost/tokenhost "$tree/usr/bin/tokenhost"
for flow in "$(dirname "$program")"/flows/*.wasm; do
    put 644 "$flow" "usr/lib/tokenhost/flows/$(basename "$flow")"
done

# --- the service -----------------------------------------------------------------------------------------------------
put 644 "$here/tokenhost.service" lib/systemd/system/tokenhost.service
put 644 "$here/tokenhost-agent.service" lib/systemd/system/tokenhost-agent.service
put 644 "$here/sysusers.conf" usr/lib/sysusers.d/tokenhost.conf
put 644 "$here/tmpfiles.conf" usr/lib/tmpfiles.d/tokenhost.conf
put 640 "$here/tokenhost.toml" etc/tokenhost/tokenhost.toml

# --- what its command line says of itself ----------------------------------------------------------------------------
"$program" man --out "$work/man" --date "$day" 2>/dev/null
for page in "$work"/man/*; do
    squeeze <"$page" | put 644 - "usr/share/man/man1/$(basename "$page").gz"
done
"$program" completion bash | put 644 - usr/share/bash-completion/completions/tokenhost
"$program" completion zsh | put 644 - usr/share/zsh/vendor-completions/_tokenhost
"$program" completion fish | put 644 - usr/share/fish/vendor_completions.d/tokenhost.fish

# --- documentation ---------------------------------------------------------------------------------------------------
doc=usr/share/doc/tokenhost
put 644 "$here/debian/copyright" $doc/copyright
squeeze <"$root/CHANGELOG.md" | put 644 - $doc/changelog.gz
printf 'tokenhost (%s) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' "$here/debian/control.in")" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" |
    squeeze | put 644 - $doc/changelog.Debian.gz
cargo tree --manifest-path "$root/Cargo.toml" --locked --offline -p tokenhost -e normal --prefix none -f '{p} {l}' |
    sed 's/ ([^)]*)//; s/ (\*)$//' | sort -u | squeeze | put 644 - $doc/crates.txt.gz
for guide in "$root"/README.md "$root"/docs/*.md; do
    put 644 "$guide" "$doc/$(basename "$guide")"
done
# What the guides show.
for image in "$root"/docs/images/*; do
    put 644 "$image" "$doc/images/$(basename "$image")"
done
put 644 "$here/credential.conf" $doc/examples/credential.conf
mkdir -p "$tree/usr/share/lintian/overrides"
put 644 "$here/debian/lintian-overrides" usr/share/lintian/overrides/tokenhost

# --- control ---------------------------------------------------------------------------------------------------------
# dpkg-shlibdeps looks for a source package; an empty one will do.
mkdir -p "$work/debian" "$tree/DEBIAN"
printf 'Source: tokenhost\n\nPackage: tokenhost\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info "$tree/usr/lib/tokenhost/tokenhost" 2>/dev/null |
    sed -n 's/^shlibs:Depends=//p')
size=$(du -sk --apparent-size "$tree" | cut -f1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" -e "s/@SHLIBS@/$libraries/" \
    "$here/debian/control.in" | put 644 - DEBIAN/control
echo /etc/tokenhost/tokenhost.toml | put 644 - DEBIAN/conffiles
for script in postinst prerm postrm; do put 755 "$here/debian/$script" DEBIAN/$script; done
(cd "$tree" && find . -type f ! -path './DEBIAN/*' ! -path ./etc/tokenhost/tokenhost.toml -printf '%P\0' | sort -z | xargs -0 md5sum) |
    put 644 - DEBIAN/md5sums

find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=$out/tokenhost_${version}_$architecture.deb
dpkg-deb --root-owner-group "${compression[@]}" --build "$tree" "$package" >/dev/null
echo "$package"
