//! Takes single figures of memory, sweeps and idling, and prints each as a line of JSON. `figures` calls it, with one name at a
//! time: memory is measured in a fresh process.
#![allow(unsafe_code, reason = "a global allocator")]

use std::process::ExitCode;

use moirai_benches::probe::PROBES;

#[cfg(not(feature = "mimalloc"))]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The system's allocator, with a count of what is allocated.
    struct Counting;

    static LIVE: AtomicUsize = AtomicUsize::new(0);

    // SAFETY: everything is handed on to the system's allocator as it came.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            LIVE.fetch_add(layout.size(), Ordering::Relaxed);
            // SAFETY: the caller's duties are the same.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
            // SAFETY: as above.
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

    /// mimalloc is not counted: what the process has resident stands in.
    pub(super) fn live() -> usize {
        moirai_benches::memory::resident().map_or(0, |bytes| bytes as usize)
    }
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        PROBES.iter().for_each(|probe| println!("{:30} {}", probe.name, probe.about));
        return ExitCode::SUCCESS;
    }
    for name in names {
        let Some(probe) = PROBES.iter().find(|probe| probe.name == name) else {
            eprintln!("no probe is called {name:?}; without arguments they are listed");
            return ExitCode::from(2);
        };
        let result = probe.result(counting::NAME, &counting::live);
        println!("{}", serde_json::to_string(&result).expect("numbers and names"));
    }
    ExitCode::SUCCESS
}
