//! Where pages are found by number.

use std::ptr;

use moirai_core::shim::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::page::{PAGE_SLOTS, Page};

/// Pages of a leaf.
const LEAF: usize = if cfg!(moirai_loom) { 4 } else { 2_048 };
/// Leaves. Together a little less than 2³² slots, so that the numbers of the last slots stay free for ids that name none.
const LEAVES: usize = if cfg!(moirai_loom) { 1 } else { 2_047 };

/// Where pages are found by number. Neither it nor its leaves are freed before the registry is.
#[derive(Debug)]
pub(super) struct Directory {
    leaves: Box<[AtomicPtr<Leaf>]>,
    /// The generation of slots in pages that are new.
    first: u32,
    leaves_made: AtomicUsize,
    pages: AtomicUsize,
}

type Leaf = [DirectoryEntry; LEAF];

/// Where one page is, or was and may be again.
#[derive(Debug)]
struct DirectoryEntry {
    page: AtomicPtr<Page>,
    /// The generation with which the slots of the next page here begin.
    next_generation: AtomicU32,
}

impl Directory {
    pub(super) fn new(first: u32) -> Self {
        Self {
            leaves: (0..LEAVES).map(|_| AtomicPtr::new(ptr::null_mut())).collect(),
            first,
            leaves_made: AtomicUsize::new(0),
            pages: AtomicUsize::new(0),
        }
    }

    /// How many pages there can be.
    pub(super) const fn capacity() -> u32 {
        (LEAF * LEAVES) as u32
    }

    fn entry(&self, page: u32) -> Option<&DirectoryEntry> {
        let leaf = self.leaves.get(page as usize / LEAF)?;
        // Ordering: Acquire pairs with the Release of `insert`.
        let leaf = leaf.load(Ordering::Acquire);
        // SAFETY: leaves are freed only with the directory.
        let leaf = unsafe { leaf.as_ref() }?;
        Some(&leaf[page as usize % LEAF])
    }

    /// The page with this number.
    ///
    /// The reference is good as long as the page is not released: while the caller has pinned an epoch, holds a slot or a
    /// block of the page, or a lock that keeps pages from being released.
    pub(super) fn page(&self, page: u32) -> Option<&Page> {
        // Ordering: Acquire pairs with the Release of `insert`: the slots are there.
        let page = self.entry(page)?.page.load(Ordering::Acquire);
        // SAFETY: a page is retired behind an epoch after it was taken out, and the caller keeps it otherwise.
        unsafe { page.as_ref() }
    }

    /// The page of a slot.
    pub(super) fn page_of(&self, slot: u32) -> Option<&Page> {
        self.page(slot / PAGE_SLOTS as u32)
    }

    /// Puts a new page in a entry that has none. Under the depot's lock.
    pub(super) fn insert(&self, number: u32) -> &Page {
        let leaf = &self.leaves[number as usize / LEAF];
        // Ordering: Relaxed: leaves are made under the depot's lock.
        if leaf.load(Ordering::Relaxed).is_null() {
            let fresh: Box<Leaf> = Box::new(std::array::from_fn(|_| DirectoryEntry {
                page: AtomicPtr::new(ptr::null_mut()),
                next_generation: AtomicU32::new(self.first),
            }));
            // Ordering: Release pairs with the Acquire of `entry`.
            leaf.store(Box::into_raw(fresh), Ordering::Release);
            self.leaves_made.fetch_add(1, Ordering::Relaxed);
        }
        let entry = self.entry(number).expect("its leaf was just made sure of");
        // Ordering: Relaxed: written under the depot's lock.
        let generation = entry.next_generation.load(Ordering::Relaxed);
        let page = Box::into_raw(Box::new(Page::new(generation)));
        // Ordering: Release pairs with the Acquire of `page`.
        entry.page.store(page, Ordering::Release);
        self.pages.fetch_add(1, Ordering::Relaxed);
        // SAFETY: just made, and released only under the depot's lock, when it is not in use.
        unsafe { &*page }
    }

    /// Takes a page out, under the depot's lock, and leaves its next generation. The caller retires it.
    pub(super) fn remove(&self, number: u32) -> Option<ptr::NonNull<Page>> {
        let entry = self.entry(number)?;
        // Ordering: Relaxed: put there under the same lock.
        let page = ptr::NonNull::new(entry.page.load(Ordering::Relaxed))?;
        entry.page.store(ptr::null_mut(), Ordering::Relaxed);
        self.pages.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: not retired yet.
        let next = unsafe { page.as_ref() }.next_generation();
        // Ordering: Relaxed: read under the depot's lock.
        entry.next_generation.store(next, Ordering::Relaxed);
        Some(page)
    }

    /// The numbers below which all pages are.
    pub(super) fn end(&self) -> u32 {
        (self.leaves_made.load(Ordering::Relaxed) * LEAF) as u32
    }

    /// Bytes held, pages included.
    pub(super) fn bytes(&self) -> usize {
        // Ordering: Relaxed, all: counts.
        LEAVES * size_of::<AtomicPtr<Leaf>>()
            + self.leaves_made.load(Ordering::Relaxed) * size_of::<Leaf>()
            + self.pages.load(Ordering::Relaxed) * Page::bytes()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        for leaf in &self.leaves {
            let leaf = leaf.load(Ordering::Relaxed);
            if leaf.is_null() {
                continue;
            }
            // SAFETY: made by `Box::into_raw` in `insert`, and freed only here.
            let leaf = unsafe { Box::from_raw(leaf) };
            for entry in leaf.iter() {
                let page = entry.page.load(Ordering::Relaxed);
                if !page.is_null() {
                    // SAFETY: made by `Box::into_raw` in `insert`, and not taken out. Texts of its slots: see `Registry`'s drop.
                    drop(unsafe { Box::from_raw(page) });
                }
            }
        }
    }
}
