//! A report for reading: as text for a terminal and as one HTML page that needs nothing else, runs no script and prints.

use maud::{DOCTYPE, PreEscaped, html};

use crate::chart::Chart;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1d2430;background:#fff;max-width:60rem;\
    margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
    table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
    th,td{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid #dde2ea;vertical-align:top}\
    th{font-weight:600;color:#4a5568}svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#4a5568}\
    .row{overflow-x:auto}";

/// A heading, a paragraph, a table or a diagram; its text is plain text.
pub(crate) enum Block {
    Heading(String),
    Text(String),
    Table(Vec<&'static str>, Vec<Vec<String>>),
    Chart(Chart),
}

/// Where a block is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Medium {
    Both,
    Page,
    Terminal,
}

/// A report as blocks in their order.
pub(crate) struct Document {
    title: &'static str,
    blocks: Vec<(Medium, Block)>,
}

impl Document {
    pub(crate) fn new(title: &'static str) -> Self {
        let blocks = Vec::new();
        Self { title, blocks }
    }

    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push((Medium::Both, Block::Heading(text.into())));
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) {
        self.blocks.push((Medium::Both, Block::Text(text.into())));
    }

    pub(crate) fn table(&mut self, header: &[&'static str], rows: Vec<Vec<String>>) {
        self.blocks
            .push((Medium::Both, Block::Table(header.to_vec(), rows)));
    }

    /// Adds a block to the page only.
    pub(crate) fn page(&mut self, block: Block) {
        self.blocks.push((Medium::Page, block));
    }

    /// Adds a table to the page, and those of its rows that are for a terminal too to the terminal.
    pub(crate) fn shortened(&mut self, header: &[&'static str], rows: Vec<(bool, Vec<String>)>) {
        let short = rows
            .iter()
            .filter(|(short, _)| *short)
            .map(|(_, row)| row.clone());
        let short = Block::Table(header.to_vec(), short.collect());
        self.blocks.push((Medium::Terminal, short));
        let all = rows.into_iter().map(|(_, row)| row).collect();
        self.page(Block::Table(header.to_vec(), all));
    }

    /// Returns the report as text.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for (_, block) in self.blocks.iter().filter(|(medium, _)| *medium != Medium::Page) {
            match block {
                Block::Heading(heading) => text.push_str(&format!("\n{heading}\n")),
                Block::Text(paragraph) => text.push_str(&format!("{paragraph}\n")),
                Block::Table(header, rows) => {
                    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
                    let rows = || std::iter::once(&header).chain(rows);
                    let width = |column: usize| {
                        let cells = rows().filter_map(|row| row.get(column));
                        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
                    };
                    for row in rows() {
                        let cells = row.iter().enumerate();
                        let line: String = cells
                            .map(|(at, cell)| format!("{cell:<0$}  ", width(at)))
                            .collect();
                        text.push_str(line.trim_end());
                        text.push('\n');
                    }
                }
                Block::Chart(_) => {}
            }
        }
        text
    }

    /// Returns the report as a page.
    pub(crate) fn html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    @for (_, block) in self.blocks.iter().filter(|(medium, _)| *medium != Medium::Terminal) {
                        @match block {
                            Block::Heading(heading) => h2 { (heading) },
                            Block::Text(paragraph) => p { (paragraph) },
                            Block::Chart(chart) => (chart),
                            Block::Table(header, rows) => div.row {
                                table {
                                    tr { @for name in header { th { (name) } } }
                                    @for row in rows {
                                        tr { @for cell in row { td { (cell) } } }
                                    }
                                }
                            },
                        }
                    }
                }
            }
        };
        page.into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(cell: &str) -> Document {
        let mut document = Document::new("Title");
        document.text(cell);
        document.heading("Section");
        let row = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
        document.table(&["name", "value"], vec![row("a", "10 %"), row("longer", "")]);
        document.page(Block::Text("on the page".to_owned()));
        document.shortened(
            &["at"],
            vec![(true, vec!["0.1".to_owned()]), (false, vec!["0.15".to_owned()])],
        );
        document
    }

    #[test]
    fn a_terminal_shows_aligned_columns_and_the_short_form() {
        let expected = "words\n\nSection\nname    value\na       10 %\nlonger\nat\n0.1\n";
        assert_eq!(document("words").summary(), expected);
    }

    #[test]
    fn a_page_shows_everything_and_escapes_it() {
        let page = document("<script>\"&'").html();
        assert!(
            page.contains("&lt;script&gt;") && !page.contains("<script>"),
            "{page}"
        );
        assert!(
            page.contains("<td>0.15</td>") && page.contains("on the page"),
            "{page}"
        );
        assert_eq!(page.matches("<td>0.1</td>").count(), 1, "{page}");
    }
}
