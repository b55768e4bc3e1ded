//! Writing protobuf, field by field.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
}

impl Message {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn tag(&mut self, field: u32, wire: u32) {
        put_varint(u64::from(field << 3 | wire), &mut self.bytes);
    }

    pub(super) fn varint(&mut self, field: u32, value: u64) {
        self.tag(field, 0);
        put_varint(value, &mut self.bytes);
    }

    pub(super) fn zigzag(&mut self, field: u32, value: i64) {
        self.varint(field, (value << 1 ^ value >> 63) as u64);
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.tag(field, 1);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Nothing for an empty text.
    pub(super) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.bytes_field(field, text.as_bytes());
        }
    }

    /// A message inside this one, which is written in place.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) {
        self.tag(field, 2);
        let start = self.bytes.len();
        // Room for a length of one byte, which most have; what is longer moves up.
        self.bytes.push(0);
        write(self);
        let len = self.bytes.len() - start - 1;
        let width = varint_len(len as u64);
        if width > 1 {
            self.bytes.resize(start + width + len, 0);
            self.bytes.copy_within(start + 1..start + 1 + len, start + width);
        }
        let mut rest = len;
        for byte in &mut self.bytes[start..start + width - 1] {
            *byte = rest as u8 | 0x80;
            rest >>= 7;
        }
        self.bytes[start + width - 1] = rest as u8;
    }

    /// Bytes behind their length, also where there are none.
    pub(super) fn bytes_field(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, 2);
        put_varint(bytes.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(bytes);
    }

    /// Signed numbers, packed.
    pub(super) fn packed_zigzag(&mut self, field: u32, values: &[i64]) {
        if !values.is_empty() {
            let put = |value: &i64, out: &mut Message| {
                put_varint((value << 1 ^ value >> 63) as u64, &mut out.bytes);
            };
            self.message(field, |inner| values.iter().for_each(|value| put(value, inner)));
        }
    }

    /// Numbers, packed.
    pub(super) fn packed(&mut self, field: u32, values: &[u32]) {
        if !values.is_empty() {
            let put = |value: &u32, out: &mut Message| put_varint(u64::from(*value), &mut out.bytes);
            self.message(field, |inner| values.iter().for_each(|value| put(value, inner)));
        }
    }

    /// A name and a value.
    pub(super) fn pair(&mut self, field: u32, name: &str, value: &str) {
        self.message(field, |pair| {
            pair.text(1, name);
            pair.text(2, value);
        });
    }

    /// A `google.protobuf.Timestamp`; nothing for zero.
    pub(super) fn time(&mut self, field: u32, ns: u64) {
        if ns > 0 {
            self.message(field, |time| {
                time.varint(1, ns / 1_000_000_000);
                time.varint(2, ns % 1_000_000_000);
            });
        }
    }
}

/// Bytes that [`put_varint`] writes.
fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_inside_is_behind_its_length_however_long_it_is() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let mut message = Message::default();
            message.varint(1, 1);
            message.message(2, |inner| inner.bytes.extend(std::iter::repeat_n(7, len)));
            let mut expected = vec![1 << 3, 1, 2 << 3 | 2];
            put_varint(len as u64, &mut expected);
            expected.extend(std::iter::repeat_n(7, len));
            assert!(message.bytes == expected, "{len}");
        }
    }
}
