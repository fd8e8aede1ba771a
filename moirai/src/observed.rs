//! Executors as what is observed, by the page and by other exporters.

use std::ops::ControlFlow;
use std::sync::Arc;

use moirai_core::{Flight, Lookup, RuntimePhase, RuntimeStats, Stall, TaskId, TaskStats};
use moirai_metrics::{MetricsSnapshot, Observable, Observer};

use crate::moirai::{Moirai, WeakMoirai};

impl Observable for Moirai {
    fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.downgrade())
    }
}

impl Observable for WeakMoirai {
    fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.clone())
    }
}

impl Observer for WeakMoirai {
    fn is_running(&self) -> bool {
        self.upgrade().is_some_and(|executor| executor.phase() != RuntimePhase::Stopped)
    }

    fn runtime_stats(&self) -> Option<RuntimeStats> {
        Some(self.upgrade()?.runtime_stats())
    }

    fn metrics(&self) -> Option<MetricsSnapshot> {
        Some(self.upgrade()?.metrics())
    }

    fn stalled(&self) -> Option<Vec<Stall>> {
        Some(self.upgrade()?.stalled())
    }

    fn lookup(&self, id: TaskId) -> Option<Lookup> {
        Some(self.upgrade()?.lookup(id))
    }

    fn flight(&self) -> Option<Flight> {
        Some(self.upgrade()?.flight())
    }

    fn each_task(&self, each: &mut dyn FnMut(TaskStats) -> ControlFlow<()>) -> Option<()> {
        let _ = self.upgrade()?.each_task(each);
        Some(())
    }

    fn cancel_task(&self, id: TaskId) -> bool {
        self.upgrade().is_some_and(|executor| executor.cancel_task(id))
    }
}
