//! The calls that a client can make.

use std::sync::Arc;
use std::time::Duration;

use console_api::instrument::instrument_server::Instrument;
use console_api::instrument::{
    InstrumentRequest, PauseRequest, PauseResponse, ResumeRequest, ResumeResponse, State,
    StateRequest, TaskDetailsRequest, Update,
};
use console_api::tasks::TaskDetails;
use moirai::{Lookup, TaskId, WeakExecutor};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::error::ServeError;
use crate::view::View;
use crate::watcher::{Channel, send_details, send_states, send_updates};

/// How many messages wait for a client in its channel. The transport has buffers of its own behind that.
const BUFFERED: usize = 1;

/// How often, how much, and for how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) interval: Duration,
    pub(crate) max_tasks: usize,
    pub(crate) max_watchers: usize,
}

impl Settings {
    /// Refuses what is not in its range.
    pub(crate) fn validate(&self) -> Result<(), ServeError> {
        let Self { interval, max_tasks, max_watchers } = *self;
        if !(Duration::from_millis(10)..=Duration::from_secs(3_600)).contains(&interval) {
            return Err(ServeError::setting("interval", interval, "from 10 ms to an hour"));
        }
        if !(1..=1_000_000).contains(&max_tasks) {
            return Err(ServeError::setting("max_tasks", max_tasks, "from 1 to 1,000,000"));
        }
        if !(1..=1_000).contains(&max_watchers) {
            return Err(ServeError::setting("max_watchers", max_watchers, "from 1 to 1,000"));
        }
        Ok(())
    }
}

/// The service: what its calls share.
#[derive(Debug)]
pub(crate) struct Service {
    executor: WeakExecutor,
    settings: Settings,
    paused: watch::Sender<bool>,
    /// The places for clients, one kind for each kind of stream.
    watching_updates: Arc<Semaphore>,
    watching_details: Arc<Semaphore>,
    watching_state: Arc<Semaphore>,
}

impl Service {
    pub(crate) fn new(executor: WeakExecutor, settings: Settings) -> Self {
        let places = |each| Arc::new(Semaphore::new(each * settings.max_watchers));
        Self {
            executor,
            settings,
            paused: watch::Sender::new(false),
            watching_updates: places(1),
            // A client that goes on to another task may watch both for a moment.
            watching_details: places(2),
            watching_state: places(1),
        }
    }

    /// Starts what sends messages to a client, if there is a place for it.
    fn start<T, F>(
        &self,
        places: &Arc<Semaphore>,
        send: impl FnOnce(Channel<T>) -> F,
    ) -> Result<Response<ReceiverStream<Result<T, Status>>>, Status>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let place = Arc::clone(places).try_acquire_owned().map_err(|_| {
            let watchers = self.settings.max_watchers;
            let wanted = "close one, or have the program raise `Console::max_watchers`";
            Status::resource_exhausted(format!("there are {watchers} watchers; {wanted}"))
        })?;
        let (sender, receiver) = mpsc::channel(BUFFERED);
        let sending = send(sender);
        tokio::spawn(async move {
            sending.await;
            drop(place);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tonic::async_trait]
impl Instrument for Service {
    type WatchUpdatesStream = ReceiverStream<Result<Update, Status>>;
    type WatchTaskDetailsStream = ReceiverStream<Result<TaskDetails, Status>>;
    type WatchStateStream = ReceiverStream<Result<State, Status>>;

    async fn watch_updates(
        &self,
        _: Request<InstrumentRequest>,
    ) -> Result<Response<Self::WatchUpdatesStream>, Status> {
        let view = View::new(self.settings.max_tasks);
        let (executor, interval) = (self.executor.clone(), self.settings.interval);
        let paused = self.paused.subscribe();
        self.start(&self.watching_updates, |client| {
            send_updates(executor, client, view, interval, paused)
        })
    }

    async fn watch_task_details(
        &self,
        request: Request<TaskDetailsRequest>,
    ) -> Result<Response<Self::WatchTaskDetailsStream>, Status> {
        let id = request.into_inner().id.and_then(|id| TaskId::from_u64(id.id));
        let id = id.ok_or_else(|| Status::invalid_argument("an id of a task is needed, not 0"))?;
        let executor = self.executor.upgrade();
        match executor.map_or(Lookup::Unknown, |executor| executor.lookup(id)) {
            Lookup::Found(_) => {}
            Lookup::Evicted => {
                let what = format!("task {id} has ended, and its record is not kept any more");
                return Err(Status::not_found(what));
            }
            Lookup::Unknown => return Err(Status::not_found(format!("there is no task {id}"))),
        }
        let (executor, interval) = (self.executor.clone(), self.settings.interval);
        self.start(&self.watching_details, |client| send_details(executor, client, id, interval))
    }

    async fn watch_state(
        &self,
        _: Request<StateRequest>,
    ) -> Result<Response<Self::WatchStateStream>, Status> {
        let paused = self.paused.subscribe();
        self.start(&self.watching_state, |client| send_states(client, paused))
    }

    async fn pause(&self, _: Request<PauseRequest>) -> Result<Response<PauseResponse>, Status> {
        self.paused.send_replace(true);
        Ok(Response::new(PauseResponse {}))
    }

    async fn resume(&self, _: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        self.paused.send_replace(false);
        Ok(Response::new(ResumeResponse {}))
    }
}
