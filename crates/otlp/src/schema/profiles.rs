//! The messages of the profiles signal, `v1development` of opentelemetry-proto v1.10.

use super::{
    ANY_VALUE,
    Kind::{Bytes, Fixed64, Fixed64s, Id, Message, Text, Varint, Varints},
    Levels, RESOURCE, SCOPE, Shape,
};

/// Its request has a second field: what all its profiles refer to by number.
pub(crate) static PROFILES: Levels = Levels {
    request: Shape::new("ExportProfilesServiceRequest")
        .many(1, Message(&PROFILES.resource))
        .one(2, Message(&DICTIONARY)),
    resource: Shape::new("ResourceProfiles")
        .one(1, Message(&RESOURCE))
        .many(2, Message(&PROFILES.scope))
        .one(3, Text),
    scope: Shape::new("ScopeProfiles").one(1, Message(&SCOPE)).many(2, Message(&PROFILE)).one(3, Text),
};
static PROFILE: Shape = Shape::new("Profile")
    .one(1, Message(&VALUE_TYPE))
    .many(2, Message(&SAMPLE))
    .one(3, Fixed64)
    .one(4, Varint)
    .one(5, Message(&VALUE_TYPE))
    .one(6, Varint)
    .one(7, Id(16))
    .one(8, Varint)
    .one(9, Text)
    .one(10, Bytes)
    .many(11, Varints);
static VALUE_TYPE: Shape = Shape::new("ValueType").one(1, Varint).one(2, Varint);
static SAMPLE: Shape =
    Shape::new("Sample").one(1, Varint).many(2, Varints).one(3, Varint).many(4, Varints).many(5, Fixed64s);

static DICTIONARY: Shape = Shape::new("ProfilesDictionary")
    .many(1, Message(&MAPPING))
    .many(2, Message(&LOCATION))
    .many(3, Message(&FUNCTION))
    .many(4, Message(&LINK))
    .many(5, Text)
    .many(6, Message(&KEY_VALUE_AND_UNIT))
    .many(7, Message(&STACK));
static MAPPING: Shape =
    Shape::new("Mapping").one(1, Varint).one(2, Varint).one(3, Varint).one(4, Varint).many(5, Varints);
static LOCATION: Shape =
    Shape::new("Location").one(1, Varint).one(2, Varint).many(3, Message(&LINE)).many(4, Varints);
static LINE: Shape = Shape::new("Line").one(1, Varint).one(2, Varint).one(3, Varint);
static FUNCTION: Shape = Shape::new("Function").one(1, Varint).one(2, Varint).one(3, Varint).one(4, Varint);
static LINK: Shape = Shape::new("Link").one(1, Id(16)).one(2, Id(8));
static KEY_VALUE_AND_UNIT: Shape =
    Shape::new("KeyValueAndUnit").one(1, Varint).one(2, Message(&ANY_VALUE)).one(3, Varint);
static STACK: Shape = Shape::new("Stack").many(1, Varints);
