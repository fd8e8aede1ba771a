//! Guarantee P8: the registry holds as many bytes as it reports. This is a process of its own, because it has a counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moirai_core::{CleanupConfig, Clock, Priority, TaskKind, TaskStatus};
use moirai_executor::registry::{NewRecord, RecordEnd, Registry, Writer};

/// An allocator that counts the bytes that are allocated and not freed yet.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator, which meets the trait's conditions.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the conditions of `alloc`, which are the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the conditions of `dealloc`, which are the same here: `memory` comes from `System.alloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn tasks(registry: &Registry, writer: &mut Writer, count: usize, name: Option<&str>) {
    for number in 0..count {
        let new = NewRecord {
            kind: TaskKind::Async,
            priority: Priority::Normal,
            location: Location::caller(),
            hints: None,
            name: name.map(|name| Arc::from(format!("{name} {number}"))),
            task: NonNull::<u64>::dangling().cast(),
        };
        // SAFETY: the writer is one of this registry, with which the record is finished at once; the address is aligned, and never
        // read from.
        let entry = unsafe { registry.register(writer, new, registry.now()) };
        let end = RecordEnd::new(TaskStatus::Completed, registry.now());
        registry.finish(writer, entry, end);
    }
}

/// Asserts that the bytes that the registry reports are within 5 % of those that the allocator counts. Returns the latter.
fn assert_true(registry: &Registry, before: usize, what: &str) -> usize {
    let held = HELD.load(Ordering::Relaxed) - before;
    let said = registry.cleanup_stats().memory_bytes;
    assert!(said.abs_diff(held) * 20 <= held, "{what}: says {said}, holds {held}");
    held
}

/// One test with two parts, one after the other, because the allocator counts for the whole process.
#[test]
fn memory_is_bounded_and_what_is_said_of_it_is_true() {
    the_registry_says_what_it_holds_to_within_five_percent();
    names_do_not_pile_up_at_a_steady_rate();
}

/// Names and messages are freed at the rate at which their records are evicted, not at that of a collector that others share.
fn names_do_not_pile_up_at_a_steady_rate() {
    let before = HELD.load(Ordering::Relaxed);
    let config = CleanupConfig { max_retained_tasks: 1_000, ..CleanupConfig::default() };
    let registry = Registry::new(config, 1, Clock::system());
    let mut writer = registry.writer();
    tasks(&registry, &mut writer, 10_000, Some("a name made at run time"));
    let steady = HELD.load(Ordering::Relaxed) - before;
    for _ in 0..30 {
        tasks(&registry, &mut writer, 10_000, Some("a name made at run time"));
        let held = assert_true(&registry, before, "at a steady rate");
        assert!(held < steady + (256 << 10), "{held} bytes, {steady} after the first wave");
    }
}

fn the_registry_says_what_it_holds_to_within_five_percent() {
    const RECORDS: usize = 300_000;
    let before = HELD.load(Ordering::Relaxed);
    let config = CleanupConfig {
        enable_automatic_cleanup: false,
        max_retained_tasks: 100,
        ..CleanupConfig::default()
    };
    let registry = Registry::new(config, 1, Clock::system());
    let mut writer = registry.writer();

    tasks(&registry, &mut writer, RECORDS, None);
    let held = assert_true(&registry, before, "records without a name");
    assert!(held <= 80 * RECORDS, "{} bytes a record", held / RECORDS);

    tasks(&registry, &mut writer, RECORDS, Some("a name made at run time"));
    assert_true(&registry, before, "half of them with a name");

    assert_eq!(registry.cleanup_now(), 2 * RECORDS - 100);
    // What pinned epochs have kept from being freed is freed as the thread goes on to pin.
    let mut held = usize::MAX;
    for _ in 0..10_000 {
        tasks(&registry, &mut writer, 1, None);
        registry.cleanup_now();
        held = HELD.load(Ordering::Relaxed) - before;
        if held < 1 << 20 {
            break;
        }
    }
    assert!(held < 1 << 20, "{held} bytes are held after a cleanup");
    let said = registry.cleanup_stats().memory_bytes;
    assert!(said < 1 << 20, "says {said} after a cleanup");
}
