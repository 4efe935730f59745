//! The features `serde` and `tracing`. Without them there is nothing here.

#[cfg(any(feature = "serde", feature = "tracing"))]
#[path = "it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod support;

#[cfg(feature = "serde")]
mod settings {
    use crate::support::{end, quiet_panic, settle};
    use serde::de::value::{Error, MapDeserializer};
    use serde::de::{Deserializer, IntoDeserializer, Visitor};
    use serde::{Deserialize, de::DeserializeOwned};
    use serde_json::json;
    use std::time::Duration;
    use troupe_pool::{Config, Mode, Troupe};

    /// Times, and how they are written in TOML and JSON alike.
    const TIMES: [(Duration, &str); 7] = [
        (Duration::from_secs(60), "60"),
        (Duration::from_millis(2_500), "2.5"),
        (Duration::MAX, "\"never\""),
        (Duration::new(60, 1), "60.000000001"),
        (Duration::ZERO, "0"),
        (Duration::new(999_999, 999_999_999), "999999.999999999"),
        (Duration::from_secs(i64::MAX as u64), "9223372036854775807"),
    ];

    fn from_toml(text: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(text)
    }

    fn from_json(text: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Reads what has been written, in both formats.
    fn again(config: &Config) -> [Config; 2] {
        let toml = toml::to_string(config).expect("it can be written");
        let json = serde_json::to_string(config).expect("it can be written");
        [
            from_toml(&toml).expect(&toml),
            from_json(&json).expect(&json),
        ]
    }

    /// No setting has its default here.
    fn whole() -> Config {
        Config::dynamic(1, 8)
            .initial(2)
            .mailbox_size(32)
            .line_size(100)
            .idle_timeout(Duration::from_millis(2_500))
            .thread_name("resize")
            .stack_size(1 << 20)
    }

    #[test]
    fn a_file_has_every_setting() {
        let text = r#"
            mode = "dynamic"
            min = 1
            max = 8
            initial = 2
            mailbox_size = 32
            line_size = 100
            idle_timeout = 2.5
            thread_name = "resize"
            stack_size = 1048576
        "#;
        assert_eq!(from_toml(text), Ok(whole()));
        let text = r#"{
            "mode": "dynamic", "min": 1, "max": 8, "initial": 2, "mailbox_size": 32, "line_size": 100,
            "idle_timeout": 2.5, "thread_name": "resize", "stack_size": 1048576
        }"#;
        assert_eq!(from_json(text).expect("JSON"), whole());
    }

    #[test]
    fn it_may_be_a_part_of_other_settings() {
        #[derive(Deserialize)]
        struct Service {
            listen: String,
            troupe: Config,
        }
        let text = "listen = \"[::1]:80\"\n[troupe]\nmax = 3\n";
        let service: Service = toml::from_str(text).expect(text);
        assert_eq!(service.listen, "[::1]:80");
        assert_eq!(service.troupe, Config::default().max(3));
    }

    #[test]
    fn missing_settings_have_their_defaults() {
        assert_eq!(from_toml(""), Ok(Config::default()));
        assert_eq!(from_json("{}").expect("JSON"), Config::default());
        let config = from_toml("mode = \"dynamic\"").expect("TOML");
        assert_eq!(config.mode, Mode::Dynamic);
        assert_eq!(config.max, Config::default().max);
    }

    #[test]
    fn settings_come_back_as_they_were() {
        for config in [Config::default(), Config::fixed(3), whole()] {
            assert_eq!(again(&config), [config.clone(), config]);
        }
    }

    #[test]
    fn times_come_back_as_they_were() {
        for (time, text) in TIMES {
            let config = Config::fixed(1).idle_timeout(time);
            assert_eq!(again(&config), [config.clone(), config.clone()]);
            let toml = toml::to_string(&config).expect("it can be written");
            assert!(toml.contains(&format!("idle_timeout = {text}\n")), "{toml}");
            let json = serde_json::to_string(&config).expect("it can be written");
            assert!(
                json.contains(&format!("\"idle_timeout\":{text},")),
                "{json}"
            );
        }
    }

    /// These have no end either, as every clock overflows first.
    #[test]
    fn absurd_times_come_back_as_never() {
        for seconds in [u64::MAX, 1 << 63] {
            let config = Config::fixed(1).idle_timeout(Duration::from_secs(seconds));
            let never = config.clone().idle_timeout(Duration::MAX);
            assert_eq!(again(&config), [never.clone(), never]);
        }
    }

    #[test]
    fn a_setting_that_is_none_is_left_out() {
        let json = serde_json::to_value(Config::fixed(3)).expect("it can be written");
        let written = json!({
            "mode": "fixed", "min": 0, "max": 3, "mailbox_size": 16, "idle_timeout": 60, "thread_name": "troupe"
        });
        assert_eq!(json, written);
        let json = serde_json::to_value(whole()).expect("it can be written");
        let names = json.as_object().expect("an object").len();
        assert_eq!(names, 9, "{json}");
    }

    /// Other programs write it.
    #[test]
    fn null_is_none() {
        let config =
            from_json(r#"{"max": 3, "initial": null, "line_size": null, "stack_size": null}"#);
        assert_eq!(config.expect("JSON"), Config::default().max(3));
    }

    #[test]
    fn unknown_settings_are_errors_that_name_them() {
        let error = from_toml("max = 8\nmailboxsize = 32").expect_err("unknown");
        assert!(
            error.to_string().contains("unknown field `mailboxsize`"),
            "{error}"
        );
        let error = from_json(r#"{"max": 8, "mailboxsize": 32}"#).expect_err("unknown");
        assert!(
            error.to_string().contains("unknown field `mailboxsize`"),
            "{error}"
        );
    }

    #[test]
    fn numbers_may_be_text() {
        let text = r#"{
            "mode": "dynamic", "min": "1", "max": " 8 ", "initial": "2", "mailbox_size": "32",
            "line_size": "100", "idle_timeout": "2.5", "thread_name": "resize", "stack_size": "1048576"
        }"#;
        assert_eq!(from_json(text).expect("JSON"), whole());
        for (time, text) in TIMES {
            let text = text.trim_matches('"');
            let config = from_toml(&format!("idle_timeout = \" {text}\"")).expect(text);
            assert_eq!(config.idle_timeout, time);
        }
    }

    /// As environment variables come: each is a text.
    #[test]
    fn settings_may_be_pairs_of_texts() {
        let from_pairs = |pairs: &[(&'static str, &'static str)]| {
            Config::deserialize(MapDeserializer::<_, Error>::new(pairs.iter().copied()))
        };
        let config = from_pairs(&[
            ("mode", "dynamic"),
            ("min", "1"),
            ("max", "8"),
            ("initial", "2"),
            ("mailbox_size", "32"),
            ("line_size", "100"),
            ("idle_timeout", "2.5"),
            ("thread_name", "resize"),
            ("stack_size", "1048576"),
        ]);
        assert_eq!(config, Ok(whole()));
        let error = from_pairs(&[("max", "many")]).expect_err("not a number");
        let text =
            "invalid value: string \"many\", expected a whole number of at least 0 for `max`";
        assert_eq!(error.to_string(), text);
    }

    /// A value of a format that has words for a value and for none, such as RON.
    struct Word(Option<u64>);

    impl<'de> Deserializer<'de> for Word {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0 {
                Some(number) => visitor.visit_some(number.into_deserializer()),
                None => visitor.visit_none(),
            }
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum
            identifier ignored_any
        }
    }

    impl IntoDeserializer<'_> for Word {
        type Deserializer = Self;

        fn into_deserializer(self) -> Self {
            self
        }
    }

    #[test]
    fn a_setting_may_be_a_word_for_none() {
        let pairs = [
            ("initial", Word(None)),
            ("line_size", Word(Some(7))),
            ("stack_size", Word(Some(1 << 20))),
        ];
        let config = Config::deserialize(MapDeserializer::<_, Error>::new(pairs.into_iter()));
        let expected = Config::default().line_size(7).stack_size(1 << 20);
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn a_bad_value_is_named_with_its_setting() {
        fn check<C: DeserializeOwned, E: ToString>(
            read: Result<C, E>,
            [setting, shown]: [&str; 2],
        ) {
            let Err(error) = read else {
                panic!("{setting} = {shown} has been read");
            };
            let error = error.to_string();
            let is_named = error.contains(&format!("for `{setting}`")) && error.contains(shown);
            assert!(is_named, "{setting} = {shown}: {error}");
        }
        // The setting, its value, and what the error shows of the value.
        let table = [
            ("min", "-1", "`-1`"),
            ("max", "\"many\"", "\"many\""),
            ("max", "\"\"", "\"\""),
            ("max", "\"-1\"", "\"-1\""),
            ("max", "8.5", "`8.5`"),
            ("max", "true", "`true`"),
            ("max", "[8]", "sequence"),
            ("initial", "-1", "`-1`"),
            ("initial", "\"none\"", "\"none\""),
            ("initial", "0.5", "`0.5`"),
            (
                "mailbox_size",
                "\"18446744073709551616\"",
                "18446744073709551616",
            ),
            ("line_size", "false", "`false`"),
            ("stack_size", "\"1 MiB\"", "\"1 MiB\""),
            ("idle_timeout", "-1", "`-1`"),
            ("idle_timeout", "-0.5", "`-0.5`"),
            ("idle_timeout", "1e30", "floating point"),
            ("idle_timeout", "\"60 s\"", "\"60 s\""),
            ("idle_timeout", "\"-1\"", "\"-1\""),
            ("idle_timeout", "\"inf\"", "\"inf\""),
            ("idle_timeout", "\"NaN\"", "\"NaN\""),
            ("idle_timeout", "true", "`true`"),
            ("thread_name", "7", "`7`"),
        ];
        for (setting, value, shown) in table {
            check(from_toml(&format!("{setting} = {value}")), [setting, shown]);
            check(
                from_json(&format!("{{\"{setting}\": {value}}}")),
                [setting, shown],
            );
        }
        // JSON cannot say these.
        check(from_toml("idle_timeout = inf"), ["idle_timeout", "`inf`"]);
        check(from_toml("idle_timeout = nan"), ["idle_timeout", "`NaN`"]);
        check(from_json(r#"{"max": null}"#), ["max", "null"]);
        let error = from_json(r#"{"mode": "elastic"}"#)
            .expect_err("no mode")
            .to_string();
        assert!(
            error.contains("unknown variant `elastic`, expected `fixed` or `dynamic`"),
            "{error}"
        );
    }

    #[test]
    fn build_checks_what_has_been_read() {
        let refused = |text: &str| {
            let config = from_toml(text).expect(text);
            Troupe::new(config).expect_err(text).to_string()
        };
        assert_eq!(
            refused("max = 0"),
            "invalid max 0: it must be from 1 to 32000"
        );
        assert_eq!(
            refused("mode = \"dynamic\"\nmin = 9\nmax = 8"),
            "invalid min 9: it must be at most max"
        );
        assert_eq!(
            refused("thread_name = \"\""),
            "invalid thread_name \"\": it must not be empty"
        );
    }

    #[test]
    fn modes_are_written_in_lower_case() {
        assert_eq!(
            json!([Mode::Fixed, Mode::Dynamic]),
            json!(["fixed", "dynamic"])
        );
    }

    #[test]
    fn stats_are_written_whole() {
        let troupe = Troupe::new(Config::fixed(2).thread_name("stats")).expect("two threads");
        for _ in 0..7 {
            troupe.assign(|| Ok(())).expect("room");
        }
        troupe.assign(|| Err("no".into())).expect("room");
        troupe.assign(|| quiet_panic("no")).expect("room");
        settle(&troupe);
        let stats = troupe.stats();
        let json = serde_json::to_value(stats).expect("it can be written");
        assert_eq!(json["accepted"], 9);
        assert_eq!(json["completed"], 7);
        assert_eq!(json["failed"], 1);
        assert_eq!(json["panicked"], 1);
        assert_eq!(json["idle"], 2);
        // `Stats { accepted: 9, .. }` has every field, too, and both have plain numbers.
        let fields = json.as_object().expect("an object");
        let debug = format!("{stats:?}");
        for (name, value) in fields {
            assert!(
                debug.contains(&format!(" {name}: {value}")),
                "{name} in {debug}"
            );
        }
        assert_eq!(fields.len(), debug.matches(": ").count(), "{debug}");
        end(&troupe);
    }
}

#[cfg(feature = "tracing")]
mod events {
    use crate::support::{
        Gate, HANG, OnDrop, end, eventually, join, occupy, quiet_panic, receive, settle, within,
    };
    use parking_lot::Mutex;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::fmt;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use std::sync::{Arc, OnceLock, mpsc};
    use std::task::{Context as Task, Wake, Waker};
    use std::time::{Duration, Instant};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};
    use tracing_core::span::Current;
    use troupe_pool::{Builder, Config, Failure, Handle, ReplyError, Troupe, Work};

    /// The settings that no system fulfils: a thread with such a stack is refused.
    const TOO_MUCH_STACK: usize = 1 << 47;

    /// An event, as the subscriber has seen it.
    #[derive(Clone, Debug)]
    struct Seen {
        level: Level,
        target: &'static str,
        message: String,
        fields: BTreeMap<&'static str, String>,
        /// The span that was current.
        span: Option<&'static str>,
        thread: String,
    }

    impl Seen {
        fn field(&self, name: &str) -> Option<&str> {
            self.fields.get(name).map(String::as_str)
        }
    }

    impl Visit for Seen {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let value = format!("{value:?}");
            if field.name() == "message" {
                self.message = value;
            } else {
                self.fields.insert(field.name(), value);
            }
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            self.fields.insert(field.name(), value.to_owned());
        }
    }

    /// A span, as the subscriber knows it.
    struct SpanState {
        metadata: &'static Metadata<'static>,
        references: usize,
        entered: usize,
    }

    /// Code that runs once, when its troupe emits an event. The subscriber holds no lock
    /// meanwhile.
    struct Reaction {
        troupe: String,
        /// How many events of the troupe come before.
        skip: usize,
        code: Box<dyn FnOnce() + Send>,
    }

    /// Records everything, in the whole process. Each test has troupes and spans of its own names.
    #[derive(Default)]
    struct Recorder {
        seen: Mutex<Vec<Seen>>,
        spans: Mutex<BTreeMap<u64, SpanState>>,
        last_span: AtomicU64,
        reactions: Mutex<Vec<Reaction>>,
    }

    thread_local! {
        /// The spans that this thread is in.
        static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }

    /// The recorder, which is the subscriber of the whole process from the first call on.
    fn recorder() -> &'static Recorder {
        static RECORDER: OnceLock<Recorder> = OnceLock::new();
        static IS_SET: OnceLock<()> = OnceLock::new();
        let recorder = RECORDER.get_or_init(Recorder::default);
        IS_SET.get_or_init(|| {
            tracing::subscriber::set_global_default(Forward(recorder)).expect("there is no other");
        });
        recorder
    }

    struct Forward(&'static Recorder);

    /// Spans and troupes of names that begin so make the subscriber panic.
    fn is_bomb(name: &str) -> bool {
        name.starts_with("bomb")
    }

    fn explode(name: &str) {
        if is_bomb(name) {
            quiet_panic("the subscriber is ill");
        }
    }

    impl Recorder {
        fn name_of(&self, span: u64) -> Option<&'static str> {
            self.spans
                .lock()
                .get(&span)
                .map(|state| state.metadata.name())
        }

        /// The events of a troupe.
        fn of(&self, troupe: &str) -> Vec<Seen> {
            let seen = self.seen.lock();
            let is_of = |seen: &&Seen| seen.field("troupe") == Some(troupe);
            seen.iter().filter(is_of).cloned().collect()
        }

        /// The events of a troupe whose message has this in it.
        fn with(&self, troupe: &str, message: &str) -> Vec<Seen> {
            let mut seen = self.of(troupe);
            seen.retain(|seen| seen.message.contains(message));
            seen
        }

        /// Runs this code once, when the troupe has emitted `skip` more events and emits another.
        fn react(&self, troupe: &str, skip: usize, code: impl FnOnce() + Send + 'static) {
            self.reactions.lock().push(Reaction {
                troupe: troupe.to_owned(),
                skip,
                code: Box::new(code),
            });
        }

        /// Takes a reaction to an event of this troupe.
        fn reaction(&self, troupe: &str) -> Option<Reaction> {
            let mut reactions = self.reactions.lock();
            let at = reactions
                .iter()
                .position(|reaction| reaction.troupe == troupe)?;
            if reactions[at].skip == 0 {
                return Some(reactions.swap_remove(at));
            }
            reactions[at].skip -= 1;
            None
        }
    }

    impl Subscriber for Forward {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let id = 1 + self.0.last_span.fetch_add(1, SeqCst);
            let state = SpanState {
                metadata: span.metadata(),
                references: 1,
                entered: 0,
            };
            self.0.spans.lock().insert(id, state);
            Id::from_u64(id)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let span = INSIDE.with_borrow(|inside| inside.last().copied());
            let mut seen = Seen {
                level: *event.metadata().level(),
                target: event.metadata().target(),
                message: String::new(),
                fields: BTreeMap::new(),
                span: span.and_then(|span| self.0.name_of(span)),
                thread: crate::support::me(),
            };
            event.record(&mut seen);
            let troupe = seen.field("troupe").unwrap_or_default().to_owned();
            self.0.seen.lock().push(seen);
            explode(&troupe);
            if let Some(reaction) = self.0.reaction(&troupe) {
                (reaction.code)();
            }
        }

        fn enter(&self, id: &Id) {
            explode(self.0.name_of(id.into_u64()).unwrap_or_default());
            if let Some(state) = self.0.spans.lock().get_mut(&id.into_u64()) {
                state.entered += 1;
            }
            INSIDE.with_borrow_mut(|inside| inside.push(id.into_u64()));
        }

        fn exit(&self, id: &Id) {
            explode(self.0.name_of(id.into_u64()).unwrap_or_default());
            let left = INSIDE.with_borrow_mut(Vec::pop);
            assert_eq!(left, Some(id.into_u64()), "spans are left in turn");
        }

        fn clone_span(&self, id: &Id) -> Id {
            if let Some(state) = self.0.spans.lock().get_mut(&id.into_u64()) {
                state.references += 1;
            }
            id.clone()
        }

        fn try_close(&self, id: Id) -> bool {
            let mut spans = self.0.spans.lock();
            let Some(state) = spans.get_mut(&id.into_u64()) else {
                return false;
            };
            state.references -= 1;
            let is_last = state.references == 0;
            let name = state.metadata.name();
            if is_last {
                spans.remove(&id.into_u64());
            }
            drop(spans);
            explode(name);
            is_last
        }

        fn current_span(&self) -> Current {
            let inside = INSIDE.with_borrow(|inside| inside.last().copied());
            let spans = self.0.spans.lock();
            match inside.and_then(|span| Some((span, spans.get(&span)?))) {
                Some((span, state)) => Current::new(Id::from_u64(span), state.metadata),
                None => Current::none(),
            }
        }
    }

    fn builder(config: Config, name: &str) -> Builder<String> {
        recorder();
        Troupe::builder(config.thread_name(name))
    }

    fn build(config: Config, name: &str) -> Troupe<String> {
        builder(config, name).build().expect("some threads")
    }

    /// The span that the calling thread is in.
    fn inside() -> Option<&'static str> {
        let span = INSIDE.with_borrow(|inside| inside.last().copied());
        span.and_then(|span| recorder().name_of(span))
    }

    /// Whether a span of this name is open.
    fn is_open(name: &str) -> bool {
        let spans = recorder().spans.lock();
        spans.values().any(|state| state.metadata.name() == name)
    }

    fn sorted(seen: &[Seen], field: &str) -> Vec<String> {
        let fields = seen
            .iter()
            .map(|seen| seen.field(field).unwrap_or("none").to_owned());
        let mut fields: Vec<String> = fields.collect();
        fields.sort();
        fields
    }

    #[track_caller]
    fn assert_warning(seen: &[Seen], message: &str, fields: &[(&str, &str)]) {
        let [seen] = seen else {
            panic!("not one event, {message}: {seen:?}");
        };
        assert_eq!((seen.level, seen.target), (Level::WARN, "troupe_pool"));
        assert_eq!(seen.message, message);
        let expected: Vec<_> = fields.to_vec();
        let found: Vec<_> = seen
            .fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(found, expected, "{message}");
    }

    #[test]
    fn a_life_from_start_to_end() {
        let troupe = build(Config::fixed(2), "life");
        let starts = recorder().of("life");
        assert_eq!(sorted(&starts, "actor"), ["0", "1"]);
        for seen in &starts {
            assert_eq!((seen.level, seen.target), (Level::DEBUG, "troupe_pool"));
            assert_eq!(seen.message, "actor starts");
            let actor = seen.field("actor").expect("its number");
            assert_eq!(seen.thread, format!("life-{actor}"), "on its own thread");
        }
        end(&troupe);
        let leaves = recorder().with("life", "actor leaves");
        assert_eq!(sorted(&leaves, "actor"), ["0", "1"]);
        let shutting_down = recorder().with("life", "shutting down");
        let ended = recorder().with("life", "ended");
        assert_eq!((shutting_down.len(), ended.len()), (1, 1));
        let all = recorder().of("life");
        assert_eq!(all.len(), 6, "{all:?}");
        assert!(all.iter().all(|seen| seen.level == Level::DEBUG));
    }

    #[test]
    fn an_end_is_told_once() {
        let troupe = build(Config::dynamic(0, 2), "ends");
        assert!(troupe.shutdown());
        let messages = || -> Vec<String> {
            recorder()
                .of("ends")
                .into_iter()
                .map(|seen| seen.message)
                .collect()
        };
        assert_eq!(
            messages(),
            ["shutting down", "ended"],
            "nobody else was there"
        );
        assert!(!troupe.shutdown());
        assert!(troupe.shutdown_now().is_empty());
        join(&troupe);
        drop(troupe);
        assert_eq!(messages().len(), 2);

        let troupe = build(Config::dynamic(0, 2), "ends now");
        assert!(troupe.shutdown_now().is_empty());
        troupe.shutdown();
        assert_eq!(recorder().of("ends now").len(), 2);

        drop(build(Config::dynamic(0, 2), "ends by drop"));
        assert_eq!(recorder().of("ends by drop").len(), 2);
    }

    #[test]
    fn actors_come_and_go() {
        let config = Config::dynamic(0, 1).idle_timeout(Duration::from_millis(1));
        let troupe = build(config, "come and go");
        assert_eq!(recorder().of("come and go").len(), 0);
        troupe.assign(|| Ok(())).expect("room");
        eventually(|| recorder().with("come and go", "actor leaves").len() == 1);
        assert_eq!(recorder().with("come and go", "actor starts").len(), 1);
        end(&troupe);
    }

    #[test]
    fn a_refused_thread_is_told() {
        let troupe = build(Config::dynamic(0, 2).stack_size(TOO_MUCH_STACK), "refused");
        let error = troupe.assign(|| Ok(())).expect_err("no system has that");
        let seen = recorder().of("refused");
        let text = std::error::Error::source(&error)
            .expect("the system's")
            .to_string();
        let fields = [("actor", "0"), ("error", &*text), ("troupe", "refused")];
        assert_warning(&seen, "the system refused a thread", &fields);
        end(&troupe);

        let config = Config::fixed(2).stack_size(TOO_MUCH_STACK);
        builder(config, "refused at build")
            .build()
            .expect_err("no system has that");
        let seen = recorder().with("refused at build", "the system refused a thread");
        assert_eq!(seen.len(), 1);
    }

    /// Fails when the event is emitted under the lock of the key's shard.
    #[test]
    fn a_thread_refused_to_a_keyed_work_is_told_without_a_lock() {
        within(HANG, || {
            let name = "refused for a key";
            let troupe = build(Config::dynamic(0, 2).stack_size(TOO_MUCH_STACK), name);
            let (handle, (tell, told)) = (troupe.handle(), mpsc::channel());
            recorder().react(name, 0, move || {
                let work = Work::new(|| Ok(())).keyed("a");
                assert!(handle.assign(work).is_err());
                assert!(handle.shutdown_now().is_empty());
                tell.send(()).expect("somebody waits");
            });
            let assigner = {
                let handle = troupe.handle();
                std::thread::Builder::new()
                    .spawn(move || handle.assign(Work::new(|| Ok(())).keyed("a")).is_err())
                    .expect("a thread")
            };
            receive(&told);
            assert!(assigner.join().expect("it does not panic"));
            // That of the event came first, inside.
            assert_eq!(
                recorder().with(name, "the system refused a thread").len(),
                2
            );
            join(&troupe);
        });
    }

    /// Every event, each met by a subscriber that uses the troupe as much as it can.
    #[test]
    fn a_subscriber_may_use_the_troupe() {
        within(HANG, || {
            let uses = Arc::new(AtomicU64::new(0));
            let use_it = |name: &'static str, handle: Handle<String>, times: usize| {
                for _ in 0..times {
                    let (handle, uses) = (handle.clone(), Arc::clone(&uses));
                    recorder().react(name, 0, move || {
                        assert!(handle.stats().actors <= 2);
                        drop(handle.assign(Work::new(|| Ok(())).keyed("k")));
                        drop(handle.assign(|| Ok(())));
                        uses.fetch_add(1, SeqCst);
                    });
                }
            };
            let name = "used inside";
            let config = Config::dynamic(0, 2).idle_timeout(Duration::from_millis(1));
            let troupe = build(config, name);
            // A start and a leave at least.
            use_it(name, troupe.handle(), 2);
            troupe.assign(|| Ok(())).expect("room");
            eventually(|| uses.load(SeqCst) == 2);
            // The panics, and whatever else comes.
            use_it(name, troupe.handle(), 6);
            for _ in 0..3 {
                troupe
                    .assign_wait(|| quiet_panic("in a work"))
                    .expect("room");
            }
            settle(&troupe);
            eventually(|| uses.load(SeqCst) == 8);
            // The shutdown and the end.
            use_it(name, troupe.handle(), 3);
            end(&troupe);
            assert!(uses.load(SeqCst) >= 10);
            assert_eq!(troupe.stats().handler_panics, 0);
        });
    }

    /// Fails when an actor emits an event between two works, or anybody does under a lock:
    /// `shutdown_now` would wait for the thread that calls it.
    #[test]
    fn a_subscriber_may_end_the_troupe_at_every_event() {
        within(HANG, || {
            let mut events = 0;
            let has_ended = |skip: usize| {
                let name = format!("ends at {skip}");
                let config = Config::dynamic(0, 2).idle_timeout(Duration::from_millis(1));
                let troupe = builder(config, &name)
                    .on_stop(|_| quiet_panic("in a hook"))
                    .build()
                    .expect("no thread yet");
                let (handle, has_ended) = (troupe.handle(), Arc::new(AtomicU64::new(0)));
                let ends = Arc::clone(&has_ended);
                recorder().react(&name, skip, move || {
                    drop(handle.shutdown_now());
                    ends.store(1, SeqCst);
                });
                for n in 0..8_u32 {
                    // Refused from the end on.
                    let work = Work::new(|| quiet_panic("in a work")).label("a");
                    drop(troupe.assign_wait(work.keyed(&(n % 2))));
                    let span = tracing::info_span!("ended inside");
                    let work = Work::new(|| Err("no".to_owned()));
                    drop(troupe.assign_wait(span.in_scope(|| work.in_current_span())));
                }
                if skip % 2 == 0 {
                    eventually(|| troupe.stats().actors == 0);
                }
                end(&troupe);
                assert_eq!(recorder().with(&name, "shutting down").len(), 1);
                assert_eq!(recorder().with(&name, "ended").len(), 1);
                has_ended.load(SeqCst) == 1
            };
            while has_ended(events) {
                events += 1;
            }
            assert!(events >= 12, "{events}");
        });
    }

    #[test]
    fn a_work_that_panics_unheard_is_told() {
        let troupe = build(Config::fixed(1), "unheard");
        let told = || recorder().with("unheard", "nobody was told");
        let work = Work::new(|| quiet_panic("out of tea")).label("fetch a");
        troupe.assign(work).expect("room");
        settle(&troupe);
        let fields = [("actor", "0"), ("label", "fetch a"), ("troupe", "unheard")];
        assert_warning(
            &told(),
            "a work panicked, and nobody was told: out of tea",
            &fields,
        );

        // A payload without a message, of a work without a label.
        troupe
            .assign(|| resume_unwind(Box::new(7_u8)))
            .expect("room");
        settle(&troupe);
        let fields = [("actor", "0"), ("troupe", "unheard")];
        assert_warning(
            &told()[1..],
            "a work panicked, and nobody was told",
            &fields,
        );

        // Its caller has let it go.
        let (work, reply) = Work::with_reply(|| -> Result<u32, String> { quiet_panic("let go") });
        drop(reply);
        troupe.assign(work).expect("room");
        settle(&troupe);
        assert_eq!(told().len(), 3);

        // An error is not a panic, and a caller or a handler hears of it.
        troupe.assign(|| Err("no".to_owned())).expect("room");
        let (work, reply) = Work::with_reply(|| -> Result<u32, String> { quiet_panic("heard") });
        troupe.assign(work).expect("room");
        assert!(matches!(reply.wait(), Err(ReplyError::Panic(_))));
        end(&troupe);
        assert_eq!(told().len(), 3);
        assert_eq!(recorder().of("unheard").len(), 3 + 4);

        let builder = builder(Config::fixed(1), "handled");
        let troupe = builder.error_handler(|_, _| ()).build().expect("a thread");
        troupe.assign(|| quiet_panic("heard")).expect("room");
        end(&troupe);
        assert_eq!(recorder().of("handled").len(), 4);
    }

    struct PanicsWhenWoken;

    impl Wake for PanicsWhenWoken {
        fn wake(self: Arc<Self>) {
            quiet_panic("in a waker");
        }
    }

    #[test]
    fn contained_panics_are_told() {
        let name = "contained";
        let troupe = builder(Config::fixed(1), name)
            .error_handler(|_, _| quiet_panic("in the handler"))
            .on_start(|_| quiet_panic("in a hook"))
            .on_stop(|_| resume_unwind(Box::new(7_u8)))
            .build()
            .expect("a thread");
        let told = || recorder().with(name, "contained");
        let fields = [("actor", "0"), ("troupe", name)];
        assert_warning(&told(), "contained a panic of a hook: in a hook", &fields);

        troupe.assign(|| Err("no".to_owned())).expect("room");
        settle(&troupe);
        let message = "contained a panic of the error handler: in the handler";
        assert_warning(&told()[1..], message, &fields);

        let gate = occupy(&troupe, 1);
        let (work, mut reply) = Work::with_reply(|| Ok(7));
        troupe.assign(work).expect("room");
        let waker = Waker::from(Arc::new(PanicsWhenWoken));
        let poll = std::pin::Pin::new(&mut reply).poll(&mut Task::from_waker(&waker));
        assert!(poll.is_pending());
        gate.open();
        settle(&troupe);
        assert_warning(
            &told()[2..],
            "contained a panic of a waker: in a waker",
            &fields,
        );

        // A cancelled work whose captures panic.
        let capture = OnDrop::new(|| quiet_panic("in a drop"));
        let (work, reply) = Work::with_reply(move || {
            drop(capture);
            Ok(7)
        });
        assert!(reply.cancel());
        troupe.assign(work).expect("room");
        settle(&troupe);
        assert_warning(
            &told()[3..],
            "contained a panic of a drop: in a drop",
            &fields,
        );

        end(&troupe);
        assert_warning(&told()[4..], "contained a panic of a hook", &fields);
        assert_eq!(troupe.stats().handler_panics, 5);
    }

    /// Where no troupe has part in it, the panic is told all the same.
    #[test]
    fn a_contained_panic_of_no_troupe_is_told() {
        struct PanicsAlone;
        impl Wake for PanicsAlone {
            fn wake(self: Arc<Self>) {
                quiet_panic("in a waker, alone");
            }
        }
        recorder();
        let (work, mut reply) = Work::<String>::with_reply(|| Ok(7));
        let waker = Waker::from(Arc::new(PanicsAlone));
        let poll = std::pin::Pin::new(&mut reply).poll(&mut Task::from_waker(&waker));
        assert!(poll.is_pending());
        drop(work);
        let seen = recorder().seen.lock();
        let is_it = |seen: &&Seen| seen.message.contains("in a waker, alone");
        let seen: Vec<Seen> = seen.iter().filter(is_it).cloned().collect();
        assert_warning(
            &seen,
            "contained a panic of a waker: in a waker, alone",
            &[],
        );
    }

    #[test]
    fn nothing_is_emitted_for_works_that_go_well() {
        let name = "all is well";
        let builder = builder(Config::fixed(2), name);
        let troupe = builder
            .error_handler(|_, _| ())
            .build()
            .expect("two threads");
        let before = recorder().of(name).len();
        let spans = recorder().last_span.load(SeqCst);
        for n in 0..1_000_u32 {
            troupe.assign_wait(|| Ok(())).expect("room");
            let work = Work::new(|| Ok(())).label("a").keyed(&(n % 3));
            troupe
                .assign_wait(work.deadline(Instant::now() + HANG))
                .expect("room");
            let (work, reply) = Work::with_reply(move || Ok(n));
            troupe.assign_wait(work).expect("room");
            assert_eq!(reply.wait().ok(), Some(n));
            troupe.assign_wait(|| Err("no".to_owned())).expect("room");
        }
        settle(&troupe);
        assert_eq!(recorder().of(name).len(), before);
        let made = recorder().last_span.load(SeqCst) - spans;
        assert!(
            made < 1_000,
            "{made} spans, those of other tests among them"
        );
        end(&troupe);
    }

    #[test]
    fn a_work_runs_in_the_span_it_carries() {
        let troupe = build(Config::fixed(1), "carries");
        let (tell, told) = mpsc::channel();
        let carried = tell.clone();
        let span = tracing::info_span!("carried");
        let work = span.in_scope(|| {
            let capture = OnDrop::new({
                let carried = carried.clone();
                move || {
                    carried
                        .send(("its drop", inside()))
                        .expect("somebody waits");
                }
            });
            Work::new(move || {
                let _capture = capture;
                carried
                    .send(("the work", inside()))
                    .expect("somebody waits");
                tracing::info!(troupe = "carries", "an event of the work");
                Ok(())
            })
            .label("a")
            .in_current_span()
            .keyed("k")
        });
        drop(span);
        troupe.assign(work).expect("room");
        troupe
            .assign(move || {
                tell.send(("the next", inside())).expect("somebody waits");
                Ok(())
            })
            .expect("room");
        settle(&troupe);
        assert_eq!(receive(&told), ("the work", Some("carried")));
        assert_eq!(receive(&told), ("its drop", Some("carried")));
        assert_eq!(receive(&told), ("the next", None));
        let seen = recorder().with("carries", "an event of the work");
        assert_eq!(seen[0].span, Some("carried"));
        assert!(!is_open("carried"));
        end(&troupe);
    }

    #[test]
    fn the_handler_runs_in_the_span_of_the_failed_work() {
        let (tell, told) = mpsc::channel();
        let troupe = builder(Config::fixed(1), "handler inside")
            .error_handler(move |failure: Failure<String>, context| {
                tell.send((failure.to_string(), inside()))
                    .expect("somebody waits");
                if let Failure::Expired(work) = failure {
                    assert!(context.reassign(work).is_ok());
                } else if failure.to_string() == "again" {
                    let tell = tell.clone();
                    let retry = Work::new(move || {
                        tell.send(("a retry".to_owned(), inside()))
                            .expect("somebody waits");
                        Ok(())
                    });
                    assert!(context.reassign(retry.in_current_span()).is_ok());
                }
            })
            .build()
            .expect("a thread");
        let assign = |span: tracing::Span, work: Work<String>| {
            span.in_scope(|| troupe.assign(work.in_current_span()))
                .expect("room");
            settle(&troupe);
        };
        let heard = || {
            let (text, span) = receive(&told);
            (text, span)
        };
        assign(
            tracing::info_span!("fails"),
            Work::new(|| Err("no".to_owned())),
        );
        assert_eq!(heard(), ("no".to_owned(), Some("fails")));

        assign(
            tracing::info_span!("panics"),
            Work::new(|| quiet_panic("no tea")),
        );
        assert_eq!(heard(), ("panicked: no tea".to_owned(), Some("panics")));

        // A work that has expired keeps its span, for the handler and for a second try.
        let work = Work::new(|| Err(format!("ran in {:?}", inside()))).deadline(Instant::now());
        assign(tracing::info_span!("expires"), work);
        let text = "the deadline had passed before the work started";
        assert_eq!(heard(), (text.to_owned(), Some("expires")));
        let text = "ran in Some(\"expires\")";
        assert_eq!(heard(), (text.to_owned(), Some("expires")));

        assign(
            tracing::info_span!("retried"),
            Work::new(|| Err("again".to_owned())),
        );
        assert_eq!(heard(), ("again".to_owned(), Some("retried")));
        assert_eq!(heard(), ("a retry".to_owned(), Some("retried")));

        troupe.assign(|| Err("no".to_owned())).expect("room");
        assert_eq!(heard(), ("no".to_owned(), None));
        for name in ["fails", "panics", "expires", "retried"] {
            assert!(!is_open(name), "{name}");
        }
        end(&troupe);
        assert_eq!(troupe.stats().handler_panics, 0);
    }

    #[test]
    fn without_a_handler_the_panic_is_told_in_the_span() {
        let troupe = build(Config::fixed(1), "unheard inside");
        let span = tracing::info_span!("unheard span");
        let work = span.in_scope(|| Work::new(|| quiet_panic("no tea")).in_current_span());
        troupe.assign(work).expect("room");
        settle(&troupe);
        let seen = recorder().with("unheard inside", "nobody was told");
        assert_eq!(seen[0].span, Some("unheard span"));
        end(&troupe);
    }

    #[test]
    fn a_reply_resolves_when_the_span_is_closed() {
        let troupe = build(Config::fixed(1), "replies");
        for _ in 0..1_000 {
            let span = tracing::info_span!("answered");
            let (work, reply) = Work::with_reply(|| Ok(inside()));
            let work = span.in_scope(|| work.in_current_span());
            drop(span);
            troupe.assign(work).expect("room");
            assert_eq!(reply.wait().ok(), Some(Some("answered")));
            assert!(!is_open("answered"));
        }
        // The captures of one that is cancelled, or expires, are dropped in its span as well.
        let (tell, told) = mpsc::channel();
        let capture = |what: &'static str| {
            let tell = tell.clone();
            OnDrop::new(move || tell.send((what, inside())).expect("somebody waits"))
        };
        let span = tracing::info_span!("dropped");
        let cancelled = capture("cancelled");
        let (work, reply) = Work::with_reply(move || Ok(cancelled));
        assert!(reply.cancel());
        troupe
            .assign(span.in_scope(|| work.in_current_span()))
            .expect("room");
        assert_eq!(receive(&told), ("cancelled", Some("dropped")));
        let expired = capture("expired");
        let (work, reply) = Work::with_reply(move || Ok(expired));
        let work = span.in_scope(|| work.deadline(Instant::now()).in_current_span());
        troupe.assign(work).expect("room");
        assert!(matches!(reply.wait(), Err(ReplyError::Expired)));
        assert_eq!(receive(&told), ("expired", Some("dropped")));
        end(&troupe);
    }

    #[test]
    fn by_hand_the_span_counts_too() {
        recorder();
        let span = tracing::info_span!("by hand");
        let work = Work::<String>::new(|| Err(format!("{:?}", inside())));
        let work = span.in_scope(|| work.in_current_span());
        assert_eq!(work.run(), Err("Some(\"by hand\")".to_owned()));
        let work = Work::<String>::new(|| quiet_panic("by hand"));
        let work = span.in_scope(|| work.in_current_span());
        let payload = catch_unwind(AssertUnwindSafe(|| work.run())).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"by hand"));
        assert_eq!(inside(), None);
        drop(span);
        assert!(!is_open("by hand"));
    }

    #[test]
    fn the_last_span_counts_and_may_be_none() {
        recorder();
        let ran_in = |work: Work<String>| work.run().expect_err("it says where");
        let work = || Work::<String>::new(|| Err(inside().unwrap_or("none").to_owned()));
        let (first, last) = (tracing::info_span!("first"), tracing::info_span!("last"));
        let twice = first.in_scope(|| work().in_current_span());
        let twice = last.in_scope(|| twice.in_current_span());
        assert_eq!(ran_in(twice), "last");
        let none = first.in_scope(|| work().in_current_span());
        assert_eq!(ran_in(none.in_current_span()), "none");
        assert_eq!(ran_in(work()), "none");
        // Without a span of its own, a work by hand is in that of its caller.
        assert_eq!(first.in_scope(|| ran_in(work())), "first");
        // A span does not hide the value.
        let work = Work::<String>::with(7_u32, |_| Ok(()));
        let work = first.in_scope(|| work.in_current_span());
        assert_eq!(work.into_value::<u32>().ok(), Some(7));
        drop((first, last));
        assert!(!is_open("first") && !is_open("last"));
    }

    /// Works run and are counted as ever, whatever the subscriber does.
    #[test]
    fn a_subscriber_that_panics_is_contained() {
        let name = "bomb of a troupe";
        let config = Config::dynamic(0, 2).idle_timeout(Duration::from_millis(1));
        let troupe = build(config, name);
        let gate = Gate::new();
        for _ in 0..2 {
            troupe.assign(gate.work()).expect("room");
        }
        gate.wait_for(2);
        gate.open();
        troupe.assign_wait(|| quiet_panic("no")).expect("room");
        settle(&troupe);
        end(&troupe);
        let stats = troupe.stats();
        assert_eq!((stats.completed, stats.panicked), (2, 1));
        assert_eq!(stats.handler_panics, recorder().of(name).len() as u64);
        assert!(stats.handler_panics >= 7, "{stats:?}");
    }

    #[test]
    fn a_subscriber_that_panics_at_a_span_is_contained() {
        let troupe = build(Config::fixed(1), "bomb");
        let before = troupe.stats().handler_panics;
        let span = std::mem::ManuallyDrop::new(tracing::info_span!("bomb of a span"));
        let carry = |work: Work<String>| {
            // `in_scope` would enter the span here.
            let id = span.id().expect("it is enabled").into_u64();
            INSIDE.with_borrow_mut(|inside| inside.push(id));
            let work = work.in_current_span();
            INSIDE.with_borrow_mut(Vec::pop);
            work
        };
        troupe.assign(carry(Work::new(|| Ok(())))).expect("room");
        settle(&troupe);
        let stats = troupe.stats();
        assert_eq!((stats.completed, stats.panicked), (1, 0));
        assert!(stats.handler_panics > before);

        troupe
            .assign(carry(Work::new(|| Err("no".to_owned()))))
            .expect("room");
        troupe
            .assign(carry(Work::new(|| quiet_panic("no"))))
            .expect("room");
        let (work, reply) = Work::with_reply(|| Ok(7));
        troupe.assign(carry(work)).expect("room");
        assert_eq!(reply.wait().ok(), Some(7));
        // One that nobody runs.
        drop(carry(Work::new(|| Ok(()))));
        end(&troupe);
        let stats = troupe.stats();
        assert_eq!((stats.completed, stats.failed, stats.panicked), (2, 1, 1));
    }
}
