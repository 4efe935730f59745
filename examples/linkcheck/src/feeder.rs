//! The main thread: decides what is asked and when, and learns from the answers what else there is.

use std::{
    mem,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::{Duration, Instant},
};

use url::{Origin, Url};

use crate::{
    crew::{self, Crew},
    error::Fatal,
    inputs::Input,
    lease::{Id, Message},
    ledger::{Effort, Ledger, Link, Verdicts},
    page::{Answer, Page},
    queue::Queue,
    target::{self, Resolver, Target},
    watch::Gauges,
};

/// At most this many addresses wait, for their host or for the starts, when another document is read.
const FRONTIER: usize = 1000;

/// The channel to the feeder has a place for each lease from the beginning, so there is a limit.
const MAX_WINDOW: usize = 16 << 10;

/// How long works that are under way may take when a signal has come. They are cut off, so only one
/// that looks up a name or connects takes longer. Less than the second after which another signal
/// ends the program: what has been found is printed before.
const GRACE: Duration = Duration::from_millis(500);

/// How many leases a feeder may have out. Twice the capacity of its troupe, so that it is the
/// troupe that is full first.
pub(crate) fn window(capacity: usize) -> usize {
    capacity.saturating_mul(2).clamp(1, MAX_WINDOW)
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) resolver: Resolver,
    pub(crate) starts: Vec<Url>,
    /// How many links away from a start URL the pages are that are read.
    pub(crate) depth: usize,
    pub(crate) per_host: usize,
    pub(crate) backoff: Duration,
    pub(crate) max_redirects: usize,
    /// Documents in here are named by their path from here.
    pub(crate) current: PathBuf,
}

/// The questions that are asked of a resource.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    stage: Stage,
    /// Asked for what is in it, and not only whether it is there.
    is_read: bool,
    /// Its links are checked.
    is_followed: bool,
    /// A start URL, or where one redirects to. Until there is a verdict.
    is_start: bool,
    /// The level is not done before it is.
    is_awaited: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    New,
    /// It waits until all starts have a verdict.
    Held,
    /// It waits for the next level.
    Deferred,
    Asked,
}

/// The work under way is bounded, however much there is to check: the troupe's own bound holds back
/// works, and the window answers that have not been looked at. The feeder's knowledge is not: a crawl
/// has to remember what it has met. It keeps each different URL, once in the ledger and while it has
/// not been asked once in a queue; and each link until its verdict, so that many links to one page
/// that is asked on the next level are all kept till then. Only local documents can wait to be read,
/// and do while there is much to ask.
///
/// Our own resources (local files, and pages of a start URL's origin) are asked level by level: what
/// is `n` links away, then what is `n + 1` away. So it does not depend on who answers first which
/// pages are within `--depth`, and each is asked once. All others are asked whether they are there
/// as they are found, which keeps the actors busy where two levels meet. Where a start redirects to
/// is ours as well, so before all starts have a verdict, no other is known not to be ours.
#[derive(Debug)]
pub(crate) struct Feeder<'c> {
    crew: &'c Crew,
    plan: Plan,
    gauges: Arc<Gauges>,
    inbox: Receiver<Message>,
    outbox: SyncSender<Message>,
    window: usize,
    /// Leases that are out.
    leases: usize,
    ledger: Ledger,
    queue: Queue,
    /// By the number of the resource.
    orders: Vec<Order>,
    /// Where the starts are: pages of other origins are not read.
    origins: Vec<Origin>,
    /// Starts that have no verdict.
    open_starts: usize,
    /// Resources that may turn out to be ours, once all starts have a verdict.
    held: Vec<Id>,
    level: usize,
    /// Resources of this level that are not settled.
    awaited: usize,
    /// Resources of the next level, if they are not asked before.
    deferred: Vec<Id>,
    /// Resources of ours that others redirect to: of no level, so asked at the end.
    late: Vec<Id>,
    effort: Effort,
    is_stopped: bool,
}

impl<'c> Feeder<'c> {
    pub(crate) fn new(
        crew: &'c Crew,
        plan: Plan,
        gauges: Arc<Gauges>,
        window: usize,
        (outbox, inbox): (SyncSender<Message>, Receiver<Message>),
    ) -> Self {
        Feeder {
            window,
            crew,
            gauges,
            inbox,
            outbox,
            leases: 0,
            ledger: Ledger::new(plan.max_redirects),
            queue: Queue::new(plan.per_host),
            origins: plan.starts.iter().map(Url::origin).collect(),
            plan,
            orders: Vec::new(),
            open_starts: 0,
            held: Vec::new(),
            level: 0,
            awaited: 0,
            deferred: Vec::new(),
            late: Vec::new(),
            effort: Effort::default(),
            is_stopped: false,
        }
    }

    /// Checks everything, or until a signal comes.
    pub(crate) fn run(
        mut self,
        mut inputs: impl Iterator<Item = Input>,
    ) -> Result<(Verdicts, Effort), Fatal> {
        // All of them before the first answer: none is asked only whether it is there because
        // another document links to it.
        for url in mem::take(&mut self.plan.starts) {
            self.begin(url, true);
        }
        let mut more_inputs = true;
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                self.take(message);
            }
            self.show();
            if self.is_stopped || self.crew.troupe.is_shutdown() {
                break;
            }
            self.requeue(Instant::now());
            if self.leases == self.window {
                self.wait(None);
            } else if let Some(id) = self.queue.pop() {
                self.ask(id)?;
            } else if more_inputs && self.queue.waiting() + self.held.len() < FRONTIER {
                match inputs.next() {
                    Some(Input::At(url)) => self.begin(url, false),
                    Some(Input::Unreadable(path, why)) => {
                        self.ledger.add_broken(Link::root(path.display()), why);
                    }
                    None => more_inputs = false,
                }
            } else if !more_inputs && self.awaited == 0 && self.has_more() {
                self.next_level();
            } else if self.leases > 0 || self.queue.retrying() > 0 {
                self.wait(self.queue.next_retry());
            } else {
                break;
            }
        }
        self.drain();
        self.effort.urls = self.ledger.resources();
        Ok((self.ledger.finish(), self.effort))
    }

    /// After a signal: takes in what the works that were under way have found. The signal's own
    /// thread has the others taken back, and each of them tells, too.
    fn drain(&mut self) {
        let end = Instant::now() + GRACE;
        while self.leases > 0 {
            let time = end.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(time) {
                // Nobody waits for a retry any more.
                Ok(Message::Again(id, _)) => self.give_back(id),
                Ok(message) => self.take(message),
                Err(_) => break,
            }
        }
        self.show();
    }

    fn wait(&mut self, until: Option<Instant>) {
        let message = match until {
            Some(until) => {
                let time = until.saturating_duration_since(Instant::now());
                self.inbox.recv_timeout(time).ok()
            }
            None => self.inbox.recv().ok(),
        };
        if let Some(message) = message {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Stop => self.is_stopped = true,
            Message::Unchecked(id) => self.give_back(id),
            Message::Again(id, after) => {
                self.give_back(id);
                self.effort.retries += 1;
                let backoff = crew::backoff(self.plan.backoff, self.ledger.attempts(id));
                let at = Instant::now() + after.unwrap_or_default().max(backoff);
                self.queue.push_retry(id, at);
            }
            Message::Broken(id, why) => {
                self.give_back(id);
                self.ledger.broken(id, why);
                self.settle(id);
            }
            Message::Answer(id, Answer::Moved(to)) => {
                self.give_back(id);
                self.follow(id, to);
                self.settle(id);
            }
            Message::Answer(id, Answer::Here(page)) => {
                self.give_back(id);
                self.take_page(id, page);
                self.settle(id);
            }
        }
    }

    /// The lease is back, and its host may be asked for something else.
    fn give_back(&mut self, id: Id) {
        self.leases -= 1;
        self.queue.done(self.ledger.url(id));
    }

    fn requeue(&mut self, now: Instant) {
        while let Some(id) = self.queue.pop_retry(now) {
            self.queue.push(id, self.ledger.url(id));
        }
    }

    fn ask(&mut self, id: Id) -> Result<(), Fatal> {
        let attempt = self.ledger.attempt(id);
        let url = self.ledger.url(id).clone();
        let is_read = self.orders[id].is_read;
        let outbox = self.outbox.clone();
        self.leases += 1;
        let was_held = self.crew.ask(id, attempt, url, is_read, outbox)?;
        self.effort.held += u64::from(was_held);
        Ok(())
    }

    /// An address on the command line is reported as a link only if it is broken.
    fn begin(&mut self, url: Url, is_start: bool) {
        let link = Link::root(self.name_of(&url));
        let id = self.id_of(url);
        let order = Order {
            is_read: true,
            is_followed: true,
            is_start,
            ..Order::default()
        };
        if self.ask_on_this_level(id, order) {
            self.ledger.add(link, id);
        }
    }

    fn take_page(&mut self, id: Id, page: Page) {
        self.ledger.here(id, page.anchors);
        if page.is_cut_off {
            let name = self.name_of(self.ledger.url(id));
            self.effort.cut_off.push(name);
        }
        if !self.orders[id].is_followed {
            return;
        }
        self.effort.documents += u64::from(page.is_document);
        let url = self.ledger.url(id);
        let document: Arc<str> = self.name_of(url).into();
        let base = self.plan.resolver.base_of(url, page.base.as_deref());
        for (index, written) in page.links.into_iter().enumerate() {
            let target = self.plan.resolver.resolve(&base, &written.target);
            let mut link = Link {
                document: Arc::clone(&document),
                line: Some(written.line),
                index,
                written: written.target,
                fragment: None,
            };
            match target {
                Target::Skipped => self.ledger.verdicts.skipped += 1,
                Target::Allowed => self.ledger.verdicts.allowed += 1,
                Target::Bad(why) => self.ledger.add_broken(link, why),
                Target::At(url, fragment) => {
                    link.fragment = fragment;
                    self.find(link, url);
                }
            }
        }
    }

    fn find(&mut self, link: Link, url: Url) {
        let id = self.id_of(url);
        let Some(id) = self.ledger.add(link, id) else {
            return;
        };
        if self.orders[id].stage == Stage::New {
            self.place(id);
        }
    }

    fn place(&mut self, id: Id) {
        if self.is_ours(self.ledger.url(id)) {
            self.orders[id].stage = Stage::Deferred;
            self.deferred.push(id);
        } else if self.open_starts > 0 {
            self.orders[id].stage = Stage::Held;
            self.held.push(id);
        } else {
            self.ask_later(id, Order::default());
        }
    }

    /// A step of a redirect is no link away: it is on the level that it starts from.
    fn follow(&mut self, id: Id, url: Url) {
        let from = self.orders[id];
        if from.is_start {
            self.origins.push(url.origin());
        }
        let is_ours = self.is_ours(&url);
        let to = self.id_of(url);
        let is_wanted = self.ledger.moved(id, to);
        if !is_wanted || self.orders[to].stage == Stage::Asked {
            return;
        }
        match (from.is_awaited, is_ours) {
            (true, true) => {
                self.ask_on_this_level(to, from);
            }
            (_, false) => self.ask_later(to, Order::default()),
            // When this answer comes is chance, and must not decide what is read.
            (false, true) => self.late.push(to),
        }
    }

    fn has_more(&self) -> bool {
        !self.deferred.is_empty() || !self.late.is_empty()
    }

    fn next_level(&mut self) {
        self.level += 1;
        for id in mem::take(&mut self.deferred) {
            // Files are read for their anchors, but only those that are named have their links
            // checked.
            let is_file = self.ledger.url(id).scheme() == "file";
            let is_near = self.level <= self.plan.depth;
            let order = Order {
                is_read: is_file || is_near,
                is_followed: !is_file && is_near,
                ..Order::default()
            };
            self.ask_on_this_level(id, order);
        }
        if self.awaited == 0 {
            for id in mem::take(&mut self.late) {
                if self.orders[id].stage == Stage::New {
                    self.ask_later(id, Order::default());
                }
            }
        }
    }

    /// False if somebody has asked before.
    fn ask_on_this_level(&mut self, id: Id, order: Order) -> bool {
        let is_first = self.orders[id].stage != Stage::Asked;
        if is_first {
            self.awaited += 1;
            self.open_starts += usize::from(order.is_start);
            self.ask_later(
                id,
                Order {
                    is_awaited: true,
                    ..order
                },
            );
        }
        is_first
    }

    fn ask_later(&mut self, id: Id, order: Order) {
        self.orders[id] = Order {
            stage: Stage::Asked,
            ..order
        };
        self.queue.push(id, self.ledger.url(id));
    }

    /// There is a verdict.
    fn settle(&mut self, id: Id) {
        if mem::take(&mut self.orders[id].is_awaited) {
            self.awaited -= 1;
        }
        if mem::take(&mut self.orders[id].is_start) {
            self.open_starts -= 1;
            if self.open_starts == 0 {
                self.release();
            }
        }
    }

    /// It is known which origins are ours.
    fn release(&mut self) {
        for id in mem::take(&mut self.held) {
            if self.orders[id].stage == Stage::Held {
                self.place(id);
            }
        }
    }

    fn is_ours(&self, url: &Url) -> bool {
        url.scheme() == "file" || self.origins.contains(&url.origin())
    }

    fn id_of(&mut self, url: Url) -> Id {
        let id = self.ledger.id_of(url);
        self.orders
            .resize(self.ledger.resources(), Order::default());
        id
    }

    fn name_of(&self, url: &Url) -> String {
        target::display(url, &self.plan.current)
    }

    fn show(&self) {
        let (found, waiting) = self.ledger.links();
        let broken = self.ledger.verdicts.broken.len();
        let retrying = self.queue.retrying();
        self.gauges.set(found, found - waiting, broken, retrying);
    }
}
