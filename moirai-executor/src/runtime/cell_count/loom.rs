//! Models of the cell count.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;

#[test]
fn loom_the_last_cell_is_noticed_once() {
    ::loom::model(|| {
        let cell_count = Arc::new(CellCount::new());
        let outside = [(); 2].map(|()| {
            let cell_count = Arc::clone(&cell_count);
            thread::spawn(move || usize::from(cell_count.freed() == Last::Yes))
        });
        cell_count.merge(1);
        let by_close = usize::from(cell_count.close(3) == Last::Yes);
        let outside: usize = outside.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(by_close + outside, 1);
    });
}
