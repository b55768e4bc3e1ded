//! The messages of the profiles signal, `v1development` of opentelemetry-proto v1.10.

use super::{
    ANY_VALUE,
    Kind::{self, Bytes, Fixed64, Id, Int32, Int64, Message as Msg, String, Uint32, Uint64},
    Message, RESOURCE, SCOPE, SPAN_ID, TRACE_ID, many, one,
};

pub(super) static PROFILES: Message = Message {
    name: "ExportProfilesServiceRequest",
    fields: &[many(1, "resourceProfiles", Msg(&RESOURCE_PROFILES)), one(2, "dictionary", Msg(&DICTIONARY))],
};
static RESOURCE_PROFILES: Message = Message {
    name: "ResourceProfiles",
    fields: &[
        one(1, "resource", Msg(&RESOURCE)),
        many(2, "scopeProfiles", Msg(&SCOPE_PROFILES)),
        one(3, "schemaUrl", String),
    ],
};
static SCOPE_PROFILES: Message = Message {
    name: "ScopeProfiles",
    fields: &[one(1, "scope", Msg(&SCOPE)), many(2, "profiles", Msg(&PROFILE)), one(3, "schemaUrl", String)],
};
const ATTRIBUTE_INDICES: &str = "attributeIndices";
/// Written in hexadecimal as trace ids are, which is what the Collector does; the specification names only those.
const PROFILE_ID: Kind = Id(16);
static PROFILE: Message = Message {
    name: "Profile",
    fields: &[
        one(1, "sampleType", Msg(&VALUE_TYPE)),
        many(2, "samples", Msg(&SAMPLE)),
        one(3, "timeUnixNano", Fixed64),
        one(4, "durationNano", Uint64),
        one(5, "periodType", Msg(&VALUE_TYPE)),
        one(6, "period", Int64),
        one(7, "profileId", PROFILE_ID),
        one(8, "droppedAttributesCount", Uint32),
        one(9, "originalPayloadFormat", String),
        one(10, "originalPayload", Bytes),
        many(11, ATTRIBUTE_INDICES, Int32),
    ],
};
static VALUE_TYPE: Message =
    Message { name: "ValueType", fields: &[one(1, "typeStrindex", Int32), one(2, "unitStrindex", Int32)] };
static SAMPLE: Message = Message {
    name: "Sample",
    fields: &[
        one(1, "stackIndex", Int32),
        many(2, ATTRIBUTE_INDICES, Int32),
        one(3, "linkIndex", Int32),
        many(4, "values", Int64),
        many(5, "timestampsUnixNano", Fixed64),
    ],
};

static DICTIONARY: Message = Message {
    name: "ProfilesDictionary",
    fields: &[
        many(1, "mappingTable", Msg(&MAPPING)),
        many(2, "locationTable", Msg(&LOCATION)),
        many(3, "functionTable", Msg(&FUNCTION)),
        many(4, "linkTable", Msg(&LINK)),
        many(5, "stringTable", String),
        many(6, "attributeTable", Msg(&KEY_VALUE_AND_UNIT)),
        many(7, "stackTable", Msg(&STACK)),
    ],
};
static MAPPING: Message = Message {
    name: "Mapping",
    fields: &[
        one(1, "memoryStart", Uint64),
        one(2, "memoryLimit", Uint64),
        one(3, "fileOffset", Uint64),
        one(4, "filenameStrindex", Int32),
        many(5, ATTRIBUTE_INDICES, Int32),
    ],
};
static LOCATION: Message = Message {
    name: "Location",
    fields: &[
        one(1, "mappingIndex", Int32),
        one(2, "address", Uint64),
        many(3, "lines", Msg(&LINE)),
        many(4, ATTRIBUTE_INDICES, Int32),
    ],
};
static LINE: Message = Message {
    name: "Line",
    fields: &[one(1, "functionIndex", Int32), one(2, "line", Int64), one(3, "column", Int64)],
};
static FUNCTION: Message = Message {
    name: "Function",
    fields: &[
        one(1, "nameStrindex", Int32),
        one(2, "systemNameStrindex", Int32),
        one(3, "filenameStrindex", Int32),
        one(4, "startLine", Int64),
    ],
};
static LINK: Message =
    Message { name: "Link", fields: &[one(1, "traceId", TRACE_ID), one(2, "spanId", SPAN_ID)] };
static KEY_VALUE_AND_UNIT: Message = Message {
    name: "KeyValueAndUnit",
    fields: &[one(1, "keyStrindex", Int32), one(2, "value", Msg(&ANY_VALUE)), one(3, "unitStrindex", Int32)],
};
static STACK: Message = Message { name: "Stack", fields: &[many(1, "locationIndices", Int32)] };
