//! The groups of each suite.

use super::group::Group;

/// Starting tasks.
#[must_use]
pub fn spawn() -> Vec<Group> {
    let mut groups = super::spawn::groups();
    groups.extend(super::closures::groups());
    groups
}

/// Waiting for results.
#[must_use]
pub fn join() -> Vec<Group> {
    super::join::groups()
}

/// Being polled and woken.
#[must_use]
pub fn poll() -> Vec<Group> {
    let mut groups = super::poll::groups();
    groups.extend(super::wake::groups());
    groups
}

/// The books alone.
#[must_use]
pub fn registry() -> Vec<Group> {
    super::registry::groups()
}

/// Fork-join work.
#[must_use]
pub fn fork() -> Vec<Group> {
    super::fork::groups()
}

/// Timers, and going on while workers are stuck.
#[must_use]
pub fn time() -> Vec<Group> {
    super::time::groups()
}

/// The schedulers in the box beside each other.
#[must_use]
pub fn schedulers() -> Vec<Group> {
    super::schedulers::groups()
}

/// The groups of all suites.
#[must_use]
pub fn all() -> Vec<Group> {
    [spawn(), join(), poll(), fork(), time(), schedulers(), registry()]
        .into_iter()
        .flatten()
        .collect()
}
