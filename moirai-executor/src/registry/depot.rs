//! Where blocks wait that nobody holds.
//!
//! A block is *held* by a set of books, *down* when nobody holds it and less than half of it is free, or *ready*. Its state
//! changes under the depot's lock only; the number in [`Block::state_number`] says which, and where in the list of ready ones.

use std::ptr::NonNull;

use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::Ordering;

use super::directory::Directory;
use super::page::{ALL_FREE, Block, HALF, PAGE_BLOCKS, Page};

const HELD: u32 = 0;
const RELEASED: u32 = 1;
/// This, plus the index in the list.
const READY: u32 = 2;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Depot(Mutex<DepotState>);

#[derive(Debug)]
struct DepotState {
    /// The numbers of blocks that are ready. The last one, whose slots are the likeliest to be in a cache, goes first.
    ready: Vec<u32>,
    /// Places in the directory whose pages were released.
    vacant: Vec<u32>,
    /// The first state_number that was never used.
    next: u32,
    /// Pages of which a block was free, but held, when their release_page was tried, and is ready now.
    rechecks: Vec<u32>,
}

impl Depot {
    pub(super) fn new() -> Self {
        Self(Mutex::new(DepotState {
            ready: Vec::new(),
            vacant: Vec::new(),
            next: 0,
            rechecks: Vec::new(),
        }))
    }

    /// A block for a new holder, with the slots that he may allocate.
    ///
    /// # Panics
    ///
    /// If all of more than four billion slots are in use.
    pub(super) fn take(&self, directory: &Directory) -> (u32, u64) {
        let mut state = self.0.lock();
        if let Some(number) = state.ready.pop() {
            let block = block(directory, number);
            set(block, HELD);
            return (number, block.take_freed());
        }
        let number = state.vacant.pop().unwrap_or_else(|| {
            state.next += 1;
            state.next - 1
        });
        assert!(number < Directory::capacity(), "more than four billion tasks are on the books");
        let page = directory.insert(number);
        let first = number * PAGE_BLOCKS as u32;
        // The lowest go first.
        for (offset, block) in page.blocks.iter().enumerate().skip(1).rev() {
            block.fill();
            state.make_ready(first + offset as u32, block);
        }
        set(&page.blocks[0], HELD);
        (first, ALL_FREE)
    }

    /// A holder is done with a block.
    pub(super) fn release_block(&self, directory: &Directory, number: u32) {
        let mut state = self.0.lock();
        let block = block(directory, number);
        // Whoever half_freed the half before has taken the lock before, and its slots are seen; whoever takes it later will find
        // the block down.
        let returned = block.freed();
        if returned.count_ones() >= HALF {
            state.make_ready(number, block);
        } else {
            set(block, RELEASED);
        }
        // It became free while it was held, and then its page could not be released.
        if returned == ALL_FREE {
            state.rechecks.push(number / PAGE_BLOCKS as u32);
        }
    }

    /// Moves the pages to `candidates` that may be released since a block was put down.
    pub(super) fn rechecks(&self, candidates: &mut Vec<u32>) {
        candidates.append(&mut self.0.lock().rechecks);
    }

    /// JobHeader of a block's slots have come back.
    pub(super) fn half_freed(&self, directory: &Directory, number: u32) {
        let mut state = self.0.lock();
        let block = block(directory, number);
        // The half is looked at again: before the lock was had, the block may have been taken, used up, and put down once more.
        if get(block) == RELEASED && block.freed().count_ones() >= HALF {
            state.make_ready(number, block);
        }
    }

    /// Takes a page out of the directory if all its blocks are ready and free. Under the evictor's lock, so that no slot is
    /// on its way back.
    pub(super) fn release_page(&self, directory: &Directory, number: u32) -> Option<NonNull<Page>> {
        let mut state = self.0.lock();
        let page = directory.page(number)?;
        let unused = |block: &Block| get(block) >= READY && block.freed() == ALL_FREE;
        if !page.blocks.iter().all(unused) {
            return None;
        }
        for block in &page.blocks {
            state.make_unready(directory, block);
        }
        let page = directory.remove(number)?;
        state.vacant.push(number);
        let spare = state.ready.capacity() / 4;
        if state.ready.len() < spare {
            state.ready.shrink_to(spare);
        }
        Some(page)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let state = self.0.lock();
        let numbers = state.ready.capacity() + state.vacant.capacity() + state.rechecks.capacity();
        numbers * size_of::<u32>()
    }
}

impl DepotState {
    fn make_ready(&mut self, number: u32, block: &Block) {
        set(block, READY + self.ready.len() as u32);
        self.ready.push(number);
    }

    /// Takes a block out of the list; the last one takes its state_number.
    fn make_unready(&mut self, directory: &Directory, ready: &Block) {
        let index = get(ready) - READY;
        self.ready.swap_remove(index as usize);
        if let Some(&moved) = self.ready.get(index as usize) {
            set(block(directory, moved), READY + index);
        }
        set(ready, RELEASED);
    }
}

/// The block with this number. It is in use, or ready: its page is there.
fn block(directory: &Directory, number: u32) -> &Block {
    let page =
        directory.page(number / PAGE_BLOCKS as u32).expect("a block's page is released with it");
    &page.blocks[number as usize % PAGE_BLOCKS]
}

fn get(block: &Block) -> u32 {
    // Ordering: Relaxed: under the depot's lock.
    block.depot_state.load(Ordering::Relaxed)
}

fn set(block: &Block, state: u32) {
    // Ordering: Relaxed: under the depot's lock.
    block.depot_state.store(state, Ordering::Relaxed);
}
