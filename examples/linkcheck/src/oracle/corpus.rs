//! Documents at random, with all that a heading or a link can be made of.

use fastrand::Rng;

/// As many documents from a seed, always the same.
pub(super) fn make(seed: u64, documents: usize) -> Vec<String> {
    let mut author = Author {
        random: Rng::with_seed(seed),
        targets: 0,
    };
    (0..documents).map(|_| author.document()).collect()
}

struct Author {
    random: Rng,
    /// How many targets there are so far: each link has one of its own.
    targets: usize,
}

const WORDS: [&str; 36] = [
    "Install",
    "usage",
    "API",
    "C++",
    "don't",
    "snake_case",
    "v1.2.3",
    "a/b",
    "x-y",
    "--flag",
    "2",
    "\u{fc}n\u{ef}c\u{f6}de",
    "\u{c9}T\u{c9}",
    "हिन्दी",
    "ภาษาไทย",
    "日本語",
    "Ελλάδα",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "mc\u{b2}",
    "\u{bd}",
    "\u{2460}",
    "\u{2167}",
    "\u{24b6}",
    "\u{2699}\u{fe0f}",
    "\u{1f680}",
    "\u{1f469}\u{200d}\u{1f680}",
    ":rocket:",
    "\u{2014}",
    "\u{2026}",
    "a\u{203f}b",
    "(c)",
    "\"quoted\"",
    "50%",
    "#1",
    "Q&A",
    "$x$",
];

/// Marked up, with no link and no line break.
const PIECES: [&str; 24] = [
    "`code`",
    "`` a ` b ``",
    "`<b>`",
    "**bold**",
    "*em*",
    "_em_",
    "***both***",
    "~~gone~~",
    "~one~",
    "<b>b</b>",
    "<kbd>K</kbd>",
    "<br>",
    "<!-- no -->",
    "&amp;",
    "&copy;",
    "&#35;",
    "&nbsp;",
    "&lt;b&gt;",
    "\\*",
    "\\_x\\_",
    "\\`",
    "<title>",
    "[none]",
    "[ ]",
];

impl Author {
    fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.random.usize(..choices.len())]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(..100) < percent
    }

    /// A target that is in no other link. Its name says that it stands on the line of its link.
    fn target(&mut self) -> String {
        self.targets += 1;
        let end = self.one(&[
            "", ".md", ".md#part", "/", "?a=1&b=2", "-\u{fc}", "%20x", "_(a)",
        ]);
        format!("here-{}{end}", self.targets)
    }

    /// One that is on another line.
    fn distant(&mut self) -> String {
        self.targets += 1;
        format!("there-{}.md", self.targets)
    }

    /// Several words, for the text of an image. The other program would leave HTML in there as it is.
    fn plain(&mut self) -> String {
        let words: Vec<_> = (0..3).map(|_| self.one(&WORDS)).collect();
        words.join(" ")
    }

    /// Several words, some of them marked up, on one line.
    fn phrase(&mut self) -> String {
        let count = self.random.usize(1..=4);
        let words: Vec<_> = (0..count)
            .map(|_| {
                if self.chance(75) {
                    self.one(&WORDS)
                } else {
                    self.one(&PIECES)
                }
            })
            .collect();
        words.join(" ")
    }

    /// A link or an image of any kind, on one line.
    fn link(&mut self) -> String {
        let target = self.target();
        let text = self.phrase();
        match self.random.u8(..17) {
            0 | 1 => format!("[{text}]({target})"),
            2 => format!("[{text}](<{target} x> 'title')"),
            3 => format!("[{text}]({target} \"a title\")"),
            4 => format!("![{}]({target})", self.plain()),
            5 => {
                let (text, image) = (self.plain(), self.target());
                format!("[![{text}]({image})]({target})")
            }
            6 => format!("![an [inner](no-{target}) link]({target})"),
            7 => format!("<https://example.org/{target}>"),
            8 => format!("https://example.org/{target} "),
            9 => format!("(www.example.org/{target})"),
            10 => format!("http://example.org/{target}. "),
            11 => format!("<a href=\"{}\">{text}</a>", target.replace('&', "&amp;")),
            12 => format!("<a name=\"n{}\" href={target}>{text}</a>", self.targets),
            13 => format!("<img src='{target}' alt>"),
            14 => {
                let other = self.target();
                format!("<img srcset=\"{target} 1x, {other} 2x\">")
            }
            15 => format!("<span id=\"i{}\"></span>", self.targets),
            _ => format!("`[code]({target})`"),
        }
    }

    fn line(&mut self) -> String {
        let mut line = self.phrase();
        while self.chance(60) {
            let piece = if self.chance(60) {
                self.link()
            } else {
                self.phrase()
            };
            line += " ";
            line += &piece;
        }
        line
    }

    fn title(&mut self) -> String {
        if self.chance(25) {
            // One that others have, too.
            let title = self.one(&["Usage", "usage", "Usage 1", "Usage!", "`Usage`", "usage-1"]);
            return title.to_owned();
        }
        let mut title = self.phrase();
        if self.chance(20) {
            let link = self.link();
            title = if self.chance(50) {
                format!("{title} {link}")
            } else {
                format!("{link} {title}")
            };
        }
        title
    }

    fn heading(&mut self) -> String {
        let title = self.title();
        let level = self.random.usize(1..=6);
        match self.random.u8(..12) {
            0 => format!("x{title}\n{}\n", self.one(&["===", "-----"])),
            1 => format!("x{title}\n{}\n---\n", self.title()),
            2 => format!("x{title}\\\nand *more*\n===\n"),
            3 => format!("{} {title} {}\n", "#".repeat(level), "#".repeat(level)),
            4 => format!("<h{level}>{}</h{level}>\n", self.phrase()),
            5 => format!("<h{level} align=\"center\">\n\n{title}\n\n</h{level}>\n"),
            6 => format!(
                "<h{level}>\n  <b>{}</b>\n  tail\n</h{level}>\n",
                self.one(&WORDS)
            ),
            7 => format!("   {}\t{title}   \n", "#".repeat(level)),
            8 => format!("{}{title}\n", "#".repeat(7)),
            _ => format!("{} {title}\n", "#".repeat(level)),
        }
    }

    fn block(&mut self) -> String {
        match self.random.u8(..24) {
            0..=5 => self.heading(),
            6..=9 => {
                let lines: Vec<_> = (0..self.random.usize(1..=3)).map(|_| self.line()).collect();
                let end = self.one(&["\n", "  \n", "\\\n"]);
                format!("x {}\n", lines.join(end))
            }
            10 => {
                let (text, target, title) = (self.line(), self.distant(), self.phrase());
                let number = self.targets;
                let uses = self.one(&["[X]", "[text][X]", "[X][]", "![image][X]", "[none][XX]"]);
                let uses = uses.replace('X', &format!("Ref {number}"));
                format!(
                    "{text} {uses}\n\n[ref  {number}]: {target} '{}'\n",
                    title.replace('\'', "")
                )
            }
            11 => {
                let target = self.distant();
                format!("[a link over\nlines]({target})\n")
            }
            12 => {
                let (link, inner) = (self.link(), self.inner());
                format!("- {link}\n{}", indented(&inner, "  "))
            }
            13 => {
                let (line, inner) = (self.line(), self.inner());
                format!("1. [ ] {line}\n\n{}", indented(&inner, "   "))
            }
            14 => {
                let inner = self.inner();
                indented(&inner, "> ")
            }
            15 => {
                let (line, inner) = (self.line(), self.inner());
                format!("> [!NOTE]\n> {line}\n>\n{}", indented(&inner, "> "))
            }
            16 => {
                let cells = [self.link(), self.phrase(), self.link()];
                let [a, b, c] = cells.map(|cell| cell.replace('|', "\\|"));
                format!("| a | b |\n| --- | :-: |\n| {a} | {b} |\n| {c} |\n")
            }
            17 => {
                let (line, heading) = (self.line(), self.heading());
                let fence = self.one(&["```", "~~~~"]);
                format!("{fence}md\n{heading}{line}\n{fence}\n")
            }
            // The rule comes first because indented lines would continue a footnote. GitHub would
            // end a footnote in a quote earlier.
            18 => format!("* * *\n\n    {}\n\n    # none\n", self.line()),
            19 => {
                let (target, line, inner) = (self.target(), self.line(), self.block());
                format!(
                    "<details>\n<summary><a href=\"{}\">s</a></summary>\n\n{line}\n\n{inner}\n</details>\n",
                    target.replace('&', "&amp;")
                )
            }
            20 => {
                let targets = [self.target(), self.target(), self.target()];
                let [dark, light, poster] = targets.map(|target| target.replace('&', "&amp;"));
                format!(
                    "<picture>\n  <source srcset=\"{dark}\">\n  <img\n   src=\"{light}\">\n</picture>\n\
                     <video poster='{poster}'></video>\n"
                )
            }
            21 => {
                let (line, heading) = (self.line(), self.heading());
                match self.random.u8(..4) {
                    0 => format!("<!-- {line}\n\n{heading} -->\n"),
                    1 => format!("<div><!--\n\n{heading}\n{line}\n\n--></div>\n"),
                    2 => format!("<script>\n\"<a href='{}'>\"\n</script>\n", self.targets),
                    _ => format!("<pre>\n<b>{line}</b>\n</pre>\n"),
                }
            }
            22 => {
                let (line, note) = (self.line(), self.line());
                self.targets += 1;
                let number = self.targets;
                format!("{line} [^n{number}] again[^n{number}]\n\n[^n{number}]: {note}\n")
            }
            _ => self
                .one(&["---\n", "***\n", "* * *\n", "+ item\n"])
                .to_owned(),
        }
    }

    fn inner(&mut self) -> String {
        let mut inner = self.block();
        if self.chance(30) {
            inner += "\n";
            inner += &self.block();
        }
        inner
    }

    fn document(&mut self) -> String {
        let mut document = String::new();
        if self.chance(10) {
            document += "\u{feff}";
        }
        if self.chance(10) {
            document += "---\ntitle: \"[x](no.md)\"\n# none\n---\n";
        }
        // After a rule on the first line, the other program loses the next quote.
        document += "start\n\n";
        for _ in 0..self.random.usize(15..=30) {
            document += &self.block();
            document += "\n";
        }
        if self.chance(10) {
            document = document.replace('\n', "\r\n");
        }
        document
    }
}

/// Each line with this before it; an empty one without what would be blanks at its end.
fn indented(text: &str, before: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = format!("{before}{line}");
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}
