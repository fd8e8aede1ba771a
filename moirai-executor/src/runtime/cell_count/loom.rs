//! Models of the cell count.

use super::*;
use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;

/// What the cells keep alive: used for each cell before it is counted, and given up once after the last of them.
struct SharedPart(UnsafeCell<()>);

// SAFETY: loom checks each access.
unsafe impl Sync for SharedPart {}

impl SharedPart {
    fn used(&self) {
        self.0.with(|_| ());
    }

    /// Gives it up if the caller must. Returns how often: once or never.
    fn given_up_if(&self, last: Last) -> usize {
        match last {
            Last::Yes => {
                self.0.with_mut(|_| ());
                1
            }
            Last::No => 0,
        }
    }
}

#[test]
fn loom_the_last_cell_is_noticed_once() {
    ::loom::model(|| {
        let shared = Arc::new((CellCount::new(), SharedPart(UnsafeCell::new(()))));
        let outside = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (cell_count, part) = &*shared;
                part.used();
                part.given_up_if(cell_count.freed())
            })
        });
        let (cell_count, part) = &*shared;
        part.used();
        cell_count.merge(1);
        let by_close = part.given_up_if(cell_count.close(3));
        let outside: usize = outside.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(by_close + outside, 1);
    });
}
