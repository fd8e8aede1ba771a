//! The routes.

use std::fmt::Write;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use moirai::Lookup;
use moirai::prelude::*;
use serde_json::{Value, json};

use super::jobs::Jobs;

/// The largest number of pages of a job.
const MAX_PAGES: u32 = 1_000;

pub(crate) fn router(jobs: Jobs) -> Router {
    Router::new()
        .route("/jobs/{customer}/{pages}", post(start))
        .route("/jobs/{id}", get(status).delete(cancel))
        .route("/customers/{customer}", get(of_customer))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(jobs)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn start(State(jobs): State<Jobs>, Path((customer, pages)): Path<(String, u32)>) -> Response {
    if pages == 0 || pages > MAX_PAGES {
        let error = format!("a job has from 1 to {MAX_PAGES} pages, not {pages}");
        return answer(StatusCode::BAD_REQUEST, &json!({ "error": error }));
    }
    match jobs.start(customer, pages) {
        Ok(id) => answer(StatusCode::ACCEPTED, &json!({ "id": id.to_string() })),
        Err(wait) => {
            let seconds = wait.as_secs() + 1;
            let error = format!("too many jobs; try again in {seconds} s");
            let mut response = answer(StatusCode::TOO_MANY_REQUESTS, &json!({ "error": error }));
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
    }
}

/// What is shown of a job.
fn shown(job: &TaskStats) -> Value {
    json!({
        "id": job.id.to_string(),
        "customer": job.tags.get("customer"),
        "status": job.status.to_string(),
        "progress": job.progress.map(|progress| progress.to_string()),
        "note": job.note.as_deref(),
        "error": job.error.as_deref(),
        "cancelled_by": job.cancelled_by.map(|cause| cause.to_string()),
        "busy_ms": job.busy.as_secs_f64() * 1e3,
    })
}

/// Finds a job. Other tasks, such as requests, have ids as well.
fn find(jobs: &Jobs, id: &str) -> Lookup {
    match id.parse().map(|id| jobs.moirai.lookup(id)) {
        Ok(Lookup::Found(task)) if task.name.as_deref() != Some(Jobs::NAME) => Lookup::Unknown,
        Ok(found) => found,
        Err(_) => Lookup::Unknown,
    }
}

fn not_found(id: &str) -> Response {
    answer(StatusCode::NOT_FOUND, &json!({ "error": format!("there is no job {id:?}") }))
}

fn gone(id: &str) -> Response {
    let error = format!("{id} ended long ago, and nothing more is known of it");
    answer(StatusCode::GONE, &json!({ "error": error }))
}

async fn status(State(jobs): State<Jobs>, Path(id): Path<String>) -> Response {
    match find(&jobs, &id) {
        Lookup::Found(job) => answer(StatusCode::OK, &shown(&job)),
        Lookup::Evicted => gone(&id),
        Lookup::Unknown => not_found(&id),
    }
}

async fn cancel(State(jobs): State<Jobs>, Path(id): Path<String>) -> Response {
    match find(&jobs, &id) {
        Lookup::Found(job) => {
            jobs.moirai.cancel_task(job.id);
            StatusCode::NO_CONTENT.into_response()
        }
        Lookup::Evicted => gone(&id),
        Lookup::Unknown => not_found(&id),
    }
}

async fn of_customer(State(jobs): State<Jobs>, Path(customer): Path<String>) -> Response {
    let jobs = jobs.moirai.tasks_tagged("customer", customer);
    answer(StatusCode::OK, &jobs.iter().map(shown).collect())
}

/// Whether the service should be sent requests.
async fn ready(State(jobs): State<Jobs>) -> StatusCode {
    if jobs.moirai.is_shutting_down() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

async fn metrics(State(jobs): State<Jobs>) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = jobs.moirai.metrics().to_prometheus(&mut text);
    let stats = jobs.moirai.cleanup_stats();
    let _ = writeln!(text, "# TYPE service_records gauge\nservice_records {}", stats.total_tasks);
    text
}
