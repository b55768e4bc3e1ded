//! OTLP/JSON by another way: the descriptors that opentelemetry-proto was made from, and the rules of proto3 JSON.
//!
//! Names, numbers, types and labels are the official ones, so that neither table of the crate under test is asked.

use std::collections::HashMap;

use aldis_otlp::wire::{self, Payload};
use prost::Message as _;
use serde_json::{Map, Value, json};

#[derive(Clone, PartialEq, prost::Message)]
struct Set {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Declared>,
}

/// `DescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Declared {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Declared>,
}

/// `FieldDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "3")]
    number: u32,
    #[prost(uint32, tag = "4")]
    label: u32,
    #[prost(uint32, tag = "5")]
    kind: u32,
    #[prost(string, tag = "6")]
    of: String,
    #[prost(uint32, optional, tag = "9")]
    one_of: Option<u32>,
    #[prost(string, tag = "10")]
    json_name: String,
}

const REPEATED: u32 = 3;

/// `FieldDescriptorProto.Type`.
const DOUBLE: u32 = 1;
const INT64: u32 = 3;
const UINT64: u32 = 4;
const INT32: u32 = 5;
const FIXED64: u32 = 6;
const FIXED32: u32 = 7;
const BOOL: u32 = 8;
const STRING: u32 = 9;
const MESSAGE: u32 = 11;
const BYTES: u32 = 12;
const UINT32: u32 = 13;
const ENUM: u32 = 14;
const SFIXED64: u32 = 16;
const SINT32: u32 = 17;

/// The official messages by full name, with a dot before it.
pub(crate) struct Descriptors(HashMap<String, Declared>);

impl Descriptors {
    pub(crate) fn read() -> Self {
        let set = Set::decode(opentelemetry_proto::DESCRIPTORS).expect("descriptors");
        let mut all = HashMap::new();
        for file in set.files {
            for message in file.messages {
                add(&mut all, &format!(".{}", file.package), message);
            }
        }
        Self(all)
    }

    /// The JSON form of a message as prost writes it: nothing twice.
    pub(crate) fn to_json(&self, message: &str, body: &[u8]) -> Value {
        let declared = &self.0[message];
        let mut object = Map::new();
        for on_wire in wire::fields(body) {
            let field = declared.fields.iter().find(|field| field.number == on_wire.number);
            let field = field.unwrap_or_else(|| panic!("{message}.{} is not declared", on_wire.number));
            if field.label == REPEATED {
                let list = object.entry(&field.json_name).or_insert_with(|| json!([]));
                let list = list.as_array_mut().expect("a list");
                list.extend(unpacked(field, on_wire.payload).into_iter().map(|one| self.value(field, one)));
            } else {
                object.insert(field.json_name.clone(), self.value(field, on_wire.payload));
            }
        }
        Value::Object(object)
    }

    fn value(&self, field: &Field, payload: Payload<'_>) -> Value {
        match (field.kind, payload) {
            (MESSAGE, Payload::Bytes(body)) => self.to_json(&field.of, body),
            (STRING, Payload::Bytes(text)) => json!(std::str::from_utf8(text).expect("UTF-8")),
            (BYTES, Payload::Bytes(bytes)) if field.name.ends_with("_id") => {
                json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            (BYTES, Payload::Bytes(bytes)) => json!(base64(bytes)),
            (DOUBLE, Payload::Fixed64(bits)) => match f64::from_bits(bits) {
                number if number.is_nan() => json!("NaN"),
                number if number.is_infinite() => json!(if number > 0.0 { "Infinity" } else { "-Infinity" }),
                number => json!(number),
            },
            (FIXED64, Payload::Fixed64(bits)) | (UINT64, Payload::Varint(bits)) => json!(bits.to_string()),
            (SFIXED64, Payload::Fixed64(bits)) | (INT64, Payload::Varint(bits)) => {
                json!((bits as i64).to_string())
            }
            (UINT32, Payload::Varint(bits)) => json!(bits as u32),
            (FIXED32, Payload::Fixed32(bits)) => json!(bits),
            (INT32 | ENUM, Payload::Varint(bits)) => json!(bits as i32),
            (SINT32, Payload::Varint(bits)) => {
                json!(if bits & 1 == 0 { (bits / 2) as i64 } else { -((bits / 2) as i64) - 1 })
            }
            (BOOL, Payload::Varint(bits)) => json!(bits != 0),
            (kind, payload) => panic!("{}: type {kind} as {payload:?}", field.name),
        }
    }

    /// A message with every declared field set to something that is no default, and `choice` of the members of a oneof.
    /// Below `depth` values hold nothing more.
    pub(crate) fn full(&self, message: &str, choice: usize, depth: usize) -> Vec<u8> {
        let declared = &self.0[message];
        let mut out = Vec::new();
        for field in &declared.fields {
            // `optional` makes a oneof of a single member.
            let members: Vec<u32> =
                declared.fields.iter().filter(|of| of.one_of == field.one_of).map(|of| of.number).collect();
            let is_left_out = field.one_of.is_some() && members[choice % members.len()] != field.number;
            if is_left_out || field.kind == MESSAGE && depth == 0 {
                continue;
            }
            let seed = u64::from(field.number) + choice as u64;
            let (wire_type, one) = match field.kind {
                MESSAGE => (wire::LEN, self.full(&field.of, choice, depth - 1)),
                STRING => (wire::LEN, format!("{} \"{seed}\"\n", field.name).into_bytes()),
                BYTES if field.name.ends_with("span_id") => (wire::LEN, vec![seed as u8; 8]),
                BYTES if field.name.ends_with("_id") => (wire::LEN, vec![seed as u8; 16]),
                BYTES => (wire::LEN, vec![0xff, seed as u8]),
                DOUBLE => (wire::FIXED64, (seed as f64 + 0.5).to_le_bytes().to_vec()),
                FIXED64 | SFIXED64 => (wire::FIXED64, (seed << 40).to_le_bytes().to_vec()),
                FIXED32 => (wire::FIXED32, (seed as u32).to_le_bytes().to_vec()),
                BOOL => (wire::VARINT, vec![1]),
                _ => (wire::VARINT, vec![seed as u8 & 0x7f]),
            };
            for _ in 0..if field.label == REPEATED { 2 } else { 1 } {
                prost::encoding::encode_varint(u64::from(wire::key(field.number, wire_type)), &mut out);
                if wire_type == wire::LEN {
                    prost::encoding::encode_varint(one.len() as u64, &mut out);
                }
                out.extend_from_slice(&one);
            }
        }
        out
    }
}

fn add(all: &mut HashMap<String, Declared>, within: &str, message: Declared) {
    let name = format!("{within}.{}", message.name);
    for nested in &message.nested {
        add(all, &name, nested.clone());
    }
    all.insert(name, message);
}

/// The elements of a repeated field, packed or one.
fn unpacked<'a>(field: &Field, payload: Payload<'a>) -> Vec<Payload<'a>> {
    let (Payload::Bytes(mut packed), false) = (payload, matches!(field.kind, STRING | BYTES | MESSAGE))
    else {
        return vec![payload];
    };
    let mut elements = Vec::new();
    while !packed.is_empty() {
        let (element, rest) = match field.kind {
            DOUBLE | FIXED64 | SFIXED64 => {
                wire::fixed64(packed).map(|(bits, rest)| (Payload::Fixed64(bits), rest))
            }
            _ => wire::varint(packed).map(|(bits, rest)| (Payload::Varint(bits), rest)),
        }
        .expect("whole elements");
        elements.push(element);
        packed = rest;
    }
    elements
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63] as char;
            text.push(if i <= group.len() { digit } else { '=' });
        }
    }
    text
}
