#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the Flatpak of a manifest, installs it for this user and publishes it in a folder:
#
#   flatpak/build.sh stand-in RUNTIME OUT [MANIFEST]   with the Debian folder RUNTIME in place of GNOME's runtime
#   flatpak/build.sh flathub OUT [MANIFEST]            with GNOME's runtime: the one that is installed, or the remote
#                                                      "flathub"'s
#
# ./run flatpak calls it where the platform is. OUT gets repo/ (the repository to publish), NAME.flatpak (all in one
# file) and NAME.flatpakref (what a person opens to install from the repository; PORTHOLE_FLATPAK_URL says where that
# will be).
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
kind=$1
shift
runtime=
if [ "$kind" = stand-in ]; then
  runtime=$1
  shift
fi
out=$1
manifest=${2:-$top/flatpak/org.porthole.Porthole.json}

field () { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$manifest" "$1"; }
name=$(field id)
branch=$(field runtime-version)

# Both halves of the runtime are one Debian: what is missing in it must come from the manifest's modules. Kept
# beside RUNTIME for the next time.
stand_in () {
  local repo=$runtime.repo tree kind
  if [ ! -d "$repo" ]; then
    tree=$(mktemp -d -p "$out")
    mkdir -p "$tree/files"
    cp -a "$runtime/usr" "$tree/usr"
    cp -a "$runtime/etc" "$tree/usr/etc"
    ostree init --repo="$tree.repo" --mode=bare-user-only
    for kind in Sdk Platform; do
      printf '[Runtime]\nname=org.gnome.%s\nruntime=org.gnome.Platform/%s/%s\nsdk=org.gnome.Sdk/%s/%s\n' \
        "$kind" "$(flatpak --default-arch)" "$branch" "$(flatpak --default-arch)" "$branch" >"$tree/metadata"
      flatpak build-export --runtime "$tree.repo" "$tree" "$branch" >/dev/null
    done
    rm -rf "$tree"
    mv -T "$tree.repo" "$repo" 2>/dev/null || rm -rf "$tree.repo"
  fi
  flatpak --user remote-add --if-not-exists --no-gpg-verify porthole-stand-in "$repo"
  flatpak --user remote-modify --url="file://$repo" porthole-stand-in
  flatpak --user install -y --noninteractive --or-update porthole-stand-in "org.gnome.Sdk//$branch" "org.gnome.Platform//$branch"
}

# Upstream's archives by their checksum, where flatpak-builder looks before it downloads.
local_sources () {
  local module archive digest url
  for module in "$top"/flatpak/modules/*.json; do
    digest=$(sed -n 's/.*"sha256": "\([0-9a-f]*\)".*/\1/p' "$module")
    url=$(sed -n 's/.*"url": "\([^"]*\)".*/\1/p' "$module")
    for archive in "$runtime"/sources/*.orig.tar.*; do
      if [ "$(sha256sum <"$archive" | cut -d ' ' -f 1)" = "$digest" ]; then
        mkdir -p "$out/sources/downloads/$digest"
        cp "$archive" "$out/sources/downloads/$digest/${url##*/}"
      fi
    done
  done
}

mkdir -p "$out"
options=()
if [ "$kind" = stand-in ]; then
  echo "The runtime is a stand-in: Debian 13's libraries (GNOME 48) under the name of org.gnome.Platform//$branch."
  stand_in
  local_sources
  options=(--extra-sources="$out/sources")
elif ! flatpak info "org.gnome.Sdk//$branch" >/dev/null 2>&1 || ! flatpak info "org.gnome.Platform//$branch" >/dev/null 2>&1; then
  options=(--install-deps-from=flathub)
fi

# Old file systems of the cache are kept, so that only what changed is built again.
flatpak-builder --user --install --force-clean --disable-rofiles-fuse --disable-updates --repo="$out/repo" --state-dir="$out/state" \
  "${options[@]}" "$out/build" "$manifest"

flatpak build-update-repo --title=Porthole "$out/repo"
flatpak build-bundle "$out/repo" "$out/$name.flatpak" "$name"
cat >"$out/$name.flatpakref" <<REF
[Flatpak Ref]
Name=$name
Branch=master
Title=Porthole
IsRuntime=false
Url=${PORTHOLE_FLATPAK_URL:-file://$out/repo}
RuntimeRepo=https://dl.flathub.org/repo/flathub.flatpakrepo
REF
echo "Installed. To publish: $out/repo; to hand over: $out/$name.flatpak"
