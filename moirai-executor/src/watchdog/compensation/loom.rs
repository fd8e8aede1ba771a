//! Models of the compensation.

use super::*;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;

#[test]
fn loom_reserve_retiring_against_work_arriving() {
    ::loom::model(|| {
        let reserve = Arc::new(Reserve::new(1, 0));
        let start = reserve.ask().expect("there is none yet");
        reserve.report(false, 0);
        let rescuer = thread::spawn({
            let reserve = Arc::clone(&reserve);
            move || {
                // The time is up without a notification.
                reserve.idle_by(start.lane, |state| {
                    drop(state);
                    (reserve.state.lock(), true)
                })
            }
        });
        // Work arrives.
        let started = reserve.ask().is_some();
        let idle = match rescuer.join() {
            Ok(idle) => idle,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        assert!(started || idle == Idle::LookAgain, "nobody is there, and nobody comes");
    });
}
