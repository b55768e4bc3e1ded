//! The dataflow engine of the OpenTelemetry Arrow project, from its published crates, as a program that the speed table
//! can run beside ours: one core, one configuration file, nothing else.

use otel_arrow_dfe_config::engine::OtelDataflowSpec;
use otel_arrow_dfe_controller::{Controller, startup};
// Its receivers and exporters register themselves when they are linked.
use otel_arrow_dfe_core_nodes as _;
use otel_arrow_dfe_otap::OTAP_PIPELINE_FACTORY;

/// The allocator of that project's own program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let path = std::env::args().nth(1).expect("usage: otel-arrow FILE");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut config = OtelDataflowSpec::from_yaml(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    startup::apply_cli_overrides(&mut config, Some(1), None, None);
    startup::validate_engine_components(&config, &OTAP_PIPELINE_FACTORY)
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let ended = Controller::new(&OTAP_PIPELINE_FACTORY).run_forever(config);
    ended.unwrap_or_else(|error| panic!("{error}"));
}
