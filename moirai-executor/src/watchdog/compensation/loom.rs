//! Loom models of the protocol of compensation threads.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;

#[test]
fn loom_compensation_thread_retiring_against_work_arriving() {
    ::loom::model(|| {
        let compensation = Arc::new(Compensation::new(1, 0));
        let start = compensation.ask().expect("there is none yet");
        compensation.report(false, 0);
        let thread = thread::spawn({
            let compensation = Arc::clone(&compensation);
            move || {
                // The wait times out without a notification.
                compensation.idle_by(start.activity, |state| {
                    drop(state);
                    (compensation.state.lock(), true)
                })
            }
        });
        // The watchdog thread sees work that waits.
        let started = compensation.ask().is_some();
        let idle = match thread.join() {
            Ok(idle) => idle,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        assert!(
            started || idle == Idle::LookAgain,
            "no compensation thread is there, and none is started"
        );
    });
}
