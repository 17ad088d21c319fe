//! Metrics that components report of themselves. The latest value of each is kept, in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hedgerow_ipc::model::MetricUnitType;
use hedgerow_isolation::moment::Moment;

/// Bytes of a metric's name, as in Greengrass.
const MAX_NAME: usize = 32;
/// Metrics that are kept of one component.
const MAX_METRICS: usize = 256;

#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub unit: MetricUnitType,
    /// Finite, and not negative.
    pub value: f64,
    pub reported: Moment,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidMetric {
    #[error("there are no metrics in the request")]
    None,
    #[error("the name {0:?} has not 1 to {MAX_NAME} bytes")]
    Name(String),
    #[error("{name}: the value {value} is negative or not a number")]
    Value { name: String, value: f64 },
    #[error("at most {MAX_METRICS} metrics of one component are kept")]
    TooMany,
}

/// The latest value of each metric, by component and name.
#[derive(Debug, Default)]
pub struct Metrics {
    latest: Mutex<BTreeMap<String, BTreeMap<String, Metric>>>,
}

impl Metrics {
    pub fn of(&self, component: &str) -> BTreeMap<String, Metric> {
        self.latest().get(component).cloned().unwrap_or_default()
    }

    /// All of them, or none where one is not valid.
    pub fn put(
        &self,
        component: &str,
        metrics: Vec<(String, Metric)>,
    ) -> Result<(), InvalidMetric> {
        if metrics.is_empty() {
            return Err(InvalidMetric::None);
        }
        for (name, Metric { value, .. }) in &metrics {
            if name.is_empty() || name.len() > MAX_NAME {
                return Err(InvalidMetric::Name(name.clone()));
            }
            if !value.is_finite() || *value < 0.0 {
                return Err(InvalidMetric::Value { name: name.clone(), value: *value });
            }
        }
        let mut latest = self.latest();
        let mut own = latest.get(component).cloned().unwrap_or_default();
        own.extend(metrics);
        if own.len() > MAX_METRICS {
            return Err(InvalidMetric::TooMany);
        }
        latest.insert(component.to_owned(), own);
        Ok(())
    }

    /// Of a component that is not there any more.
    pub fn forget(&self, component: &str) {
        self.latest().remove(component);
    }

    fn latest(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Metric>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, value: f64) -> (String, Metric) {
        let metric = Metric { unit: MetricUnitType::Count, value, reported: Moment::now() };
        (name.to_owned(), metric)
    }

    #[test]
    fn the_latest_of_each_is_kept() {
        let metrics = Metrics::default();
        metrics.put("aws.a", vec![metric("x", 1.0), metric("y", 0.0)]).expect("valid");
        metrics.put("aws.a", vec![metric("x", 2.0)]).expect("valid");
        let own = metrics.of("aws.a");
        assert_eq!(own.len(), 2);
        assert!((own["x"].value - 2.0).abs() < f64::EPSILON);
        assert!(metrics.of("aws.b").is_empty());
        metrics.forget("aws.a");
        assert!(metrics.of("aws.a").is_empty());
    }

    #[test]
    fn what_is_not_valid_leaves_the_rest_out_as_well() {
        let metrics = Metrics::default();
        let long = "x".repeat(MAX_NAME + 1);
        let many = (0..=MAX_METRICS).map(|n| metric(&n.to_string(), 1.0)).collect();
        let lists = [
            vec![],
            vec![metric("x", 1.0), metric("", 1.0)],
            vec![metric("x", 1.0), metric(&long, 1.0)],
            vec![metric("x", 1.0), metric("y", -1.0)],
            vec![metric("x", 1.0), metric("y", f64::NAN)],
            many,
        ];
        for list in lists {
            metrics.put("aws.a", list).expect_err("refused");
        }
        assert!(metrics.of("aws.a").is_empty());
    }
}
