//! Foreign filters and topics: no panic, and a valid topic is matched by itself and by `#`.

#![no_main]

use hedgerow_ipc::pubsub::{Filter, topic};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

fuzz_target!(|text: &str| {
    let (filter, name) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(filter) = Filter::parse(filter, LIMIT) {
        let matches = filter.matches(name);
        assert!(filter.has_wildcard() || matches == (filter.as_str() == name));
    }
    if topic::check(name, LIMIT).is_ok() {
        for filter in [name, "#"] {
            assert!(Filter::parse(filter, LIMIT).is_ok_and(|filter| filter.matches(name)));
        }
    }
});
