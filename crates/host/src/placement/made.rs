//! A process that the kernel makes in its cgroup: `clone3` with `CLONE_INTO_CGROUP` (Linux 5.7).
//!
//! This is code between a clone and `execve`, in a copy of a process whose other threads are gone while their locks are held: until it
//! executes, the child calls the system alone. Whatever it needs is put together before.
//!
//! What that gains over an entry that moves itself is one start of this program and one wait for the kernel: moving a process takes a lock that
//! every fork of the machine shares, and so a pause in all of them. `cargo bench -p aldis-host -- starts`: /bin/true takes 0.66 ms (median) with
//! this, 1.29 ms with the entry of a small program, 0.54 ms alone; the start of `aldis` as an entry takes a millisecond more.
#![expect(unsafe_code, reason = "no safe call makes a process in a cgroup")]

use std::{
    ffi::{CString, OsStr, c_char, c_int, c_long},
    io::{self, PipeReader, Read},
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
};

use rustix::{
    io::Errno,
    process::{Pid, WaitOptions, waitpid},
};

/// Handlers of signals are gone in the child from its first moment: it must not do what this process would. Linux 5.5.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
/// The child begins in a cgroup. Linux 5.7.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What interprets a script that does not say what does (POSIX.1-2017, `execvp`).
const SHELL: &str = "/bin/sh";

/// Where programs are looked for if nobody says where.
const PATH: &str = "/bin:/usr/bin";

/// Why nothing runs.
pub(super) enum Unmade {
    /// This kernel, or a filter of system calls, has no such call: another way may be found.
    Unsupported,
    /// Nothing may be placed in this cgroup.
    Unplaced(io::Error),
    /// There is no such program, or it cannot be executed, or there is no room for a process.
    Unexecuted(io::Error),
}

/// Everything that `execve` takes, and what points to it. Texts do not move when the list of them does.
struct Image {
    programs: Vec<CString>,
    _words: Vec<CString>,
    _variables: Vec<CString>,
    argv: Vec<*const c_char>,
    /// For a script without an interpreter: its second word is the script.
    shell_argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    shell: CString,
}

impl Image {
    fn of(words: &[&OsStr], variables: &[(&OsStr, &OsStr)]) -> io::Result<Self> {
        let text =
            |bytes: &[u8]| CString::new(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let program = words.first().copied().unwrap_or_default();
        let path =
            variables.iter().find(|(name, _)| *name == "PATH").map_or(OsStr::new(PATH), |(_, path)| path);
        let programs =
            candidates(program, path).iter().map(|path| text(path)).collect::<io::Result<Vec<_>>>()?;
        let words = words.iter().map(|word| text(word.as_bytes())).collect::<io::Result<Vec<_>>>()?;
        let variable =
            |(name, value): &(&OsStr, &OsStr)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat());
        let variables = variables.iter().map(variable).collect::<io::Result<Vec<_>>>()?;
        let shell = text(SHELL.as_bytes())?;
        let pointers = |texts: &[CString]| -> Vec<*const c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
        };
        let (argv, envp) = (pointers(&words), pointers(&variables));
        let shell_argv =
            [shell.as_ptr(), ptr::null()].into_iter().chain(argv.iter().skip(1).copied()).collect();
        Ok(Self { programs, _words: words, _variables: variables, argv, shell_argv, envp, shell })
    }
}

/// Where a program may be: a name without a slash is looked for.
fn candidates(program: &OsStr, path: &OsStr) -> Vec<Vec<u8>> {
    let program = program.as_bytes();
    if program.is_empty() || program.contains(&b'/') {
        return vec![program.to_vec()];
    }
    let folders = path.as_bytes().split(|byte| *byte == b':');
    folders
        .map(|folder| Path::new(OsStr::from_bytes(folder)).join(OsStr::from_bytes(program)).into_os_string())
        .map(|path| path.as_bytes().to_vec())
        .collect()
}

/// Starts `words` in the cgroup of this directory, or in that of this process, with these variables and no others. Standard streams, directory, ignored and blocked
/// signals are this process's; a broken pipe ends it, which Rust has this process ignore.
///
/// Returns once it executes.
pub(super) fn make(
    cgroup: Option<BorrowedFd<'_>>,
    words: &[&OsStr],
    variables: &[(&OsStr, &OsStr)],
) -> Result<(Pid, OwnedFd), Unmade> {
    let mut image = Image::of(words, variables).map_err(Unmade::Unexecuted)?;
    // Closed when the child executes: whoever reads finds either its end or what went wrong.
    let (mut tells, told) = io::pipe().map_err(Unmade::Unexecuted)?;
    let mut descriptor: c_int = -1;
    // SAFETY: all zeros is a value of this structure of integers.
    let mut how: libc::clone_args = unsafe { std::mem::zeroed() };
    how.flags = libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND;
    how.pidfd = ptr::from_mut(&mut descriptor) as u64;
    how.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: the structure is of the size that is said, and what it points to lives until the call returns. No stack is named, and memory
    // is not shared: the child goes on with a copy of this one, as after `fork`, and does nothing but `become_it`, which does not return.
    let made = unsafe { libc::syscall(libc::SYS_clone3, ptr::from_ref(&how), size_of::<libc::clone_args>()) };
    if made == 0 {
        become_it(&mut image, told.as_raw_fd());
    }
    let pid = pid_of(made).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EINVAL | libc::EPERM | libc::E2BIG) => Unmade::Unsupported,
        // A cgroup that holds threads, or passes on controllers, takes no process (cgroups(7)).
        Some(libc::EACCES | libc::EBUSY | libc::EOPNOTSUPP | libc::ENOENT | libc::ENODEV) => {
            Unmade::Unplaced(error)
        }
        _ => Unmade::Unexecuted(error),
    })?;
    // SAFETY: the kernel has just opened it for us, and nobody else knows of it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    drop(told);
    match failure(&mut tells) {
        None => Ok((pid, descriptor)),
        Some(error) => {
            // It has ended by now.
            while matches!(waitpid(Some(pid), WaitOptions::empty()), Err(Errno::INTR)) {}
            Err(Unmade::Unexecuted(error))
        }
    }
}

fn pid_of(made: c_long) -> io::Result<Pid> {
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = i32::try_from(made).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("the kernel returned no number of a process"))
}

/// What the child says, if it says anything before it executes.
fn failure(tells: &mut PipeReader) -> Option<io::Error> {
    let mut errno = [0; size_of::<c_int>()];
    tells.read_exact(&mut errno).ok().map(|()| io::Error::from_raw_os_error(c_int::from_ne_bytes(errno)))
}

/// In the child: nothing here takes memory or a lock, or can panic.
fn become_it(image: &mut Image, told: c_int) -> ! {
    // SAFETY: calls of the system alone, with texts and lists that `image` keeps and that end with a zero; `signal` for a signal without a
    // handler takes no lock in the C library.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut errno = libc::ENOENT;
        for program in &image.programs {
            libc::execve(program.as_ptr(), image.argv.as_ptr(), image.envp.as_ptr());
            match *libc::__errno_location() {
                libc::ENOEXEC => {
                    if let Some(script) = image.shell_argv.get_mut(1) {
                        *script = program.as_ptr();
                    }
                    libc::execve(image.shell.as_ptr(), image.shell_argv.as_ptr(), image.envp.as_ptr());
                    errno = libc::ENOEXEC;
                    break;
                }
                // As `execvp` goes on looking; one that may not be executed is told of if no other is there.
                libc::EACCES => errno = libc::EACCES,
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                // Of a folder whose name is too long; a program's own is told of.
                libc::ENAMETOOLONG if image.programs.len() > 1 => {}
                other => {
                    errno = other;
                    break;
                }
            }
        }
        let bytes = errno.to_ne_bytes();
        libc::write(told, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(127)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_and_a_path_is_not() {
        let found = |program: &str, path: &str| -> Vec<String> {
            let all = candidates(OsStr::new(program), OsStr::new(path));
            all.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
        };
        assert_eq!(found("ls", "/a:/b/"), ["/a/ls", "/b/ls"]);
        // An empty folder is the one where it is started (POSIX.1-2017, 8.3).
        assert_eq!(found("ls", "/a::b"), ["/a/ls", "ls", "b/ls"]);
        assert_eq!(found("./ls", "/a"), ["./ls"]);
        assert_eq!(found("", "/a"), [""]);
    }

    #[test]
    fn a_script_takes_the_place_of_its_name() {
        let words = ["script", "a", "b"].map(OsStr::new);
        let image = Image::of(&words, &[(OsStr::new("PATH"), OsStr::new("/x"))]).unwrap();
        assert_eq!((image.argv.len(), image.shell_argv.len(), image.envp.len()), (4, 5, 2));
        assert_eq!(image.shell_argv[2..], image.argv[1..]);
        assert!(image.shell_argv[1].is_null());
        let refused = Image::of(&[OsStr::from_bytes(b"a\0b")], &[]).map(drop).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
