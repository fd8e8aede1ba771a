//! The depot: free cells that no thread's lists have, in the pages that they were carved from.
//!
//! A [`chunk`] is memory from the global allocator, divided into pages. A *page* belongs to one size class as long as
//! any of its cells is in use or in a thread's list; it begins with a head, which has the list of those of its cells that are in the
//! depot.
//!
//! Under the lock of its class, a page is in one of two lists, or in none:
//!
//! - *partial*: some of its cells are in the depot;
//! - *whole*: all of them are;
//! - neither: none of them is.
//!
//! A thread that needs cells gets all that one page has: of a partial page if there is one, otherwise of a whole one, otherwise of a
//! page that is new to the class. [`trim`] takes whole pages out and gives them back to their chunks.

use std::cell::Cell;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::cell_list::{CellList, FreeCell};
use super::chunk::{self, ChunkRef};
use super::classes::{ALIGN, CLASSES, LINE, size_of_class};
use crate::system_memory::PAGE;

/// The number of whole pages that each class keeps when it is trimmed.
const KEPT: usize = 4;
/// The number of pages that are taken out in one hold of a lock.
const TRIMMED_AT_ONCE: usize = 64;

/// The head of a page. It is used only under the lock of the page's class, or by a thread that has the whole page.
#[repr(C, align(64))]
struct Page {
    /// The neighbours in the list that the page is in.
    next: Cell<Option<PageRef>>,
    previous: Cell<Option<PageRef>>,
    /// Those of the page's cells that are in the depot.
    free: Cell<CellList>,
    /// The number of those cells.
    free_count: Cell<u32>,
    /// The number of cells that the page was carved into.
    capacity: u32,
    chunk: ChunkRef,
}

const _: () = assert!(align_of::<FreeCell>() <= ALIGN && size_of::<Page>() == LINE);

/// A page that was carved, and has not been given back to its chunk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PageRef(NonNull<Page>);

impl PageRef {
    /// Returns the page of a cell.
    ///
    /// # Safety
    ///
    /// The cell must be one that was carved from a page.
    unsafe fn of(cell: NonNull<FreeCell>) -> Self {
        let head = cell.as_ptr().map_addr(|address| address & !(PAGE - 1)).cast();
        // SAFETY: a page is not at the address zero, and the caller's cell is in one.
        Self(unsafe { NonNull::new_unchecked(head) })
    }

    /// Returns the page's head. The caller has the lock of the page's class, or the whole page.
    fn head(&self) -> &Page {
        // SAFETY: the head was written when the page was carved, and stays until the page is given back, by the thread that has the
        // last `PageRef` of it. It is not shared between threads: see `Page`.
        unsafe { self.0.as_ref() }
    }

    fn address(self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Carves a page into cells, and returns their list with its length.
    ///
    /// # Safety
    ///
    /// The page must be the caller's alone, and one of this chunk.
    unsafe fn carve(page: NonNull<u8>, chunk: ChunkRef, class: usize) -> (CellList, usize) {
        let size = size_of_class(class);
        let capacity = (PAGE - size_of::<Page>()) / size;
        let head = Page {
            next: Cell::new(None),
            previous: Cell::new(None),
            free: Cell::new(CellList::new()),
            free_count: Cell::new(0),
            capacity: capacity as u32,
            chunk,
        };
        // SAFETY: the page is the caller's, and begins with its head.
        unsafe { page.cast::<Page>().write(head) };
        let mut cells = CellList::new();
        for index in (0..capacity).rev() {
            // SAFETY: behind the head there is room for as many cells of this size.
            let cell = unsafe { page.add(size_of::<Page>() + index * size) };
            // SAFETY: the memory is the caller's, of the size of a cell, and aligned, because head and cells are multiples of
            // the alignment.
            unsafe { cells.push(cell.cast()) };
        }
        (cells, capacity)
    }
}

/// The pages of one class that have cells in the depot.
struct ClassDepot {
    partial: Option<PageRef>,
    whole: Option<PageRef>,
    whole_count: usize,
}

// SAFETY: the pages in the lists are used only under the lock that this is in.
unsafe impl Send for ClassDepot {}

static CLASS_DEPOTS: [CachePadded<Mutex<ClassDepot>>; CLASSES] = [const {
    let depot = ClassDepot { partial: None, whole: None, whole_count: 0 };
    CachePadded::new(Mutex::new(depot))
}; CLASSES];

/// Takes the cells that one page has in the depot, and returns their list, which is not empty, with its length.
pub(super) fn take(class: usize) -> (CellList, usize) {
    if let Some(cells) = CLASS_DEPOTS[class].lock().take() {
        return cells;
    }
    let (page, chunk) = chunk::take_page();
    // SAFETY: the page is this function's alone.
    unsafe { PageRef::carve(page, chunk, class) }
}

/// Puts the cells of a list, which are all of this class, into their pages.
pub(super) fn put(class: usize, mut cells: CellList) {
    let mut depot = CLASS_DEPOTS[class].lock();
    while let Some(cell) = cells.pop() {
        // SAFETY: all cells were carved from pages.
        let page = unsafe { PageRef::of(cell) };
        // SAFETY: the cell was in the caller's list.
        unsafe { depot.put(page, cell) };
    }
}

impl ClassDepot {
    fn take(&mut self) -> Option<(CellList, usize)> {
        let is_whole = self.partial.is_none();
        let page = if is_whole { self.whole } else { self.partial }?;
        self.unlink(page, is_whole);
        let head = page.head();
        Some((head.free.replace(CellList::new()), head.free_count.replace(0) as usize))
    }

    /// # Safety
    ///
    /// The cell must be one of this page, and the caller's alone. The caller gives it up.
    unsafe fn put(&mut self, page: PageRef, cell: NonNull<FreeCell>) {
        let head = page.head();
        let mut free = head.free.replace(CellList::new());
        // SAFETY: the cell is the caller's.
        unsafe { free.push(cell) };
        head.free.set(free);
        let count = head.free_count.get() + 1;
        head.free_count.set(count);
        if count == head.capacity {
            // A page has room for several cells of the greatest class.
            self.unlink(page, false);
            self.link(page, true);
        } else if count == 1 {
            self.link(page, false);
        }
    }

    /// Adds a page, which is in no list, to one of the lists.
    fn link(&mut self, page: PageRef, is_whole: bool) {
        let first = if is_whole { &mut self.whole } else { &mut self.partial };
        page.head().previous.set(None);
        page.head().next.set(*first);
        if let Some(next) = first {
            next.head().previous.set(Some(page));
        }
        *first = Some(page);
        self.whole_count += usize::from(is_whole);
    }

    /// Removes a page from the list that it is in.
    fn unlink(&mut self, page: PageRef, is_whole: bool) {
        let (next, previous) = (page.head().next.get(), page.head().previous.get());
        if let Some(next) = &next {
            next.head().previous.set(previous);
        }
        match &previous {
            Some(previous) => previous.head().next.set(next),
            None if is_whole => self.whole = next,
            None => self.partial = next,
        }
        self.whole_count -= usize::from(is_whole);
    }

    /// Takes some of the whole pages, but leaves a few.
    fn take_whole(&mut self) -> Vec<PageRef> {
        let count = self.whole_count.saturating_sub(KEPT).min(TRIMMED_AT_ONCE);
        let mut pages = Vec::with_capacity(count);
        while pages.len() < count
            && let Some(page) = self.whole
        {
            self.unlink(page, true);
            pages.push(page);
        }
        pages
    }
}

/// Gives back the memory of pages that have no cell in use, but for a few. Returns the number of bytes.
///
/// No lock is held for more than a bounded number of pages at a time, and none while the system is called.
pub(crate) fn trim() -> usize {
    let mut trimmed = 0;
    for depot in &CLASS_DEPOTS {
        loop {
            let mut pages = depot.lock().take_whole();
            if pages.is_empty() {
                break;
            }
            trimmed += pages.len() * PAGE;
            // Neighbours are given to the system in one call.
            pages.sort_unstable();
            for run in pages.chunk_by(|a, b| a.address() + PAGE == b.address()) {
                let chunks = run.iter().map(|page| page.head().chunk).collect::<Vec<_>>();
                // SAFETY: the pages have no cell in use, and are in no list any more; so they are this function's alone. They follow
                // each other.
                unsafe { chunk::put_pages(run[0].0.cast(), &chunks) };
            }
        }
    }
    trimmed
}
