//! Pages of slots, and the blocks of slots that writers hold.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::slot::Slot;
use crate::system_memory::decommit;

/// The number of slots in a block: the bits of a mask.
pub(super) const BLOCK_SLOTS: usize = if cfg!(moirai_loom) { 2 } else { 64 };
/// The number of blocks in a page, which make 64 KiB of slots.
pub(super) const PAGE_BLOCKS: usize = if cfg!(moirai_loom) { 1 } else { 16 };
/// The number of slots in a page.
pub(super) const PAGE_SLOTS: usize = BLOCK_SLOTS * PAGE_BLOCKS;
/// The mask of a block whose slots are all free.
pub(super) const ALL_FREE: u64 = u64::MAX >> (64 - BLOCK_SLOTS);
/// The number of free slots from which a block is worth taking.
pub(super) const HALF: u32 = BLOCK_SLOTS as u32 / 2;

/// Which tasks get the slots of a page (rule 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenants {
    /// Those that ask for no class.
    DefaultClass,
    /// Those that ask for a retention class.
    RetentionClasses,
}

/// An array of slots, and the blocks that they form.
#[derive(Debug)]
pub(super) struct Page {
    slots: Slots,
    pub(super) blocks: Box<[Block; PAGE_BLOCKS]>,
    /// The generation with which the slots of the page began.
    first: u32,
    /// The highest generation with which any slot of the page goes on.
    highest: AtomicU32,
    /// Whether the page is in a list of candidates for release.
    candidate: AtomicBool,
}

impl Page {
    pub(super) fn new(generation: u32, tenants: Tenants) -> Self {
        // As a slice at first, which is made on the heap.
        let blocks: Box<[Block]> = (0..PAGE_BLOCKS).map(|_| Block::new(tenants)).collect();
        Self {
            slots: Slots::new(generation),
            blocks: blocks.try_into().expect("it has as many blocks as a page"),
            first: generation,
            highest: AtomicU32::new(generation),
            candidate: AtomicBool::new(false),
        }
    }

    /// Returns the bytes that a page takes on the heap.
    pub(super) const fn bytes() -> usize {
        size_of::<Self>() + PAGE_SLOTS * size_of::<Slot>() + PAGE_BLOCKS * size_of::<Block>()
    }

    #[inline]
    pub(super) fn slot(&self, index: u32) -> &Slot {
        &self.slots.get()[index as usize % PAGE_SLOTS]
    }

    pub(super) fn slots(&self) -> &[Slot] {
        self.slots.get()
    }

    /// Returns the generation with which the slots of the page began.
    pub(super) fn first_generation(&self) -> u32 {
        self.first
    }

    /// Notes that a slot of the page goes on with this generation. The caller returns the slot to its block after this.
    #[inline]
    pub(super) fn note_generation(&self, generation: u32) {
        // Ordering: Relaxed: only whether it is less. It never goes down.
        if generation > self.highest.load(Ordering::Relaxed) {
            // Ordering: Relaxed: the return of the slot to its block releases it.
            self.highest.fetch_max(generation, Ordering::Relaxed);
        }
    }

    /// Returns the generation with which the slots of the next page at this place must begin: higher than any that was used. The
    /// caller has seen that all slots of the page are back.
    pub(super) fn next_generation(&self) -> u32 {
        // Ordering: Relaxed: acquired with the slots, in `is_wholly_free`.
        self.highest.load(Ordering::Relaxed)
    }

    /// Sets whether the page is a candidate for release, and returns whether it was one.
    pub(super) fn set_candidate(&self, candidate: bool) -> bool {
        // Ordering: AcqRel pairs with itself: of a thread that frees the last slot and one that attempts the release, the second sees
        // what the first has done: either the attempt finds the slot, or the page becomes a candidate once more.
        self.candidate.swap(candidate, Ordering::AcqRel)
    }
}

/// The slots of a page, whose memory is given back to the system when it is freed: an allocator would keep it, for whatever lies
/// behind it.
#[derive(Debug)]
struct Slots(NonNull<[Slot; PAGE_SLOTS]>);

// SAFETY: it owns the slots, which are atomics.
unsafe impl Send for Slots {}
// SAFETY: as above.
unsafe impl Sync for Slots {}

impl Slots {
    /// Not aligned to the system's pages: allocators waste one for that. Those that lie wholly inside are given back.
    const LAYOUT: Layout = Layout::new::<[Slot; PAGE_SLOTS]>();

    fn new(generation: u32) -> Self {
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc(Self::LAYOUT) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT));
        let first = memory.cast::<Slot>();
        for index in 0..PAGE_SLOTS {
            // SAFETY: there is room for as many.
            let slot = unsafe { first.add(index) };
            // SAFETY: the memory is this function's own.
            unsafe { slot.write(Slot::new(generation)) };
        }
        Self(memory.cast())
    }

    #[inline]
    fn get(&self) -> &[Slot; PAGE_SLOTS] {
        // SAFETY: `new` has written all slots, and they are freed with this.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // Loom's atomics are dropped; others need no drop.
        #[cfg(moirai_loom)]
        // SAFETY: the slots are this value's, and are not used again.
        unsafe {
            self.0.drop_in_place();
        }
        let memory = self.0.cast::<u8>();
        // SAFETY: the memory is this value's, and nothing in it is needed any more.
        unsafe { decommit(memory, Self::LAYOUT.size()) };
        // SAFETY: `new` allocated it with this layout.
        unsafe { dealloc(memory.as_ptr(), Self::LAYOUT) };
    }
}

/// A page that was taken out of the directory, and that other threads may still use. Dropped when none does any more, which a worker
/// may be the one to find, it goes into a list, and the next sweep frees it: that takes a call of the system for each page.
#[derive(Debug)]
pub(super) struct ReleasedPage(NonNull<Page>);

/// A page that no thread uses any more. Dropping it frees the page.
#[derive(Debug)]
struct UnusedPage(NonNull<Page>);

// SAFETY: a page is made of atomics, and may be freed on any thread.
unsafe impl Send for UnusedPage {}

impl Drop for UnusedPage {
    fn drop(&mut self) {
        // SAFETY: promised by the caller of `ReleasedPage::new`, for whom this was made when no thread used the page any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The released pages that no thread uses any more, of all registries.
static UNUSED: Mutex<Vec<UnusedPage>> = Mutex::new(Vec::new());

impl ReleasedPage {
    /// # Safety
    ///
    /// The page must have been made as a `Box`, and taken out of the directory. This must be dropped when no thread uses it any more,
    /// and be the only one for the page.
    pub(super) unsafe fn new(page: NonNull<Page>) -> Self {
        Self(page)
    }
}

impl Drop for ReleasedPage {
    fn drop(&mut self) {
        UNUSED.lock().push(UnusedPage(self.0));
    }
}

/// Frees the released pages that no thread uses any more.
pub(super) fn free_unused() {
    let unused = std::mem::take(&mut *UNUSED.lock());
    drop(unused);
}

/// A run of slots that one writer holds at a time (rule 5).
///
/// The mask here has the slots that were freed since the block was last taken; those that its holder may allocate are in the
/// holder's own mask.
#[derive(Debug)]
pub(super) struct Block {
    freed: AtomicU64,
    /// The state in the [`depot`](super::depot), under whose lock it is read and written.
    pub(super) depot_state: AtomicU32,
    /// As for the whole page.
    pub(super) tenants: Tenants,
}

impl Block {
    fn new(tenants: Tenants) -> Self {
        Self { freed: AtomicU64::new(0), depot_state: AtomicU32::new(0), tenants }
    }

    /// Adds `slots` to the freed ones. Returns the mask of freed slots before and after.
    pub(super) fn free_slots(&self, slots: u64) -> (u64, u64) {
        // Ordering: Release pairs with the Acquire of `take_freed`: the thread that allocates the slots finds their words free.
        let before = self.freed.fetch_or(slots, Ordering::Release);
        (before, before | slots)
    }

    /// Takes all freed slots, for the holder of the block to allocate.
    pub(super) fn take_freed(&self) -> u64 {
        // Ordering: Acquire pairs with the Release of `free_slots`.
        self.freed.swap(0, Ordering::Acquire)
    }

    /// Returns the mask of freed slots.
    pub(super) fn freed(&self) -> u64 {
        // Ordering: Relaxed: a hint for the block's holder; where a decision is made by it, the depot's lock orders it.
        self.freed.load(Ordering::Relaxed)
    }

    /// Returns whether all slots of the block were freed.
    pub(super) fn is_wholly_free(&self) -> bool {
        // Ordering: Acquire pairs with the Release of `free_slots`: the generations that were noted before are seen.
        self.freed.load(Ordering::Acquire) == ALL_FREE
    }

    /// Marks all slots of a block that was never used as free.
    pub(super) fn fill(&self) {
        // Ordering: Relaxed: the block is made ready under the depot's lock, and taken under it.
        self.freed.store(ALL_FREE, Ordering::Relaxed);
    }
}
