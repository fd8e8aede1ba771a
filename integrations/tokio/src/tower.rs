//! A layer by which each HTTP request is a task of Moirai.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use moirai::{Moirai, TaskError, TaskHandle};
use tower_layer::Layer;
use tower_service::Service;

/// A layer by which each HTTP request is handled in a task of Moirai, whose name is the request's method and path, such as `GET
/// /users`.
///
/// If the handler panics, the response has the status 500, and the task's record says why. If the task is cancelled, or Moirai
/// shuts down, the status is 503. If the client goes away, and the response is not wanted any more, the task is cancelled.
///
/// ```
/// use axum::{Router, routing::get};
/// use moirai::prelude::*;
/// use moirai_tokio::OnMoirai;
///
/// let moirai = Moirai::builder().plugin(moirai_tokio::driver()?).build()?;
/// let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(OnMoirai::new(&moirai));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Where several layers are added, those that were added before this one run in the task, and those that are added after it do not.
#[derive(Clone, Debug)]
pub struct OnMoirai {
    moirai: Moirai,
}

impl OnMoirai {
    /// Creates a layer that spawns on `moirai`. It does not keep Moirai running.
    #[must_use]
    pub fn new(moirai: &Moirai) -> Self {
        Self { moirai: moirai.without_owner() }
    }
}

impl<S> Layer<S> for OnMoirai {
    type Service = OnMoiraiService<S>;

    fn layer(&self, inner: S) -> OnMoiraiService<S> {
        OnMoiraiService { moirai: self.moirai.clone(), inner }
    }
}

/// A service of which each request is a task of Moirai; see [`OnMoirai`].
#[derive(Clone, Debug)]
pub struct OnMoiraiService<S> {
    moirai: Moirai,
    inner: S,
}

impl<S, Req, Res> Service<Request<Req>> for OnMoiraiService<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    Res: Default + Send + 'static,
{
    type Response = Response<Res>;
    type Error = S::Error;
    type Future = RequestTask<Res, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let name = format!("{} {}", request.method(), request.uri().path());
        RequestTask(Some(self.moirai.task().name(name).spawn_async(self.inner.call(request))))
    }
}

/// The response to a request that is handled in a task of Moirai. Dropping it cancels the task.
#[derive(Debug)]
#[must_use = "dropping it cancels the task"]
pub struct RequestTask<Res, E>(
    /// `None` once it has ended.
    Option<TaskHandle<Result<Response<Res>, E>>>,
);

impl<Res: Default, E> Future for RequestTask<Res, E> {
    type Output = Result<Response<Res>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let handle = self.0.as_mut().expect("polled after it has ended");
        let Poll::Ready(result) = Pin::new(handle).poll(cx) else { return Poll::Pending };
        self.0 = None;
        Poll::Ready(result.unwrap_or_else(|error| {
            let mut response = Response::new(Res::default());
            *response.status_mut() = match error {
                TaskError::Panicked(_) => StatusCode::INTERNAL_SERVER_ERROR,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            Ok(response)
        }))
    }
}

impl<Res, E> Drop for RequestTask<Res, E> {
    fn drop(&mut self) {
        self.0.iter().for_each(|handle| handle.cancel());
    }
}
