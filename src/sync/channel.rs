//! The part of the bounded channel that both model checkers share.

/// An item that could not be sent.
#[derive(Debug)]
pub enum TrySendError<T> {
    Full(T),
    #[expect(
        dead_code,
        reason = "crossbeam's shape; both ends live as long as the mailbox"
    )]
    Disconnected(T),
}
