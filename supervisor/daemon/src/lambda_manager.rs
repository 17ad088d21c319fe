//! `aws.greengrass.LambdaManager`: of its configuration, what counts.

use std::time::Duration;

use serde_json::Value;

pub const NAME: &str = "aws.greengrass.LambdaManager";

/// The key of [`result_timeout`].
pub const RESULT_TIMEOUT: &str = "getResultTimeoutInSecond";

/// Whole seconds, as a number or as deployments write numbers, too. `None`: it is neither, or 0.
pub fn result_timeout(configured: &Value) -> Option<Duration> {
    let seconds = configured.as_u64().or_else(|| configured.as_str()?.trim().parse().ok());
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_numbers_and_texts_of_numbers() {
        for (configured, seconds) in [
            (json!(7), Some(7)),
            (json!("7"), Some(7)),
            (json!(" 7 "), Some(7)),
            (json!(0), None),
            (json!("0"), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!("a while"), None),
            (json!(null), None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(result_timeout(&configured), expected, "{configured}");
        }
    }
}
