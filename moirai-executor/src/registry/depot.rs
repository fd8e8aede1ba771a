//! The depot: the blocks that no writer holds.
//!
//! A block is *held* by a writer, *released* when no writer holds it and less than half of it is free, or *ready*. Its state
//! changes only under the depot's lock; the number in [`Block::depot_state`] is the state, and for a ready block also its index in
//! the list of ready blocks. There is a list of those for tasks of retention classes, and one of all others (rule 13).

use std::ptr::NonNull;

use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::Ordering;

use super::directory::Directory;
use super::page::{ALL_FREE, Block, HALF, PAGE_BLOCKS, Page, Tenants};

const HELD: u32 = 0;
const RELEASED: u32 = 1;
/// The state of a ready block is this, plus its index in the list.
const READY: u32 = 2;

/// The depot; see the [module](self).
#[derive(Debug)]
pub(super) struct Depot(Mutex<DepotState>);

#[derive(Debug)]
struct DepotState {
    /// The numbers of the ready blocks, at the index of the [`Tenants`] that they are for. The last one is taken first, because its
    /// slots are the most likely to be in a cache.
    ready: [Vec<u32>; 2],
    /// The numbers of pages that were released, and whose places in the directory are empty.
    vacant: Vec<u32>,
    /// The lowest page number that was never used.
    next: u32,
    /// Pages with a block that became wholly free while it was held, and was released since. An attempt to release the page in
    /// between would have failed because of that block.
    rechecks: Vec<u32>,
}

impl Depot {
    pub(super) fn new() -> Self {
        Self(Mutex::new(DepotState {
            ready: [Vec::new(), Vec::new()],
            vacant: Vec::new(),
            next: 0,
            rechecks: Vec::new(),
        }))
    }

    /// Takes a block for a writer of tasks of this sort, and returns its number with the mask of the slots that the writer may
    /// allocate.
    ///
    /// # Panics
    ///
    /// If all slots, more than four billion, are in use.
    pub(super) fn take(&self, directory: &Directory, tenants: Tenants) -> (u32, u64) {
        let mut state = self.0.lock();
        if let Some(number) = state.ready[tenants as usize].pop() {
            // SAFETY: the depot's lock is held.
            let block = unsafe { block(directory, number) };
            set(block, HELD);
            return (number, block.take_freed());
        }
        let number = state.vacant.pop().unwrap_or_else(|| {
            state.next += 1;
            state.next - 1
        });
        assert!(number < Directory::capacity(), "more than four billion tasks have records");
        let page = directory.insert(number, tenants);
        let first = number * PAGE_BLOCKS as u32;
        // In reverse, because the last of the list is taken first: so the lowest is.
        for (offset, block) in page.blocks.iter().enumerate().skip(1).rev() {
            block.fill();
            state.make_ready(first + offset as u32, block);
        }
        set(&page.blocks[0], HELD);
        (first, ALL_FREE)
    }

    /// Takes back a block that its writer has used up. It becomes ready if half of it is free by now (rule 6).
    pub(super) fn release_block(&self, directory: &Directory, number: u32) {
        let mut state = self.0.lock();
        // SAFETY: the depot's lock is held.
        let block = unsafe { block(directory, number) };
        // If the thread that freed the half has had the lock already, the slots that it freed are seen here. If it takes the lock
        // later, it finds the block released, and makes it ready.
        let returned = block.freed();
        if returned.count_ones() >= HALF {
            state.make_ready(number, block);
        } else {
            set(block, RELEASED);
        }
        // The block became wholly free while it was held, and meanwhile its page could not be released.
        if returned == ALL_FREE {
            state.rechecks.push(number / PAGE_BLOCKS as u32);
        }
    }

    /// Moves to `candidates` the pages that can perhaps be released since one of their blocks is no longer held.
    pub(super) fn rechecks(&self, candidates: &mut Vec<u32>) {
        candidates.append(&mut self.0.lock().rechecks);
    }

    /// Makes a block ready if no writer holds it. Called by the thread that has freed the slot with which half of the block is free
    /// (rule 6).
    pub(super) fn half_freed(&self, directory: &Directory, number: u32) {
        let mut state = self.0.lock();
        // SAFETY: the depot's lock is held, without which no page is taken out.
        let page = unsafe { directory.page_unpinned(number / PAGE_BLOCKS as u32) };
        // It may have been taken out: before this thread had the lock, the writer that released the block may have made it ready,
        // other threads may have freed the rest, and a sweep may have come. No model has as many threads.
        let Some(page) = page else { return };
        let block = &page.blocks[number as usize % PAGE_BLOCKS];
        // The free slots are counted again: before this thread had the lock, the block may have been taken, used up and released
        // once more.
        if get(block) == RELEASED && block.freed().count_ones() >= HALF {
            state.make_ready(number, block);
        }
    }

    /// Takes a page out of the directory if all its blocks are ready and wholly free, and returns it for the caller to retire.
    ///
    /// A thread that has freed the last slot may not be done with the page: it has pinned an epoch.
    pub(super) fn release_page(&self, directory: &Directory, number: u32) -> Option<NonNull<Page>> {
        let mut state = self.0.lock();
        // SAFETY: the depot's lock is held, without which no page is taken out.
        let page = unsafe { directory.page_unpinned(number) }?;
        let unused = |block: &Block| get(block) >= READY && block.is_wholly_free();
        if !page.blocks.iter().all(unused) {
            return None;
        }
        for block in page.blocks.iter() {
            state.make_unready(directory, block);
        }
        let page = directory.remove(number)?;
        state.vacant.push(number);
        for ready in &mut state.ready {
            let spare = ready.capacity() / 4;
            if ready.len() < spare {
                ready.shrink_to(spare);
            }
        }
        Some(page)
    }

    /// Returns the bytes held on the heap.
    pub(super) fn bytes(&self) -> usize {
        let state = self.0.lock();
        let ready: usize = state.ready.iter().map(Vec::capacity).sum();
        let numbers = ready + state.vacant.capacity() + state.rechecks.capacity();
        numbers * size_of::<u32>()
    }
}

impl DepotState {
    fn make_ready(&mut self, number: u32, block: &Block) {
        let ready = &mut self.ready[block.tenants as usize];
        set(block, READY + ready.len() as u32);
        ready.push(number);
    }

    /// Takes a block out of the list. The last one in the list takes its index.
    fn make_unready(&mut self, directory: &Directory, ready: &Block) {
        let index = get(ready) - READY;
        let list = &mut self.ready[ready.tenants as usize];
        list.swap_remove(index as usize);
        if let Some(&moved) = list.get(index as usize) {
            // SAFETY: the depot's lock is held, which guards this state.
            let moved = unsafe { block(directory, moved) };
            set(moved, READY + index);
        }
        set(ready, RELEASED);
    }
}

/// Returns the block with this number, which is held, released or ready: its page exists.
///
/// # Safety
///
/// The caller holds the depot's lock as long as it uses the result.
unsafe fn block(directory: &Directory, number: u32) -> &Block {
    // SAFETY: promised by the caller: without the depot's lock no page is taken out.
    let page = unsafe { directory.page_unpinned(number / PAGE_BLOCKS as u32) };
    let page = page.expect("a block's page is released with it");
    &page.blocks[number as usize % PAGE_BLOCKS]
}

fn get(block: &Block) -> u32 {
    // Ordering: Relaxed: read and written only under the depot's lock.
    block.depot_state.load(Ordering::Relaxed)
}

fn set(block: &Block, state: u32) {
    // Ordering: Relaxed: read and written only under the depot's lock.
    block.depot_state.store(state, Ordering::Relaxed);
}
