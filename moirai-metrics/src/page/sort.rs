//! The order of a list of tasks.

use std::cmp::Ordering;

use moirai_core::TaskStats;

/// By what tasks are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    key: Key,
    descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Id,
    Name,
    Kind,
    Status,
    Priority,
    Polls,
    Busy,
    Waited,
    Spawned,
    Ended,
    Worker,
    Location,
}

impl Sort {
    /// Reads the name of a column, behind a minus sign for the greatest first. Of anything else, the newest tasks come first.
    pub(super) fn parse(text: &str) -> Self {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let key = match name {
            "id" => Key::Id,
            "name" => Key::Name,
            "kind" => Key::Kind,
            "status" => Key::Status,
            "priority" => Key::Priority,
            "polls" => Key::Polls,
            "busy" => Key::Busy,
            "waited" => Key::Waited,
            "spawned" => Key::Spawned,
            "ended" => Key::Ended,
            "worker" => Key::Worker,
            "location" => Key::Location,
            _ => return Self { key: Key::Spawned, descending: true },
        };
        Self { key, descending }
    }

    /// Compares two tasks. Tasks that are otherwise equal are ordered by their ids, so that lists do not flicker.
    pub(super) fn compare(self, a: &TaskStats, b: &TaskStats) -> Ordering {
        let order = match self.key {
            Key::Id => Ordering::Equal,
            Key::Name => a.name.cmp(&b.name),
            Key::Kind => a.kind.to_string().cmp(&b.kind.to_string()),
            Key::Status => (a.status as u8).cmp(&(b.status as u8)),
            Key::Priority => a.priority.cmp(&b.priority),
            Key::Polls => a.polls.cmp(&b.polls),
            Key::Busy => a.busy.cmp(&b.busy),
            Key::Waited => a.queue_time().cmp(&b.queue_time()),
            Key::Spawned => a.spawned_at.cmp(&b.spawned_at),
            Key::Ended => a.finished_at.cmp(&b.finished_at),
            Key::Worker => a.worker.cmp(&b.worker),
            Key::Location => {
                let place = |task: &TaskStats| (task.location.file(), task.location.line());
                place(a).cmp(&place(b))
            }
        };
        let order = order.then_with(|| a.id.cmp(&b.id));
        if self.descending { order.reverse() } else { order }
    }
}
