//! A network for one thread, with a wire that nobody answers on. The benchmark has it too.

use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};

/// An address behind a wire whose far end takes everything and says nothing.
pub(crate) const SILENT: &str = "10.255.0.2";

/// Makes the calling thread, and what it starts, see a network and files of their own; `Err` says why that cannot be.
pub(crate) fn own_network() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("no network of its own: {error}"))?;
    let neighbour = format!("ip neigh add {SILENT} lladdr 02:00:00:00:00:02 dev v0 nud permanent");
    for line in [
        "mount --make-rprivate /",
        "ip link set lo up",
        "ip link add v0 type veth peer name v1",
        "ip addr add 10.255.0.1/24 dev v0",
        "ip link set v0 up",
        "ip link set v1 up",
        neighbour.as_str(),
    ] {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        let done = command.args(words).stdout(Stdio::null()).output();
        if !done.as_ref().is_ok_and(|output| output.status.success()) {
            return Err(format!("`{line}`: {done:?}"));
        }
    }
    Ok(())
}
