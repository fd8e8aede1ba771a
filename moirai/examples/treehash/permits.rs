//! A limit on how much goes on at once.

use async_channel::{Receiver, Sender};

/// So many permits. Who wants to go on takes one, and waits if there is none.
pub(crate) struct Permits {
    give: Sender<()>,
    take: Receiver<()>,
}

/// A permit that was taken. Goes back when it is dropped, also when its task is cancelled.
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
        // There is room: no more permits are given back than were taken. Nobody may be there any more to want it.
        let _ = self.0.try_send(());
    }
}
