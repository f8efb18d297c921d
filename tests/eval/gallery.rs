//! `likeness eval … --gallery`: contact sheets of the worst errors.

use std::ffi::OsStr;
use std::path::Path;

use likeness_testing::{Outcome, Suite, ensure};

use super::{eval, rows};

pub(crate) fn tests(suite: &mut Suite) {
    suite.with_shared_and_models("gallery_shows_the_worst_comparisons", of_pairs);
    suite.with_shared_and_models("gallery_shows_the_worst_presentations", of_presentations);
}

/// The figures of a page: its captions with their files, sheet by sheet.
fn sheets(page: &str) -> Vec<Vec<String>> {
    let sheets = page.split("<div class=\"sheet\">").skip(1);
    let captions = |sheet: &str| {
        let sheet = sheet.split("</div>").next().unwrap_or_default();
        let captions = sheet.split("<figcaption>").skip(1);
        captions
            .filter_map(|rest| Some(rest.split("</figcaption>").next()?.to_owned()))
            .collect()
    };
    sheets.map(captions).collect()
}

/// The scores of some rows, sorted, as captions begin with them.
fn worst(mut scores: Vec<(f64, String)>, highest: bool) -> Vec<(f64, String)> {
    scores.sort_by(|a, b| {
        if highest {
            b.0.total_cmp(&a.0)
        } else {
            a.0.total_cmp(&b.0)
        }
    });
    scores.truncate(3);
    scores
}

fn run(command: &str, option: &str, list: &Path, root: &Path, out: &Path, more: &[&str]) -> Outcome {
    let mut arguments = vec![
        OsStr::new(command),
        OsStr::new(option),
        list.as_os_str(),
        OsStr::new("--root"),
        root.as_os_str(),
        OsStr::new("--out"),
        out.as_os_str(),
    ];
    arguments.extend(["--gallery", "3"].iter().chain(more).map(OsStr::new));
    let ended = eval(arguments)?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let warns = "report.html will show faces";
    ensure!(
        ended.stderr.contains(warns) && ended.stdout.contains("report.html shows faces"),
        "{ended:?}"
    );
    Ok(())
}

/// Checks that a page has these sheets, an image for each file, and that the other files have none.
fn check(out: &Path, images: usize, expected: &[Vec<(String, Vec<String>)>]) -> Outcome {
    let page = std::fs::read_to_string(out.join("report.html"))?;
    let found = sheets(&page);
    ensure!(found.len() == expected.len(), "{} sheets", found.len());
    for (found, expected) in found.iter().zip(expected) {
        ensure!(found.len() == expected.len(), "{found:?}");
        for (caption, (begin, files)) in found.iter().zip(expected) {
            ensure!(
                caption.starts_with(begin.as_str()),
                "{caption} instead of {begin}"
            );
            for file in files {
                ensure!(caption.contains(file.as_str()), "{caption} without {file}");
            }
        }
    }
    ensure!(
        page.matches("<img ").count() == images,
        "{} images",
        page.matches("<img ").count()
    );
    ensure!(
        page.matches("src=\"data:image/jpeg;base64,/9j/").count() == images,
        "an image that is no JPEG"
    );
    // Each at most 192 pixels a side, and nothing from elsewhere.
    ensure!(page.len() < 400_000 + images * 30_000, "{} bytes", page.len());
    for outside in ["<script", "<link", "@import", "url(", "src=\"http"] {
        ensure!(!page.contains(outside), "{outside} in report.html");
    }
    let json = std::fs::read_to_string(out.join("report.json"))?;
    ensure!(
        !json.contains("gallery") && !json.contains("base64"),
        "an image in report.json"
    );
    Ok(())
}

fn of_pairs(shared: &Path) -> Outcome {
    let list = shared.join("data/faces/pairs.csv");
    let root = shared.join("data/faces");
    let folder = tempfile::tempdir()?;
    let images = folder.path().join("images.csv");
    let people = [
        ("a", "img4.jpg"),
        ("a", "img2.jpg"),
        ("a", "img11.jpg"),
        ("b", "img16.jpg"),
        ("b", "img17.jpg"),
        ("c", "img20.jpg"),
        ("c", "img21.jpg"),
    ];
    let lines: String = people
        .iter()
        .map(|(person, image)| format!("{image},{person}\n"))
        .collect();
    std::fs::write(&images, format!("file,person\n{lines}"))?;
    // Of a list of pairs, and of all pairs of images.
    for (option, list, more) in [
        ("--pairs", &list, &[][..]),
        ("--list", &images, &["--write-pairs"]),
    ] {
        let out = folder.path().join(option);
        run("match", option, list, &root, &out, more)?;
        let scored = rows(&out.join("scores.csv"))?;
        let of = |label: &str, highest: bool| {
            let rows = scored.iter().filter(|row| row[2] == label);
            let scores = rows.map(|row| Ok((row[3].parse::<f64>()?, row.join(","))));
            let scores: Result<Vec<_>, std::num::ParseFloatError> = scores.collect();
            scores.map(|scores| worst(scores, highest))
        };
        let captions = |worst: Vec<(f64, String)>| -> Vec<(String, Vec<String>)> {
            let caption = |(score, row): (f64, String)| {
                let cells: Vec<String> = row.split(',').map(str::to_owned).collect();
                let begin = format!(
                    "similarity {score:.4}, match confidence {}: {}",
                    cells[4], cells[5]
                );
                (begin, cells[..2].to_vec())
            };
            worst.into_iter().map(caption).collect()
        };
        check(&out, 12, &[captions(of("0", true)?), captions(of("1", false)?)])?;
    }
    Ok(())
}

fn of_presentations(shared: &Path) -> Outcome {
    let data = shared.join("data/liveness");
    let folder = tempfile::tempdir()?;
    let (list, out) = (folder.path().join("labels.csv"), folder.path().join("out"));
    let mut lines = String::from("file,species\n");
    for row in rows(&data.join("labels.csv"))?.iter().skip(1).step_by(20) {
        lines.push_str(&format!("{},{}\n", row[0], row[1]));
    }
    lines.push_str("../awkward/Flag_of_the_Netherlands-16bit.png,print\n");
    std::fs::write(&list, &lines)?;
    run("liveness", "--labels", &list, &data, &out, &[])?;
    let scored = rows(&out.join("scores.csv"))?;
    let of = |live: bool| -> Vec<(String, Vec<String>)> {
        let rows = scored
            .iter()
            .skip(1)
            .filter(|row| (row[1] == "live") == live && row[3] == "ok");
        let scores = rows.filter_map(|row| Some((row[2].parse().ok()?, row.join(","))));
        let caption = |(_, row): (f64, String)| {
            let cells: Vec<String> = row.split(',').map(str::to_owned).collect();
            (
                format!("{}, liveness {}: ", cells[1], cells[2]),
                vec![cells[0].clone()],
            )
        };
        worst(scores.collect(), !live).into_iter().map(caption).collect()
    };
    let (attacks, live) = (of(false), of(true));
    ensure!(attacks.len() == 3 && live.len() == 3, "{attacks:?} {live:?}");
    check(&out, 6, &[attacks, live])
}
