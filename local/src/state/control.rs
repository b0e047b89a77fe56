//! What the control API changes while the stand-in runs.

use super::State;
use crate::{config::Limits, instance::Instance, quota::Bucket};

impl State {
    pub(crate) fn set_instance(&mut self, instance: Instance) {
        self.config.instance = instance;
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.config.limits = limits;
        self.bucket = limits.start_rate.map(Bucket::new);
    }
}
