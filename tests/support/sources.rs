//! The Rust sources of the workspace as syntax trees, without their test code.
#![allow(dead_code, reason = "no suite uses all of it")]

use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, File, Item, ItemImpl, ItemMod};

/// A library or program.
pub(crate) struct Crate {
    /// The name of its folder, or `likeness` for the facade and `likeness (program)` for the command line.
    pub(crate) name: String,
    pub(crate) modules: Vec<Module>,
}

/// A module with its own items, which those of its child modules are not.
pub(crate) struct Module {
    /// Empty for the root of the crate.
    pub(crate) path: Vec<String>,
    /// Relative to the root of the workspace.
    pub(crate) file: PathBuf,
    pub(crate) items: Vec<Item>,
}

/// Returns the workspace to examine: this checkout, or the folder that `LIKENESS_WORKSPACE` names.
pub(crate) fn workspace() -> PathBuf {
    std::env::var_os("LIKENESS_WORKSPACE").map_or_else(likeness_testing::workspace, PathBuf::from)
}

/// Parses `src` and `crates/*/src`.
pub(crate) fn crates() -> Vec<Crate> {
    let mut roots = vec![
        ("likeness".to_owned(), PathBuf::from("src/lib.rs")),
        ("likeness (program)".to_owned(), PathBuf::from("src/main.rs")),
    ];
    for entry in std::fs::read_dir(workspace().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let file = Path::new("crates").join(&name).join("src/lib.rs");
        roots.push((name, file));
    }
    roots.retain(|(_, file)| workspace().join(file).is_file());
    roots.sort();
    let parse = |(name, file): (String, PathBuf)| {
        let mut modules = Vec::new();
        let folder = file.parent().unwrap().to_owned();
        add_file(&mut modules, &[], &file, &folder);
        Crate { name, modules }
    };
    roots.into_iter().map(parse).collect()
}

/// Parses a crate that is written in one text.
pub(crate) fn crate_of(text: &str) -> Crate {
    let mut modules = Vec::new();
    let file = Path::new("made-up.rs");
    add_items(&mut modules, &[], file, Path::new(""), parse(text, file));
    Crate {
        name: "made-up".to_owned(),
        modules,
    }
}

/// Returns every token, those within brackets after the brackets' own.
pub(crate) fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    let mut found = Vec::new();
    for tree in tokens {
        let inside = match &tree {
            TokenTree::Group(group) => trees(group.stream()),
            _ => Vec::new(),
        };
        found.push(tree);
        found.extend(inside);
    }
    found
}

fn parse(text: &str, file: &Path) -> Vec<Item> {
    let mut syntax: File = syn::parse_str(text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    WithoutTests.visit_file_mut(&mut syntax);
    syntax.items
}

/// Adds the module in a file. `folder` is where the files of its child modules are.
fn add_file(modules: &mut Vec<Module>, path: &[String], file: &Path, folder: &Path) {
    let text = std::fs::read_to_string(workspace().join(file))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let items = parse(&text, file);
    add_items(modules, path, file, folder, items);
}

fn add_items(modules: &mut Vec<Module>, path: &[String], file: &Path, folder: &Path, items: Vec<Item>) {
    let (children, items) = items.into_iter().partition(|item| matches!(item, Item::Mod(_)));
    modules.push(Module {
        path: path.to_owned(),
        file: file.to_owned(),
        items,
    });
    for child in children {
        let Item::Mod(child) = child else { continue };
        let name = child.ident.to_string();
        let path = [path, std::slice::from_ref(&name)].concat();
        let inner = folder.join(&name);
        match child.content {
            Some((_, items)) => add_items(modules, &path, file, &inner, items),
            None => add_file(modules, &path, &file_of(&child, file, folder), &inner),
        }
    }
}

fn file_of(module: &ItemMod, parent: &Path, folder: &Path) -> PathBuf {
    let named = module
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("path"));
    if let Some(named) = named {
        let literal: syn::LitStr =
            syn::parse2(named.meta.require_name_value().unwrap().value.to_token_stream()).unwrap();
        return parent.parent().unwrap().join(literal.value());
    }
    let beside = folder.join(format!("{}.rs", module.ident));
    if workspace().join(&beside).is_file() {
        beside
    } else {
        folder.join(module.ident.to_string()).join("mod.rs")
    }
}

/// Removes what is compiled for tests alone.
struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut File) {
        file.items.retain(is_shipped);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(is_shipped);
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut ItemImpl) {
        block.items.retain(is_shipped);
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.retain(is_shipped);
        visit_mut::visit_block_mut(self, block);
    }
}

/// Returns whether none of the attributes, which come first, is `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
fn is_shipped(node: &impl ToTokens) -> bool {
    let mut tokens = node.to_token_stream().into_iter();
    while let Some(TokenTree::Punct(_)) = tokens.next()
        && let Some(TokenTree::Group(attribute)) = tokens.next()
    {
        let text = attribute.stream().to_string().replace(' ', "");
        if matches!(text.as_str(), "test" | "cfg(test)") || text.starts_with("cfg(all(test,") {
            return false;
        }
    }
    true
}
