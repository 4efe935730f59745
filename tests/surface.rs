//! The public surface, item by item: `tests/public-api.txt` has it, and a change of it shows as a change of that file.
//!
//! The public items are read from rustdoc's JSON, which needs no other tool, but is no stable format: with a toolchain
//! that writes another version of it than the one that is known here, the test says that it is skipped, or fails if
//! `TROUPE_SURFACE=required`. `TROUPE_SURFACE=write` writes the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The version of rustdoc's JSON that is understood here: that of Rust 1.95.
const FORMAT: u64 = 57;

const FILE: &str = "tests/public-api.txt";

/// Names of std that need no path to be understood.
const FAMILIAR: &[&str] = &[
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Display",
    "Drop",
    "Duration",
    "Eq",
    "Fn",
    "FnOnce",
    "From",
    "Hash",
    "Instant",
    "Into",
    "Option",
    "PartialEq",
    "RefUnwindSafe",
    "Result",
    "Send",
    "Sized",
    "String",
    "Sync",
    "Unpin",
    "UnwindSafe",
    "Vec",
];

#[test]
fn the_public_surface_is_as_written() {
    let mode = std::env::var("TROUPE_SURFACE").unwrap_or_default();
    let document = document();
    let format = document["format_version"].as_u64();
    if format != Some(FORMAT) {
        let what = format!("rustdoc's JSON has version {format:?}; {FORMAT} is known here");
        assert!(mode != "required", "{what}");
        println!("skipped: {what}");
        return;
    }
    let found = Surface(&document).lines();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if mode == "write" {
        let text: String = found.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&file, text).expect("the file can be written");
        return;
    }
    let text = fs::read_to_string(&file).expect("the file is there");
    let written: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    assert!(
        text.lines().eq(written.iter().map(String::as_str)),
        "{FILE} is not sorted, or has a line twice"
    );
    let gone = written.difference(&found).map(|line| format!("- {line}\n"));
    let new = found.difference(&written).map(|line| format!("+ {line}\n"));
    let difference: String = gone.chain(new).collect();
    assert!(
        difference.is_empty(),
        "{FILE} differs from what the crate exposes; `TROUPE_SURFACE=write` writes it anew\n{difference}"
    );
}

/// The JSON that rustdoc writes about this crate.
fn document() -> Value {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("surface");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["rustdoc", "--lib", "--offline", "--target-dir"])
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format", "json"])
        .args(["--cap-lints", "allow"])
        // A target directory of its own, since this makes the toolchain another one to cargo.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTDOCFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("cargo runs this test, so it is there");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text =
        fs::read_to_string(target.join("doc/troupe_pool.json")).expect("it has been written");
    serde_json::from_str(&text).expect("it is JSON")
}

/// The items of a list, rendered, with the separator between them.
fn list(values: &Value, separator: &str, render: impl Fn(&Value) -> String) -> String {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    let rendered: Vec<String> = values.iter().map(render).collect();
    rendered.join(separator)
}

/// In the given brackets, unless it is empty.
fn bracketed(text: &str, [open, close]: [&str; 2]) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{open}{text}{close}")
}

/// The only key of an object, or the string itself, and what belongs to it.
fn variant(value: &Value) -> (&str, &Value) {
    match value {
        Value::String(name) => (name, &Value::Null),
        Value::Object(fields) => fields
            .iter()
            .next()
            .map_or(("", &Value::Null), |(name, inner)| (name, inner)),
        _ => ("", &Value::Null),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A crate as rustdoc has it.
struct Surface<'a>(&'a Value);

impl<'a> Surface<'a> {
    fn item(&self, id: &Value) -> &'a Value {
        &self.0["index"][id.to_string()]
    }

    fn items(&self, ids: &'a Value) -> impl Iterator<Item = &'a Value> {
        ids.as_array().into_iter().flatten().map(|id| self.item(id))
    }

    /// Every item, one a line.
    fn lines(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        let root = self.item(&self.0["root"]);
        for item in self.items(&root["inner"]["module"]["items"]) {
            let (kind, inner) = variant(&item["inner"]);
            if kind == "use" {
                assert_eq!(inner["is_glob"], false, "no glob is exported");
                self.add(text(&inner["name"]), self.item(&inner["id"]), &mut lines);
            } else if item["visibility"] == "public" {
                self.add(text(&item["name"]), item, &mut lines);
            }
        }
        lines
    }

    fn add(&self, name: &str, item: &'a Value, lines: &mut BTreeSet<String>) {
        let (kind, inner) = variant(&item["inner"]);
        let marks = self.marks(item);
        let generics = self.generics(&inner["generics"], true);
        let condition = self.condition(&inner["generics"]);
        match kind {
            "struct" => {
                let (shape, parts) = variant(&inner["kind"]);
                let is_closed = parts["has_stripped_fields"] == true || shape == "tuple";
                let rest = if is_closed { " { .. }" } else { "" };
                lines.insert(format!("{marks}struct {name}{generics}{condition}{rest}"));
                for field in self.items(&parts["fields"]) {
                    let ty = self.ty(&field["inner"]["struct_field"]);
                    lines.insert(format!("{name}.{}: {ty}", text(&field["name"])));
                }
            }
            "enum" => {
                lines.insert(format!("{marks}enum {name}{generics}{condition}"));
                for case in self.items(&inner["variants"]) {
                    let shape = self.shape(&case["inner"]["variant"]["kind"]);
                    let marks = self.marks(case);
                    lines.insert(format!("{marks}{name}::{}{shape}", text(&case["name"])));
                }
            }
            "type_alias" => {
                lines.insert(format!(
                    "type {name}{generics} = {}",
                    self.ty(&inner["type"])
                ));
            }
            // Of the guide: pages of the documentation, which no program can name. An item in one
            // is listed too, with its path.
            "module" => {
                lines.insert(format!("mod {name}"));
                for part in self.items(&inner["items"]) {
                    let path = format!("{name}::{}", text(&part["name"]));
                    self.add(&path, part, lines);
                }
            }
            kind => {
                lines.insert(format!("{kind} {name}, which is not understood here"));
            }
        }
        for implementation in self.items(&inner["impls"]) {
            self.add_impl(&implementation["inner"]["impl"], lines);
        }
    }

    /// The fields of a variant.
    fn shape(&self, kind: &'a Value) -> String {
        let (shape, parts) = variant(kind);
        match shape {
            "tuple" => {
                let fields: Vec<String> = self
                    .items(parts)
                    .map(|field| self.ty(&field["inner"]["struct_field"]))
                    .collect();
                format!("({})", fields.join(", "))
            }
            "struct" => {
                let fields: Vec<String> = self
                    .items(&parts["fields"])
                    .map(|field| {
                        let ty = self.ty(&field["inner"]["struct_field"]);
                        format!("{}: {ty}", text(&field["name"]))
                    })
                    .collect();
                format!(" {{ {} }}", fields.join(", "))
            }
            _ => String::new(),
        }
    }

    fn add_impl(&self, inner: &'a Value, lines: &mut BTreeSet<String>) {
        // An implementation for every type says nothing about this one.
        if !inner["blanket_impl"].is_null() {
            return;
        }
        let ty = self.ty(&inner["for"]);
        let generics = self.generics(&inner["generics"], false);
        let condition = self.condition(&inner["generics"]);
        if !inner["trait"].is_null() {
            let name = self.path(&inner["trait"]);
            // Unstable, or about derives only.
            if ["Freeze", "StructuralPartialEq", "UnsafeUnpin"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                return;
            }
            let not = if inner["is_negative"] == true {
                "!"
            } else {
                ""
            };
            lines.insert(format!("impl{generics} {not}{name} for {ty}{condition}"));
            return;
        }
        for item in self.items(&inner["items"]) {
            if item["visibility"] != "public" {
                continue;
            }
            let name = text(&item["name"]);
            let marks = self.marks(item);
            let (kind, function) = variant(&item["inner"]);
            let signature = if kind == "function" {
                self.signature(name, function)
            } else {
                format!("{kind} {name}, which is not understood here")
            };
            lines.insert(format!(
                "impl{generics} {ty}{condition}: {marks}{signature}"
            ));
        }
    }

    fn signature(&self, name: &str, function: &'a Value) -> String {
        let header = &function["header"];
        let mut before = String::new();
        for (key, word) in [
            ("is_const", "const "),
            ("is_async", "async "),
            ("is_unsafe", "unsafe "),
        ] {
            if header[key] == true {
                before.push_str(word);
            }
        }
        let inputs = list(&function["sig"]["inputs"], ", ", |input| {
            let ty = self.ty(&input[1]);
            match (text(&input[0]), ty.as_str()) {
                ("self", "Self") => "self".to_owned(),
                ("self", "&Self") => "&self".to_owned(),
                ("self", "&mut Self") => "&mut self".to_owned(),
                (name, ty) => format!("{name}: {ty}"),
            }
        });
        let output = &function["sig"]["output"];
        let output = if output.is_null() {
            String::new()
        } else {
            format!(" -> {}", self.ty(output))
        };
        let generics = self.generics(&function["generics"], false);
        let condition = self.condition(&function["generics"]);
        format!("{before}fn {name}{generics}({inputs}){output}{condition}")
    }

    /// The attributes that callers notice.
    fn marks(&self, item: &Value) -> String {
        let mut marks = String::new();
        for attribute in item["attrs"].as_array().into_iter().flatten() {
            for mark in ["non_exhaustive", "must_use"] {
                if variant(attribute).0 == mark {
                    marks.push_str(&format!("#[{mark}] "));
                }
            }
        }
        if !item["deprecation"].is_null() {
            marks.push_str("#[deprecated] ");
        }
        marks
    }

    /// The parameters, with their defaults where one can write them: rustdoc makes them up for auto traits.
    fn generics(&self, generics: &Value, with_defaults: bool) -> String {
        let params = generics["params"].as_array().into_iter().flatten();
        let params: Vec<String> = params
            .filter_map(|param| {
                let name = text(&param["name"]);
                let (kind, inner) = variant(&param["kind"]);
                if kind != "type" {
                    return Some(name.to_owned());
                }
                // `impl Trait` in an argument is shown there.
                if inner["is_synthetic"] == true {
                    return None;
                }
                let bounds = bracketed(&self.bounds(&inner["bounds"]), [": ", ""]);
                let default = &inner["default"];
                let default = if default.is_null() || !with_defaults {
                    String::new()
                } else {
                    format!(" = {}", self.ty(default))
                };
                Some(format!("{name}{bounds}{default}"))
            })
            .collect();
        bracketed(&params.join(", "), ["<", ">"])
    }

    fn condition(&self, generics: &Value) -> String {
        let predicates = list(&generics["where_predicates"], ", ", |predicate| {
            let (kind, inner) = variant(predicate);
            match kind {
                "bound_predicate" => {
                    let bounds = self.bounds(&inner["bounds"]);
                    format!("{}: {bounds}", self.ty(&inner["type"]))
                }
                _ => predicate.to_string(),
            }
        });
        bracketed(&predicates, [" where ", ""])
    }

    fn bounds(&self, bounds: &Value) -> String {
        list(bounds, " + ", |bound| {
            let (kind, inner) = variant(bound);
            match kind {
                "trait_bound" => {
                    let maybe = if inner["modifier"] == "maybe" {
                        "?"
                    } else {
                        ""
                    };
                    format!("{maybe}{}", self.path(&inner["trait"]))
                }
                "outlives" => text(inner).to_owned(),
                _ => bound.to_string(),
            }
        })
    }

    /// A type of this crate or a familiar one by its name, any other by its path.
    fn path(&self, path: &Value) -> String {
        let known = &self.0["paths"][path["id"].to_string()];
        let short = text(&path["path"]);
        let short = short.rsplit("::").next().unwrap_or(short);
        let name = if known["crate_id"] == 0 || known.is_null() || FAMILIAR.contains(&short) {
            short.to_owned()
        } else {
            list(&known["path"], "::", |part| text(part).to_owned())
        };
        let (kind, args) = variant(&path["args"]);
        match kind {
            "angle_bracketed" => {
                let given = list(&args["args"], ", ", |arg| {
                    let (kind, inner) = variant(arg);
                    match kind {
                        "type" => self.ty(inner),
                        "lifetime" => text(inner).to_owned(),
                        _ => arg.to_string(),
                    }
                });
                format!("{name}{}", bracketed(&given, ["<", ">"]))
            }
            "parenthesized" => {
                let inputs = list(&args["inputs"], ", ", |input| self.ty(input));
                let output = &args["output"];
                let output = if output.is_null() {
                    String::new()
                } else {
                    format!(" -> {}", self.ty(output))
                };
                format!("{name}({inputs}){output}")
            }
            _ => name,
        }
    }

    fn ty(&self, ty: &Value) -> String {
        let (kind, inner) = variant(ty);
        match kind {
            "resolved_path" => self.path(inner),
            "generic" | "primitive" => text(inner).to_owned(),
            "tuple" => format!("({})", list(inner, ", ", |part| self.ty(part))),
            "slice" => format!("[{}]", self.ty(inner)),
            "borrowed_ref" => {
                let lifetime = bracketed(text(&inner["lifetime"]), ["", " "]);
                let mutable = if inner["is_mutable"] == true {
                    "mut "
                } else {
                    ""
                };
                format!("&{lifetime}{mutable}{}", self.ty(&inner["type"]))
            }
            "impl_trait" => format!("impl {}", self.bounds(inner)),
            "dyn_trait" => {
                let traits = list(&inner["traits"], " + ", |one| self.path(&one["trait"]));
                let lifetime = bracketed(text(&inner["lifetime"]), [" + ", ""]);
                format!("dyn {traits}{lifetime}")
            }
            _ => ty.to_string(),
        }
    }
}
