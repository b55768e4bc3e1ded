//! Requests of the profiles signal. What refers to the dictionary need not be in it: nothing here looks it up.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesDictionary, ResourceProfiles,
    Sample, ScopeProfiles, Stack, ValueType,
};

use super::Entropy;

impl Entropy<'_> {
    fn strindex(&mut self) -> i32 {
        self.enumeration()
    }

    fn indices(&mut self) -> Vec<i32> {
        self.list(4, Self::strindex)
    }

    fn value_type(&mut self) -> ValueType {
        ValueType { type_strindex: self.strindex(), unit_strindex: self.strindex() }
    }

    fn sample(&mut self) -> Sample {
        Sample {
            stack_index: self.strindex(),
            attribute_indices: self.indices(),
            link_index: self.strindex(),
            values: self.list(3, |e| e.u64() as i64),
            timestamps_unix_nano: self.list(3, Self::u64),
        }
    }

    fn profile(&mut self) -> Profile {
        Profile {
            sample_type: self.maybe(Self::value_type),
            samples: self.list(3, Self::sample),
            time_unix_nano: self.u64(),
            duration_nano: self.u64(),
            period_type: self.maybe(Self::value_type),
            period: self.u64() as i64,
            profile_id: self.id(16),
            dropped_attributes_count: self.u32(),
            original_payload_format: self.text(),
            original_payload: self.bytes(),
            attribute_indices: self.indices(),
        }
    }

    fn mapping(&mut self) -> Mapping {
        Mapping {
            memory_start: self.u64(),
            memory_limit: self.u64(),
            file_offset: self.u64(),
            filename_strindex: self.strindex(),
            attribute_indices: self.indices(),
        }
    }

    fn location(&mut self) -> Location {
        Location {
            mapping_index: self.strindex(),
            address: self.u64(),
            lines: self.list(3, |e| Line {
                function_index: e.strindex(),
                line: e.u64() as i64,
                column: e.u64() as i64,
            }),
            attribute_indices: self.indices(),
        }
    }

    fn function(&mut self) -> Function {
        Function {
            name_strindex: self.strindex(),
            system_name_strindex: self.strindex(),
            filename_strindex: self.strindex(),
            start_line: self.u64() as i64,
        }
    }

    fn dictionary(&mut self) -> ProfilesDictionary {
        ProfilesDictionary {
            mapping_table: self.list(2, Self::mapping),
            location_table: self.list(2, Self::location),
            function_table: self.list(2, Self::function),
            link_table: self.list(2, |e| Link { trace_id: e.id(16), span_id: e.id(8) }),
            string_table: self.list(4, Self::text),
            attribute_table: self.list(2, |e| KeyValueAndUnit {
                key_strindex: e.strindex(),
                value: e.maybe(|e| e.value(2)),
                unit_strindex: e.strindex(),
            }),
            stack_table: self.list(2, |e| Stack { location_indices: e.indices() }),
        }
    }

    pub(crate) fn profiles(&mut self) -> ExportProfilesServiceRequest {
        ExportProfilesServiceRequest {
            resource_profiles: self.list(3, |e| ResourceProfiles {
                resource: e.resource(),
                scope_profiles: e.list(3, |e| ScopeProfiles {
                    scope: e.scope(),
                    profiles: e.list(3, Self::profile),
                    schema_url: e.text(),
                }),
                schema_url: e.text(),
            }),
            dictionary: self.maybe(Self::dictionary),
        }
    }
}
