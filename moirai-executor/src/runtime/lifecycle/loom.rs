//! Models of the lifecycle: of spawns and of the end of the last core as they are, on the shared part of a real executor.

use std::sync::Arc;

use moirai_core::TaskError;
use moirai_core::shim::thread;

use super::Phase;
use crate::runtime::last_core;
use crate::runtime::shutdown;
use crate::runtime::test_executor::{TestExecutor, spawn};

#[test]
fn loom_spawn_against_shutdown() {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let mut executor = TestExecutor::new();
        let shared = &executor.shared;
        let spawners = [(); 2].map(|()| {
            let shared = Arc::clone(shared);
            thread::spawn(move || spawn(&shared, async {}))
        });
        shutdown::close(shared, None);
        let recorded = shared.registry.totals().spawned;
        let _ = shared.lifecycle.advance(Phase::Stopped);
        last_core::core_closed(shared, executor.core.take().expect("the only core"));
        let mut admitted = 0;
        for mut task in spawners.map(|spawner| spawner.join().unwrap()) {
            if task.take_refusal().is_none() {
                admitted += 1;
                // No thread is left that would end it later, or run it.
                let result = task.try_join();
                assert!(matches!(result, Some(Err(TaskError::ShutDown))), "{result:?}");
            }
        }
        assert_eq!(recorded, admitted, "a task was admitted after the lifecycle was closed");
        executor.assert_freed();
    });
}
