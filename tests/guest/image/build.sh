#!/bin/sh
# Builds the guest's root file system, kernel and initrd into $1. Needs root (mmdebstrap, file owners), but
# neither a mount nor a loop device. Everything comes from the apt sources of the machine it runs on.
set -eu

out=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
chmod 755 "$work"

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
packages=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages" | tr -d ' \t' | paste -sd,)

echo "root file system: $packages"
mmdebstrap --quiet --variant=minbase --format=tar --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$suite" "$work/root.tar"
mkdir "$work/root"
tar -C "$work/root" -xf "$work/root.tar"
rm "$work/root.tar"

echo "kernel"
meta=linux-image-cloud-$(dpkg --print-architecture)
kernel=$(apt-cache depends "$meta" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$kernel" ] || { echo "no kernel package behind $meta: run apt-get update" >&2; exit 1; }
(cd "$work" && apt-get -q download "$kernel")
mkdir "$work/kernel"
dpkg-deb -x "$work/$kernel"_*.deb "$work/kernel"
release=$(ls "$work/kernel/lib/modules")
modules=$work/kernel/lib/modules/$release
# The guest needs file systems, virtio, network and TPM; the rest only makes the image large.
find "$modules/kernel" -mindepth 1 -maxdepth 1 ! -name fs ! -name drivers ! -name net ! -name lib ! -name crypto \
    ! -name arch -exec rm -rf {} +
find "$modules/kernel/drivers" -mindepth 1 -maxdepth 1 ! -name block ! -name char ! -name net ! -name virtio \
    -exec rm -rf {} +
depmod -b "$work/kernel" "$release"
mkdir -p "$work/root/usr/lib/modules"
cp -a "$modules" "$work/root/usr/lib/modules/"
cp "$work/kernel/boot/vmlinuz-$release" "$out/vmlinuz"

echo "initrd"
initrd=$work/initrd
mkdir -p "$initrd/bin" "$initrd/modules" "$initrd/dev" "$initrd/proc" "$initrd/root"
cp /bin/busybox "$initrd/bin/busybox"
cp "$here/init" "$initrd/init"
chmod 755 "$initrd/init"
# insmod order: each module after what it depends on, each once.
for module in virtio_pci virtio_blk virtio_net virtio_console virtio_rng overlay; do
    modprobe -d "$work/kernel" -S "$release" --show-depends "$module" 2>/dev/null || true
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' > "$work/order"
number=100
while read -r path; do
    cp "$path" "$initrd/modules/$number-$(basename "$path")"
    number=$((number + 1))
done < "$work/order"
(cd "$initrd" && find . | cpio --quiet -o -H newc | gzip -1) > "$out/initrd.img"

echo "settings"
root=$work/root
echo guest > "$root/etc/hostname"
printf '127.0.0.1 localhost guest\n::1 localhost\n' > "$root/etc/hosts"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
printf '/dev/vda / ext4 rw,noatime 0 0\n' > "$root/etc/fstab"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=persistent\nForwardToConsole=no\nRateLimitIntervalSec=0\n' \
    > "$root/etc/systemd/journald.conf.d/guest.conf"
mkdir -p "$root/var/log/journal"
cp "$here/guest-tests.service" "$root/etc/systemd/system/"
cp "$here/run-tests" "$root/usr/local/sbin/run-tests"
chmod 755 "$root/usr/local/sbin/run-tests"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../guest-tests.service "$root/etc/systemd/system/multi-user.target.wants/"
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
# A test boot needs none of these, and each costs seconds under emulation.
for unit in systemd-timesyncd.service systemd-hwdb-update.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-random-seed.service systemd-firstboot.service \
    systemd-sysusers.service ldconfig.service getty.target getty@tty1.service serial-getty@ttyS0.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    e2scrub_reap.service man-db.timer logrotate.timer systemd-networkd.service systemd-resolved.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount \
    systemd-network-generator.service systemd-boot-system-token.service systemd-pstore.service \
    modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service \
    modprobe@dm_mod.service modprobe@loop.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

echo "image"
mke2fs -q -t ext4 -O ^resize_inode -E lazy_itable_init=0 -d "$root" "$out/root.ext4" 1536M
echo "$release" > "$out/release"
