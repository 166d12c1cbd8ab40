//! The table `[telemetry]`: where traces go, and how many.

use super::layers::Layers;
use super::public_url;

/// Where traces go, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// The collector, without `/v1/traces`. None: nothing is traced.
    pub otlp_endpoint: Option<String>,
    /// The share of traces that are kept where the caller doesn't say.
    pub sample_ratio: f64,
    /// Whether requests to services carry `traceparent`.
    pub propagate_to_services: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0, propagate_to_services: false }
    }
}

impl Telemetry {
    /// The table `[telemetry]`.
    pub(super) fn read(layers: &mut Layers) -> Self {
        let default = Self::default();
        Self {
            otlp_endpoint: layers.read("telemetry.otlp_endpoint", None, |text| match text {
                "" => Ok(None),
                text => public_url(text).map(Some),
            }),
            sample_ratio: layers.read("telemetry.sample_ratio", default.sample_ratio, |text| {
                let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                ratio.ok_or_else(|| "must be a number from 0 to 1, e.g. 0.05".to_owned())
            }),
            propagate_to_services: layers.read("telemetry.propagate_to_services", false, |text| match text {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err("must be true or false".to_owned()),
            }),
        }
    }
}
