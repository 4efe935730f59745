//! Every resource and what became of it; every link and what it waits for.

use std::{collections::HashMap, mem, sync::Arc};

use url::Url;

use crate::{error::Broken, lease::Id, page::Anchors};

/// A link, on its way to a verdict.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) document: Arc<str>,
    /// None for what was named on the command line.
    pub(crate) line: Option<usize>,
    /// Which of the links of the document it is.
    pub(crate) index: usize,
    pub(crate) written: String,
    pub(crate) fragment: Option<String>,
}

impl Link {
    /// The command line as a document: what it names is a link that nobody wrote.
    pub(crate) fn root(name: impl ToString) -> Self {
        let name = name.to_string();
        Link {
            document: (&*name).into(),
            line: None,
            index: 0,
            written: name,
            fragment: None,
        }
    }
}

/// A link that is broken.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) document: Arc<str>,
    pub(crate) line: Option<usize>,
    index: usize,
    pub(crate) written: String,
    pub(crate) why: Broken,
    /// The address that was asked for in the end, if any was.
    pub(crate) url: Option<Url>,
    pub(crate) attempts: u32,
}

/// Links by their verdict. Each is counted in one field.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    pub(crate) good: u64,
    pub(crate) allowed: u64,
    pub(crate) skipped: u64,
    pub(crate) unchecked: u64,
    pub(crate) broken: Vec<Finding>,
}

impl Verdicts {
    pub(crate) fn links(&self) -> u64 {
        self.checked() + self.allowed + self.skipped + self.unchecked
    }

    pub(crate) fn checked(&self) -> u64 {
        self.good + self.broken.len() as u64
    }
}

/// The work that was done, and how the pool was used.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    pub(crate) documents: u64,
    /// Documents that were not read to their end.
    pub(crate) cut_off: Vec<String>,
    pub(crate) urls: usize,
    pub(crate) retries: u64,
    /// How often the troupe was full, so that the feeder had to wait.
    pub(crate) held: u64,
}

#[derive(Debug)]
enum Fate {
    Open,
    Here(Anchors),
    Moved(Id),
    Broken(Broken),
}

#[derive(Debug)]
struct Resource {
    url: Url,
    fate: Fate,
    attempts: u32,
    /// The links that wait for it, each with the resource that it names: the chain of redirects
    /// from there on is what counts.
    waiting: Vec<(Link, Id)>,
}

/// Resources are numbered, and kept until the end: that is how each is asked once. So memory grows
/// with the number of different URLs and anchors, of broken links, and of those that wait for a
/// verdict; a good link is forgotten.
#[derive(Debug)]
pub(crate) struct Ledger {
    max_redirects: usize,
    ids: HashMap<Url, Id>,
    resources: Vec<Resource>,
    waiting: u64,
    pub(crate) verdicts: Verdicts,
}

impl Ledger {
    pub(crate) fn new(max_redirects: usize) -> Self {
        Ledger {
            max_redirects,
            ids: HashMap::new(),
            resources: Vec::new(),
            waiting: 0,
            verdicts: Verdicts::default(),
        }
    }

    /// The number of a resource.
    pub(crate) fn id_of(&mut self, url: Url) -> Id {
        *self.ids.entry(url).or_insert_with_key(|url| {
            self.resources.push(Resource {
                url: url.clone(),
                fate: Fate::Open,
                attempts: 0,
                waiting: Vec::new(),
            });
            self.resources.len() - 1
        })
    }

    pub(crate) fn url(&self, id: Id) -> &Url {
        &self.resources[id].url
    }

    pub(crate) fn resources(&self) -> usize {
        self.resources.len()
    }

    /// Links found so far, and those among them that have no verdict.
    pub(crate) fn links(&self) -> (u64, u64) {
        (self.verdicts.links() + self.waiting, self.waiting)
    }

    /// Counts an attempt. The first is 1.
    pub(crate) fn attempt(&mut self, id: Id) -> u32 {
        self.resources[id].attempts += 1;
        self.resources[id].attempts
    }

    pub(crate) fn attempts(&self, id: Id) -> u32 {
        self.resources[id].attempts
    }

    /// A link to a resource: judged now, or when there is an answer from the resource returned,
    /// which is that one, or where it redirects to.
    pub(crate) fn add(&mut self, link: Link, id: Id) -> Option<Id> {
        self.waiting += 1;
        self.judge(link, id)
    }

    /// A link that is broken whatever it leads to.
    pub(crate) fn add_broken(&mut self, link: Link, why: Broken) {
        self.find(link, why, None);
    }

    pub(crate) fn here(&mut self, id: Id, anchors: Anchors) {
        self.settle(id, Fate::Here(anchors));
    }

    /// False if no link waits for where it leads: a circle, or stairs without an end.
    pub(crate) fn moved(&mut self, id: Id, to: Id) -> bool {
        self.settle(id, Fate::Moved(to));
        !self.resources[to].waiting.is_empty()
    }

    pub(crate) fn broken(&mut self, id: Id, why: Broken) {
        self.settle(id, Fate::Broken(why));
    }

    /// Ends it: what still waits stays without a verdict. Broken links are in the order in which
    /// they are written, whichever was answered first.
    pub(crate) fn finish(mut self) -> Verdicts {
        self.verdicts.unchecked += mem::take(&mut self.waiting);
        self.verdicts
            .broken
            .sort_by(|a, b| (&a.document, a.index).cmp(&(&b.document, b.index)));
        self.verdicts
    }

    fn settle(&mut self, id: Id, fate: Fate) {
        let resource = &mut self.resources[id];
        resource.fate = fate;
        for (link, named) in mem::take(&mut resource.waiting) {
            self.judge(link, named);
        }
    }

    /// Follows the redirects from the resource that a link names.
    fn judge(&mut self, link: Link, named: Id) -> Option<Id> {
        let mut path = vec![named];
        let (id, why) = loop {
            let id = path[path.len() - 1];
            match &self.resources[id].fate {
                Fate::Open => {
                    self.resources[id].waiting.push((link, named));
                    return Some(id);
                }
                Fate::Broken(why) => break (id, Some(why.clone())),
                Fate::Here(anchors) => {
                    let lost = link.fragment.as_deref().filter(|name| !anchors.have(name));
                    break (id, lost.map(|name| Broken::Anchor(name.to_owned())));
                }
                Fate::Moved(to) if path.contains(to) => break (id, Some(Broken::RedirectLoop)),
                Fate::Moved(_) if path.len() > self.max_redirects => {
                    break (id, Some(Broken::TooManyRedirects(self.max_redirects)));
                }
                Fate::Moved(to) => path.push(*to),
            }
        };
        self.waiting -= 1;
        match why {
            // An address on the command line is no link in a document.
            None => self.verdicts.good += u64::from(link.line.is_some()),
            Some(why) => self.find(link, why, Some(id)),
        }
        None
    }

    fn find(&mut self, link: Link, why: Broken, id: Option<Id>) {
        let resource = id.map(|id| &self.resources[id]);
        self.verdicts.broken.push(Finding {
            document: link.document,
            line: link.line,
            index: link.index,
            written: link.written,
            why,
            url: resource.map(|resource| resource.url.clone()),
            attempts: resource.map_or(0, |resource| resource.attempts),
        });
    }
}
