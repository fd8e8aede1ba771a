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

/// Returns the groups of all suites that one of the words chooses: the group of that name, or else all whose names contain it. Without
/// words these are all groups.
#[must_use]
pub fn chosen_by(words: &[String]) -> Vec<Group> {
    let mut groups = all();
    let is_name: Vec<_> =
        words.iter().map(|word| groups.iter().any(|group| group.name == word)).collect();
    let chooses = |group: &Group, word: &String, is_name: bool| match is_name {
        true => group.name == word,
        false => group.name.contains(word),
    };
    groups.retain(|group| {
        words.is_empty()
            || words.iter().zip(&is_name).any(|(word, &is_name)| chooses(group, word, is_name))
    });
    groups
}

#[cfg(test)]
mod tests {
    use super::super::group::{ON_ONE_WORKER, PARTS, RESTLESS};
    use super::{all, chosen_by};
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

    fn names(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        chosen_by(&words).iter().map(|group| group.name).collect()
    }

    #[test]
    fn a_name_chooses_its_group_alone() {
        for group in all() {
            assert_eq!(names(&[group.name]), [group.name]);
        }
    }

    #[test]
    fn a_part_of_names_chooses_all_that_have_it() {
        assert_eq!(names(&[]).len(), all().len());
        assert!(names(&["everywhere"]).len() > 2);
        assert!(names(&["no such group"]).is_empty());
        let two = names(&["everywhere_fan_out", "ping_pong"]);
        assert_eq!(two, ["everywhere_fan_out", "ping_pong"]);
    }
}
