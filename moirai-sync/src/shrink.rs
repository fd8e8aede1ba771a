//! Slabs that free their memory when they are empty.

use slab::Slab;

/// The largest capacity that an empty slab keeps.
const KEEP: usize = 64;

/// Removes an entry if there is one. A slab that is empty and was large frees its memory, because a token or an event may live for
/// years after a burst.
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
