//! Chunks: memory from the global allocator, divided into pages.
//!
//! Pages are taken from the first chunk that has any, so that chunks which were added in a burst become empty after it. A page that
//! is given back stays part of its chunk, but its memory is given to the system at once, where we know how to. A chunk of which no
//! page is used goes back to the global allocator.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

use parking_lot::Mutex;

use crate::system_memory::{PAGE, decommit};

/// The number of pages in a chunk.
const PAGES: usize = u64::BITS as usize;
const CHUNK_LAYOUT: Layout = match Layout::from_size_align(PAGE * PAGES, PAGE) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two, and small"),
};

/// One chunk. It is used only under the lock of the list of chunks.
#[derive(Debug)]
struct Chunk {
    memory: NonNull<u8>,
    /// The mask of the pages that are not used.
    unused: Cell<u64>,
}

/// A chunk of which a page is used, or which is in the list of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkRef(NonNull<Chunk>);

impl ChunkRef {
    /// Allocates a chunk.
    fn allocate() -> Self {
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc(CHUNK_LAYOUT) };
        let memory = NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(CHUNK_LAYOUT));
        let chunk = Box::new(Chunk { memory, unused: Cell::new(u64::MAX) });
        Self(NonNull::from(Box::leak(chunk)))
    }

    /// Returns the chunk. The caller has the lock of the list.
    fn chunk(&self) -> &Chunk {
        // SAFETY: a chunk lives until `deallocate`, whose caller has the last `ChunkRef` of it.
        unsafe { self.0.as_ref() }
    }

    /// Frees a chunk.
    ///
    /// # Safety
    ///
    /// None of its pages may be used, and no other `ChunkRef` of it may be.
    unsafe fn deallocate(self) {
        // SAFETY: `allocate` made it as a `Box`, which was leaked; and it is not used again.
        let chunk = unsafe { Box::from_raw(self.0.as_ptr()) };
        // SAFETY: `allocate` allocated it with this layout, and no page of it is used.
        unsafe { dealloc(chunk.memory.as_ptr(), CHUNK_LAYOUT) };
    }
}

/// All chunks.
#[derive(Debug)]
struct Chunks {
    chunks: Vec<ChunkRef>,
    /// No chunk before this index has a page that is not used.
    first: usize,
    /// The number of pages that are used.
    used: usize,
}

// SAFETY: the chunks are used only under the lock that this is in.
unsafe impl Send for Chunks {}

static CHUNKS: Mutex<Chunks> = Mutex::new(Chunks { chunks: Vec::new(), first: 0, used: 0 });

/// Takes a page, which is the caller's alone, and returns it with its chunk. Its memory is not initialized.
pub(super) fn take_page() -> (NonNull<u8>, ChunkRef) {
    let mut all = CHUNKS.lock();
    let first = all.first;
    let has_pages = |chunk: &ChunkRef| chunk.chunk().unused.get() != 0;
    let found = all.chunks[first..].iter().position(has_pages);
    let index = found.map_or(all.chunks.len(), |found| first + found);
    all.first = index;
    if found.is_none() {
        all.chunks.push(ChunkRef::allocate());
    }
    all.used += 1;
    let chunk_ref = all.chunks[index];
    let chunk = chunk_ref.chunk();
    let unused = chunk.unused.get();
    let number = unused.trailing_zeros() as usize;
    chunk.unused.set(unused & (unused - 1));
    // SAFETY: a chunk has as many pages as the mask has bits.
    (unsafe { chunk.memory.add(number * PAGE) }, chunk_ref)
}

/// Gives pages back that follow each other, with the chunk of each.
///
/// # Safety
///
/// The pages must come from [`take_page`], with these chunks, and be the caller's alone. The caller gives them up.
pub(super) unsafe fn put_pages(first: NonNull<u8>, chunks: &[ChunkRef]) {
    // SAFETY: the memory is the caller's.
    unsafe { decommit(first, chunks.len() * PAGE) };
    let empty: Vec<ChunkRef> = {
        let mut all = CHUNKS.lock();
        let mut is_any_empty = false;
        for (index, chunk) in chunks.iter().enumerate() {
            let chunk = chunk.chunk();
            let offset = first.as_ptr().addr() + index * PAGE - chunk.memory.as_ptr().addr();
            let unused = chunk.unused.get() | 1 << (offset / PAGE);
            chunk.unused.set(unused);
            is_any_empty |= unused == u64::MAX;
        }
        all.used -= chunks.len();
        all.first = 0;
        let mut empty = Vec::new();
        if is_any_empty {
            let is_empty = |chunk: &mut ChunkRef| chunk.chunk().unused.get() == u64::MAX;
            empty.extend(all.chunks.extract_if(.., is_empty));
        }
        empty
    };
    for chunk in empty {
        // SAFETY: no page of the chunk is used, so none has a reference to it; and it was taken out of the list just now.
        unsafe { chunk.deallocate() };
    }
}

/// Returns the bytes of the pages that are used.
#[cfg(all(test, not(any(moirai_loom, moirai_asan))))]
pub(super) fn used_bytes() -> usize {
    CHUNKS.lock().used * PAGE
}
