//! A headless Chromium, spoken to by its remote-debugging pipes: JSON, each message ended by a NUL.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use serde_json::{Value, json};

use crate::{
    programs::Dir,
    support::{HANG, receive},
};

pub(crate) struct Browser {
    child: Child,
    /// Removed once the browser has ended.
    _dir: Dir,
    orders: File,
    messages: Receiver<Value>,
    next: u64,
    session: Option<String>,
}

impl Browser {
    /// Opens a browser for one test, named `test`. `None` if there is no Chromium.
    pub(crate) fn open(test: &str) -> Option<Self> {
        let runs = |program: &&str| {
            let version = Command::new(program)
                .arg("--version")
                .stderr(Stdio::null())
                .output();
            version.is_ok_and(|output| output.status.success())
        };
        let program = ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find(runs)?;
        let dir = Dir::new(test);
        let (orders, answers) = (dir.0.join("orders"), dir.0.join("answers"));
        let made = Command::new("mkfifo").args([&orders, &answers]).status();
        assert!(made.unwrap().success());
        // It reads from descriptor 3 and writes to 4. Without its sandbox, for root has none; it
        // sees nothing but the page under test.
        let script = "exec \"$0\" \"$@\" 3<\"$ORDERS\" 4>\"$ANSWERS\"";
        let profile = format!("--user-data-dir={}", dir.0.join("profile").display());
        let child = Command::new("sh")
            .args(["-c", script, program, "--headless=new", "--no-sandbox"])
            .args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-sync"])
            .args([&profile, "--remote-debugging-pipe", "about:blank"])
            .env("ORDERS", &orders)
            .env("ANSWERS", &answers)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In the order of the shell: each opening waits for the other side.
        let orders = OpenOptions::new().write(true).open(orders).unwrap();
        let mut answers = BufReader::new(File::open(answers).unwrap());
        let (sender, messages) = mpsc::channel();
        let read = move || {
            let mut message = Vec::new();
            while answers
                .read_until(0, &mut message)
                .is_ok_and(|length| length > 0)
            {
                message.pop();
                if sender
                    .send(serde_json::from_slice(&message).unwrap())
                    .is_err()
                {
                    return;
                }
                message.clear();
            }
        };
        thread::Builder::new().spawn(read).unwrap();
        let mut browser = Browser {
            child,
            _dir: dir,
            orders,
            messages,
            next: 1,
            session: None,
        };
        let target = browser.order("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.order("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        Some(browser)
    }

    /// Runs a script in each page before its own.
    pub(crate) fn prepare(&mut self, script: &str) {
        self.order("Page.enable", json!({}));
        let order = json!({"source": script});
        self.order("Page.addScriptToEvaluateOnNewDocument", order);
    }

    /// Begins to load a page.
    pub(crate) fn open_page(&mut self, url: &str) {
        self.order("Page.navigate", json!({"url": url}));
    }

    /// Gives an order and waits for its result. Events are passed over.
    pub(crate) fn order(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        let mut order = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut bytes = order.to_string().into_bytes();
        bytes.push(0);
        self.orders.write_all(&bytes).unwrap();
        loop {
            let mut message = receive(&self.messages);
            if message["id"] == json!(id) {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    /// The value of an expression of JavaScript on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let mut result = self.order("Runtime.evaluate", params);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends when it is asked to, its helpers with it; or else is killed.
        self.session = None;
        let close = format!("{{\"id\":{},\"method\":\"Browser.close\"}}\0", self.next);
        self.orders.write_all(close.as_bytes()).ok();
        let begun = std::time::Instant::now();
        while begun.elapsed() < HANG && self.messages.recv_timeout(HANG).is_ok() {}
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
