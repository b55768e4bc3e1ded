use std::{io::Write, sync::atomic::AtomicUsize};

use super::*;

type Pack = fn(&mut Stoppable<'_>, &mut NewFile) -> Result<(), Error>;

const STAMPS: [&str; 3] = ["2026-11-21T05-02-14.173", "2026-11-21T05-02-14.174", "2026-11-21T05-02-14.175"];

/// A folder with files that were rotated away, and what seals them.
struct Scene<P> {
    folder: tempfile::TempDir,
    thread: Thread<P>,
    woken: Receiver<()>,
    health: Health,
    _wake: SyncSender<()>,
}

impl<P: Fn(&mut Stoppable<'_>, &mut NewFile) -> Result<(), Error>> Scene<P> {
    fn new(pack: P) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (wake, woken) = mpsc::sync_channel(1);
        let (seals, health) = (Seals::default(), Health::new());
        seals.tell(health.clone(), "sealing");
        let rotation = Rotation { max_bytes: 1, max_age: None, max_backups: 0 };
        let thread = Thread { path: folder.path().join("data.json"), rotation, pack, seals };
        let scene = Self { folder, thread, woken, health, _wake: wake };
        STAMPS.iter().for_each(|stamp| fs::write(scene.file(stamp), format!("the line {stamp}\n")).unwrap());
        scene
    }

    fn file(&self, stamp: &str) -> PathBuf {
        self.folder.path().join(format!("data-{stamp}.json"))
    }

    fn is_sealed(&self) -> [bool; 3] {
        STAMPS.map(|stamp| is_sealed(&self.file(stamp)).unwrap())
    }

    fn has_parts(&self) -> bool {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().any(|name| name.to_string_lossy().ends_with(".part"))
    }

    fn counts(&self) -> [u64; 3] {
        let SealCounts { sealed, failures, unsealed } = self.thread.seals.counts();
        [sealed, failures, unsealed]
    }
}

fn sealing() -> Scene<impl Fn(&mut Stoppable<'_>, &mut NewFile) -> Result<(), Error>> {
    Scene::new(packer(Form::Lines, Key::new([7; 32])).unwrap())
}

#[test]
fn what_became_an_archive_after_it_was_listed_is_not_sealed_again() {
    let scene = sealing();
    let path = scene.file(STAMPS[0]);
    assert!(scene.thread.seal(&path).unwrap());
    let archive = fs::read(&path).unwrap();
    assert!(!scene.thread.seal(&path).unwrap());
    assert_eq!(fs::read(&path).unwrap(), archive);
    assert!(!scene.has_parts());
}

/// Between its beginning and its end somebody else is at the file.
#[test]
fn an_archive_takes_the_place_of_nothing_but_what_it_was_made_of() {
    static MEANWHILE: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);
    let pack: Pack = |input, new| {
        packer(Form::Lines, Key::new([7; 32]))?(input, new)?;
        if let Some(meanwhile) = MEANWHILE.lock().unwrap().take() {
            meanwhile();
        }
        Ok(())
    };
    let scene = Scene::new(pack);
    let (path, other) = (scene.file(STAMPS[0]), scene.file(STAMPS[1]));
    let meanwhile = |what: Box<dyn FnOnce() + Send>| {
        *MEANWHILE.lock().unwrap() = Some(what);
        scene.thread.seal(&path).map_err(|error| error.to_string())
    };
    let at = path.clone();
    let longer = move || File::options().append(true).open(at).unwrap().write_all(b"late\n").unwrap();
    assert!(meanwhile(Box::new(longer)).unwrap_err().contains("written to"));
    assert!(fs::read(&path).unwrap().ends_with(b"late\n"));
    let (from, to) = (other.clone(), path.clone());
    let replaced = meanwhile(Box::new(move || fs::rename(from, to).unwrap()));
    assert!(replaced.unwrap_err().contains("in its place"));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("the line {}\n", STAMPS[1]));
    let at = path.clone();
    let archive = move || {
        fs::remove_file(&at).unwrap();
        fs::write(at, [&MAGIC[..], b"of another process"].concat()).unwrap();
    };
    assert_eq!(meanwhile(Box::new(archive)), Ok(false));
    assert!(fs::read(&path).unwrap().ends_with(b"of another process"));
    fs::write(&path, "the line\n").unwrap();
    let at = path.clone();
    assert_eq!(meanwhile(Box::new(move || fs::remove_file(at).unwrap())), Ok(false));
    assert!(!path.exists() && !scene.has_parts());
}

#[test]
fn a_panic_is_told_and_counted_and_costs_no_other_file_its_seal() {
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    let pack: Pack = |input, new| {
        let mut plain = String::new();
        input.read_to_string(&mut plain)?;
        if plain.contains(STAMPS[1]) && LEFT.load(Relaxed) > 0 {
            LEFT.fetch_sub(1, Relaxed);
            new.write_all(b"half of an")?;
            panic!("it is a bug");
        }
        Ok(new.write_all(&[&MAGIC[..], plain.as_bytes()].concat())?)
    };
    let scene = Scene::new(pack);
    LEFT.store(1, Relaxed);
    assert!(scene.thread.round(&scene.woken));
    assert_eq!((scene.counts(), scene.is_sealed()), ([2, 1, 1], [true, false, true]));
    let problem = || scene.health.problems().remove("sealing");
    let told = problem().unwrap();
    assert!(told.what.contains("it is a bug") && told.what.contains(STAMPS[1]), "{told}");
    assert_eq!((told.severity, told.idle_since_ns), (Severity::Degraded, None), "it is waited for");
    assert!(!scene.has_parts());
    assert!(!scene.thread.round(&scene.woken));
    assert_eq!((scene.counts(), scene.is_sealed(), problem()), ([3, 1, 0], [true; 3], None));
    // One that goes on will not pass by itself.
    fs::write(scene.file(STAMPS[1]), STAMPS[1]).unwrap();
    LEFT.store(FILE_SEAL_PANICS as usize, Relaxed);
    for _ in 0..FILE_SEAL_PANICS {
        assert_ne!(problem().map(|problem| problem.severity), Some(Severity::Dead));
        assert!(scene.thread.round(&scene.woken));
    }
    assert_eq!(problem().unwrap().severity, Severity::Dead);
    assert_eq!(scene.counts(), [3, 1 + u64::from(FILE_SEAL_PANICS), 1]);
    // All the same it is tried again.
    assert!(!scene.thread.round(&scene.woken));
    assert_eq!(scene.is_sealed(), [true; 3]);
}

#[test]
fn only_parts_of_ones_own_archives_are_remains() {
    let is = |name: &str| is_remains(OsStr::new(name), Path::new("logs/data.json"));
    assert!(is(".data-2026-11-21T05-02-14.173.json.4711-0.part"));
    for other in [
        "data-2026-11-21T05-02-14.173.json",
        ".data.json.4711-0.part",
        ".more-2026-11-21T05-02-14.173.json.4711-0.part",
        ".data-2026-11-21T05-02-14.173.json.part",
        "data-2026-11-21T05-02-14.173.json.4711-0.part",
    ] {
        assert!(!is(other), "{other}");
    }
}
