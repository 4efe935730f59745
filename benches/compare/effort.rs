//! How much is measured.

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For figures.
    Full,
    /// For a look whether a bar is missed by far.
    Quick,
    /// For a look whether it runs, in a build without optimisation.
    Tiny,
}

impl Effort {
    /// One of three sizes.
    pub(crate) fn of<T>(self, full: T, quick: T, tiny: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
            Self::Tiny => tiny,
        }
    }

    /// The option that tells a child process.
    pub(crate) fn option(self) -> Option<&'static str> {
        self.of(None, Some("--quick"), Some("--tiny"))
    }
}
