//! Models of the cell count.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;

#[test]
fn loom_the_last_cell_is_noticed_once() {
    ::loom::model(|| {
        let live = Arc::new(LiveCells::new());
        let outside = [(); 2].map(|()| {
            let live = Arc::clone(&live);
            thread::spawn(move || usize::from(live.freed() == Last::Yes))
        });
        live.merge(1);
        let settled = usize::from(live.settle(3) == Last::Yes);
        let outside: usize = outside.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(settled + outside, 1);
    });
}
