//! Finding out whether another thread computes or blocks.
//!
//! The thread's own clock shows whether it was on a processor. A thread that was not may still be computing, and waiting for a
//! processor because there are too few. So the operating system is asked, too, whether it sleeps.

use std::time::Duration;

/// The time for which a thread has been on a processor.
pub(crate) type CpuTime = Duration;

#[cfg(all(target_os = "linux", not(moirai_loom)))]
mod linux {
    use std::sync::atomic::{AtomicI32, Ordering};
    use std::time::Duration;

    /// The processor-time clock of one thread.
    #[derive(Default)]
    pub(crate) struct CpuClock {
        clock: AtomicI32,
        thread: AtomicI32,
    }

    impl CpuClock {
        /// Makes this the clock of the calling thread.
        pub(crate) fn set_to_this_thread(&self) {
            let mut clock: libc::clockid_t = 0;
            // SAFETY: the call has no arguments and cannot fail.
            let this = unsafe { libc::pthread_self() };
            // SAFETY: `this` is a live thread, the calling one, and the pointer is to a live variable of the right type.
            let error = unsafe { libc::pthread_getcpuclockid(this, &raw mut clock) };
            // Ordering: Relaxed: a number by which the system names a clock. Nothing else is read through it.
            self.clock.store(if error == 0 { clock } else { 0 }, Ordering::Relaxed);
            // SAFETY: the call has no arguments and cannot fail.
            let thread = unsafe { libc::gettid() };
            self.thread.store(thread, Ordering::Relaxed);
        }

        /// Returns the time that the clock shows; `None` if the thread is gone.
        ///
        /// The system may have given the number of a thread that is gone to another one. Then the time is that of the other, and a
        /// thread is taken for computing that is not.
        pub(crate) fn read(&self) -> Option<Duration> {
            // Ordering: Relaxed, as above.
            let clock = self.clock.load(Ordering::Relaxed);
            if clock == 0 {
                return None;
            }
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: the pointer is to a live variable of the right type. For a clock that is gone the call returns an error.
            let error = unsafe { libc::clock_gettime(clock, &raw mut time) };
            if error != 0 {
                return None;
            }
            Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
        }

        /// Returns `true` if the thread sleeps now: if it waits for something other than a processor. `false` if the system does
        /// not tell.
        pub(crate) fn sleeps(&self) -> bool {
            let thread = self.thread.load(Ordering::Relaxed);
            let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
            // The state follows the name of the thread, which is in parentheses and may contain any character.
            let state =
                stat.ok().and_then(|stat| Some(*stat.rsplit_once(") ")?.1.as_bytes().first()?));
            matches!(state, Some(b'S' | b'D' | b'T'))
        }
    }
}

#[cfg(not(all(target_os = "linux", not(moirai_loom))))]
mod elsewhere {
    use std::time::Duration;

    /// Knows nothing of any thread.
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
    #[test]
    fn the_clock_of_a_thread_that_is_gone_shows_nothing() {
        let clock = CpuClock::default();
        std::thread::scope(|scope| scope.spawn(|| clock.set_to_this_thread()).join().unwrap());
        // The system may need a moment after the join.
        let begin = std::time::Instant::now();
        while clock.read().is_some() {
            assert!(begin.elapsed() < Duration::from_secs(10), "it still shows a time");
            std::thread::yield_now();
        }
    }
}
