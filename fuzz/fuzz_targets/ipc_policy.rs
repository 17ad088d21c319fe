//! Foreign `accessControl`: no panic, and nothing is granted to anybody else.

#![no_main]

use hedgerow_ipc::authorization::{Pattern, Style};
use hedgerow_ipc::model::Operation;
use hedgerow_ipc::{Hub, Limits, Principal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(access_control) = serde_json::from_slice(bytes) {
        let hub = Hub::new(Limits::default());
        for problem in hub.set_policies("component", &access_control) {
            assert!(access_control.pointer(&problem.pointer).is_some(), "{problem}");
        }
        let other = Principal::Component("other".into());
        assert!(hub.authorize(&other, Operation::PublishToTopic, "topic").is_err());
        let own = Principal::Component("component".into());
        let _ = hub.authorize(&own, Operation::PublishToTopic, "topic");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let (pattern, resource) = text.split_once('\n').unwrap_or((text, text));
        for style in [Style::Standard, Style::Mqtt] {
            if let Ok(pattern) = Pattern::parse(pattern, style) {
                pattern.matches(resource);
            }
        }
    }
});
