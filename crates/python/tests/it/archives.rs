//! Steps about archives, snapshots and counters.

use std::io::Cursor;

use archive::{
    Archive, Direction, Error, Key, OpenOptions, PasswordCost, SealOptions, TelemetryCounters,
    TelemetrySnapshot,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::parity::{text, without};

/// What steps act upon.
#[derive(Default)]
pub(crate) struct Archives {
    sealed: Vec<u8>,
    whole: Vec<u8>,
}

impl Archives {
    /// What a step says, if it is one of these.
    pub(crate) fn step(&mut self, what: &str, step: &Value) -> Option<String> {
        Some(match what {
            "seal" => said(self.seal(step)),
            "open" => said(self.open(step)),
            "verify" => said(self.verify(step)),
            "range" => said(self.range(step)),
            "damage" => self.damage(step),
            "given" => {
                self.sealed = unhex(text(step, "hex"));
                "ok".to_owned()
            }
            "restore" => {
                self.sealed.clone_from(&self.whole);
                "ok".to_owned()
            }
            "snapshot" => snapshot(step),
            "counters" => counters(step),
            _ => return None,
        })
    }

    fn seal(&mut self, step: &Value) -> Result<String, Error> {
        let plain = text(step, "text").repeat(step["repeat"].as_u64().unwrap() as usize);
        let mut options = SealOptions {
            level: step["level"].as_i64().unwrap_or(3) as i32,
            workers: step["workers"].as_u64().unwrap() as usize,
            frame_bytes: step["frame_bytes"].as_u64().unwrap() as usize,
            context: text(step, "context").as_bytes().to_vec(),
            salt: Some(unhex(text(step, "salt")).try_into().unwrap()),
            ..SealOptions::default()
        };
        if let Some([memory_kib, passes, lanes]) = step["cost"].as_array().map(Vec::as_slice) {
            let number = |of: &Value| of.as_u64().unwrap() as u32;
            options.cost =
                PasswordCost { memory_kib: number(memory_kib), passes: number(passes), lanes: number(lanes) };
        }
        let mut sealed = Vec::new();
        let snapshot = archive::seal(plain.as_bytes(), &mut sealed, &key(step)?, &options)?;
        self.sealed.clone_from(&sealed);
        self.whole = sealed;
        Ok(format!("{}\n{}", hash(&self.sealed), json(&snapshot)))
    }

    fn open(&self, step: &Value) -> Result<String, Error> {
        let mut plain = Vec::new();
        let snapshot = archive::open(&self.sealed[..], &mut plain, &key(step)?, &open_options(step))?;
        Ok(format!("{}\n{}", hash(&plain), json(&snapshot)))
    }

    fn verify(&self, step: &Value) -> Result<String, Error> {
        let snapshot = archive::verify(&self.sealed[..], &key(step)?, &open_options(step))?;
        Ok(json(&snapshot))
    }

    fn range(&self, step: &Value) -> Result<String, Error> {
        let mut archive = Archive::read(Cursor::new(&self.sealed), &key(step)?, &open_options(step))?;
        let mut part = Vec::new();
        archive.copy(step["start"].as_u64().unwrap()..step["stop"].as_u64().unwrap(), &mut part)?;
        let length = archive.plaintext_bytes();
        Ok(format!("of {length}: {}", String::from_utf8(part).unwrap()))
    }

    fn damage(&mut self, step: &Value) -> String {
        let length = self.sealed.len();
        if let Some(cut) = step["cut"].as_u64() {
            self.sealed.truncate(length - cut as usize);
        }
        self.sealed.extend(text(step, "append").as_bytes());
        if let Some(at) = step["at"].as_i64() {
            let at = if at < 0 { length - at.unsigned_abs() as usize } else { at as usize };
            self.sealed[at] ^= 1;
        }
        "ok".to_owned()
    }
}

fn said(result: Result<String, Error>) -> String {
    result.unwrap_or_else(|error| format!("error {}: {error}", error.code()))
}

fn key(step: &Value) -> Result<Key, Error> {
    match step["password"].as_str() {
        Some(password) => Key::password(password),
        None => Key::from_file(text(step, "key").as_bytes()),
    }
}

fn open_options(step: &Value) -> OpenOptions {
    OpenOptions {
        workers: 1,
        context: text(step, "context").as_bytes().to_vec(),
        max_plaintext_bytes: step["max_plaintext_bytes"].as_u64().unwrap_or(u64::MAX),
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {digits}", bytes.len())
}

/// Without times, which no two runs have in common.
fn json(snapshot: &TelemetrySnapshot) -> String {
    let times = ["read", "compress", "encrypt", "decrypt", "decompress", "write", "elapsed"];
    let times = times.into_iter().chain(["throughput_bytes_per_sec"]);
    times.fold(serde_json::to_string(snapshot).unwrap(), |json, key| without(&json, key))
}

fn snapshot(step: &Value) -> String {
    let Ok(mut snapshot) = serde_json::from_str::<TelemetrySnapshot>(text(step, "json")) else {
        return "error".to_owned();
    };
    if let Some([path, bytes]) = step["output"].as_array().map(Vec::as_slice) {
        snapshot = snapshot.attach_output(path.as_str().unwrap(), bytes.as_u64().unwrap());
    }
    let violations: Vec<String> = snapshot.sanity_check().iter().map(ToString::to_string).collect();
    let stages = [Direction::Seal, Direction::Open].map(|of| u8::from(snapshot.has_all_stages(of)));
    let (total, json) = (snapshot.stage_times.total().as_nanos(), serde_json::to_string(&snapshot).unwrap());
    format!("{json}\n{}\nseal={} open={} total={total}", violations.join("; "), stages[0], stages[1])
}

fn counters(step: &Value) -> String {
    let mut counters = TelemetryCounters::new();
    for call in step["calls"].as_array().unwrap() {
        let number = |at: usize| call[at].as_u64().unwrap();
        match call[0].as_str().unwrap() {
            "add_header" => counters.add_header(number(1)),
            "add_encrypt_data" => counters.add_encrypt_data(number(1), number(2), number(3)),
            "add_decrypt_data" => counters.add_decrypt_data(number(1), number(2), number(3)),
            "add_index" => counters.add_index(number(1)),
            "add_digest" => counters.add_digest(number(1)),
            "add_terminator" => counters.add_terminator(number(1)),
            other => panic!("there is no {other}"),
        }
    }
    let mut twice = counters.clone();
    twice.merge(&counters);
    counters.end();
    [counters, twice].map(|counters| json(&TelemetrySnapshot::from(counters))).join("\n")
}
