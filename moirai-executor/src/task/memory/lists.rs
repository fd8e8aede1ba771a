//! The lists of free cells that each thread has.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::cell_list::{CellList, FreeCell};
use super::classes::{CLASSES, class_of};
use super::depot;

/// The number of cells with which a thread's list is full. It may have more, if a page has more.
const MAGAZINE: usize = 32;

/// The lists of one thread, for one class.
struct Lists {
    first: Cell<CellList>,
    /// The number of cells in that list.
    count: Cell<usize>,
    /// Another list, which is full, or empty.
    spare: Cell<CellList>,
    spare_count: Cell<usize>,
}

/// The lists of one thread.
struct ThreadLists([Lists; CLASSES]);

thread_local! {
    static LISTS: ThreadLists = const { ThreadLists([const { Lists::new() }; CLASSES]) };
}

/// Allocates memory for a `T`.
#[inline(always)]
pub(in crate::task) fn allocate<T>() -> NonNull<T> {
    match const { class_of::<T>() } {
        Some(class) => LISTS
            .try_with(|lists| lists.0[class].take(class))
            .unwrap_or_else(|_| take_without_lists(class))
            .cast(),
        None => NonNull::from(Box::leak(Box::<T>::new_uninit())).cast(),
    }
}

/// Frees memory, without dropping what is in it.
///
/// # Safety
///
/// The memory must come from [`allocate`], of the same type, and must not be used again.
#[inline(always)]
pub(in crate::task) unsafe fn free<T>(memory: NonNull<T>) {
    match const { class_of::<T>() } {
        Some(class) => {
            let cell = memory.cast::<FreeCell>();
            // SAFETY: the memory is that of a cell of this class, and the caller gives it up.
            let put = LISTS.try_with(|lists| unsafe { lists.0[class].put(cell, class) });
            if put.is_err() {
                // SAFETY: as above.
                unsafe { put_without_lists(cell, class) };
            }
        }
        // SAFETY: `allocate` made it as a `Box` of this type.
        None => drop(unsafe { Box::from_raw(memory.cast::<MaybeUninit<T>>().as_ptr()) }),
    }
}

/// Takes a cell on a thread that is ending, whose lists are gone.
#[cold]
fn take_without_lists(class: usize) -> NonNull<FreeCell> {
    let (mut cells, _) = depot::take(class);
    let cell = cells.pop().expect("the depot gives no empty list");
    depot::put(class, cells);
    cell
}

/// Frees a cell on a thread that is ending, whose lists are gone.
///
/// # Safety
///
/// The cell must be memory of this class, and the caller's alone. The caller gives it up.
#[cold]
unsafe fn put_without_lists(cell: NonNull<FreeCell>, class: usize) {
    let mut cells = CellList::new();
    // SAFETY: the caller gives the cell up.
    unsafe { cells.push(cell) };
    depot::put(class, cells);
}

impl Lists {
    const fn new() -> Self {
        Self {
            first: Cell::new(CellList::new()),
            count: Cell::new(0),
            spare: Cell::new(CellList::new()),
            spare_count: Cell::new(0),
        }
    }

    #[inline(always)]
    fn take(&self, class: usize) -> NonNull<FreeCell> {
        let mut first = self.first.replace(CellList::new());
        let Some(cell) = first.pop() else { return self.refill(class) };
        self.first.set(first);
        self.count.set(self.count.get() - 1);
        cell
    }

    /// Takes a cell when the first list is empty.
    #[cold]
    #[inline(never)]
    fn refill(&self, class: usize) -> NonNull<FreeCell> {
        let spare = self.spare.replace(CellList::new());
        let (mut cells, count) =
            if spare.is_empty() { depot::take(class) } else { (spare, self.spare_count.get()) };
        let cell = cells.pop().expect("the depot gives no empty list");
        self.first.set(cells);
        self.count.set(count - 1);
        cell
    }

    /// # Safety
    ///
    /// The cell must be memory of this class, and the caller's alone. The caller gives it up.
    #[inline(always)]
    unsafe fn put(&self, cell: NonNull<FreeCell>, class: usize) {
        if self.count.get() >= MAGAZINE {
            self.exchange(class);
        }
        let mut first = self.first.replace(CellList::new());
        // SAFETY: the caller gives the cell up.
        unsafe { first.push(cell) };
        self.first.set(first);
        self.count.set(self.count.get() + 1);
    }

    /// Makes the first list, which is full, the spare one, and gives what was the spare one to the depot.
    #[cold]
    #[inline(never)]
    fn exchange(&self, class: usize) {
        let full = self.first.replace(CellList::new());
        self.spare_count.set(self.count.replace(0));
        let spare = self.spare.replace(full);
        if !spare.is_empty() {
            depot::put(class, spare);
        }
    }
}

impl Drop for ThreadLists {
    fn drop(&mut self) {
        for (class, lists) in self.0.iter().enumerate() {
            for cells in [&lists.first, &lists.spare] {
                let cells = cells.replace(CellList::new());
                if !cells.is_empty() {
                    depot::put(class, cells);
                }
            }
        }
    }
}
