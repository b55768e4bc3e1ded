//! Pages of metrics and of health.

use std::sync::Arc;

use connect::{
    page::{Page, PageRequest, Pages},
    prometheus::{Format, PrometheusConfig, PrometheusExporter, TranslationStrategy},
};
use pipeline::clock::now_ns;

use super::{
    collect,
    desk::Desk,
    points::Points,
    settings::{Level, Reader},
};
use crate::components::health_check::HealthCheckSettings;

/// `/metrics`.
pub(super) struct MetricsPage {
    desk: Arc<Desk>,
    level: Level,
    suffixes: bool,
    config: PrometheusConfig,
}

impl MetricsPage {
    pub(super) fn new(desk: Arc<Desk>, level: Level, reader: &Reader) -> Self {
        // Constant labels keep their names, so they are brought into the form that every scraper takes.
        let plain = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let of_resource = desk.resource.iter().filter(|_| reader.constant_labels);
        let const_labels = of_resource.map(|(key, value)| (plain(key), value.clone())).collect();
        let translation_strategy = match reader.suffixes {
            true => TranslationStrategy::UnderscoreEscapingWithSuffixes,
            false => TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
        };
        let config = PrometheusConfig {
            const_labels,
            translation_strategy,
            without_scope_info: reader.without_scope_info,
            ..PrometheusConfig::default()
        };
        Self { desk, level, suffixes: reader.suffixes, config }
    }

    /// Everything that is counted now, as a scraper wants it.
    fn render(&self, format: Format) -> Vec<u8> {
        let now_ns = now_ns();
        let mut points = Points::new(self.level, self.suffixes, self.desk.started_ns(), now_ns);
        let uptime = now_ns.saturating_sub(self.desk.started_ns()) as f64 / 1e9;
        collect::process(uptime, &mut points);
        self.desk.look(now_ns);
        if let Some(sources) = self.desk.sources() {
            collect::collect(&sources, &self.desk.verdict(), &mut points);
        }
        // Made anew, so that what is no more is not shown, and nothing is kept between scrapes.
        let page = PrometheusExporter::with_config(self.config.clone());
        page.describe_self(&self.desk.resource, now_ns);
        for batch in points.finish() {
            let observed = page.observe(&batch, now_ns);
            debug_assert_eq!(observed.rejected, 0, "{:?}", page.stats());
        }
        page.render(format, now_ns)
    }
}

impl Pages for MetricsPage {
    fn missing(&self, path: &str) -> Option<&'static str> {
        (path != "/metrics").then_some("there is only /metrics here\n")
    }

    fn page(&self, request: &PageRequest<'_>) -> Page {
        let format = Format::negotiate(&request.accept(), false);
        let body = self.render(format).into();
        Page { status: 200, content_type: format.content_type(), body, varies: true, charge: None }
    }
}

/// Whether the engine should be sent telemetry, and at [`LIVE`] whether it should be left running.
pub(super) struct HealthPage {
    desk: Arc<Desk>,
    settings: HealthCheckSettings,
}

/// Where only what a restart would mend is told.
const LIVE: &str = "/live";

impl HealthPage {
    pub(super) fn new(desk: Arc<Desk>, settings: HealthCheckSettings) -> Self {
        Self { desk, settings }
    }
}

impl Pages for HealthPage {
    fn missing(&self, path: &str) -> Option<&'static str> {
        // A path that ends in a slash stands for all below it, as in the Collector.
        let wanted = &self.settings.path;
        let is_there = path == wanted || wanted.ends_with('/') && path.starts_with(wanted) || path == LIVE;
        (!is_there).then_some("health is told elsewhere; see `path` of the extension `health_check`\n")
    }

    fn page(&self, request: &PageRequest<'_>) -> Page {
        let now_ns = now_ns();
        self.desk.look(now_ns);
        let verdict = self.desk.verdict();
        let is_good = if request.path == LIVE { verdict.is_alive() } else { verdict.is_ready() };
        let status = if is_good { 200 } else { 503 };
        match &self.settings.response_body {
            Some(body) => {
                let text = if is_good { &body.healthy } else { &body.unhealthy };
                Page::text(status, text.clone())
            }
            None => Page::json(status, verdict.as_json(is_good, self.desk.started_ns(), now_ns).to_string()),
        }
    }
}
