//! The wording of every `--help`, log message and error, as one snapshot each, so that it is reviewed as a whole, and the
//! rules of language that a program can check.
//!
//! `INSTA_UPDATE=always cargo test --test wording` writes the snapshots again.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use sources::{Crate, crate_of, crates, trees};
use syn::{Attribute, ImplItem, Item, ItemImpl, LitStr, Meta};

#[path = "support/sources.rs"]
mod sources;

/// Messages with values in them instead of in fields. The list only shrinks.
const WITH_VALUES: &[&str] = &[
    // What ONNX Runtime itself logs.
    "{message}",
];

/// Messages that are logged at several places. The list only shrinks.
const NOT_UNIQUE: &[&str] = &[
    // What ONNX Runtime itself logs.
    "{message}",
];

/// Words that the glossary replaces, and what replaces them. The texts of the HTTP contract are exempt.
const BANNED: &[(&str, &str)] = &[
    ("a call", "a request"),
    ("an answer", "a response"),
    ("believe", "trust"),
    ("caller", "client"),
    ("debts", "pending usage"),
    ("glance", "image"),
    ("is told", "an active verb"),
    ("looking", "image"),
    ("main face", "primary face"),
    ("nobody", "the client, operator or user that is meant"),
    ("operator's port", "admin listener"),
    ("owed", "pending usage"),
    ("patience", "deadline or timeout"),
    ("picture", "image"),
    ("rewrites", "optimization passes"),
    ("stranger", "unauthenticated request"),
    ("the answer", "the response"),
    ("the call", "the request"),
    ("the storage", "the database"),
    ("told to stop", "graceful shutdown"),
    ("told twice", "second shutdown signal"),
    ("trying again", "retry"),
    ("under way", "in-flight"),
    ("wants", "requires"),
    ("who asks", "client"),
    ("whoever", "the client, operator or user that is meant"),
    ("written down", "persisted"),
];

#[test]
fn help_of_all_commands() {
    snapshot("help", &HELP);
}

#[test]
fn all_log_messages() {
    let mut text = String::new();
    for messages in LOG_MESSAGES.chunk_by(|a, b| a.krate == b.krate) {
        writeln!(text, "\n# {}", messages[0].krate).unwrap();
        for LogMessage {
            level,
            message,
            fields,
            ..
        } in messages
        {
            let message = message.as_deref().unwrap_or("(no message)");
            writeln!(text, "{level:<6} {message} [{}]", fields.join(", ")).unwrap();
        }
    }
    snapshot("log_messages", &text);
}

#[test]
fn all_error_texts() {
    snapshot("errors", &by_crate(&ERRORS));
}

#[test]
fn all_texts_of_display() {
    snapshot("display", &by_crate(&DISPLAYED));
}

#[test]
fn all_error_codes_of_the_api() {
    let mut text = String::new();
    for code in likeness::api::ErrorCode::ALL {
        let (status, when) = (code.status(), code.when());
        writeln!(text, "{status} {code}: {}\n    {when}", code.default_message()).unwrap();
    }
    snapshot("error_codes", &text);
}

#[test]
fn log_messages_start_in_lower_case() {
    // Abbreviations keep their capitals: "TLS handshake failed".
    let is_capitalised = |message: &str| {
        let mut letters = message.chars();
        letters.next().is_some_and(char::is_uppercase) && !letters.next().is_some_and(char::is_uppercase)
    };
    let found = messages().filter(|message| is_capitalised(message));
    only(found, &[]);
}

#[test]
fn log_messages_carry_values_as_fields() {
    only(messages().filter(|message| message.contains('{')), WITH_VALUES);
}

#[test]
fn log_messages_are_unique() {
    let mut seen = BTreeSet::new();
    only(messages().filter(|message| !seen.insert(*message)), NOT_UNIQUE);
}

#[test]
fn messages_and_errors_have_no_gaps() {
    only(
        messages()
            .chain(texts(&ERRORS))
            .filter(|text| text.contains("  ")),
        &[],
    );
}

#[test]
fn texts_use_the_words_of_the_glossary() {
    let texts = messages().chain(texts(&ERRORS)).chain(texts(&DISPLAYED));
    let mut texts: BTreeSet<String> = texts.map(str::to_owned).collect();
    texts.extend(
        HELP.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")),
    );

    let mut faults = String::new();
    for (word, instead) in BANNED {
        for text in texts.iter().filter(|text| has(text, word)) {
            writeln!(faults, "'{word}' (say: {instead}) is in: {text}").unwrap();
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn banned_words_are_found_whole_and_in_the_plural() {
    assert!(has("Pictures, and no others", "picture"));
    assert!(has("no caller's key", "caller"));
    assert!(has("in {picture}: work under way", "under way"));
    assert!(!has("the picturesque", "picture"));
}

#[test]
fn log_messages_are_read_with_level_and_fields() {
    let krate = crate_of(
        r#"
        fn f() {
            select! { tracing::warn!(target: "a", %error, app = id, time.ms = %t, "rate \
                limit") }
            macro_rules! line { ($level:ident) => { tracing::$level!(?status, "ended: {}", status) } }
        }
        #[cfg(test)]
        fn test() { info!("unseen") }
        "#,
    );
    let found: Vec<_> = log_messages_of(&krate)
        .into_iter()
        .map(|message| (message.level, message.message.unwrap(), message.fields.join(" ")))
        .collect();
    let expected = [
        ("warn", "rate limit", "error app time.ms"),
        ("$level", "ended: {}", "status"),
    ];
    assert_eq!(
        found,
        expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
    );
}

/// Compares with a snapshot in a file of its own. Empty lines at the start do not count.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text.trim_start()));
}

fn by_crate(texts: &Texts) -> String {
    let mut text = String::new();
    for (krate, texts) in texts {
        writeln!(text, "\n# {krate}").unwrap();
        for (name, line) in texts {
            writeln!(text, "{name}: {line}").unwrap();
        }
    }
    text
}

/// Fails for what is found and no exception, and for exceptions that are found no more.
fn only<'a>(found: impl Iterator<Item = &'a str>, exceptions: &[&str]) {
    let found: BTreeSet<&str> = found.collect();
    let exceptions: BTreeSet<&str> = exceptions.iter().copied().collect();
    let new: Vec<&&str> = found.difference(&exceptions).collect();
    let gone: Vec<&&str> = exceptions.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "against the rule: {new:#?}\nexceptions to delete: {gone:#?}"
    );
}

/// Returns whether a text has the words, in their order, the last one perhaps in the plural.
fn has(text: &str, words: &str) -> bool {
    let apart = |text: &str| {
        let spaced = text
            .replace(|letter: char| !letter.is_alphanumeric(), " ")
            .to_lowercase();
        format!(" {} ", spaced.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (text, words) = (apart(text), apart(words));
    text.contains(&words) || text.contains(&format!("{}s ", words.trim_end()))
}

/// What `--help` prints for the program and each command.
static HELP: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    add_help(&mut text, &[]);
    text
});

fn add_help(text: &mut String, command: &[&str]) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_likeness"))
        .args(command)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    let name = [&["likeness"], command].concat().join(" ");
    writeln!(text, "\n$ {name} --help\n{}", help.trim_end()).unwrap();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in commands.take_while(|line| !line.is_empty()) {
        // Continued lines are indented further.
        let name = line.strip_prefix("  ").and_then(|line| line.split(' ').next());
        if let Some(name) = name.filter(|name| !name.is_empty() && *name != "help") {
            add_help(text, &[command, &[name]].concat());
        }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LogMessage {
    krate: String,
    message: Option<String>,
    level: String,
    fields: Vec<String>,
}

/// Every event that the workspace logs by `tracing`, by crate and message.
static LOG_MESSAGES: LazyLock<Vec<LogMessage>> = LazyLock::new(|| {
    let mut messages: Vec<LogMessage> = crates().iter().flat_map(log_messages_of).collect();
    messages.sort();
    messages
});

fn log_messages_of(krate: &Crate) -> Vec<LogMessage> {
    let items = krate.modules.iter().flat_map(|module| &module.items);
    let tokens: Vec<TokenTree> = items.flat_map(|item| trees(item.to_token_stream())).collect();
    let mut messages = Vec::new();
    for (index, window) in tokens.windows(3).enumerate() {
        let [TokenTree::Ident(level), mark, TokenTree::Group(arguments)] = window else {
            continue;
        };
        let level = level.to_string();
        // In `macro_rules!` the level may be a variable: `tracing::$level!(...)`.
        let before = |distance| index.checked_sub(distance).map(|index| tokens[index].to_string());
        let is_variable = before(1).as_deref() == Some("$") && before(4).as_deref() == Some("tracing");
        let is_level = matches!(level.as_str(), "trace" | "debug" | "info" | "warn" | "error");
        if is_punct(mark, '!') && (is_level || is_variable) {
            let level = if is_variable { format!("${level}") } else { level };
            messages.push(log_message(&krate.name, level, arguments.stream()));
        }
    }
    messages
}

fn log_message(krate: &str, level: String, arguments: TokenStream) -> LogMessage {
    let mut message = None;
    let mut fields = Vec::new();
    let arguments: Vec<TokenTree> = arguments.into_iter().collect();
    for argument in arguments.split(|token| is_punct(token, ',')) {
        if let [TokenTree::Literal(literal)] = argument {
            message = Some(literal_text(literal.to_token_stream()));
            // Only values for its placeholders follow.
            break;
        }
        // `target: "likeness::request"` is no field.
        if argument.get(1).is_some_and(|token| is_punct(token, ':')) {
            continue;
        }
        let name = argument
            .split(|token| is_punct(token, '='))
            .next()
            .unwrap_or_default();
        let name: String = name.iter().map(ToString::to_string).collect();
        fields.extend(Some(name.trim_start_matches(['%', '?']).to_owned()).filter(|name| !name.is_empty()));
    }
    LogMessage {
        krate: krate.to_owned(),
        message,
        level,
        fields,
    }
}

fn messages() -> impl Iterator<Item = &'static str> {
    LOG_MESSAGES
        .iter()
        .filter_map(|message| message.message.as_deref())
}

/// Texts by crate, each after the name of its place.
type Texts = BTreeMap<String, Vec<(String, String)>>;

fn texts(texts: &Texts) -> impl Iterator<Item = &str> {
    texts.values().flatten().map(|(_, text)| text.as_str())
}

fn texts_of(items: impl Fn(&Item) -> Vec<(String, String)>) -> Texts {
    let mut texts = Texts::new();
    for krate in crates() {
        let all = krate.modules.iter().flat_map(|module| &module.items);
        let mut found: Vec<_> = all.flat_map(&items).collect();
        found.sort();
        if !found.is_empty() {
            texts.insert(krate.name, found);
        }
    }
    texts
}

/// The texts of all `#[error(...)]`.
static ERRORS: LazyLock<Texts> = LazyLock::new(|| {
    texts_of(|item| match item {
        Item::Enum(item) => {
            let variants = item.variants.iter();
            let texts = variants.map(|variant| (&variant.ident, error_text(&variant.attrs)));
            texts
                .filter_map(|(variant, text)| Some((format!("{}::{variant}", item.ident), text?)))
                .collect()
        }
        Item::Struct(item) => {
            let text = error_text(&item.attrs).map(|text| (item.ident.to_string(), text));
            Vec::from_iter(text)
        }
        _ => Vec::new(),
    })
});

/// The texts in implementations of `Display`, of which other texts are made up.
static DISPLAYED: LazyLock<Texts> = LazyLock::new(|| {
    texts_of(|item| {
        let mut texts = Vec::new();
        if let Item::Impl(item) = item
            && is_display(item)
        {
            let name = item.self_ty.to_token_stream().to_string();
            for function in &item.items {
                let ImplItem::Fn(function) = function else {
                    continue;
                };
                let tokens = trees(function.block.to_token_stream()).into_iter();
                let literals = tokens.filter_map(|token| syn::parse2::<LitStr>(token.into()).ok());
                let phrases = literals
                    .map(|text| text.value())
                    .filter(|text| text.trim().contains(' '));
                texts.extend(phrases.map(|text| (name.clone(), text)));
            }
        }
        texts
    })
});

fn is_display(item: &ItemImpl) -> bool {
    let last = item.trait_.as_ref().and_then(|(path, _)| path.segments.last());
    last.is_some_and(|segment| segment.ident == "Display")
}

fn error_text(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("error"))?;
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    let tokens = list.tokens.clone();
    Some(match tokens.clone().into_iter().next() {
        Some(TokenTree::Literal(literal)) => literal_text(literal.to_token_stream()),
        _ => format!("({tokens})"),
    })
}

fn literal_text(literal: TokenStream) -> String {
    syn::parse2::<LitStr>(literal).unwrap().value()
}

fn is_punct(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}
