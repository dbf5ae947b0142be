#!/bin/bash
# Runs tests of this crate in an emulated machine with AVX-512 (Bochs), for machines that have none. Equality of bits can
# be seen there, time cannot. A run takes about two minutes on an idle core.
#
#   collectives/tests/avx512.sh VMLINUZ [FILTER ...]        filters as for `cargo test`; `kernels` if none is given
#
# VMLINUZ is a Linux image with a serial console and an initial RAM disk built in, such as that in Debian's package
# linux-image-cloud-amd64, which need not be installed: `apt-get download`, `dpkg -x`. Packages: bochs bochs-term
# bochsbios vgabios isolinux syslinux-common genisoimage busybox-static cpio.
set -euo pipefail
vmlinuz=$(realpath "$1") && shift
cd "$(dirname "$0")/../.."
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT

# The machine's only program is the test binary, with its libraries.
cargo test --release -p ternflock-collectives --test collectives --no-run
binary=$(find target/release/deps -name 'collectives-*' ! -name '*.d' -printf '%T@ %p\n' | sort -rn | head -n 1 | cut -d' ' -f2-)
root=$work/root
mkdir -p "$root"/{bin,proc,tmp} "$work/cd/isolinux"
strip -o "$root/bin/tests" "$binary"
ldd "$binary" | grep -o '/[^ ]*' | xargs cp --parents -L -t "$root"
cp /bin/busybox "$root/bin" && ln -s busybox "$root/bin/sh"
cat > "$root/init" <<END
#!/bin/sh
busybox mount -t proc proc /proc
busybox grep -m 1 -o avx512bw /proc/cpuinfo
cd /tmp
tests --test-threads=1 ${*:-kernels}
echo "tests ended with \$?"
busybox sleep 3
busybox poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio --create --format=newc --quiet) > "$work/cd/initrd"

# Linux finds that Bochs's compacted XSAVE areas have the wrong size and would turn AVX off, so it is kept from them.
cp "$vmlinuz" "$work/cd/vmlinuz"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/cd/isolinux"
cat > "$work/cd/isolinux/isolinux.cfg" <<END
DEFAULT linux
LABEL linux
KERNEL /vmlinuz
INITRD /initrd
APPEND console=ttyS0 quiet mitigations=off tsc=reliable clearcpuid=xsaves,xsavec
END
genisoimage -quiet -o "$work/cd.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table "$work/cd"

cat > "$work/bochsrc" <<END
cpu: model=corei7_skylake_x, ips=200000000
memory: guest=512, host=512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
clock: sync=none
display_library: term
END
echo continue > "$work/continue"
# The screen wants a terminal; what matters goes over the serial line. Bochs ends with an error when it is powered off.
TERM=xterm timeout 1h script -qec "bochs -q -rc $work/continue -f $work/bochsrc" /dev/null < /dev/null > "$work/screen" 2>&1 || true
cat "$work/serial"
grep -q avx512bw "$work/serial" && grep -q "tests ended with 0" "$work/serial"
