use std::collections::HashSet;
use std::sync::mpsc;
use std::thread;

use super::classes::{ALIGN, CLASSES, LINE, MAX_SIZE, class_of, size_of_class};
use super::{allocate, chunk, free, trim};
use std::ptr::NonNull;

/// A type whose class no test but these uses, and no task: so the lists are these tests' own. They take turns.
struct Large([u8; 480]);

static TURN: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

fn allocate_many(count: usize) -> Vec<NonNull<Large>> {
    (0..count).map(|_| allocate()).collect()
}

fn free_all(cells: Vec<NonNull<Large>>) {
    // SAFETY: each was allocated by a test, and is freed once.
    cells.into_iter().for_each(|cell| unsafe { free(cell) });
}

/// Sends what is allocated to another thread.
struct Sent(Vec<NonNull<Large>>);

// SAFETY: the memory is not tied to a thread.
unsafe impl Send for Sent {}

#[test]
fn every_class_holds_its_types_and_no_other() {
    assert_eq!(class_of::<u8>(), Some(0));
    assert_eq!(class_of::<[u8; 96]>(), Some(0));
    assert_eq!(class_of::<[u8; 97]>(), Some(1));
    assert_eq!(class_of::<[u8; 128]>(), Some(1));
    assert_eq!(class_of::<[u8; 129]>(), Some(2));
    assert_eq!(class_of::<[u8; MAX_SIZE]>(), Some(CLASSES - 1));
    assert_eq!(class_of::<[u8; MAX_SIZE + 1]>(), None);
    #[repr(align(64))]
    struct Aligned;
    assert_eq!(class_of::<(Aligned, u8)>(), None);
    assert_eq!(size_of_class(0), 96);
    assert!((1..CLASSES).all(|class| size_of_class(class) == (class + 1) * LINE));
    assert_eq!(size_of_class(CLASSES - 1), MAX_SIZE);
}

#[test]
fn the_least_cells_are_aligned() {
    let _turn = TURN.lock();
    let cells: Vec<NonNull<[u64; 12]>> = (0..100).map(|_| allocate()).collect();
    assert!(cells.iter().all(|cell| cell.as_ptr().addr() % ALIGN == 0));
    // SAFETY: each was allocated above, and is freed once.
    cells.into_iter().for_each(|cell| unsafe { free(cell) });
}

#[test]
fn memory_that_is_in_use_is_distinct_and_aligned() {
    let _turn = TURN.lock();
    let cells = allocate_many(1_000);
    let addresses: HashSet<usize> = cells.iter().map(|cell| cell.as_ptr().addr()).collect();
    assert_eq!(addresses.len(), 1_000);
    let mut sorted: Vec<_> = addresses.into_iter().collect();
    sorted.sort_unstable();
    assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= size_of::<Large>()), "they overlap");
    assert!(sorted.iter().all(|address| address % LINE == 0), "two of them share a cache line");
    for (number, cell) in cells.iter().enumerate() {
        // SAFETY: the memory is that of a `Large`, and this thread's.
        unsafe { cell.write(Large([number as u8; 480])) };
    }
    for (number, cell) in cells.iter().enumerate() {
        // SAFETY: it was written above.
        let bytes = unsafe { cell.as_ref() }.0;
        assert!(bytes.iter().all(|&byte| byte == number as u8), "another cell was written here");
    }
    free_all(cells);
}

#[test]
fn a_thread_takes_what_it_has_freed_last() {
    let _turn = TURN.lock();
    let cell = allocate::<Large>();
    // SAFETY: allocated above, and freed once.
    unsafe { free(cell) };
    let again = allocate::<Large>();
    assert_eq!(cell, again);
    // SAFETY: as above.
    unsafe { free(again) };
}

#[test]
fn after_a_burst_the_memory_is_given_back_whoever_frees_it() {
    const BURST: usize = 20_000;
    let _turn = TURN.lock();
    trim();
    let before = chunk::used_bytes();
    for is_elsewhere in [false, true] {
        let cells = Sent(allocate_many(BURST));
        assert!(chunk::used_bytes() >= before + BURST * size_of::<Large>());
        if is_elsewhere {
            // The thread ends, and leaves nothing behind in its lists.
            thread::spawn(move || {
                let cells = cells;
                free_all(cells.0);
            })
            .join()
            .unwrap();
        } else {
            free_all(cells.0);
        }
        assert!(trim() >= BURST * size_of::<Large>() * 9 / 10);
        // What this thread's lists hold, with the other cells of their pages, and what each class keeps; and other tests' tasks.
        let left = chunk::used_bytes() - before.min(chunk::used_bytes());
        assert!(left <= 1 << 20, "{left} bytes are left of {}", BURST * size_of::<Large>());
    }
}

#[test]
fn one_long_lived_cell_keeps_one_page() {
    const BURST: usize = 20_000;
    let _turn = TURN.lock();
    trim();
    let before = chunk::used_bytes();
    let (long, short): (Vec<_>, Vec<_>) =
        allocate_many(BURST).into_iter().enumerate().partition(|(number, _)| number % 200 == 0);
    let only = |cells: Vec<(usize, _)>| cells.into_iter().map(|(_, cell)| cell).collect::<Vec<_>>();
    free_all(only(short));
    trim();
    let left = chunk::used_bytes() - before.min(chunk::used_bytes());
    assert!(left <= long.len() * 4096 + (1 << 20), "{left} bytes for {} cells", long.len());
    free_all(only(long));
}

#[test]
fn threads_that_allocate_and_threads_that_free_share_the_memory() {
    const ROUNDS: usize = 200;
    let _turn = TURN.lock();
    thread::scope(|scope| {
        for seed in 0..2_u8 {
            let (sender, receiver) = mpsc::sync_channel::<Sent>(4);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let cells = allocate_many(50 + round % 90);
                    for cell in &cells {
                        // SAFETY: the memory is that of a `Large`, and this thread's.
                        unsafe { cell.write(Large([seed; 480])) };
                    }
                    sender.send(Sent(cells)).unwrap();
                }
            });
            scope.spawn(move || {
                for Sent(cells) in receiver {
                    for cell in &cells {
                        // SAFETY: it was written by the sender.
                        assert!(unsafe { cell.as_ref() }.0.iter().all(|&byte| byte == seed));
                    }
                    free_all(cells);
                    trim();
                }
            });
        }
    });
}
