//! The groups of each suite.

use super::group::Group;

/// Returns the suite of starting tasks and closures.
#[must_use]
pub fn spawn() -> Vec<Group> {
    // `spawn_outside_1m`, the last of its groups, leaves the allocator's memory fragmented.
    let mut groups = super::everywhere::groups();
    groups.extend(super::spawn::groups());
    groups.extend(super::closures::groups());
    groups
}

/// Returns the suite of waiting for results.
#[must_use]
pub fn join() -> Vec<Group> {
    super::join::groups()
}

/// Returns the suite of polling and waking.
#[must_use]
pub fn poll() -> Vec<Group> {
    let mut groups = super::poll::groups();
    groups.extend(super::wake::groups());
    groups.extend(super::recorder::groups());
    groups
}

/// Returns the suite of the registry alone.
#[must_use]
pub fn registry() -> Vec<Group> {
    super::registry::groups()
}

/// Returns the suite of fork-join work.
#[must_use]
pub fn fork() -> Vec<Group> {
    super::fork::groups()
}

/// Returns the suite of timers, and of tasks that go on while workers are stuck.
#[must_use]
pub fn time() -> Vec<Group> {
    super::time::groups()
}

/// Returns the suite in which Moirai's schedulers are compared.
#[must_use]
pub fn schedulers() -> Vec<Group> {
    super::schedulers::groups()
}

/// Returns the groups of all suites.
#[must_use]
pub fn all() -> Vec<Group> {
    [spawn(), join(), poll(), fork(), time(), schedulers(), registry()]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::group::{ON_ONE_WORKER, PARTS, RESTLESS};
    use super::all;
    use crate::apart::Apart;

    #[test]
    fn lists_of_groups_name_groups_that_exist() {
        let groups = all();
        for name in [&PARTS[..], &ON_ONE_WORKER, &RESTLESS].concat() {
            assert!(groups.iter().any(|group| group.name == name), "{name}");
        }
    }

    #[test]
    fn rayon_on_moirai_is_judged_wherever_rayon_is_a_peer() {
        for group in all() {
            let judged =
                group.figures.iter().any(|figure| figure.of == Apart::RayonOnMoirai.name());
            assert_eq!(judged, group.has_rayon(), "{}", group.name);
        }
    }
}
