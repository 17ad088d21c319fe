//! Keeps what watchers see up to date.

use super::Task;
use crate::Instances;
use crate::metrics::{Counts, Health, Metrics, Standing};

impl<I: Instances> Task<I> {
    /// Watchers are told with the next [`Self::publish`].
    pub(super) fn count(&mut self, count: impl FnOnce(&mut Metrics)) {
        self.is_counted = true;
        self.overview.send_if_modified(|overview| {
            count(&mut overview.metrics);
            false
        });
    }

    pub(super) fn publish(&mut self) -> Counts {
        let counts = self.pool.counts();
        let health = self.health(counts);
        let waiting = self.pool.waiting().len();
        let longest_idle = self.pool.longest_idle().map(|since| (self.origin + since).into_std());
        self.standing.send_if_modified(|standing| {
            let is_new = standing.health != health || standing.digest != self.spec.digest;
            if is_new {
                *standing = Standing { digest: self.spec.digest.clone(), health: health.clone() };
            }
            is_new
        });
        let mut is_first_spare = false;
        let is_counted = std::mem::take(&mut self.is_counted);
        let is_new = self.overview.send_if_modified(|overview| {
            let is_same = overview.instances == counts
                && overview.waiting == waiting
                && overview.longest_idle == longest_idle
                && overview.health == health;
            is_first_spare = overview.longest_idle.is_none() && longest_idle.is_some();
            overview.instances = counts;
            overview.waiting = waiting;
            overview.longest_idle = longest_idle;
            overview.health = health;
            is_counted || !is_same
        });
        if is_new {
            self.activity.send_replace(());
        }
        if is_first_spare {
            self.spare.send_replace(());
        }
        counts
    }

    fn health(&self, counts: Counts) -> Health {
        if self.pool.is_stopped() {
            return Health::Stopped;
        }
        if let Some(failing) = self.pool.failing() {
            return Health::Failing {
                error: failing.fault.to_string(),
                since: (self.origin + failing.since).into_std(),
                retry_at: (self.origin + failing.retry_at).into_std(),
            };
        }
        match counts {
            Counts { busy: 0, idle: 0, frozen: 0, starting: 0, .. } if !self.spec.pinned => {
                Health::Idle
            }
            Counts { busy: 0, idle: 0, frozen: 0, .. } => Health::Starting,
            Counts { .. } => Health::Ready,
        }
    }
}
