//! How a worker that has nothing to do looks through the slots (rule 13 of the [module](super)).

use std::hint;

use super::job_slot::Ticket;

/// How many times the processor is told to spin before it is decided that a job lasts: about a tenth of a microsecond on
/// processors of today.
const PAUSE: u32 = 2;

/// The largest number of looks that are left out after one that has found a job which did not last: some ten microseconds.
const MOST_SKIPPED: u32 = 63;

/// The search of one worker.
#[derive(Debug, Default)]
pub(crate) struct SlotSearch {
    /// Where the next partial look begins.
    next: usize,
    /// The slot whose job has lasted in the last look, if it has not been asked for.
    pub(super) found: Option<usize>,
    /// The number of looks to leave out.
    left_out: u32,
    /// How many were left out the last time.
    skipped: u32,
    /// The number of full looks.
    full_looks: usize,
}

impl SlotSearch {
    /// Forgets what the last search has found out about how long jobs last.
    pub(crate) fn start(&mut self) {
        (self.found, self.left_out, self.skipped) = (None, 0, 0);
    }

    /// Starts a full look, which takes a job whether it lasts or not. Returns the slot with which it begins, and whether it looks into the
    /// list of public jobs before: every eighth does so. Between two that do not, the slot is one further. So no public job waits for
    /// ever behind others.
    pub(crate) fn start_full_look(&mut self) -> (usize, bool) {
        self.start();
        self.full_looks = self.full_looks.wrapping_add(1);
        (self.full_looks - self.full_looks / 8, self.full_looks.is_multiple_of(8))
    }

    /// Takes a partial look through the slots, beginning behind the one where the last look has found a job. Returns the first that has a job, if the
    /// job *lasts*: if it is still there after a pause.
    ///
    /// To steal a job costs its owner and the thief up to a microsecond, and even to look at the slot costs its owner a tenth of that.
    /// Most jobs are shorter: their owners take them back, and publish the next. So after each job that has not lasted, more looks are
    /// left out.
    pub(super) fn look(
        &mut self,
        slots: usize,
        ticket: impl Fn(usize) -> Option<Ticket>,
    ) -> Option<usize> {
        if self.left_out > 0 {
            self.left_out -= 1;
            return None;
        }
        let from = self.next;
        let full = (0..slots).map(|nth| (from + nth) % slots);
        let seen = full.map(|slot| (slot, ticket(slot))).find(|(_, ticket)| ticket.is_some());
        let Some((slot, seen)) = seen else {
            self.skipped = 0;
            return None;
        };
        self.next = slot + 1;
        (0..PAUSE).for_each(|_| hint::spin_loop());
        if ticket(slot) == seen {
            self.skipped = 0;
            return Some(slot);
        }
        self.skipped = (2 * self.skipped + 1).min(MOST_SKIPPED);
        self.left_out = self.skipped;
        None
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;

    use super::*;

    /// Slots of which the first has another job whenever it is looked at, and one of the others a job that lasts, or none.
    struct Slots {
        looked: Cell<u64>,
        lasting: usize,
    }

    impl Slots {
        fn ticket(&self, slot: usize) -> Option<Ticket> {
            if slot == 0 {
                self.looked.set(self.looked.get() + 1);
                return Some(Ticket::of(self.looked.get()));
            }
            (slot == self.lasting).then(|| Ticket::of(0))
        }
    }

    #[test]
    fn a_job_that_lasts_is_found_behind_those_that_do_not() {
        for lasting in 1..4 {
            let slots = Slots { looked: Cell::new(0), lasting };
            let mut search = SlotSearch::default();
            let looks = (1..).find(|_| search.look(4, |slot| slots.ticket(slot)) == Some(lasting));
            assert_eq!(looks, Some(3), "the first look finds slot 0, and one is left out");
        }
    }

    #[test]
    fn jobs_that_do_not_last_are_looked_at_ever_more_seldom() {
        let slots = Slots { looked: Cell::new(0), lasting: usize::MAX };
        let mut search = SlotSearch::default();
        for _ in 0..1_000 {
            assert_eq!(search.look(4, |slot| slots.ticket(slot)), None);
        }
        // Twice in each look: in six at the beginning, and then in one of 64.
        let looked = slots.looked.get();
        assert!((30..=50).contains(&looked), "{looked}");
    }

    #[test]
    fn each_slot_comes_first_in_some_full_look_that_does_not_begin_with_the_list() {
        for slots in [1, 2, 4, 7, 8, 9, 18, 24, 63] {
            let mut search = SlotSearch::default();
            let looks = (0..2 * slots).map(|_| search.start_full_look());
            let first: HashSet<usize> =
                looks.filter(|(_, list)| !list).map(|(slot, _)| slot % slots).collect();
            assert_eq!(first.len(), slots);
        }
    }

    #[test]
    fn slots_take_turns() {
        let mut search = SlotSearch::default();
        let mut look = || search.look(3, |_| Some(Ticket::NONE));
        assert_eq!([look(), look(), look(), look()], [Some(0), Some(1), Some(2), Some(0)]);
        assert_eq!(SlotSearch::default().look(3, |_| None), None);
        assert_eq!(SlotSearch::default().look(0, |_| None), None);
    }
}
