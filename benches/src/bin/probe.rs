//! Takes probes, and prints each as a line of JSON. `figures` runs this program with one name at a time, because memory has to be
//! measured in a fresh process. Without arguments it lists the probes.
#![allow(unsafe_code, reason = "a global allocator")]

use std::process::ExitCode;

use moirai_benches::help::asks_for_help;
use moirai_benches::probe::PROBES;

#[cfg(not(feature = "mimalloc"))]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The system's allocator, with a count of the bytes that are allocated.
    struct Counting;

    static LIVE: AtomicUsize = AtomicUsize::new(0);

    // SAFETY: both methods pass their arguments to the system's allocator unchanged and return what it returns, so its guarantees
    // hold here. The count does not affect memory.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            LIVE.fetch_add(layout.size(), Ordering::Relaxed);
            // SAFETY: the caller has the same obligations to `alloc` of this allocator as to that of the system's: a layout of
            // non-zero size.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
            // SAFETY: the caller passes memory that `alloc` has returned, and its layout; `alloc` had both from the system's
            // allocator.
            unsafe { System.dealloc(place, layout) };
        }
    }

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    pub(super) const NAME: &str = "system allocator";

    pub(super) fn live() -> usize {
        LIVE.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "mimalloc")]
mod counting {
    pub(super) const NAME: &str = "mimalloc";

    /// mimalloc is not counted. The resident memory of the process takes the place of the count.
    pub(super) fn live() -> usize {
        moirai_benches::memory::resident().map_or(0, |bytes| bytes as usize)
    }
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if asks_for_help("usage: probe [NAME...]   (without names, lists the probes)") {
        return ExitCode::SUCCESS;
    }
    if names.is_empty() {
        PROBES.iter().for_each(|probe| println!("{:30} {}", probe.name, probe.about));
        return ExitCode::SUCCESS;
    }
    for name in names {
        let Some(probe) = PROBES.iter().find(|probe| probe.name == name) else {
            eprintln!("no probe is called {name:?}; run this program without arguments for a list");
            return ExitCode::from(2);
        };
        if probe.needs_origin() && !cfg!(feature = "origin") {
            eprintln!("{name} needs this program to be built with `--features origin`");
            return ExitCode::from(2);
        }
        let result = probe.result(counting::NAME, &counting::live);
        println!("{}", serde_json::to_string(&result).expect("numbers and names"));
    }
    ExitCode::SUCCESS
}
