//! Lists of free cells, which are linked through the memory of the cells.

use std::ptr::{self, NonNull};

use super::classes::LINE;
use crate::prefetch::prefetch;

/// A cell that is free: its memory begins with a pointer to the next one of its list, or null.
#[derive(Debug)]
pub(super) struct FreeCell(*mut Self);

/// A list of free cells. It has their memory to itself. If it is dropped, they are leaked.
#[derive(Debug)]
pub(super) struct CellList(*mut FreeCell);

impl CellList {
    pub(super) const fn new() -> Self {
        Self(ptr::null_mut())
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    /// Adds a cell at the front.
    ///
    /// # Safety
    ///
    /// `cell` must be the memory of a cell, of any class, and the caller's alone. The caller gives it up.
    #[inline(always)]
    pub(super) unsafe fn push(&mut self, cell: NonNull<FreeCell>) {
        // SAFETY: the memory is the caller's. The smallest class has room for a pointer, and cells are aligned to more than that.
        unsafe { cell.write(FreeCell(self.0)) };
        self.0 = cell.as_ptr();
    }

    /// Removes the cell at the front. Its memory is the caller's.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<NonNull<FreeCell>> {
        let cell = NonNull::new(self.0)?;
        // SAFETY: the memory of a cell in the list is the list's, and `push` has written it.
        self.0 = unsafe { cell.as_ref() }.0;
        // Most cells have two lines at least, and another thread may have freed the next one.
        prefetch(self.0.cast_const());
        prefetch(self.0.cast::<u8>().wrapping_add(LINE));
        Some(cell)
    }
}
