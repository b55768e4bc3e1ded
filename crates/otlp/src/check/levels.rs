//! Request, resource and scope: the levels that all signals share.

use super::message::{BELOW_REQUEST, Pass, Refused};
use super::{ATTRIBUTES, COUNTS};
use crate::Signal;
use crate::index::{ResourceEntry, ScopeEntry};
use crate::schema::{self, Levels};

/// `resource_spans`, `resource_logs`, … of a request.
pub(super) const RESOURCES: u32 = 0x0a;
/// `resource` of the resource level, `scope` of the scope level.
const HEAD: u32 = 0x0a;
/// `scope_spans` … of the resource level, `spans` … of the scope level.
pub(super) const MEMBERS: u32 = 0x12;
const SCHEMA_URL: u32 = 0x1a;

const HEAD_BIT: u32 = 1 << 1;
const SCHEMA_URL_BIT: u32 = 1 << 3;

impl<'a, const DEPTH: u8> Pass<'a, '_, DEPTH> {
    pub(super) fn request(&mut self, signal: Signal) -> Result<(), Refused> {
        match signal {
            Signal::Traces => self.resources(&schema::TRACES, Self::span),
            Signal::Logs => self.resources(&schema::LOGS, Self::log),
            Signal::Metrics => self.resources(&schema::METRICS, Self::metric),
            // Profiles have no index: they are passed on whole, and counted by their frames.
            Signal::Profiles => self.message(&schema::PROFILES.request, self.bytes(), BELOW_REQUEST),
        }?;
        if DEPTH == ATTRIBUTES {
            self.columns.attribute_first.push(self.columns.attributes.len() as u32);
        }
        Ok(())
    }

    /// `member` validates what a scope holds: it is given where the field begins, its body, and the scope's number.
    #[inline(always)]
    fn resources(
        &mut self,
        levels: &'static Levels,
        member: impl Fn(&mut Self, &'a [u8], &'a [u8], u32) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mut ahead = self.bytes();
        while !ahead.is_empty() {
            let (key, rest) = self.key(&levels.request, ahead)?;
            ahead = match key {
                RESOURCES => {
                    let (body, rest) = self.delimited(&levels.request, rest)?;
                    self.resource(levels, ahead, body, &member)?;
                    rest
                }
                _ => self.field(&levels.request, key, ahead, rest, BELOW_REQUEST)?,
            };
        }
        Ok(())
    }

    #[inline(always)]
    fn resource(
        &mut self,
        levels: &'static Levels,
        at: &'a [u8],
        body: &'a [u8],
        member: &impl Fn(&mut Self, &'a [u8], &'a [u8], u32) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let number = self.counts.resources;
        self.counts.resources += 1;
        let mut entry = ResourceEntry {
            start: self.offset(at),
            body: self.range(body),
            first_scope: self.counts.scopes,
            ..ResourceEntry::default()
        };
        if DEPTH != COUNTS {
            self.columns.resources.push(entry);
        }
        let mut ahead = body;
        let mut seen = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(&levels.resource, ahead)?;
            ahead = match key {
                HEAD => {
                    let (body, rest) = self.delimited(&levels.resource, rest)?;
                    self.repeats |= seen & HEAD_BIT;
                    seen |= HEAD_BIT;
                    entry.resource = self.range(body);
                    self.message(&schema::RESOURCE, body, BELOW_REQUEST - 2)?;
                    rest
                }
                MEMBERS => {
                    let (body, rest) = self.delimited(&levels.resource, rest)?;
                    self.scope(levels, ahead, body, number, member)?;
                    rest
                }
                SCHEMA_URL => {
                    self.repeats |= seen & SCHEMA_URL_BIT;
                    seen |= SCHEMA_URL_BIT;
                    self.text(&levels.resource, rest)?
                }
                _ => self.field(&levels.resource, key, ahead, rest, BELOW_REQUEST - 1)?,
            };
        }
        if DEPTH != COUNTS {
            entry.scopes = self.counts.scopes - entry.first_scope;
            self.columns.resources[number as usize] = entry;
        }
        Ok(())
    }

    #[inline(always)]
    fn scope(
        &mut self,
        levels: &'static Levels,
        at: &'a [u8],
        body: &'a [u8],
        resource: u32,
        member: &impl Fn(&mut Self, &'a [u8], &'a [u8], u32) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let number = self.counts.scopes;
        self.counts.scopes += 1;
        let mut entry = ScopeEntry {
            resource,
            start: self.offset(at),
            body: self.range(body),
            first_record: self.counts.records,
            ..ScopeEntry::default()
        };
        if DEPTH != COUNTS {
            self.columns.scopes.push(entry);
        }
        let mut ahead = body;
        let mut seen = 0;
        while !ahead.is_empty() {
            let (key, rest) = self.key(&levels.scope, ahead)?;
            ahead = match key {
                MEMBERS => {
                    let (body, rest) = self.delimited(&levels.scope, rest)?;
                    member(self, ahead, body, number)?;
                    rest
                }
                HEAD => {
                    let (body, rest) = self.delimited(&levels.scope, rest)?;
                    self.repeats |= seen & HEAD_BIT;
                    seen |= HEAD_BIT;
                    entry.scope = self.range(body);
                    self.message(&schema::SCOPE, body, BELOW_REQUEST - 3)?;
                    rest
                }
                SCHEMA_URL => {
                    self.repeats |= seen & SCHEMA_URL_BIT;
                    seen |= SCHEMA_URL_BIT;
                    self.text(&levels.scope, rest)?
                }
                _ => self.field(&levels.scope, key, ahead, rest, BELOW_REQUEST - 2)?,
            };
        }
        if DEPTH != COUNTS {
            entry.records = self.counts.records - entry.first_record;
            self.columns.scopes[number as usize] = entry;
        }
        Ok(())
    }
}
