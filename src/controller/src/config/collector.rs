//! Where are traces told? Said by our flag, or as the original and OpenTelemetry itself have it said.

use super::{Error, Flags};
use crate::traces::Target;

/// Variables that name a collector, the first that says anything: the original's, then OpenTelemetry's.
const ENDPOINTS: [&str; 3] = [
    "OPENTELEMETRY_ENDPOINT_URL",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
/// The same for how it is spoken to.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// Fills in what our own flags leave open.
pub(super) fn as_others_say_it(flags: &mut Flags, environment: impl Fn(&str) -> Option<String>) {
    let first = |names: &[&str]| {
        let mut said = names.iter().filter_map(|it| environment(it));
        said.find(|it| !it.is_empty())
    };
    if flags.otlp_endpoint.is_none() {
        flags.otlp_endpoint = first(&ENDPOINTS);
    }
    if flags.otlp_protocol.is_none() {
        flags.otlp_protocol = first(&PROTOCOLS);
    }
}

/// The collector that these flags name. An empty address is none.
pub(super) fn of(flags: &Flags) -> Result<Option<Target>, Error> {
    let endpoint = flags.otlp_endpoint.as_deref().filter(|it| !it.is_empty());
    let protocol = flags.otlp_protocol.as_deref().filter(|it| !it.is_empty());
    let target = endpoint.map(|it| Target::parse(it, protocol)).transpose();
    target.map_err(|source| Error::Traces { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(flag: Option<&str>, environment: &[(&str, &str)]) -> Option<String> {
        let mut flags = Flags { otlp_endpoint: flag.map(str::to_owned), ..Flags::default() };
        as_others_say_it(&mut flags, |name| {
            let said = environment.iter().find(|it| it.0 == name);
            said.map(|it| it.1.to_owned())
        });
        flags.otlp_endpoint
    }

    #[test]
    fn our_flag_comes_before_the_original_s_variable_and_that_before_opentelemetry_s() {
        let standard = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4318");
        let original = ("OPENTELEMETRY_ENDPOINT_URL", "http://original:4317");

        assert_eq!(named(None, &[]), None);
        assert_eq!(named(None, &[standard]).as_deref(), Some("http://standard:4318"));
        assert_eq!(named(None, &[standard, original]).as_deref(), Some("http://original:4317"));
        let ours = named(Some("http://ours:4317"), &[standard, original]);
        assert_eq!(ours.as_deref(), Some("http://ours:4317"));
    }

    #[test]
    fn nothing_or_nothing_but_an_empty_word_means_no_traces() {
        let flags = Flags { otlp_endpoint: Some(String::new()), ..Flags::default() };

        assert_eq!(of(&Flags::default()).unwrap(), None);
        assert_eq!(of(&flags).unwrap(), None);
        let wrong = Flags { otlp_endpoint: Some("collector".to_owned()), ..Flags::default() };
        assert!(matches!(of(&wrong), Err(Error::Traces { .. })));
    }
}
