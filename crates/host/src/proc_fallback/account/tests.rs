//! The account beside a small kernel that forks, waits, forgets and gives orphans away.

use proptest::prelude::*;

use super::*;

/// What the kernel knows of one process.
#[derive(Debug, Clone, Copy)]
struct Task {
    id: ProcessId,
    parent: u32,
    own: u64,
    waited: u64,
    subreaper: bool,
}

/// A tree below process 1, whose own are not read.
#[derive(Debug, Default)]
struct Kernel {
    tasks: Vec<Task>,
    next: u64,
    /// All that was ever used.
    truth: u64,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Fork {
        parent: usize,
        subreaper: bool,
    },
    Use {
        who: usize,
        amount: u64,
    },
    /// The process ends, and its parent waits for it, or does not care.
    End {
        who: usize,
        waited: bool,
    },
    Read,
}

impl Kernel {
    fn with_root() -> Self {
        let mut kernel = Self::default();
        kernel.fork(1, false);
        kernel
    }

    fn fork(&mut self, parent: u32, subreaper: bool) {
        self.next += 1;
        // Numbers come again soon.
        let taken = |pid: &u32| self.tasks.iter().all(|task| task.id.pid != *pid);
        let pid = (2..40).cycle().skip(self.next as usize % 13).find(taken).unwrap();
        let id = ProcessId { pid, start_ticks: self.next };
        self.tasks.push(Task { id, parent, own: 0, waited: 0, subreaper });
    }

    fn end(&mut self, who: usize, waited: bool) {
        let ended = self.tasks.remove(who);
        if waited && let Some(parent) = self.tasks.iter_mut().find(|task| task.id.pid == ended.parent) {
            parent.waited += ended.own + ended.waited;
        }
        let mut heir = ended.parent;
        while let Some(task) = self.tasks.iter().find(|task| task.id.pid == heir) {
            if task.subreaper {
                break;
            }
            heir = task.parent;
        }
        for task in self.tasks.iter_mut().filter(|task| task.parent == ended.id.pid) {
            task.parent = heir;
        }
    }

    fn step(&mut self, event: Event) {
        let count = self.tasks.len();
        match event {
            Event::Fork { parent, subreaper } if count < 30 => {
                let parent = if count == 0 { 1 } else { self.tasks[parent % count].id.pid };
                self.fork(parent, subreaper);
            }
            Event::Use { who, amount } if count > 0 => {
                self.tasks[who % count].own += amount;
                self.truth += amount;
            }
            Event::End { who, waited } if count > 0 => self.end(who % count, waited),
            _ => {}
        }
    }

    fn processes(&self) -> Vec<Process> {
        let process = |task: &Task| {
            let mut process = Process::named(task.id.pid, Some(task.id.start_ticks));
            process.fill(&ProcStat {
                pid: task.id.pid,
                parent: task.parent,
                state: b'S',
                user_ticks: task.own,
                waited_user_ticks: task.waited,
                start_ticks: task.id.start_ticks,
                ..ProcStat::default()
            });
            process.usage.io.read_bytes = task.own + task.waited;
            process
        };
        let mut all: Vec<Process> = self.tasks.iter().map(process).collect();
        all.sort_unstable_by_key(|process| process.id);
        all
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..30_usize, prop::bool::weighted(0.2))
            .prop_map(|(parent, subreaper)| Event::Fork { parent, subreaper }),
        (0..30_usize, 1..1000_u64).prop_map(|(who, amount)| Event::Use { who, amount }),
        (0..30_usize, any::<bool>()).prop_map(|(who, waited)| Event::End { who, waited }),
        Just(Event::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whenever it is read, the sum does not fall and is no more than the truth.
    #[test]
    fn a_sum_never_falls_and_never_exceeds_the_truth(events in prop::collection::vec(event(), 0..200)) {
        let (mut kernel, mut account) = (Kernel::with_root(), Account::default());
        let mut last = Usage::default();
        for event in events {
            kernel.step(event);
            if matches!(event, Event::Read) {
                let sum = account.settle(&mut kernel.processes());
                prop_assert!(sum.user >= last.user && sum.io.read_bytes >= last.io.read_bytes);
                prop_assert!(sum.user <= kernel.truth, "{} of {}", sum.user, kernel.truth);
                prop_assert!(sum.io.read_bytes <= kernel.truth);
                last = sum;
            }
        }
    }

    /// Read after every event, it is the truth.
    #[test]
    fn nothing_is_missed_that_was_seen(events in prop::collection::vec(event(), 0..200)) {
        let (mut kernel, mut account) = (Kernel::with_root(), Account::default());
        for event in events {
            kernel.step(event);
            let sum = account.settle(&mut kernel.processes());
            prop_assert_eq!((sum.user, sum.io.read_bytes), (kernel.truth, kernel.truth));
        }
    }
}

#[test]
fn another_process_of_the_same_number_is_another() {
    let reading = |start_ticks, own| {
        let mut process = Process::named(7, None);
        let stat = ProcStat { pid: 7, parent: 1, start_ticks, user_ticks: own, ..ProcStat::default() };
        process.fill(&stat);
        vec![process]
    };
    let mut account = Account::default();
    assert_eq!(account.settle(&mut reading(100, 50)).user, 50);
    assert_eq!(account.settle(&mut reading(200, 3)).user, 53);
    assert!(account.knows(ProcessId { pid: 7, start_ticks: 200 }));
    assert!(!account.knows(ProcessId { pid: 7, start_ticks: 100 }));
    assert_eq!(account.settle(&mut Vec::new()).user, 53, "what the last of them used stays");
}
