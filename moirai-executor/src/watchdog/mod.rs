//! What the progress thread knows.

pub(crate) mod activity;
pub(crate) mod arming;
pub(crate) mod compensation;
pub(crate) mod cpu_clock;
pub(crate) mod stalls;
