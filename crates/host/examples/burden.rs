//! A job whose use of the machine is known, for whoever measures jobs: `burden [--NAME NUMBER]… [--folder PATH]`.
//!
//! What it did stands on its standard output as one line of JSON when all of it has ended, its orphans too. CPU time is burned until the
//! process's own clock says so, so that starting is in it; ending comes on top, about a tenth of a millisecond for each process.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

use std::{
    env,
    fs::{self, File, OpenOptions},
    hint::black_box,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    fs::OFlags,
    time::{ClockId, clock_gettime},
};

/// Bytes in a MiB.
const MIB: usize = 1 << 20;
/// What O_DIRECT asks of memory and of lengths, in bytes, on every common device.
const ALIGNMENT: usize = 4096;
/// CPU time of a child that lives shortly, in milliseconds.
const SHORT_MS: u64 = 5;

const HELP: &str = "burden: a job whose use of the machine is known
  --cpu MS        CPU time that this process burns
  --children N    processes that burn --cpu MS each
  --orphans N     the same, but whoever started them has ended
  --short N       processes, one after the other, that burn 5 ms each
  --anon MIB      memory that is touched and held to the end
  --write MIB     written to a file, and brought to the disk
  --direct MIB    written past the cache
  --cache MIB     written to a file and read again
  --hold MS       time to sleep before the end
  --folder PATH   where files go (a temporary folder)";

#[derive(Default)]
struct Plan {
    cpu_ms: u64,
    children: u64,
    orphans: u64,
    short: u64,
    anon_mib: usize,
    write_mib: usize,
    direct_mib: usize,
    cache_mib: usize,
    hold_ms: u64,
    folder: PathBuf,
}

impl Plan {
    fn parse() -> Result<Self, String> {
        let mut plan = Self { folder: env::temp_dir(), ..Self::default() };
        let mut words = env::args().skip(1);
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| HELP.to_owned())?;
            if option == "--folder" {
                plan.folder = value.into();
                continue;
            }
            let number: u64 = value.parse().map_err(|_| format!("{option}: {value:?} is no number"))?;
            let mib = number as usize;
            match option.as_str() {
                "--cpu" => plan.cpu_ms = number,
                "--children" => plan.children = number,
                "--orphans" => plan.orphans = number,
                "--short" => plan.short = number,
                "--anon" => plan.anon_mib = mib,
                "--write" => plan.write_mib = mib,
                "--direct" => plan.direct_mib = mib,
                "--cache" => plan.cache_mib = mib,
                "--hold" => plan.hold_ms = number,
                _ => return Err(HELP.to_owned()),
            }
        }
        Ok(plan)
    }

    /// All CPU time that is burned by intention, in milliseconds.
    fn cpu_ms_of_all(&self) -> u64 {
        (1 + self.children + self.orphans) * self.cpu_ms + self.short * SHORT_MS
    }

    fn carry_out(&self) -> io::Result<()> {
        let children: Vec<Child> =
            (0..self.children).map(|_| burner(self.cpu_ms).spawn()).collect::<io::Result<_>>()?;
        // Orphans are waited for by the end of a pipe that they hold.
        let (mut ended, held) = io::pipe()?;
        for _ in 0..self.orphans {
            // The shell ends at once, and its child goes to whoever takes orphans.
            let mut shell = Command::new("sh");
            shell.args(["-c", "\"$0\" --cpu \"$1\" &"]).arg(env::current_exe()?).arg(self.cpu_ms.to_string());
            shell.stdin(Stdio::null()).stdout(held.try_clone()?).status()?;
        }
        drop(held);
        for _ in 0..self.short {
            burner(SHORT_MS).status()?;
        }
        let memory = touched(self.anon_mib * MIB);
        write(&self.folder, self.write_mib, false)?;
        write(&self.folder, self.direct_mib, true)?;
        let cached = cache(&self.folder, self.cache_mib)?;
        burn(self.cpu_ms);
        for mut child in children {
            child.wait()?;
        }
        ended.read_to_end(&mut Vec::new())?;
        thread::sleep(Duration::from_millis(self.hold_ms));
        drop(black_box(memory));
        cached.map_or(Ok(()), fs::remove_file)
    }
}

/// This program, burning CPU time.
fn burner(ms: u64) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["--cpu", &ms.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Burns CPU time until this process has used so much of it since it was made.
fn burn(ms: u64) {
    let mut number = 1_u64;
    loop {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        if used.tv_sec as u64 * 1000 + used.tv_nsec as u64 / 1_000_000 >= ms {
            return;
        }
        // About ten microseconds.
        for _ in 0..10_000 {
            number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

/// Memory, every page of which is there.
fn touched(bytes: usize) -> Vec<u8> {
    let mut memory = vec![0_u8; bytes];
    for page in memory.chunks_mut(ALIGNMENT) {
        page[0] = 1;
    }
    memory
}

/// Writes so many MiB, through the cache or past it, and has them brought to the disk.
fn write(folder: &Path, mib: usize, direct: bool) -> io::Result<()> {
    if mib == 0 {
        return Ok(());
    }
    let path =
        folder.join(format!("burden-{}-{}", std::process::id(), if direct { "direct" } else { "buffered" }));
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    if direct {
        options.custom_flags(OFlags::DIRECT.bits() as i32);
    }
    let mut file = options.open(&path)?;
    let memory = vec![7_u8; MIB + ALIGNMENT];
    let at = memory.as_ptr().align_offset(ALIGNMENT);
    for _ in 0..mib {
        file.write_all(&memory[at..at + MIB])?;
    }
    file.sync_all()?;
    fs::remove_file(path)
}

/// Puts so many MiB of a file into the cache, where they are until the file is removed.
fn cache(folder: &Path, mib: usize) -> io::Result<Option<PathBuf>> {
    if mib == 0 {
        return Ok(None);
    }
    let path = folder.join(format!("burden-{}-cache", std::process::id()));
    let mut file = File::create(&path)?;
    // In pieces: what is to be in the cache is not to be this process's memory as well.
    let piece = vec![7_u8; MIB];
    for _ in 0..mib {
        file.write_all(&piece)?;
    }
    io::copy(&mut File::open(&path)?, &mut io::sink())?;
    Ok(Some(path))
}

fn main() -> ExitCode {
    let plan = match Plan::parse() {
        Ok(plan) => plan,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = plan.carry_out() {
        eprintln!("burden: {error}");
        return ExitCode::FAILURE;
    }
    let written = (plan.write_mib + plan.direct_mib + plan.cache_mib) * MIB;
    // Shells stand between this process and its orphans.
    let processes = 1 + plan.children + plan.short + plan.orphans;
    println!(
        "{{\"cpu_ms\":{},\"processes\":{processes},\"anon_bytes\":{},\"written_bytes\":{written}}}",
        plan.cpu_ms_of_all(),
        plan.anon_mib * MIB,
    );
    ExitCode::SUCCESS
}
