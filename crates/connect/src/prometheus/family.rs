//! Metrics as Prometheus knows them: a name, a type, a help text, and series.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use otlp::{index::MetricKind, view::MetricView};

use super::{
    identity::{Identity, Known},
    labels::Labels,
    naming::{Suffix, TranslationStrategy, metric_name},
    rejection::Rejection,
    unit::UnitWords,
};

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Unknown,
}

impl Kind {
    /// What a metric becomes; `None` where it has no data.
    pub(super) fn of(metric: &MetricView<'_>) -> Option<Self> {
        Some(match metric.kind() {
            MetricKind::None => return None,
            MetricKind::Gauge if metric.metadata().text("prometheus.type") == Some("unknown") => {
                Kind::Unknown
            }
            MetricKind::Sum if metric.is_monotonic() => Kind::Counter,
            MetricKind::Gauge | MetricKind::Sum => Kind::Gauge,
            MetricKind::Histogram | MetricKind::ExponentialHistogram => Kind::Histogram,
            MetricKind::Summary => Kind::Summary,
        })
    }

    /// What of it shows in names.
    pub(super) fn suffix(self) -> Suffix {
        match self {
            Kind::Counter => Suffix::Total,
            Kind::Gauge => Suffix::Ratio,
            Kind::Histogram | Kind::Summary | Kind::Unknown => Suffix::None,
        }
    }

    /// The label that its samples have besides those of the series.
    pub(super) fn reserved_label(self) -> &'static str {
        match self {
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
            Kind::Counter | Kind::Gauge | Kind::Unknown => "",
        }
    }
}

/// A metric.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
    pub(super) help: Box<str>,
    /// The unit in words, where the name ends with it.
    pub(super) unit: Box<str>,
    /// Number of a series by its labels.
    pub(super) series: BTreeMap<Labels, u32>,
    /// Number of its overflow series.
    pub(super) overflow: Option<u32>,
    /// Bounds of the last histogram: most have the same.
    pub(super) bounds: Option<Arc<[f64]>>,
}

impl Family {
    /// Without what a counter's name ends in.
    pub(super) fn base_name(&self) -> &str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(&self.name),
            _ => &self.name,
        }
    }

    /// Bytes that it takes up, its series and their labels aside.
    fn memory_bytes(&self) -> usize {
        FAMILY_BYTES + self.help.len() + 6 * self.name.len()
    }
}

/// A family's entries in all tables, strings aside, by a generous estimate.
const FAMILY_BYTES: usize = 512;

/// All metrics, by number, name and identity.
#[derive(Debug, Default)]
pub(super) struct Families {
    all: Vec<Option<Family>>,
    free: Vec<u32>,
    by_name: BTreeMap<Arc<str>, u32>,
    /// By everything that decides on name and type.
    by_identity: Known<u32>,
    /// Names of samples, and whose they are.
    claims: HashMap<Box<str>, u32>,
    bytes: usize,
}

impl Families {
    pub(super) fn get(&self, number: u32) -> Option<&Family> {
        self.all.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Family> {
        self.all.get_mut(number as usize)?.as_mut()
    }

    /// All of them by name.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &Family> {
        self.by_name.values().filter_map(|number| self.get(*number))
    }

    /// Bytes that they take up.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes + self.by_identity.memory_bytes()
    }

    /// The metric of this identity, if it is known: the identity's own number, and the metric's.
    pub(super) fn known(&self, key: u128, identity: Identity<'_>) -> Option<(u64, u32)> {
        self.by_identity.find(key, identity)
    }

    /// The metric that this becomes; a new one if its name is free and it fits into `free_bytes`, where `takes_more` lets
    /// metrics be added at all. With the number of the identity, where there was room to keep it.
    pub(super) fn find(
        &mut self,
        metric: &MetricView<'_>,
        (key, identity): (u128, Identity<'_>),
        (strategy, namespace): (TranslationStrategy, &str),
        (free_bytes, takes_more): (usize, bool),
    ) -> Result<(Option<u64>, u32), Rejection> {
        let kind = Kind::of(metric).ok_or(Rejection::Malformed)?;
        let name = metric_name(strategy, namespace, metric.name(), metric.unit(), kind.suffix());
        let name = name.ok_or(Rejection::Name)?;
        let entry = Known::<u32>::bytes_of(identity);
        let number = match self.by_name.get(name.as_str()) {
            Some(number) => {
                let number = *number;
                let Some(family) = self.get_mut(number) else { return Err(Rejection::Name) };
                if family.kind != kind {
                    return Err(Rejection::TypeConflict);
                }
                // Of several help texts the first stays.
                let more = metric.description().len();
                if family.help.is_empty() && entry + more <= free_bytes {
                    family.help = metric.description().into();
                    self.bytes += more;
                }
                number
            }
            None => self.add(metric, kind, &name, |bytes| takes_more && entry + bytes <= free_bytes)?,
        };
        let has_room = entry <= free_bytes;
        Ok((has_room.then(|| self.by_identity.insert(key, identity, number)), number))
    }

    fn add(
        &mut self,
        metric: &MetricView<'_>,
        kind: Kind,
        name: &str,
        has_room: impl Fn(usize) -> bool,
    ) -> Result<u32, Rejection> {
        let mut unit = UnitWords::of(metric.unit()).joined();
        if kind == Kind::Gauge && metric.unit() == "1" {
            "ratio".clone_into(&mut unit);
        }
        let mut family = Family {
            name: name.into(),
            kind,
            help: metric.description().into(),
            unit: "".into(),
            series: BTreeMap::new(),
            overflow: None,
            bounds: None,
        };
        // OpenMetrics takes a unit only where the name ends with it.
        let says = family.base_name().strip_suffix(unit.as_str()).is_some_and(|rest| rest.ends_with('_'));
        if !unit.is_empty() && says {
            family.unit = unit.into();
        }
        let claims = claims(&family);
        if ["target", "target_info"].iter().any(|own| claims.iter().any(|claim| claim == own)) {
            return Err(Rejection::Name);
        }
        if claims.iter().any(|claim| self.claims.contains_key(claim.as_str())) {
            return Err(Rejection::TypeConflict);
        }
        if !has_room(family.memory_bytes()) {
            return Err(Rejection::Cardinality);
        }
        self.bytes += family.memory_bytes();
        let number = self.free.pop().unwrap_or(self.all.len() as u32);
        self.claims.extend(claims.into_iter().map(|claim| (claim.into_boxed_str(), number)));
        self.by_name.insert(family.name.clone(), number);
        match self.all.get_mut(number as usize) {
            Some(slot) => *slot = Some(family),
            None => self.all.push(Some(family)),
        }
        Ok(number)
    }

    /// Takes away series that `is_alive` does not know any more, and metrics that have none left.
    pub(super) fn sweep(&mut self, is_alive: impl Fn(u32) -> bool) {
        let mut gone = false;
        for number in 0..self.all.len() as u32 {
            let Some(family) = self.get_mut(number) else { continue };
            family.series.retain(|_, series| is_alive(*series));
            family.overflow = family.overflow.filter(|series| is_alive(*series));
            if !family.series.is_empty() {
                continue;
            }
            if let Some(family) = self.all[number as usize].take() {
                self.by_name.remove(&family.name);
                self.bytes -= family.memory_bytes();
                self.free.push(number);
                gone = true;
            }
        }
        if gone {
            let all = &self.all;
            let lives = |number: u32| all.get(number as usize).is_some_and(Option::is_some);
            self.by_identity.retain(|_, _, number| lives(number));
            self.claims.retain(|_, number| lives(*number));
        }
    }
}

/// The names of its samples in any format, and of itself.
fn claims(family: &Family) -> Vec<String> {
    let base = family.base_name();
    let suffixes: &[&str] = match family.kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Gauge | Kind::Unknown => &[""],
        Kind::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
        Kind::Summary => &["", "_count", "_sum", "_created"],
    };
    suffixes.iter().map(|suffix| format!("{base}{suffix}")).collect()
}
