//! What a process that sends does with itself.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigSet, Signal, raise},
    unistd,
};

use crate::limits::{SENDER_GRACE, TIMEOUT_MAX};

/// Leaves everything behind that is its parent's, and will end in time.
pub(super) fn detach(began: Instant) {
    ignore_terminal();
    leave_terminal();
    close_all_files();
    end_after(began + TIMEOUT_MAX);
}

/// Blocks what a terminal sends to end or to stop its processes, for this thread and those to come. Nothing of it can have come yet: since
/// before its program began this process has led a group that is in no terminal's foreground.
fn ignore_terminal() {
    let signals = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP];
    // Where they cannot be blocked a sender may be ended by them, and an invocation is not counted.
    let _ = SigSet::from_iter(signals).thread_block();
}

/// `setsid`: leaves the terminal and everybody who shares it. Whoever leads a group of processes, as this one does since it was started, may
/// not do that; so it goes through another group of the same terminal first: that of the shell or, where the shell cannot be seen from here
/// or has ended, that of whoever started it. If neither is there any more it keeps its own group, which no terminal's keys and hang-ups reach
/// either.
fn leave_terminal() {
    let own = unistd::Pid::from_raw(0);
    let shell = unistd::getsid(None);
    let starter = unistd::getpgid(Some(unistd::getppid()));
    // A process of another namespace is shown as number 0, which would mean this process.
    let groups = [shell, starter].into_iter().flatten().filter(|group| *group != own);
    for group in groups {
        if unistd::setpgid(own, group).is_ok() && unistd::setsid().is_ok() {
            return;
        }
    }
}

/// Closes what was inherited beyond the standard three: the far end of a pipe waits until all have closed theirs.
fn close_all_files() {
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let Ok(listed) = fs::read_dir(folder) else { return };
    let numbers = listed.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.collect::<Vec<_>>().into_iter().filter(|number| *number > 2) {
        // The one by which they were listed is closed already.
        let _ = unistd::close(number);
    }
}

/// Ends this process at this time and some, whatever it hangs in and whatever it has inherited: an alarm that somebody ignored who started
/// whoever started it would not come.
pub(super) fn end_after(deadline: Instant) {
    let left = move || (deadline + SENDER_GRACE).saturating_duration_since(Instant::now());
    let watch = move || {
        thread::sleep(left());
        end()
    };
    if thread::Builder::new().name("end".to_owned()).spawn(watch).is_err() {
        alarm(left());
    }
}

/// For users who may start no thread.
fn alarm(left: Duration) {
    // None at all would be no alarm.
    unistd::alarm::set(left.as_secs_f64().ceil().max(1.0) as u32);
}

/// Ends this process at once: nothing that the tool has registered for its end has a place here.
pub(super) fn end() -> ! {
    let _ = raise(Signal::SIGKILL);
    std::process::exit(0)
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        os::unix::process::ExitStatusExt,
        process::{Command, Stdio},
    };

    use super::*;

    /// Tells this test, run by itself as a process of its own, to be what hangs.
    const HANGS: &str = "USAGE_TEST_HANGS";

    #[test]
    fn a_process_that_hangs_is_ended_whoever_started_it() {
        if env::var_os(HANGS).is_some() {
            end_after(Instant::now());
            loop {
                thread::park();
            }
        }
        let own = env::current_exe().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' ALRM; exec \"$@\"", "sh"]).arg(own);
        shell.arg("a_process_that_hangs_is_ended_whoever_started_it").env(HANGS, "1");
        let mut hangs = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        let ended = loop {
            match hangs.try_wait().unwrap() {
                Some(ended) => break ended,
                None if begin.elapsed() > Duration::from_secs(30) => break killed(hangs),
                None => thread::sleep(Duration::from_millis(10)),
            }
        };
        assert_eq!(ended.signal(), Some(Signal::SIGKILL as i32));
        assert!(begin.elapsed() < Duration::from_secs(30), "it had to be ended");
    }

    fn killed(mut hangs: std::process::Child) -> std::process::ExitStatus {
        hangs.kill().unwrap();
        hangs.wait().unwrap()
    }
}
