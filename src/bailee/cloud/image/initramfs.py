"""The initial file system: a shell, the modules that the disks need, and one script. Pure.

Debian's cloud kernel has virtio over memory-mapped registers, its disks, squashfs and overlay as
modules. The script loads them, finds the disks by their serial (their order is not reliable), lays
the layers over each other with the scratch disk on top, and starts the agent as process 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

MODULES: Final = ("virtio_mmio", "virtio_blk", "virtio_console", "squashfs", "overlay")

INIT: Final = r"""#!/bin/busybox sh
bb=/bin/busybox
die() { $bb echo "bailee: $1"; $bb sleep 1; exit 1; }
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
for module in $($bb cat /modules/order); do
  $bb insmod /modules/$module || die "no module $module"
done
disk() {
  tries=0
  while [ $tries -lt 100 ]; do
    for d in /sys/block/vd*; do
      [ -e $d/serial ] && [ "$($bb cat $d/serial)" = "$1" ] && { $bb echo /dev/${d##*/}; return; }
    done
    [ "$2" = last ] && return
    tries=$((tries + 1)); $bb sleep 0.05
  done
}
layers() {
  found=
  n=0
  while d=$(disk $1$n last); [ -n "$d" ]; do
    $bb mkdir -p /layer/$1$n
    $bb mount -t squashfs -o ro $d /layer/$1$n || die "$1$n"
    found=/layer/$1$n${found:+:$found}
    n=$((n + 1))
  done
}
[ -n "$(disk layer0)" ] || die "no root disk"
layers layer
lower=$found
layers tool
tools=${found:-$lower}
foreign=$found
$bb mkdir -p /tools /empty /scratch /root
$bb mount -t overlay -o ro,lowerdir=$tools:/empty overlay /tools || die "tools"
scratch=$(disk scratch)
[ -n "$scratch" ] || die "no scratch disk"
$bb mount --bind /dev /tools/dev
$bb chroot /tools /sbin/mke2fs -q -F -t ext4 -m 0 -O ^has_journal,^resize_inode \
  -E lazy_itable_init=1,nodiscard $scratch || die "mke2fs"
$bb umount /tools/dev
[ -n "$foreign" ] || $bb umount /tools
$bb mount -t ext4 -o noatime,discard $scratch /scratch || die "scratch"
$bb mkdir /scratch/upper /scratch/work
$bb chmod 755 /scratch/upper
$bb mount -t overlay -o noatime,lowerdir=$lower,upperdir=/scratch/upper,workdir=/scratch/work \
  overlay /root || die "overlay"
for fs in dev proc sys; do $bb mkdir -p /root/$fs; $bb mount --move /$fs /root/$fs; done
cd /root
$bb mkdir -p dev/pts dev/shm run tmp var/tmp etc workspace home/session usr/local/bin
$bb mount -t devpts -o gid=5,mode=620 devpts dev/pts
$bb mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
$bb mount -t tmpfs -o mode=755,nosuid,nodev run run
$bb mount -t cgroup2 cgroup sys/fs/cgroup
$bb chmod 1777 tmp var/tmp
$bb chown 1000:1000 workspace home/session
$bb ip link set lo up
$bb echo bailee > proc/sys/kernel/hostname
$bb echo 127.0.0.1 localhost bailee > etc/hosts
$bb umount -l /scratch
if [ -n "$foreign" ]; then
  lib=/.bailee/usr/lib/x86_64-linux-gnu
  python="$lib/ld-linux-x86-64.so.2 --library-path $lib /.bailee/usr/bin/python3.11 -I -B"
  $bb mkdir .bailee
  $bb mount --move /tools .bailee
  $bb grep -q '^[^:]*:[^:]*:1000:' etc/passwd ||
    $bb grep '^session:' .bailee/etc/passwd >> etc/passwd
  $bb cat > usr/local/bin/bailee <<EOF
#!/bin/sh
exec $python -c 'import sys
sys.argv[0] = "bailee"
sys.path.insert(0, "/.bailee/opt/bailee/lib/python3.11/site-packages")
from bailee.__main__ import main
sys.exit(main())' "\$@"
EOF
  $bb chmod 755 usr/local/bin/bailee
  exec $bb switch_root /root $python /.bailee/opt/bailee-guest/bailee/cloud/guest/start.py
fi
exec $bb switch_root /root /usr/bin/env -i PATH=/usr/sbin:/usr/bin \
  /usr/bin/python3 -I -B /opt/bailee-guest/bailee/cloud/guest/start.py
"""


def needed(modules: Mapping[str, bytes], wanted: Iterable[str] = MODULES) -> list[str]:
    """The modules to load, in an order in which each finds what it depends on.

    `modules` has the bytes of each `.ko` by its name; one that is not in it is built in.
    """
    order: list[str] = []

    def add(name: str) -> None:
        if name in order or name not in modules:
            return
        match = re.search(rb"\0depends=([^\0]*)\0", modules[name])
        for other in (match.group(1).decode() if match else "").split(","):
            add(other.replace("-", "_"))
        order.append(name)

    for name in wanted:
        add(name)
    return order


def initramfs(busybox: bytes, modules: Mapping[str, bytes], init: str = INIT) -> bytes:
    """The archive the kernel unpacks. The same input gives the same bytes."""
    order = needed(modules)
    files: dict[str, tuple[int, bytes]] = {
        **dict.fromkeys(("bin", "dev", "modules", "proc", "sys", "layer"), (0o40755, b"")),
        "bin/busybox": (0o100755, busybox),
        "init": (0o100755, init.encode()),
        "modules/order": (0o100644, "\n".join(f"{name}.ko" for name in order).encode()),
        **{f"modules/{name}.ko": (0o100644, modules[name]) for name in order},
    }
    return cpio(files)


def cpio(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """An archive in the `newc` format of (mode, content) by name; owner root, no times."""
    out = bytearray()
    for number, name in enumerate(sorted(files), 1):
        mode, content = files[name]
        _entry(out, number, name, mode, content)
    _entry(out, 0, "TRAILER!!!", 0, b"")
    return bytes(out)


def _entry(out: bytearray, number: int, name: str, mode: int, content: bytes) -> None:
    encoded = name.encode() + b"\0"
    links = 2 if mode & 0o40000 else 1
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    out += b"070701" + b"".join(b"%08X" % value for value in fields) + encoded
    out += bytes(-len(out) % 4) + content
    out += bytes(-len(out) % 4)
