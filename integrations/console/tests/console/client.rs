//! A client of the console's server, which keeps what it is told as tokio-console does, and judges it as tokio-console does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use console_api::field::{Name, Value};
use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{
    InstrumentRequest, PauseRequest, ResumeRequest, State, StateRequest, TaskDetailsRequest, Update,
};
use console_api::tasks::{Stats, Task, TaskDetails};
use moirai_console::ConsoleServer;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// How long a test waits for what must come.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A connection, and the runtime that it lives in.
pub(crate) struct Client {
    runtime: Runtime,
    client: InstrumentClient<Channel>,
}

impl Client {
    pub(crate) fn new(server: &ConsoleServer) -> Self {
        Self::connect(server.address(), |endpoint| endpoint)
    }

    pub(crate) fn connect(address: SocketAddr, set: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = set(Endpoint::from_shared(format!("http://{address}")).unwrap());
        let client = runtime.block_on(InstrumentClient::connect(endpoint)).unwrap();
        Self { runtime, client }
    }

    pub(crate) fn wait<F: Future>(&self, what: &str, future: F) -> F::Output {
        let waited = self.runtime.block_on(async { tokio::time::timeout(LONG, future).await });
        waited.unwrap_or_else(|_| panic!("waited too long for {what}"))
    }

    pub(crate) fn pause(&self) {
        self.wait("pause", self.client.clone().pause(PauseRequest {})).unwrap();
    }

    pub(crate) fn resume(&self) {
        self.wait("resume", self.client.clone().resume(ResumeRequest {})).unwrap();
    }

    pub(crate) fn states(&self) -> Streaming<State> {
        self.wait("states", self.client.clone().watch_state(StateRequest {})).unwrap().into_inner()
    }

    pub(crate) fn details(&self, id: u64) -> Result<Streaming<TaskDetails>, Status> {
        let request = TaskDetailsRequest { id: Some(id.into()) };
        let details = self.wait("details", self.client.clone().watch_task_details(request));
        details.map(|response| response.into_inner())
    }

    pub(crate) fn next<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>, Status> {
        self.wait("a message", stream.message())
    }

    pub(crate) fn watch(&self) -> Result<Watch<'_>, Status> {
        let watched = self.wait("updates", self.client.clone().watch_updates(InstrumentRequest {}));
        Ok(Watch {
            client: self,
            updates: watched?.into_inner(),
            fields: HashMap::new(),
            tasks: BTreeMap::new(),
            dropped: 0,
            now: SystemTime::UNIX_EPOCH,
        })
    }
}

/// What one who watches knows.
pub(crate) struct Watch<'a> {
    client: &'a Client,
    updates: Streaming<Update>,
    fields: HashMap<u64, Vec<String>>,
    pub(crate) tasks: BTreeMap<u64, Watched>,
    pub(crate) dropped: u64,
    pub(crate) now: SystemTime,
}

impl Watch<'_> {
    /// Waits for the next update, takes it in, and returns it; `None` after the last one.
    pub(crate) fn try_update(&mut self) -> Result<Option<Update>, Status> {
        let update = self.client.wait("an update", self.updates.message())?;
        if let Some(update) = &update {
            self.take_in(update.clone());
        }
        Ok(update)
    }

    pub(crate) fn update(&mut self) -> Update {
        self.try_update().unwrap().expect("the stream goes on")
    }

    /// Takes updates in until what is known has come to satisfy the condition.
    pub(crate) fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let last = SystemTime::now() + LONG;
        while !condition(self) {
            self.update();
            assert!(SystemTime::now() < last, "waited too long for {what}: {:#?}", self.tasks);
        }
    }

    fn take_in(&mut self, update: Update) {
        self.now = update.now.expect("each update has a time").try_into().unwrap();
        for new in update.new_metadata.into_iter().flat_map(|metadata| metadata.metadata) {
            self.fields.insert(new.id.unwrap().id, new.metadata.unwrap().field_names);
        }
        let update = update.task_update.expect("each update has tasks");
        self.dropped += update.dropped_events;
        let mut stats = update.stats_update;
        for task in update.new_tasks {
            let id = task.id.unwrap().id;
            let stats = stats.remove(&id).expect("a new task comes with its times and counts");
            let fields = self.fields_of(&task);
            self.tasks.insert(id, Watched { task, fields, stats });
        }
        for (id, stats) in stats {
            self.tasks.get_mut(&id).expect("a known task").stats = stats;
        }
    }

    fn fields_of(&self, task: &Task) -> HashMap<String, String> {
        let names = &self.fields[&task.metadata.unwrap().id];
        let fields = task.fields.iter().map(|field| {
            assert_eq!(field.metadata_id, task.metadata, "or tokio-console leaves the field out");
            let name = match field.name.as_ref().unwrap() {
                Name::NameIdx(place) => names[*place as usize].clone(),
                Name::StrName(name) => name.clone(),
            };
            let value = match field.value.as_ref().unwrap() {
                Value::StrVal(text) => text.clone(),
                Value::U64Val(number) => number.to_string(),
                other => panic!("a field of an unexpected type: {other:?}"),
            };
            (name, value)
        });
        fields.collect()
    }

    /// Returns the task of this name, if it is known.
    pub(crate) fn find(&self, name: &str) -> Option<&Watched> {
        self.tasks.values().find(|task| task.name() == Some(name))
    }

    /// Returns the task of this name.
    pub(crate) fn task(&self, name: &str) -> &Watched {
        self.find(name).unwrap_or_else(|| panic!("no task {name} in {:#?}", self.tasks))
    }

    /// Returns the state of the task of this name; `None` if it is not known.
    pub(crate) fn state(&self, name: &str) -> Option<TaskState> {
        self.find(name).map(Watched::state)
    }

    /// Waits until the task has come to this state.
    pub(crate) fn until_state(&mut self, name: &str, state: TaskState) {
        self.until(&format!("{name} to be {state:?}"), |watch| watch.state(name) == Some(state));
    }

    pub(crate) fn names(&self) -> HashSet<&str> {
        self.tasks.values().filter_map(Watched::name).collect()
    }
}

/// A task as it is known.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) task: Task,
    pub(crate) fields: HashMap<String, String>,
    pub(crate) stats: Stats,
}

/// The states that tokio-console shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    Completed,
    Running,
    Scheduled,
    Idle,
}

impl Watched {
    pub(crate) fn name(&self) -> Option<&str> {
        self.field("task.name")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn times(&self) -> [Option<SystemTime>; 5] {
        let polls = self.stats.poll_stats.as_ref().expect("or tokio-console panics");
        let times = [
            self.stats.created_at,
            self.stats.dropped_at,
            self.stats.last_wake,
            polls.last_poll_started,
            polls.last_poll_ended,
        ];
        times.map(|time| time.map(|time| SystemTime::try_from(time).unwrap()))
    }

    pub(crate) fn polls(&self) -> u64 {
        self.stats.poll_stats.as_ref().unwrap().polls
    }

    pub(crate) fn state(&self) -> TaskState {
        let [created, dropped, woken, started, ended] = self.times();
        assert!(created.is_some(), "or tokio-console panics");
        if dropped.is_some() {
            TaskState::Completed
        } else if started > ended {
            TaskState::Running
        } else if woken > started {
            TaskState::Scheduled
        } else {
            TaskState::Idle
        }
    }

    /// Returns the total, busy, scheduled and idle times.
    pub(crate) fn durations(&self, now: SystemTime) -> [Duration; 4] {
        let [created, dropped, woken, started, _] = self.times();
        let since =
            |time: Option<SystemTime>| now.duration_since(time.unwrap()).unwrap_or_default();
        let recorded =
            |time: Option<_>| time.map_or(Duration::ZERO, |time| Duration::try_from(time).unwrap());
        let total = dropped.unwrap_or(now).duration_since(created.unwrap()).unwrap_or_default();
        let polls: Option<prost_types::Duration> =
            self.stats.poll_stats.as_ref().unwrap().busy_time;
        let mut busy = recorded(polls);
        let mut scheduled = recorded(self.stats.scheduled_time);
        match self.state() {
            TaskState::Running => busy += since(started),
            TaskState::Scheduled => scheduled += since(woken),
            TaskState::Completed | TaskState::Idle => {}
        }
        [total, busy, scheduled, total.saturating_sub(busy + scheduled)]
    }

    /// Returns the warnings that tokio-console would give by now.
    pub(crate) fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if matches!(self.field("kind"), Some("blocking" | "block_on")) {
            return warnings;
        }
        let state = self.state();
        let wakers = self.stats.waker_clones.saturating_sub(self.stats.waker_drops);
        let is_woken = self.polls() == 0 || state == TaskState::Scheduled;
        if !matches!(state, TaskState::Completed | TaskState::Running) && wakers == 0 && !is_woken {
            warnings.push("lost waker");
        }
        if state == TaskState::Running && self.polls() <= 1 {
            warnings.push("never yielded, if that goes on for a second");
        }
        if self.stats.self_wakes * 2 > self.stats.wakes {
            warnings.push("self-wakes");
        }
        warnings
    }
}
