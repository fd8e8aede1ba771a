//! A process that draws.

use std::error::Error;
use std::io::{self, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use moirai::prelude::*;
use moirai_jobs::{Job, Jobs};

use crate::picture::Picture;
use crate::{Options, pictures};

/// Draws until the standard input ends.
pub(crate) fn work(
    address: &str,
    queue: &str,
    options: &Options,
) -> Result<ExitCode, Box<dyn Error>> {
    let driver = moirai_tokio::driver()?;
    let tokio = driver.handle();
    // The record of a job's task is kept for an hour.
    let records = Retention { max_records: 10_000, max_age: Duration::from_secs(3_600) };
    let moirai =
        Moirai::builder().worker_threads(2).retention("jobs", records).plugin(driver).build()?;
    let folder: Arc<std::path::Path> = options.out.join("pictures").into();
    moirai_tokio::block_on(&moirai.clone(), tokio, async {
        let jobs = Jobs::open(address).await?;
        let consumer = pictures(&jobs, queue, options).run(&moirai, move |job: Job<Picture>| {
            let folder = Arc::clone(&folder);
            async move {
                let pixels = job.payload.draw();
                moirai::spawn_blocking(move || job.payload.save(&folder, &pixels))
                    .await
                    .map_err(io::Error::other)?
            }
        })?;
        consumer.detach();
        Ok::<_, moirai_jobs::Error>(())
    })?;
    io::stdin().read_to_end(&mut Vec::new())?;
    let report = moirai.drain(Duration::from_secs(10));
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
