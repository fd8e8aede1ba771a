//! Whether another thread computes or blocks.
//!
//! By the thread's own clock it can be seen whether it was on a processor. One that was not may still compute, and wait for a
//! processor because there are too few; so the system is asked whether it sleeps.

use std::time::Duration;

/// How long a thread has been on a processor.
pub(crate) type CpuTime = Duration;

#[cfg(all(target_os = "linux", not(moirai_loom)))]
mod linux {
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::time::Duration;

    /// The clock of one thread.
    #[derive(Default)]
    pub(crate) struct CpuClock {
        clock: AtomicI32,
        thread: AtomicI32,
    }

    impl CpuClock {
        /// From now on it is the calling thread's.
        pub(crate) fn set_to_this_thread(&self) {
            let mut clock: libc::clockid_t = 0;
            // SAFETY: no argument, and it cannot fail.
            let this = unsafe { libc::pthread_self() };
            // SAFETY: `this` is a live thread, and the pointer is to a place of the right type.
            let error = unsafe { libc::pthread_getcpuclockid(this, &raw mut clock) };
            // Ordering: Relaxed: a number that names a clock of the system's.
            self.clock.store(if error == 0 { clock } else { 0 }, Ordering::Relaxed);
            // SAFETY: no argument, and it cannot fail.
            let thread = unsafe { libc::gettid() };
            self.thread.store(thread, Ordering::Relaxed);
        }

        /// What it shows; `None` if the thread is gone. (The system may have given its number to another one: then it is that
        /// one's time, and somebody is taken for computing.)
        pub(crate) fn read(&self) -> Option<Duration> {
            // Ordering: Relaxed, as above.
            let clock = self.clock.load(Ordering::Relaxed);
            if clock == 0 {
                return None;
            }
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the pointer is to a place of the right type; a clock that is gone is an error.
            let error = unsafe { libc::clock_gettime(clock, &raw mut time) };
            if error != 0 {
                return None;
            }
            Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
        }

        /// Whether the thread sleeps now: waits for something other than a processor. False if the system does not say.
        pub(crate) fn sleeps(&self) -> bool {
            let thread = self.thread.load(Ordering::Relaxed);
            let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
            // The state follows the name, which is in brackets and may hold any character.
            let state =
                stat.ok().and_then(|stat| Some(*stat.rsplit_once(") ")?.1.as_bytes().first()?));
            matches!(state, Some(b'S' | b'D' | b'T'))
        }
    }
}

#[cfg(not(all(target_os = "linux", not(moirai_loom))))]
mod elsewhere {
    use std::time::Duration;

    /// Nothing is known of a thread.
    #[derive(Default)]
    pub(crate) struct CpuClock;

    impl CpuClock {
        pub(crate) fn set_to_this_thread(&self) {}

        pub(crate) fn read(&self) -> Option<Duration> {
            None
        }

        pub(crate) fn sleeps(&self) -> bool {
            false
        }
    }
}

#[cfg(not(all(target_os = "linux", not(moirai_loom))))]
pub(crate) use elsewhere::CpuClock;
#[cfg(all(target_os = "linux", not(moirai_loom)))]
pub(crate) use linux::CpuClock;

#[cfg(all(test, target_os = "linux", not(moirai_loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_thread_that_computes_is_told_from_one_that_blocks() {
        let clock = CpuClock::default();
        assert_eq!(clock.read(), None);
        clock.set_to_this_thread();
        let before = clock.read().unwrap();
        let least = Duration::from_millis(5);
        while clock.read().unwrap() < before + least {
            std::hint::spin_loop();
        }
        let (send, receive) = channel::<()>();
        let blocked = CpuClock::default();
        std::thread::scope(|scope| {
            let (ready, is_ready) = channel();
            let blocked = &blocked;
            scope.spawn(move || {
                blocked.set_to_this_thread();
                ready.send(()).unwrap();
                let _ = receive.recv();
            });
            is_ready.recv().unwrap();
            let before = blocked.read().unwrap();
            std::thread::sleep(least * 4);
            assert!(blocked.read().unwrap() < before + least);
            assert!(blocked.sleeps() && !clock.sleeps());
            drop(send);
        });
    }
}
