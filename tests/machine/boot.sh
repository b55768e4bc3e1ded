#!/bin/sh
# Runs a program in a small virtual machine that has every cgroup v2 controller: boot.sh [--systemd] PROGRAM ARGUMENT...
#
# The machine is User Mode Linux: a kernel that runs as an ordinary process, needs no rights and no /dev/kvm, and boots in two seconds
# (https://www.kernel.org/doc/html/latest/virt/uml/user_mode_linux_howto_v2.html). Its root is this machine's file system, so that the program is there
# already; it has one CPU that is counted in ticks of 10 ms, no network beside loopback, and no pressure files.
#
# With --systemd the first process is this machine's systemd, and the program runs in a service.
#
# ALDIS_UML       the kernel: `linux.uml` of Debian's package user-mode-linux
# ALDIS_UML_WORK  a folder for what it writes: its console, its disk (128 MiB, sparse)
set -eu

manager=none
if [ "$1" = --systemd ]; then
    manager=systemd
    shift
fi
here=$(cd "$(dirname "$0")" && pwd)
kernel=${ALDIS_UML:-linux.uml}
# Of its own, so that two machines have nothing to do with each other.
mkdir -p "${ALDIS_UML_WORK:?a folder}"
work=$(mktemp -d "$ALDIS_UML_WORK/XXXXXX")
trap 'rm -rf "$work"' EXIT

quote() {
    printf "'%s' " "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}
{
    echo "cd $(quote "$(pwd)")"
    for word; do quote "$word"; done
} > "$work/command"

truncate -s 128M "$work/disk"
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext4 "$work/disk"

# A path that the kernel's command line cannot hold goes through a link that has none of its separators.
short=$(mktemp -u /tmp/uml-XXXXXX)
ln -s "$work" "$short"
trap 'rm -rf "$work" "$short"' EXIT
cp "$here/init.sh" "$work/init"
chmod +x "$work/init"

# It writes its working files below HOME and TMPDIR.
HOME=$work TMPDIR=$work "$kernel" mem=512M rootfstype=hostfs rootflags=/ rw ubd0="$short/disk" uml_dir="$short" \
    init="$short/init" work="$short" manager="$manager" con=null con0=fd:0,fd:1 quiet < /dev/null 2>&1 | tr -d '\r'

if [ ! -f "$work/status" ]; then
    echo "the virtual machine ended before the program did" >&2
    exit 1
fi
exit "$(cat "$work/status")"
