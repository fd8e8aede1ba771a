//! What the server answers.

use std::net::IpAddr;
use std::sync::Arc;

use moirai_core::{Lookup, TaskId};
use serde_json::json;

use super::answer::Answer;
use super::host::{self, Hosts};
use super::list;
use super::request::Request;
use super::snapshot::Snapshots;
use super::{assets, record, story};
use crate::observable::Observer;
use crate::prometheus::{self, Format};

/// The number of tasks of a list if the request does not say one.
const TASKS: usize = 200;

/// One executor, and who may see it.
pub(super) struct Site {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) hosts: Hosts,
    /// The token that the page has, if it may cancel tasks.
    pub(super) token: Option<String>,
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
                let page = assets::page(self.token.as_deref());
                Some(Answer::new(200, "text/html; charset=utf-8", page.as_bytes()))
            }
            "/events" => Some(Answer::stream()),
            "/metrics" => self.metrics(request),
            "/tasks" => self.tasks(request),
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
        let page = prometheus::encode(format, &metrics, &stats);
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

    fn post(&self, request: &Request) -> Answer {
        let id = request.path.strip_prefix("/task/").and_then(|rest| rest.strip_suffix("/cancel"));
        let (Some(id), Some(token)) = (id, &self.token) else {
            return Answer::refusal(404, "there is nothing here to post to");
        };
        if !host::is_same_origin(request) || !is_token(token, request.token.as_deref()) {
            return Answer::refusal(403, "only the page may cancel a task");
        }
        let cancelled = id.parse().is_ok_and(|id: TaskId| self.observer.cancel_task(id));
        Answer::json(if cancelled { 202 } else { 404 }, &json!({ "cancelled": cancelled }))
    }
}

fn gone() -> Answer {
    Answer::refusal(503, "the executor has stopped")
}

/// Compares a token in a time that does not depend on where it differs.
fn is_token(token: &str, given: Option<&str>) -> bool {
    given.is_some_and(|given| {
        let differences = token.bytes().zip(given.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        token.len() == given.len() && differences == 0
    })
}
