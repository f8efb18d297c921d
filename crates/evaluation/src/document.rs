//! A report for reading: as text for a terminal and as one HTML page that needs nothing else, runs no script and prints.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1d2430;background:#fff;max-width:72rem;\
    margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
    table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
    th,td{padding:.25rem .8rem .25rem 0;text-align:left;border-bottom:1px solid #dde2ea;vertical-align:top}\
    th{font-weight:600;color:#4a5568}td span{white-space:nowrap}.row{overflow-x:auto}.mark{margin:0}\
    svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#4a5568}\
    .sheet{display:flex;flex-wrap:wrap;gap:1rem}.sheet figure{margin:0;border:1px solid #dde2ea;padding:.5rem}\
    .sheet img{max-height:12rem;margin-right:.25rem}figcaption{font-size:.8rem;max-width:24rem;overflow-wrap:anywhere}\
    @page{margin:1.5cm}@media print{body{font-size:8pt;max-width:none;margin:0;padding:0}h2,h3{break-after:avoid}\
    tr,svg,figure{break-inside:avoid}thead{display:table-header-group}.row{overflow:visible}th,td{padding-right:.5rem}\
    td span{white-space:normal}table{font-size:7pt}}";

/// A report, made from top to bottom. The header of a table has its columns between ` | `.
#[derive(Default)]
pub(crate) struct Document {
    /// The report as text.
    pub(crate) summary: String,
    body: String,
}

impl Document {
    pub(crate) fn heading(&mut self, text: &str) {
        self.summary += &format!("\n{text}\n");
        self.page(&html! { h2 { (text) } });
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.summary += &format!("{text}\n");
        self.page(&html! { p { (text) } });
    }

    pub(crate) fn table(&mut self, header: &str, rows: &[Vec<String>]) {
        self.summary += &aligned(header, rows);
        self.page(&table(header, rows));
    }

    /// Adds a table to the page, and those of its rows that are for a terminal too to the terminal.
    pub(crate) fn shortened(&mut self, header: &str, rows: Vec<(bool, Vec<String>)>) {
        let short = rows.iter().filter(|(is_short, _)| *is_short);
        self.summary += &aligned(header, &short.map(|(_, row)| row.clone()).collect::<Vec<_>>());
        let all: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        self.page(&table(header, &all));
    }

    /// Adds something to the page only.
    pub(crate) fn page(&mut self, markup: &Markup) {
        self.body += &markup.0;
    }

    /// Returns the report as a page.
    pub(crate) fn html(self, title: &str) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (title) }
                    (PreEscaped(self.body))
                }
            }
        };
        page.into_string()
    }
}

/// Returns a table for a terminal.
fn aligned(header: &str, rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.split(" | ").map(str::to_owned).collect();
    let rows = || std::iter::once(&header).chain(rows);
    let width = |column| {
        let cells = rows().filter_map(|row| row.get(column));
        let widths = cells.map(|cell: &String| cell.chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let line: String = cells.map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        format!("{}\n", line.trim_end())
    };
    rows().map(line).collect()
}

/// Returns a table for a page.
pub(crate) fn table(header: &str, rows: &[Vec<String>]) -> Markup {
    html! {
        div.row {
            table {
                thead { tr { @for name in header.split(" | ") { th scope="col" { (name) } } } }
                tbody {
                    @for row in rows {
                        tr { @for cell in row { td { (unbroken(cell)) } } }
                    }
                }
            }
        }
    }
}

/// Returns a text in which no line ends between a number and its unit.
pub(crate) fn whole_numbers(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
}

/// Longest item of a cell that is never broken over lines: a rate with its interval is shorter.
const UNBROKEN: usize = 36;

/// Returns a cell in which numbers stay whole: its items, between commas or semicolons, are not broken over lines unless they are
/// long, and a number never from its unit.
fn unbroken(cell: &str) -> Markup {
    let ends = cell.match_indices([',', ';']).map(|(at, _)| at + 1);
    let ends = ends
        .filter(|&end| cell[end..].starts_with(' '))
        .chain([cell.len()]);
    let mut begin = 0;
    let items = ends.map(|end| std::mem::replace(&mut begin, end)..end);
    html! {
        @for item in items {
            @let item = whole_numbers(cell[item].trim_start());
            @if item.chars().count() <= UNBROKEN { span { (item) } } @else { (item) }
            " "
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(cell: &str) -> Document {
        let mut document = Document::default();
        document.text(cell);
        document.heading("Section");
        let row = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
        document.table("name | value", &[row("a", "10 %"), row("longer", "")]);
        document.page(&html! { p { "on the page" } });
        document.shortened(
            "at",
            vec![(true, vec!["0.1".to_owned()]), (false, vec!["0.15".to_owned()])],
        );
        document
    }

    #[test]
    fn a_terminal_shows_aligned_columns_and_the_short_form() {
        let expected = "words\n\nSection\nname    value\na       10 %\nlonger\nat\n0.1\n";
        assert_eq!(document("words").summary, expected);
    }

    #[test]
    fn only_the_items_of_a_list_are_broken_over_lines() {
        let spans = |cell: &str| unbroken(cell).into_string();
        assert_eq!(
            spans("0.95 % (0.5 % to 1,000 %)"),
            "<span>0.95\u{a0}% (0.5\u{a0}% to 1,000\u{a0}%)</span> "
        );
        assert_eq!(
            spans("print: 1 % (0 % to 2 %); \u{e9}, <b>"),
            "<span>print: 1\u{a0}% (0\u{a0}% to 2\u{a0}%);</span> <span>\u{e9},</span> <span>&lt;b&gt;</span> "
        );
        assert_eq!(
            spans("insufficient data: 100 attack presentations needed, 5 %"),
            "insufficient data: 100 attack presentations needed, <span>5\u{a0}%</span> "
        );
        assert_eq!(spans(""), "<span></span> ");
    }

    #[test]
    fn a_page_shows_everything_and_escapes_it() {
        let page = document("<script>\"&'").html("Title");
        assert!(
            page.contains("&lt;script&gt;") && !page.contains("<script>"),
            "{page}"
        );
        assert!(
            page.contains("<td><span>0.15</span> </td>") && page.contains("on the page"),
            "{page}"
        );
        assert_eq!(page.matches("<span>0.1</span>").count(), 1, "{page}");
    }
}
