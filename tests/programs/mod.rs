//! The examples as processes, and folders to run them in.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

/// A directory of one test, removed at its end.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(test: &str) -> Self {
        let this = env!("CARGO_CRATE_NAME");
        let path = env::temp_dir().join(format!("troupe-{this}-{}-{test}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Dir(path)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).unwrap();
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// `target/<profile>/examples/<name>`, as seen from `target/<profile>/deps/<this test>`.
pub(crate) fn example(name: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let path = this.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{path:?} is missing: `cargo test` builds it, `cargo test --test {name}` does not; \
         run `cargo build --example {name}` first"
    );
    path
}

/// Sends a signal, as `INT`.
#[track_caller]
pub(crate) fn signal(child: &Child, name: &str) {
    shell(&format!("kill -{name} {}", child.id()));
}

/// Sends two signals that belong to one request to stop: no other program starts between them.
#[track_caller]
pub(crate) fn signal_twice(child: &Child) {
    let id = child.id();
    shell(&format!("kill -TERM {id} && kill -INT {id}"));
}

#[track_caller]
fn shell(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
pub(crate) fn assert_exit(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:#?}");
}

#[track_caller]
pub(crate) fn assert_says(output: &Output, words: &str) {
    assert!(
        text(&output.stderr).contains(words),
        "no {words:?} in {output:#?}"
    );
}
