//! Slabs that give their memory back.

use slab::Slab;

/// How many entries an empty slab may keep room for.
const KEEP: usize = 64;

/// Removes an entry if there is one. A slab that is empty after a burst goes back to the allocator: a token or an event
/// may live for years.
pub(crate) fn remove<T>(slab: &mut Slab<T>, key: usize) -> Option<T> {
    let removed = slab.try_remove(key);
    if slab.is_empty() && slab.capacity() > KEEP {
        *slab = Slab::new();
    }
    removed
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slab_gives_its_memory_back_after_a_burst() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..1_000).map(|i| slab.insert(i)).collect();
        for (i, key) in keys.into_iter().enumerate() {
            assert_eq!(remove(&mut slab, key), Some(i));
        }
        assert_eq!(slab.capacity(), 0);
        assert_eq!(remove(&mut slab, 7), None);
    }
}
