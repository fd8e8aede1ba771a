//! Pages of slots, and the blocks in which slots change hands.

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::slot::Slot;

/// Slots of a block: the bits of a mask.
pub(super) const BLOCK_SLOTS: usize = if cfg!(moirai_loom) { 2 } else { 64 };
/// Blocks of a page: 64 KiB of slots.
pub(super) const PAGE_BLOCKS: usize = if cfg!(moirai_loom) { 1 } else { 16 };
/// Slots of a page.
pub(super) const PAGE_SLOTS: usize = BLOCK_SLOTS * PAGE_BLOCKS;
/// A mask with all slots free.
pub(super) const ALL_FREE: u64 = u64::MAX >> (64 - BLOCK_SLOTS);
/// With this many free slots a block is worth taking.
pub(super) const HALF: u32 = BLOCK_SLOTS as u32 / 2;

/// Slots, and which of them are free.
#[derive(Debug)]
pub(super) struct Page {
    slots: Box<[Slot]>,
    pub(super) blocks: Box<[Block]>,
    /// The highest generation of any slot. Written under the evictor's lock.
    highest: AtomicU32,
    /// Whether the evictor remembers the page as one that may be released. Under its lock.
    candidate: AtomicBool,
}

impl Page {
    pub(super) fn new(generation: u32) -> Self {
        Self {
            slots: (0..PAGE_SLOTS).map(|_| Slot::new(generation)).collect(),
            blocks: (0..PAGE_BLOCKS).map(|_| Block::default()).collect(),
            highest: AtomicU32::new(generation),
            candidate: AtomicBool::new(false),
        }
    }

    /// Bytes on the heap.
    pub(super) const fn bytes() -> usize {
        size_of::<Self>() + PAGE_SLOTS * size_of::<Slot>() + PAGE_BLOCKS * size_of::<Block>()
    }

    pub(super) fn slot(&self, index: u32) -> &Slot {
        &self.slots[index as usize % PAGE_SLOTS]
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// A slot of the page goes on with this generation.
    pub(super) fn note_generation(&self, generation: u32) {
        // Ordering: Relaxed, both: under the evictor's lock.
        if generation > self.highest.load(Ordering::Relaxed) {
            self.highest.store(generation, Ordering::Relaxed);
        }
    }

    /// The generation from which the slots go on once the page has been released and made again: beyond all used.
    pub(super) fn next_generation(&self) -> u32 {
        // Ordering: Relaxed: under the evictor's lock.
        self.highest.load(Ordering::Relaxed)
    }

    /// Marks the page as a candidate, or not, and says whether it was one. Under the evictor's lock.
    pub(super) fn set_candidate(&self, candidate: bool) -> bool {
        // Ordering: Relaxed: under the evictor's lock.
        let before = self.candidate.load(Ordering::Relaxed);
        self.candidate.store(candidate, Ordering::Relaxed);
        before
    }
}

/// The slots of a block that have come back; see rule 5. Those that its holder can allocate are in his own mask.
#[derive(Debug, Default)]
pub(super) struct Block {
    freed: AtomicU64,
    /// See [`depot`](super::depot); under its lock.
    pub(super) depot_state: AtomicU32,
}

impl Block {
    /// Gives slots back. Returns how many are back, before and after.
    pub(super) fn free_slots(&self, slots: u64) -> (u64, u64) {
        // Ordering: Release pairs with the Acquire of `take`: who allocates the slots finds their words free.
        let before = self.freed.fetch_or(slots, Ordering::Release);
        (before, before | slots)
    }

    /// Takes everything that has come back.
    pub(super) fn take_freed(&self) -> u64 {
        // Ordering: Acquire pairs with the Release of `free_slots`.
        self.freed.swap(0, Ordering::Acquire)
    }

    /// What has come back.
    pub(super) fn freed(&self) -> u64 {
        // Ordering: Relaxed: a hint, or decided by the depot's lock.
        self.freed.load(Ordering::Relaxed)
    }

    /// All slots of a block that was never used.
    pub(super) fn fill(&self) {
        // Ordering: Relaxed: made ready under the depot's lock.
        self.freed.store(ALL_FREE, Ordering::Relaxed);
    }
}
