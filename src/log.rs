//! The log: one line for each event, as JSON or as text.
//!
//! At their most detailed levels the request signer and the HTTP client log whole requests and responses, with tokens, keys and
//! mails. Therefore other crates never log below INFO, whatever level is configured. Only targets of this project do.

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging to standard output. `level` is a level or a list of `target=level` directives. An invalid value means INFO.
pub fn start(json: bool, level: Option<&str>) {
    let registry = tracing_subscriber::registry().with(filter(level.unwrap_or_default()));
    let lines = tracing_subscriber::fmt::layer().with_ansi(false);
    // A second call, as in tests, has no effect.
    let _ = if json {
        registry.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).try_init()
    } else {
        registry.with(lines.with_target(false)).try_init()
    };
}

/// Starts logging as text to standard error, for programs that write their result to standard output.
pub fn start_beside(level: Option<&str>) {
    let registry = tracing_subscriber::registry().with(filter(level.unwrap_or_default()));
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(std::io::stderr);
    let _ = registry.with(lines).try_init();
}

fn filter(level: &str) -> Targets {
    let wanted = match level.to_ascii_uppercase().as_str() {
        // Level names of Lambda that `tracing` does not have.
        "FATAL" => Targets::new().with_default(Level::ERROR),
        "" => Targets::new().with_default(Level::INFO),
        _ => level.parse().unwrap_or_else(|_| Targets::new().with_default(Level::INFO)),
    };
    let general = wanted.default_level().unwrap_or(LevelFilter::INFO);
    let ours = ["onething", "onething_device", "onething_hub"].map(|target| {
        let own = wanted.iter().find(|(named, _)| *named == target).map(|(_, level)| level);
        (target, own.unwrap_or(general))
    });
    Targets::new().with_default(general.min(LevelFilter::INFO)).with_targets(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: &str, target: &str, at: Level, shown: bool) {
        assert_eq!(filter(level).would_enable(target, &at), shown, "{level} {target} {at}");
    }

    #[test]
    fn other_crates_never_go_below_info() {
        for level in ["TRACE", "trace", "hyper=trace", "onething=trace,aws_smithy_runtime=debug"] {
            check(level, "hyper::proto", Level::TRACE, false);
            check(level, "aws_smithy_runtime::client", Level::DEBUG, false);
        }
        check("TRACE", "onething::onboard", Level::TRACE, true);
        check("TRACE", "onething_device::cli::commands::run", Level::TRACE, true);
        check("onething=debug", "onething::onboard", Level::DEBUG, true);
        check("INFO", "onething::onboard", Level::DEBUG, false);
        check("", "onething::answer", Level::INFO, true);
        check("ERROR", "onething::answer", Level::INFO, false);
        check("ERROR", "hyper", Level::INFO, false);
        check("nonsense here", "onething", Level::INFO, true);
        check("FATAL", "onething", Level::WARN, false);
    }
}
