//! Counting tasks down in a way that costs little beside the tasks.
//!
//! A counter that all tasks write, in an `Arc` that each of them clones and drops, is what one would use. With two cores it takes up to
//! 90 ns for each task, because its cache line moves from core to core. So tasks that are spawned one after the other, and so mostly
//! run on one core, share a counter, and only the last of them writes the common one. The counters stay from run to run, so nothing
//! counts references to them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::CachePadded;

/// The number of tasks that share a counter.
const GROUP: usize = 64;

struct Counters {
    groups: Box<[CachePadded<AtomicUsize>]>,
    /// The number of groups of which a task has not run.
    groups_left: CachePadded<AtomicUsize>,
    done: SyncSender<()>,
}

/// Counters of which no task has a [`Ticket`], with the other end of their channels.
static SPARE: Mutex<Vec<(&'static Counters, Receiver<()>)>> = Mutex::new(Vec::new());

/// What one of the tasks needs, in order to say that it has run.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    counters: &'static Counters,
    group: usize,
}

impl Ticket {
    /// Says that the task has run. To be called once.
    pub(super) fn count(self) {
        // Ordering: AcqRel, both, pairs with itself: the Acquire of the last task's `fetch_sub` sees the Release of all others, so all
        // of them have run when the message is sent.
        if self.counters.groups[self.group].fetch_sub(1, Ordering::AcqRel) == 1
            && self.counters.groups_left.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.counters.done.send(()).expect("the receiver stays, too");
        }
    }
}

/// What waits until all tasks have run.
pub(super) struct AllDone {
    counters: &'static Counters,
    receiver: Receiver<()>,
}

impl AllDone {
    pub(super) fn wait(self) {
        self.receiver.recv().expect("the sender is never dropped");
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push((self.counters, self.receiver));
    }
}

/// Returns tickets for so many tasks, in the order in which they are spawned, and what waits for all of them.
pub(super) fn countdown(
    tasks: usize,
) -> (impl Iterator<Item = Ticket> + Clone + Send + 'static, AllDone) {
    let groups = tasks.div_ceil(GROUP);
    let (counters, receiver) = counters(groups);
    for (group, left) in counters.groups[..groups].iter().enumerate() {
        // Ordering: Relaxed, both: the tasks get their tickets after this.
        left.store((tasks - group * GROUP).min(GROUP), Ordering::Relaxed);
    }
    counters.groups_left.store(groups, Ordering::Relaxed);
    let tickets = (0..tasks).map(move |task| Ticket { counters, group: task / GROUP });
    (tickets, AllDone { counters, receiver })
}

/// Takes counters for so many groups out of the spare ones, or makes them.
fn counters(groups: usize) -> (&'static Counters, Receiver<()>) {
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = spare.iter().position(|(spare, _)| spare.groups.len() >= groups) {
        return spare.swap_remove(found);
    }
    drop(spare);
    let (done, receiver) = sync_channel(1);
    let groups = (0..groups).map(|_| CachePadded::new(AtomicUsize::new(0))).collect();
    let groups_left = CachePadded::new(AtomicUsize::new(0));
    (Box::leak(Box::new(Counters { groups, groups_left, done })), receiver)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{GROUP, countdown};

    #[test]
    fn the_wait_ends_when_the_last_of_all_groups_has_counted() {
        for tasks in [1, GROUP, 3 * GROUP + 1, 2] {
            let (tickets, done) = countdown(tasks);
            let tickets = tickets.collect::<Vec<_>>();
            let (last, first) = tickets.split_last().expect("there is a task");
            first.iter().for_each(|ticket| ticket.count());
            assert!(done.receiver.try_recv().is_err(), "one of {tasks} has not run");
            thread::scope(|scope| {
                scope.spawn(|| last.count());
                done.wait();
            });
        }
    }
}
