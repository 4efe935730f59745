//! The feature `serde`. Without it there is nothing here.

#[cfg(feature = "serde")]
#[path = "it/support.rs"]
#[expect(dead_code, reason = "the other functions serve other tests")]
mod support;

#[cfg(feature = "serde")]
mod settings {
    use crate::support::{end, quiet_panic, settle};
    use serde::de::value::{Error, MapDeserializer};
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
