//! Lists of numbers, packed or one by one, or both: whatever a sender's library wrote, in wire order.

use crate::wire::{self, Fields, Payload};

/// A list of 64-bit integers, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Fixed64s<'a> {
    list: List<'a>,
}

/// A list of floating-point numbers, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Doubles<'a> {
    list: List<'a>,
}

/// A list of variable-length integers, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Varints<'a> {
    list: List<'a>,
}

#[derive(Clone, Copy, Debug)]
struct List<'a> {
    ahead: Fields<'a>,
    /// The field that holds the numbers.
    number: u32,
    /// What is left of the packed run that is being read.
    run: &'a [u8],
}

/// Takes one number off a packed run and says what is left.
type Take = fn(&[u8]) -> Option<(u64, &[u8])>;

impl<'a> List<'a> {
    fn new(body: &'a [u8], number: u32) -> Self {
        Self { ahead: wire::fields(body), number, run: &[] }
    }

    /// The next number; `read` takes one off a packed run.
    #[inline]
    fn next(&mut self, read: Take) -> Option<u64> {
        loop {
            if let Some((value, rest)) = read(self.run) {
                self.run = rest;
                return Some(value);
            }
            let number = self.number;
            match self.ahead.find(|field| field.number == number)?.payload {
                Payload::Bytes(run) => self.run = run,
                Payload::Fixed64(value) | Payload::Varint(value) => return Some(value),
                Payload::Fixed32(_) | Payload::Group(_) => {}
            }
        }
    }
}

impl<'a> Fixed64s<'a> {
    pub(super) fn new(body: &'a [u8], number: u32) -> Self {
        Self { list: List::new(body, number) }
    }
}

impl Iterator for Fixed64s<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        self.list.next(wire::fixed64)
    }
}

impl<'a> Doubles<'a> {
    pub(super) fn new(body: &'a [u8], number: u32) -> Self {
        Self { list: List::new(body, number) }
    }
}

impl Iterator for Doubles<'_> {
    type Item = f64;

    #[inline]
    fn next(&mut self) -> Option<f64> {
        self.list.next(wire::fixed64).map(f64::from_bits)
    }
}

impl<'a> Varints<'a> {
    pub(super) fn new(body: &'a [u8], number: u32) -> Self {
        Self { list: List::new(body, number) }
    }
}

impl Iterator for Varints<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        self.list.next(wire::varint)
    }
}
