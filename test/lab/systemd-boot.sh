# systemd-boot.sh TREE WORK CGROUP NODE LAB: boots a tree with systemd as first process of namespaces of its own.
# The tree stays as it is: what is written lands in WORK/upper, and is there again at the next boot.
set -eu
tree=$1 work=$2 cgroup=$3 node=$4 lab=$5

if [ "${6:-}" != inside ]; then
  # A cgroup namespace begins where its first process is: below it systemd is alone.
  top=/sys/fs/cgroup
  [ ! -d $top/unified ] || top=$top/unified
  mkdir -p "$top$cgroup"
  echo $$ >"$top$cgroup/cgroup.procs"
  exec unshare --pid --fork --kill-child --mount --uts --ipc --cgroup sh "$0" "$@" inside
fi

root=$work/root
mkdir -p "$root" "$work/upper" "$work/work"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for place in run tmp dev; do mount -t tmpfs -o mode=0755 tmpfs $place; done
chmod 1777 tmp
for device in null zero full random urandom tty; do
  : >dev/$device
  mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mkdir -p run/engine var/lib/docker
mount --bind "$lab" run/engine
# Without Node the engine is the host's own, and its socket too.
if [ "$node" != none ]; then
  : >usr/bin/node
  mount --bind "$node" usr/bin/node
  ln -s engine/docker.sock run/docker.sock
fi
# Not on the overlay, which the engine's own overlays cannot lie on.
if [ -d "$lab/data" ]; then mount --bind "$lab/data" var/lib/docker; fi
mkdir -p .outside
pivot_root . .outside
cd /
umount -l /.outside
exec env -i container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd </dev/null
