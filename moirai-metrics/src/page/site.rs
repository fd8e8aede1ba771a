//! What the server answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use moirai_core::{Lookup, TaskId};
use serde_json::json;

use super::answer::Answer;
use super::host::{self, Hosts};
use super::list;
use super::permits::Permits;
use super::queues;
use super::request::Request;
use super::snapshot::Snapshots;
use super::{assets, record, story};
use crate::observable::Observer;
use crate::prometheus::{self, Format};
use crate::queues::{ContainedSource, DEAD_JOBS};

/// The number of tasks of a list if the request does not say one.
const TASKS: usize = 200;

/// One executor, and who may see it.
pub(super) struct Site {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) hosts: Hosts,
    pub(super) permits: Permits,
    pub(super) queues: Option<ContainedSource>,
    pub(super) snapshots: Snapshots,
}

impl Site {
    /// Answers a request that has reached the server at the address `local`.
    pub(super) fn answer(&self, request: &Request, local: IpAddr) -> Answer {
        let is_named = request.host.as_deref().map(|host| self.hosts.allow(host, local));
        match is_named {
            Some(true) => {}
            Some(false) => {
                let why = "this server does not have that name; `Page::allow_host` adds names";
                return Answer::refusal(421, why);
            }
            None => return Answer::refusal(400, "the request must have a header `Host`"),
        }
        if request.path != "/" && host::is_cross_site(request) {
            return Answer::refusal(403, "another site must not ask for this");
        }
        match &*request.method {
            "GET" => self.get(request),
            "HEAD" => self.get(request).without_body(),
            "POST" => self.post(request),
            _ => Answer::refusal(405, "the methods are GET, HEAD and POST"),
        }
    }

    fn get(&self, request: &Request) -> Answer {
        let found = match &*request.path {
            "/" => {
                let page = assets::page(self.permits.token(), self.permits.names());
                Some(Answer::new(200, "text/html; charset=utf-8", page.as_bytes()))
            }
            "/events" => Some(Answer::stream()),
            "/metrics" => self.metrics(request),
            "/tasks" => self.tasks(request),
            "/queues" => Some(self.queues()),
            "/queues/dead" => Some(self.dead(request)),
            path => match (path.strip_prefix("/task/"), assets::file(path)) {
                (Some(id), _) => self.task(id, request.parameter("events").is_some()),
                (None, Some((content_type, bytes))) => Some(Answer::new(200, content_type, bytes)),
                (None, None) => Some(Answer::refusal(404, "there is nothing here")),
            },
        };
        found.unwrap_or_else(gone)
    }

    fn metrics(&self, request: &Request) -> Option<Answer> {
        let format = Format::negotiate(request.accept.as_deref());
        let (metrics, stats) = (self.observer.metrics()?, self.observer.runtime_stats()?);
        let mut families = prometheus::families(&metrics, &stats);
        // If their source panics, the scrape goes on without them.
        let queues = self.queues.as_ref().and_then(ContainedSource::stats).unwrap_or_default();
        families.extend(prometheus::queue_families(&queues));
        let page = prometheus::encode_families(format, &families);
        Some(Answer::new(200, format.content_type(), page.as_bytes()))
    }

    fn tasks(&self, request: &Request) -> Option<Answer> {
        let parameter = |name| request.parameter(name).unwrap_or_default();
        let limit = parameter("limit").parse().unwrap_or(TASKS);
        let list = list::tasks(&*self.observer, parameter("filter"), parameter("sort"), limit)?;
        Some(Answer::json(200, &list))
    }

    /// Answers with one task. To read the events of the flight recorder takes about two milliseconds for each thread whose ring is full.
    fn task(&self, id: &str, with_events: bool) -> Option<Answer> {
        let unknown = || Answer::json(404, &json!({ "error": "unknown" }));
        let Ok(id) = id.parse::<TaskId>() else { return Some(unknown()) };
        Some(match self.observer.lookup(id)? {
            Lookup::Found(task) if with_events => {
                let events = story::events(&*self.observer, id)?;
                Answer::json(200, &json!({ "task": record::task(&task), "events": events }))
            }
            Lookup::Found(task) => Answer::json(200, &json!({ "task": record::task(&task) })),
            Lookup::Evicted => Answer::json(410, &json!({ "error": "evicted" })),
            Lookup::Unknown => unknown(),
        })
    }

    fn queues(&self) -> Answer {
        let Some(queues) = &self.queues else { return no_queues() };
        let Some(stats) = queues.stats() else { return source_panicked() };
        Answer::json(200, &json!({ "queues": queues::queues(&stats) }))
    }

    fn dead(&self, request: &Request) -> Answer {
        let Some(queues) = &self.queues else { return no_queues() };
        let Some(queue) = request.parameter("queue") else {
            return Answer::refusal(400, "the parameter `queue` is missing");
        };
        let limit = request.parameter("limit").and_then(|limit| limit.parse().ok());
        let Some(jobs) = queues.dead(queue, limit.unwrap_or(DEAD_JOBS)) else {
            return source_panicked();
        };
        Answer::json(200, &json!({ "jobs": queues::dead(&jobs, SystemTime::now()) }))
    }

    fn post(&self, request: &Request) -> Answer {
        let task = request.path.strip_prefix("/task/");
        let task = task.and_then(|rest| rest.strip_suffix("/cancel"));
        let is_retry = request.path == "/queues/retry";
        // What is not permitted is not there.
        let action = match (task, &self.queues) {
            (Some(id), _) if self.permits.cancel => Action::Cancel(id),
            (None, Some(queues)) if self.permits.retry && is_retry => Action::Retry(queues),
            _ => return Answer::refusal(404, "there is nothing here to post to"),
        };
        if !self.permits.is_from_page(request) {
            return Answer::refusal(403, "only the page itself may do this");
        }
        match action {
            Action::Cancel(id) => self.cancel(id),
            Action::Retry(queues) => retry(queues, request),
        }
    }

    fn cancel(&self, id: &str) -> Answer {
        let cancelled = id.parse().is_ok_and(|id: TaskId| self.observer.cancel_task(id));
        Answer::json(if cancelled { 202 } else { 404 }, &json!({ "cancelled": cancelled }))
    }

    /// Returns the next event for the readers of events. `None` if the executor is gone.
    pub(super) fn event(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.snapshots.next(&*self.observer, self.queues.as_ref(), now)
    }
}

/// What a request asks to be done.
enum Action<'a> {
    /// A task is to be cancelled.
    Cancel(&'a str),
    /// A job of these queues is to be retried.
    Retry(&'a ContainedSource),
}

fn retry(queues: &ContainedSource, request: &Request) -> Answer {
    let (Some(queue), Some(id)) = (request.parameter("queue"), request.parameter("id")) else {
        return Answer::refusal(400, "the parameters `queue` and `id` are needed");
    };
    let Some(accepted) = queues.retry(queue, id) else { return source_panicked() };
    Answer::json(if accepted { 202 } else { 409 }, &json!({ "accepted": accepted }))
}

fn gone() -> Answer {
    Answer::refusal(503, "the executor has stopped")
}

fn no_queues() -> Answer {
    Answer::refusal(404, "there are no queues here; `Page::queues` sets where they come from")
}

fn source_panicked() -> Answer {
    Answer::refusal(500, "the source of the queues has panicked")
}
