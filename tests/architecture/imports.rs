//! The `use` graph of a crate's modules, and the rings in it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, UseTree};

use super::sources::{Crate, Module};

/// No chain of re-exports is longer.
const MAX_IMPORTS: usize = 16;

/// The names from the root of a crate to a module in it, or those of any path in the source.
type Path = Vec<String>;

/// Modules of one parent, each of which imports each other one, perhaps by way of further ones.
pub(crate) struct Ring {
    /// `crate::parent: module, module`.
    pub(crate) name: String,
    /// `module -> module (file:line, path)`, one for each pair.
    pub(crate) arrows: Vec<String>,
}

/// What modules of one parent import of each other: one example for each pair.
type Arrows = BTreeMap<(String, String), String>;

/// Returns the rings of a crate.
///
/// An import counts for the children of the modules' common parent: folder against folder, module against module. So
/// there is no ring of a parent with its child.
pub(crate) fn rings(krate: &Crate) -> Vec<Ring> {
    let mut rings = Vec::new();
    for (parent, arrows) in arrows(krate) {
        let reached: BTreeMap<&str, BTreeSet<&str>> = arrows
            .keys()
            .map(|(from, _)| (from.as_str(), reachable(from, &arrows)))
            .collect();
        let reaches = |a: &str, b: &str| reached.get(a).is_some_and(|modules| modules.contains(b));
        let component = |module: &str| -> Vec<&str> {
            let others = reached[module].iter().copied();
            others.filter(|other| reaches(other, module)).collect()
        };
        let components: BTreeSet<Vec<&str>> = reached.keys().map(|module| component(module)).collect();
        for ring in components.into_iter().filter(|component| component.len() > 1) {
            let parent = [std::slice::from_ref(&krate.name), &parent].concat().join("::");
            let inside = |name: &String| ring.contains(&name.as_str());
            let name = format!("{parent}: {}", ring.join(", "));
            let arrows = arrows.iter().filter(|((from, to), _)| inside(from) && inside(to));
            let arrow =
                |((from, to), example): (&(String, String), &String)| format!("{from} -> {to} ({example})");
            let arrows = arrows.map(arrow).collect();
            rings.push(Ring { name, arrows });
        }
    }
    rings
}

/// Returns what the children of each parent import of each other.
fn arrows(krate: &Crate) -> BTreeMap<Path, Arrows> {
    let graph = Graph::new(krate);
    let mut levels: BTreeMap<Path, Arrows> = BTreeMap::new();
    for module in &krate.modules {
        let (from, file) = (&module.path, module.file.display());
        let paths = module.items.iter().flat_map(|item| paths(item.to_token_stream()));
        for (path, span) in paths {
            let to = graph.definition(from, &path, 0).unwrap_or_else(|| from.clone());
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                let example = format!("{file}:{}, {}", span.start().line, path.join("::"));
                let level = levels.entry(from[..common].to_vec()).or_default();
                level.entry((a.clone(), b.clone())).or_insert(example);
            }
        }
    }
    levels
}

/// Returns the modules that a module imports, directly or by way of others.
fn reachable<'a>(module: &str, arrows: &'a Arrows) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![module];
    while let Some(module) = open.pop() {
        for (_, to) in arrows.keys().filter(|(from, _)| from == module) {
            if reached.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    reached
}

/// The modules of a crate.
struct Graph(BTreeMap<Path, Scope>);

/// The names in a module, other than its child modules.
#[derive(Default)]
struct Scope {
    defined: BTreeSet<String>,
    imported: BTreeMap<String, Path>,
    globs: Vec<Path>,
}

impl Graph {
    fn new(krate: &Crate) -> Self {
        let mut graph = Self(BTreeMap::new());
        for Module { path, items, .. } in &krate.modules {
            let scope = graph.0.entry(path.clone()).or_default();
            for item in items {
                match item {
                    Item::Use(item) => scope.import(Vec::new(), &item.tree),
                    other => scope.defined.extend(name(other)),
                }
            }
        }
        graph
    }

    /// Returns the module that defines what a path names, as seen from a module; `None` where that is outside of the
    /// crate. Re-exports are followed.
    fn definition(&self, from: &Path, path: &[String], depth: usize) -> Option<Path> {
        let mut at = from.clone();
        for (index, segment) in path.iter().enumerate() {
            match segment.as_str() {
                "crate" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                _ if self.0.contains_key(&child(&at, segment)) => at.push(segment.clone()),
                _ => {
                    if let Some(import) = self.import(&at, segment, depth) {
                        let path = [import.as_slice(), &path[index + 1..]].concat();
                        return self.definition(&at, &path, depth + 1).or(Some(at));
                    }
                    return (index > 0 || self.0[&at].defined.contains(segment)).then_some(at);
                }
            }
        }
        Some(at)
    }

    /// Returns the path by which a module imports a name.
    fn import(&self, module: &Path, name: &str, depth: usize) -> Option<Path> {
        let scope = self.0.get(module).filter(|_| depth < MAX_IMPORTS)?;
        let by_glob = || {
            let mut globs = scope.globs.iter().filter(|_| !scope.defined.contains(name));
            let glob = globs.find(|glob| {
                let target = self.definition(module, glob, depth + 1);
                target.is_some_and(|target| target != *module && self.has(&target, name, depth + 1))
            })?;
            Some(child(glob, name))
        };
        scope.imported.get(name).cloned().or_else(by_glob)
    }

    fn has(&self, module: &Path, name: &str, depth: usize) -> bool {
        self.0.contains_key(&child(module, name))
            || self.0[module].defined.contains(name)
            || self.import(module, name, depth).is_some()
    }
}

impl Scope {
    fn import(&mut self, mut path: Path, tree: &UseTree) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(path, &tree.tree);
            }
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.import(path.clone(), tree)),
            UseTree::Glob(_) => self.globs.push(path),
            UseTree::Name(tree) => {
                path.extend((tree.ident != "self").then(|| tree.ident.to_string()));
                self.imported
                    .extend(path.last().cloned().map(|name| (name, path)));
            }
            UseTree::Rename(tree) => {
                path.extend((tree.ident != "self").then(|| tree.ident.to_string()));
                self.imported.insert(tree.rename.to_string(), path);
            }
        }
    }
}

fn child(module: &Path, name: &str) -> Path {
    module
        .iter()
        .map(String::as_str)
        .chain([name])
        .map(str::to_owned)
        .collect()
}

fn name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Returns every path in the tokens, also those in macros, each of `a::{b, c}`, and those in strings, such as
/// `#[serde(with = "crate::hex")]`, with their place.
fn paths(tokens: TokenStream) -> Vec<(Path, Span)> {
    let mut found = Vec::new();
    add_paths(&Vec::new(), tokens, &mut found);
    found
}

fn add_paths(prefix: &Path, tokens: TokenStream, found: &mut Vec<(Path, Span)>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut colons = 0;
    // Whether the path that the last tokens were of goes on.
    let mut is_open = false;
    while let Some(token) = tokens.next() {
        let is_joined = colons == 2 && is_open;
        let was_colons = std::mem::take(&mut colons);
        match token {
            TokenTree::Ident(ident) if is_joined => {
                if let Some((path, _)) = found.last_mut() {
                    path.push(ident.to_string());
                }
            }
            // `use a::{b as c}`: `c` is in no path.
            TokenTree::Ident(ident) if ident == "as" && !prefix.is_empty() => drop(tokens.next()),
            // `::a` and `<T>::a` are no paths of this crate.
            TokenTree::Ident(_) if was_colons == 2 => is_open = false,
            TokenTree::Ident(ident) => {
                found.push((child(prefix, &ident.to_string()), ident.span()));
                is_open = true;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons = was_colons + 1,
            TokenTree::Group(group) => {
                let is_use = is_joined && group.delimiter() == Delimiter::Brace;
                let prefix = found.last().filter(|_| is_use).map(|(path, _)| path.clone());
                add_paths(&prefix.unwrap_or_default(), group.stream(), found);
                is_open = false;
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let path: Path = text.trim_matches('"').split("::").map(str::to_owned).collect();
                if path.len() > 1 && matches!(path[0].as_str(), "crate" | "self" | "super") {
                    found.push((path, literal.span()));
                }
                is_open = false;
            }
            TokenTree::Punct(_) => is_open = false,
        }
    }
}
