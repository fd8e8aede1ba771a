//! A limit on how many tasks do something at once.

use async_channel::{Receiver, Sender};

/// A number of permits. A task takes one before it goes on, and waits if none is free.
pub(crate) struct Permits {
    give: Sender<()>,
    take: Receiver<()>,
}

/// A permit that was taken. Dropping it gives it back, also when its task is cancelled.
pub(crate) struct Permit(Sender<()>);

impl Permits {
    pub(crate) fn new(count: usize) -> Self {
        let (give, take) = async_channel::bounded(count);
        for _ in 0..count {
            give.try_send(()).expect("there is room for every permit");
        }
        Self { give, take }
    }

    pub(crate) async fn take(&self) -> Permit {
        self.take.recv().await.expect("the sender is next to the receiver");
        Permit(self.give.clone())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // There is room for it, because no more permits are given back than were taken. The receiver may be gone at the end of the
        // program.
        let _ = self.0.try_send(());
    }
}
