#!/bin/sh
# The first process of the virtual machine: mounts what a machine has, runs the command that `boot.sh` left, and switches off.
# The variables come from the kernel's command line: `work` is the folder of this machine, `manager` is `systemd` if that is to be the first process.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir /run/disk /run/scratch /run/work
# A block device, for I/O that the kernel counts.
mount -t ext4 /dev/ubda /run/disk
# The root is the file system of the machine outside: here nothing but the folder for the result can be written.
mount -t hostfs none /run/work -o "$work"
mount -o remount,ro /
ip link set lo up 2> /dev/null

cat > /run/run-command << 'END'
#!/bin/sh
export ALDIS_DISK=/run/disk TMPDIR=/run/scratch HOME=/run/scratch
sh /run/work/command
echo $? > /run/work/status
sync
END

if [ "$manager" != systemd ]; then
    sh /run/run-command
    echo o > /proc/sysrq-trigger
    # Switching off takes a moment, and the first process must not end.
    sleep 3600
fi

mkdir -p /run/systemd/system
cat > /run/systemd/system/command.service << 'END'
[Unit]
DefaultDependencies=no
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
ExecStart=/bin/sh /run/run-command
END
exec /lib/systemd/systemd --unit=command.service --show-status=false --log-level=err --log-target=console
