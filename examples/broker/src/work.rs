//! The work: it does what its order asks for, and then has an effect that outlives the process.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    panic,
    path::Path,
    process, thread,
    time::Duration,
};

use crate::{
    lease::Lease,
    order::{NoOrder, Order},
};

/// Why a work failed. Text of this ends in the dead letter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Why {
    #[error(transparent)]
    NoOrder(#[from] NoOrder),
    #[error("the simulated failure")]
    Simulated,
    #[error("the effect cannot be written: {0}")]
    Effect(#[from] io::Error),
}

/// The `E` of the troupe: a work returns it, and the error handler gets it by value.
///
/// It carries the lease of the work that failed, so the handler can give the verdict.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) lease: Lease,
    pub(crate) why: Why,
}

/// A file with one line for each work that was done.
///
/// A line is one write to a file opened for appending: the system has it, whole, before the verdict
/// is given, and keeps it if the process is killed. So these files tell what really happened, and
/// not what some process believes.
#[derive(Debug)]
pub(crate) struct Effects(Option<File>);

/// Bytes of a line in [`Effects`]: all have the same, so a size tells how many there are.
pub(crate) const LINE: usize = 21;

impl Effects {
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        path.map(|path| options.open(path)).transpose().map(Effects)
    }

    fn record(&self, number: u64) -> io::Result<()> {
        let Some(mut file) = self.0.as_ref() else {
            return Ok(());
        };
        let width = LINE - 1;
        file.write_all(format!("{number:0width$}\n").as_bytes())
    }
}

/// Does what the message asks for. `delivery` is 1 the first time.
pub(crate) fn run(
    order: Result<Order, NoOrder>,
    delivery: u32,
    effects: &Effects,
) -> Result<(), Why> {
    let order = order?;
    rest(order.wait);
    if delivery <= order.aborts {
        process::abort();
    }
    if delivery <= order.panics {
        // Like `panic!`, without a message on standard error for each.
        panic::resume_unwind(Box::new("the simulated panic"));
    }
    if delivery <= order.fails {
        return Err(Why::Simulated);
    }
    effects.record(order.number)?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody waits for something here: that it takes time is all that the work does"
)]
fn rest(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}
