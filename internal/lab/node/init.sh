# The first process of a node, in namespaces of its own. $1 is the node's name, $2 the lab's folder, $3 that of the executables.
# It mounts the node's own folders over the host's and then holds the namespaces open until it is killed.
node=$1 lab=$2 programs=$3

# Mounts neither go from here to the host nor come from there; among the node's processes they spread as on any node.
mount --make-rprivate /
mount --make-rshared /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/slipway/lab /run/slipway/bin
mount --bind "$lab" /run/slipway/lab
mount --bind "$programs" /run/slipway/bin
own=/run/slipway/lab/nodes/$node

# The host's DNS configuration may name a server on the host's loopback, and may be a link into the /run that is hidden now.
dns=$(readlink -m /etc/resolv.conf)
case $dns in
/run/*) mkdir -p "${dns%/*}" && : >"$dns" ;;
esac
mount --bind "$own/resolv.conf" "$dns"

# The kubelet sets these for the whole machine, and one of them has it reboot on a kernel's oops. It finds what it wants here.
for setting in "$own"/sysctl/*; do
	real=/proc/sys/$(basename "$setting" | tr . /)
	[ ! -e "$real" ] || mount --bind "$setting" "$real"
done

# Last, as the lab's folder may be below one of them.
mount --bind "$own/lib" /var/lib
mount --bind "$own/log" /var/log

echo "$node" >/proc/sys/kernel/hostname
echo 1 >/proc/sys/net/ipv4/ip_forward

# Nobody ever writes into the pipe. Reading returns when an orphan ends: the shell reaps it and goes on.
mkfifo /run/slipway/up
while :; do
	read -r _ <>/run/slipway/up || :
done
