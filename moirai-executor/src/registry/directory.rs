//! The directory, in which pages are found by their numbers: an array of leaves, which are arrays of entries.

use std::ptr;

use moirai_core::shim::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::garbage::Pin;
use super::page::{PAGE_SLOTS, Page, Tenants};

/// The number of pages in a leaf.
const LEAF: usize = if cfg!(moirai_loom) { 4 } else { 2_048 };
/// The number of leaves. All together have a little less than 2³² slots, so that the highest slot numbers are free for ids that
/// name no record.
const LEAVES: usize = if cfg!(moirai_loom) { 1 } else { 2_047 };

/// The directory. Its leaves are made as they are needed, and freed only with the registry.
#[derive(Debug)]
pub(super) struct Directory {
    leaves: Box<[AtomicPtr<Leaf>]>,
    /// The generation with which the slots of the first page at a place begin.
    first: u32,
    leaves_made: AtomicUsize,
    pages: AtomicUsize,
}

type Leaf = [DirectoryEntry; LEAF];

/// The place of one page, which may be empty.
#[derive(Debug)]
struct DirectoryEntry {
    page: AtomicPtr<Page>,
    /// The generation with which the slots of the next page at this place begin.
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

    /// Returns the greatest possible number of pages.
    pub(super) const fn capacity() -> u32 {
        (LEAF * LEAVES) as u32
    }

    fn entry(&self, page: u32) -> Option<&DirectoryEntry> {
        let leaf = self.leaves.get(page as usize / LEAF)?;
        // Ordering: Acquire pairs with the Release store of the leaf in `insert`: its entries are seen.
        let leaf = leaf.load(Ordering::Acquire);
        // SAFETY: the pointer is null, or that of a leaf that `insert` made; leaves are freed only with the directory, which is
        // borrowed.
        let leaf = unsafe { leaf.as_ref() }?;
        Some(&leaf[page as usize % LEAF])
    }

    /// Returns the page with this number, if there is one. The pin keeps it from being freed.
    pub(super) fn page<'a>(&'a self, page: u32, _: &'a Pin) -> Option<&'a Page> {
        // SAFETY: a page is freed only after it was taken out of the directory and no epoch is pinned that saw it there. The pin
        // was made before the page is looked up, and lives as long as the result.
        unsafe { self.page_unpinned(page) }
    }

    /// Returns the page of the slot with this number, if there is one. The pin keeps it from being freed.
    pub(super) fn page_of<'a>(&'a self, slot: u32, pin: &'a Pin) -> Option<&'a Page> {
        self.page(slot / PAGE_SLOTS as u32, pin)
    }

    /// Returns whether the generation is one of those of the pages that were at the place of this slot and are there no more
    /// (rule 14). The caller has not found the page there, or has found one that begins with a later generation.
    pub(super) fn had_generation(&self, slot: u32, generation: u32) -> bool {
        self.entry(slot / PAGE_SLOTS as u32).is_some_and(|entry| {
            // Ordering: Relaxed: the store in `remove` happened before that of the null pointer, or of the next page, which the
            // caller has loaded by Acquire.
            let next = entry.next_generation.load(Ordering::Relaxed);
            (self.first..next).contains(&generation)
        })
    }

    /// Returns the page with this number, if there is one.
    ///
    /// # Safety
    ///
    /// As long as it uses the result, the caller must keep the page from being taken out of the directory, by holding a block of it
    /// or the depot's lock, or must keep it from being freed after that, by a pinned epoch.
    pub(super) unsafe fn page_unpinned(&self, page: u32) -> Option<&Page> {
        // Ordering: Acquire pairs with the Release stores in `insert` and `remove`: the page's slots are seen, or the generation
        // that it has left.
        let page = self.entry(page)?.page.load(Ordering::Acquire);
        // SAFETY: the pointer is null, or that of a page that was in the directory when it was loaded, and which the caller keeps.
        unsafe { page.as_ref() }
    }

    /// Puts a new page at a place that is empty, and returns it. The caller holds the depot's lock.
    pub(super) fn insert(&self, number: u32, tenants: Tenants) -> &Page {
        let leaf = &self.leaves[number as usize / LEAF];
        // Ordering: Relaxed: leaves are made only under the depot's lock.
        if leaf.load(Ordering::Relaxed).is_null() {
            // As a slice at first, which is made on the heap: an array would be made on the stack of a thread that spawns a task.
            let fresh: Box<[DirectoryEntry]> = (0..LEAF)
                .map(|_| DirectoryEntry {
                    page: AtomicPtr::new(ptr::null_mut()),
                    next_generation: AtomicU32::new(self.first),
                })
                .collect();
            let fresh: Box<Leaf> = fresh.try_into().expect("it has as many entries as a leaf");
            // Ordering: Release pairs with the Acquire load in `entry`: the entries have been written.
            leaf.store(Box::into_raw(fresh), Ordering::Release);
            self.leaves_made.fetch_add(1, Ordering::Relaxed);
        }
        let entry = self.entry(number).expect("its leaf was just made sure of");
        // Ordering: Relaxed: written only under the depot's lock.
        let generation = entry.next_generation.load(Ordering::Relaxed);
        let page = Box::into_raw(Box::new(Page::new(generation, tenants)));
        // Ordering: Release pairs with the Acquire load in `page`: the slots have been written.
        entry.page.store(page, Ordering::Release);
        self.pages.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the page was made just now. It can be released only under the depot's lock, which the caller holds, and after
        // that only while none of its blocks is held.
        unsafe { &*page }
    }

    /// Takes a page out of the directory, where it leaves the page's next generation. The caller holds the depot's lock, and
    /// retires the page.
    pub(super) fn remove(&self, number: u32) -> Option<ptr::NonNull<Page>> {
        let entry = self.entry(number)?;
        // Ordering: Relaxed: stored under the same lock.
        let page = ptr::NonNull::new(entry.page.load(Ordering::Relaxed))?;
        // SAFETY: the page is retired by the caller, after this, and so has not been freed yet.
        let next = unsafe { page.as_ref() }.next_generation();
        // Ordering: Relaxed: the Release store of the pointer orders it.
        entry.next_generation.store(next, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire load in `page_unpinned`: a thread that finds no page finds the generation, as
        // rule 14 says.
        entry.page.store(ptr::null_mut(), Ordering::Release);
        self.pages.fetch_sub(1, Ordering::Relaxed);
        Some(page)
    }

    /// Returns a number above those of all pages that this thread can know of.
    pub(super) fn end(&self) -> u32 {
        (self.leaves_made.load(Ordering::Relaxed) * LEAF) as u32
    }

    /// Returns the bytes held on the heap, pages included.
    pub(super) fn bytes(&self) -> usize {
        // Ordering: Relaxed, all: only counts.
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
            // SAFETY: the leaf was made by `Box::into_raw` in `insert`, and is freed only here.
            let leaf = unsafe { Box::from_raw(leaf) };
            for entry in leaf.iter() {
                let page = entry.page.load(Ordering::Relaxed);
                if !page.is_null() {
                    // SAFETY: the page was made by `Box::into_raw` in `insert`, and has not been taken out. (The drop of `Registry`
                    // has freed the annotations of its slots.)
                    drop(unsafe { Box::from_raw(page) });
                }
            }
        }
    }
}
