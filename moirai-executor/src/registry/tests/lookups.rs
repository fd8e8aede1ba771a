//! Tests that an id which was given out is told from one that never was (rule 14).

use moirai_core::Lookup;

use super::*;

fn id(generation: u32, slot: u32) -> TaskId {
    TaskId::from_parts(generation, slot).expect("a generation that ids have")
}

#[test]
fn an_id_is_unknown_then_found_then_evicted() {
    for most in [0, 1] {
        let (registry, _) = registry(limit(most));
        let mut writer = registry.writer();
        assert!(registry.lookup(id(1, 0)).is_unknown(), "there is no page");
        for generation in 1..100 {
            let next = id(generation, 0);
            let unknown = || registry.lookup(next).is_unknown();
            assert!(unknown(), "it was not given out yet");
            // The slot of the lowest number that is free is taken first.
            let entry = register(&registry, &mut writer);
            if entry.id().slot() != 0 {
                finish(&registry, &mut writer, entry);
                continue;
            }
            assert_eq!(entry.id(), next);
            let found = registry.lookup(next).found().expect("an active task is found");
            assert_eq!((found.id, found.status), (next, TaskStatus::Queued));
            finish(&registry, &mut writer, entry);
            assert_eq!(matches!(registry.lookup(next), Lookup::Found(_)), most == 1);
            let other = register(&registry, &mut writer);
            finish(&registry, &mut writer, other);
            assert!(registry.lookup(next).is_evicted());
            break;
        }
        assert!(registry.lookup(id(2, 0)).is_unknown());
        assert!(registry.lookup(id(1, PAGE_SLOTS as u32 - 1)).is_unknown(), "a slot not used yet");
        assert!(registry.lookup(id(1, u32::MAX / 2)).is_unknown(), "there is no such page");
        assert!(registry.lookup(registry.refused_id()).is_unknown());
    }
}

#[test]
fn every_id_that_was_given_out_is_known_and_the_next_of_its_slot_is_not() {
    let (registry, _) = registry(limit(100));
    let mut writer = registry.writer();
    let ids: Vec<_> = (0..10_000).map(|_| one(&registry, &mut writer)).collect();
    let given_out: HashSet<_> = ids.iter().copied().collect();
    let (mut found, mut evicted) = (0, 0);
    for known in &ids {
        match registry.lookup(*known) {
            Lookup::Found(stats) => found += usize::from(stats.id == *known),
            Lookup::Evicted => evicted += 1,
            Lookup::Unknown => panic!("{known} was given out"),
        }
        let next = id(known.generation() + 1, known.slot());
        assert_eq!(registry.lookup(next).is_unknown(), !given_out.contains(&next));
    }
    assert_eq!((found, evicted), (registry.retained(), ids.len() - registry.retained()));
}

#[test]
fn the_ids_of_a_page_that_was_released_stay_known() {
    let (registry, _) = registry(limit(0));
    let mut writer = registry.writer();
    let mut ids = Vec::new();
    for burst in 1..=3 {
        let entries: Vec<_> =
            (0..4 * PAGE_SLOTS).map(|_| register(&registry, &mut writer)).collect();
        ids.extend(entries.into_iter().map(|entry| finish(&registry, &mut writer, entry)));
        assert!(registry.sweep().pages >= 3);
        assert!(ids.iter().all(|id| registry.lookup(*id).is_evicted()), "burst {burst}");
        // The pages that were released begin with a generation that no slot has had.
        let next = ids.iter().map(|id| id.generation()).max().unwrap() + 1;
        assert!(ids.iter().all(|known| registry.lookup(id(next, known.slot())).is_unknown()));
    }
}

#[test]
fn a_slot_whose_generations_are_used_up_has_had_them_all() {
    let (clock, _) = Clock::manual();
    let registry = starting_at(u32::MAX - 1, clock);
    let mut writer = registry.writer();
    let ids: Vec<_> = (0..3 * PAGE_SLOTS).map(|_| one(&registry, &mut writer)).collect();
    assert!(ids.iter().all(|id| registry.lookup(*id).is_evicted()));
    assert!(ids.iter().any(|id| id.generation() == u32::MAX));
    let before = id(u32::MAX - 2, ids[0].slot());
    assert!(registry.lookup(before).is_unknown(), "no page had that generation");
}
