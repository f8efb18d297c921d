//! `likeness eval`: the real binary with the real models on real images.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use likeness_testing::{Failed, Outcome, Suite, ensure};
use serde_json::Value;

#[path = "eval/gallery.rs"]
mod gallery;
mod support;

use support::process::{Ended, Process, likeness};
use support::report::{number, succeeds};
use support::{TIMEOUT, for_each};

fn main() -> ExitCode {
    let mut suite = Suite::new();
    suite.test("usage_errors_exit_with_2", usage);
    suite.test("an_invalid_list_is_reported_with_its_line", wrong_lists);
    suite.with_shared_and_models("match_scores_every_pair_in_the_order_of_the_list", match_pairs);
    suite.with_shared_and_models("match_counts_failures_to_acquire_apart", match_failures);
    suite.with_shared_and_models("match_takes_the_largest_or_the_centre_face", match_faces);
    suite.with_shared_and_models("match_accuracy_over_folds_and_after_training", match_accuracy);
    suite.with_shared_and_models("match_people_compares_all_with_all", match_people);
    suite.with_shared_and_models("match_rates_by_group_are_counted_from_its_scores", match_groups);
    suite.with_shared_and_models("match_resumes_where_it_was_killed", match_resumes);
    suite.with_shared_and_models("liveness_resumes_where_it_was_killed", liveness_resumes);
    suite.with_shared_and_models(
        "a_journal_of_another_setup_is_refused_and_none_is_kept_unasked",
        wrong_journals,
    );
    suite.with_shared_and_models("liveness_rates_are_counted_from_its_scores", liveness);
    suite.with_shared_and_models(
        "liveness_rates_by_group_are_counted_from_its_scores",
        liveness_groups,
    );
    gallery::tests(&mut suite);
    suite.run()
}

fn eval<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Ended, Failed> {
    Process::run(likeness().arg("eval").args(arguments))
}

/// Runs to success.
fn evaluated<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<String, Failed> {
    let eval = std::iter::once(OsString::from("eval"));
    succeeds(eval.chain(arguments.into_iter().map(|argument| argument.as_ref().to_owned())))
}

/// Rows of a CSV file without quoting.
fn rows(path: &Path) -> Result<Vec<Vec<String>>, Failed> {
    let text = std::fs::read_to_string(path)?;
    Ok(text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect())
}

fn usage() -> Outcome {
    let cases: [(&[&str], &str); 17] = [
        (&[], "Usage"),
        (&["match"], "--pairs"),
        (&["match", "--pairs", "a", "--people", "b"], "cannot be used with"),
        (&["match", "--list", "a", "--images", "b"], "cannot be used with"),
        (&["match", "--list", "a", "--all-pairs"], "cannot be used with"),
        (&["match", "--images", "a", "--root", "b"], "cannot be used with"),
        (&["match", "--list", "a", "--train", "b"], "cannot be used with"),
        (&["match", "--pairs", "a", "--folds", "1"], "--folds"),
        (
            &["match", "--people", "a", "--folds", "10"],
            "cannot be used with",
        ),
        (
            &["match", "--pairs", "a", "--face", "left"],
            "[possible values: largest, centre]",
        ),
        (&["match", "--people", "a", "--write-pairs"], "--out"),
        (&["match", "--pairs", "a", "--resume"], "--out"),
        (&["match", "--pairs", "a", "--gallery", "3"], "--out"),
        (
            &["match", "--pairs", "a", "--out", "b", "--gallery", "201"],
            "must be a number from 1 to 200",
        ),
        (
            &["liveness", "--labels", "a", "--out", "b", "--gallery", "0"],
            "must be a number from 1 to 200",
        ),
        (&["liveness"], "--labels"),
        (&["liveness", "--labels", "a", "--resume"], "--out"),
    ];
    for_each(
        cases.map(|case| (case.0.join(" "), case)),
        |(arguments, expected)| {
            let ended = eval(arguments)?;
            ensure!(ended.code == Some(2) && ended.stdout.is_empty(), "{ended:?}");
            ensure!(ended.stderr.contains(expected), "{ended:?}");
            Ok(())
        },
    )
}

fn wrong_lists() -> Outcome {
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("pairs.csv");
    let arguments = [OsStr::new("match"), OsStr::new("--pairs"), list.as_os_str()];
    let ended = eval(arguments)?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("pairs.csv"),
        "{ended:?}"
    );
    for (text, expected) in [
        (
            "left,right\na,b\n",
            "pairs.csv:1: the header has no column \"label\"",
        ),
        (
            "left,right,label\na,b,1\n\nc,d,yes\n",
            "pairs.csv:4: label is \"yes\"",
        ),
        ("left,right,label\n", "the list has no pair"),
    ] {
        std::fs::write(&list, text)?;
        let ended = eval(arguments)?;
        ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{ended:?}");
        ensure!(ended.stderr.contains(expected), "{ended:?}");
    }
    Ok(())
}

fn match_pairs(shared: &Path) -> Outcome {
    let list = shared.join("data/faces/pairs.csv");
    let folder = tempfile::tempdir()?;
    // A folder that is not there yet is made.
    let outs = [folder.path().join("deeper/one"), folder.path().join("many")];
    let mut printed = Vec::new();
    for (out, workers) in outs.iter().zip(["1", "3"]) {
        let arguments = [
            OsStr::new("match"),
            OsStr::new("--pairs"),
            list.as_os_str(),
            OsStr::new("--out"),
            out.as_os_str(),
            OsStr::new("--workers"),
            OsStr::new(workers),
        ];
        printed.push(evaluated(arguments)?);
    }
    // The same from one thread and from several, to the last byte.
    ensure!(
        printed[0] == printed[1],
        "{}\ninstead of\n{}",
        printed[1],
        printed[0]
    );
    for file in ["scores.csv", "report.json", "report.html"] {
        let same = std::fs::read(outs[0].join(file))? == std::fs::read(outs[1].join(file))?;
        ensure!(same, "{file} differs");
    }

    let (listed, scored) = (rows(&list)?, rows(&outs[0].join("scores.csv"))?);
    let header = scored.first().map(|header| header.join(","));
    let expected = "left,right,label,similarity,confidence,decision,left_status,right_status";
    ensure!(header.as_deref() == Some(expected), "{header:?}");
    ensure!(listed.len() == scored.len(), "{} rows", scored.len());
    for (pair, row) in listed.iter().zip(&scored).skip(1) {
        ensure!(
            row[..3] == pair[..] && row[6..] == ["ok", "ok"],
            "{row:?} for {pair:?}"
        );
        let confidence: f64 = row[4].parse()?;
        let decision = match confidence {
            0.56.. => "pass",
            0.4.. => "review",
            _ => "reject",
        };
        ensure!(row[5] == decision, "{row:?}");
    }

    // The report counts what scores.csv has.
    let report = support::report::report(&outs[0])?;
    let reached = |label: &str, threshold: f64| -> Result<(f64, f64), Failed> {
        let scores: Vec<f64> = scored
            .iter()
            .filter(|row| row[2] == label)
            .map(|row| row[3].parse())
            .collect::<Result<_, _>>()?;
        let reached = scores.iter().filter(|&&score| score >= threshold).count();
        Ok((reached as f64, scores.len() as f64))
    };
    ensure!(number(&report, "/comparisons/genuine")? == 31.0, "{report}");
    ensure!(number(&report, "/comparisons/impostor")? == 245.0, "{report}");
    for profile in 0..3 {
        for bound in ["reject_below", "review_below"] {
            let at = format!("/profiles/{profile}/{bound}");
            let threshold = number(&report, &format!("{at}/similarity"))?;
            let (genuine, all) = reached("1", threshold)?;
            let rate = number(&report, &format!("{at}/false_non_match_rate/value"))?;
            ensure!((rate - (1.0 - genuine / all)).abs() < 1e-12, "{at}: {rate}");
            let (impostor, all) = reached("0", threshold)?;
            let rate = number(&report, &format!("{at}/false_match_rate/value"))?;
            ensure!((rate - impostor / all).abs() < 1e-12, "{at}: {rate}");
        }
    }
    what_if(&report, reached)?;
    let page = std::fs::read_to_string(outs[0].join("report.html"))?;
    ensure!(page.contains("strict-v0 with one threshold moved"), "{page}");
    ensure!(
        page.contains("insufficient data") && page.matches("<svg").count() == 2,
        "{page}"
    );
    // It needs nothing from elsewhere.
    for outside in ["<script", "<link", "<img", "src=", "@import", "url("] {
        ensure!(!page.contains(outside), "{outside} in report.html");
    }
    // 245 impostor comparisons say nothing of any of the rates.
    for row in 0..6 {
        let at = format!("/at_false_match_rates/{row}");
        let row = report.pointer(&at).ok_or("no such row")?;
        ensure!(
            row["sufficient_data"] == false
                && row["threshold"].is_null()
                && row["false_non_match_rate"].is_null(),
            "{row}"
        );
    }
    let needed = "insufficient data: 30,000 impostor comparisons needed";
    let row = printed[0].lines().find(|line| line.starts_with("1e-3 "));
    ensure!(row.is_some_and(|row| row.ends_with(needed)), "{}", printed[0]);
    ensure!(
        printed[0].contains("31 genuine and 245 impostor comparisons"),
        "{}",
        printed[0]
    );
    Ok(())
}

/// Every row of the what-if table counts what `reached` counts of a label: those at or above a similarity, and all.
fn what_if(report: &Value, reached: impl Fn(&str, f64) -> Result<(f64, f64), Failed>) -> Outcome {
    let rows = report["what_if"].as_array().ok_or("no what-if table")?;
    // 19 steps and 0.56, the only bound that is none; 245 impostor comparisons support no false match rate.
    ensure!(rows.len() == 20, "{} rows", rows.len());
    let bound =
        |profile: usize, name: &str| number(report, &format!("/profiles/{profile}/{name}/similarity"));
    for row in rows {
        let threshold = number(row, "/similarity")?;
        let share = |label: &str, threshold: f64| -> Result<f64, Failed> {
            let (count, all) = reached(label, threshold)?;
            Ok(count / all)
        };
        let mut expected = vec![
            ("/false_match_rate/value".to_owned(), share("0", threshold)?),
            (
                "/false_non_match_rate/value".to_owned(),
                1.0 - share("1", threshold)?,
            ),
        ];
        for profile in 0..3 {
            let (reject, review) = (bound(profile, "reject_below")?, bound(profile, "review_below")?);
            for (name, reject, review) in [
                ("as_reject_below", threshold, review),
                ("as_review_below", reject, threshold),
            ] {
                let at = format!("/profiles/{profile}/{name}");
                if reject > review {
                    ensure!(row.pointer(&at).is_some_and(Value::is_null), "{at} in {row}");
                    continue;
                }
                for (kind, label) in [("genuine", "1"), ("impostor", "0")] {
                    let (pass, not_rejected) = (share(label, review)?, share(label, reject)?);
                    expected.extend([
                        (format!("{at}/{kind}/pass"), pass),
                        (format!("{at}/{kind}/review"), not_rejected - pass),
                        (format!("{at}/{kind}/reject"), 1.0 - not_rejected),
                    ]);
                }
            }
        }
        for (at, expected) in expected {
            let found = number(row, &at)?;
            ensure!((found - expected).abs() < 1e-12, "{at} of {row}, not {expected}");
        }
    }
    let used = |row: &&Value| row["used_as"].as_array().is_some_and(|used| !used.is_empty());
    let confidences: Vec<f64> = rows
        .iter()
        .filter(used)
        .map(|row| number(row, "/confidence"))
        .collect::<Result<_, _>>()?;
    ensure!(confidences == [0.3, 0.4, 0.56, 0.7], "{confidences:?}");
    Ok(())
}

fn match_failures(shared: &Path) -> Outcome {
    let data = shared.join("data");
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("pairs.csv");
    let good = "faces/img2.jpg";
    let flag = "awkward/Flag_of_the_Netherlands-16bit.png";
    std::fs::write(
        &list,
        format!(
            "left,right,label\n{good},faces/img11.jpg,1\n{good},{flag},0\n{good},faces/absent.jpg,1\n\
             awkward-faces/text.jpg,{good},1\nfaces,{good},0\n{flag},{flag},1\n"
        ),
    )?;
    let out = folder.path().join("out");
    let printed = evaluated([
        OsStr::new("match"),
        OsStr::new("--pairs"),
        list.as_os_str(),
        OsStr::new("--root"),
        data.as_os_str(),
        OsStr::new("--out"),
        out.as_os_str(),
    ])?;
    let scored = rows(&out.join("scores.csv"))?;
    let ends: Vec<String> = scored.iter().skip(1).map(|row| row[5..].join(",")).collect();
    ensure!(
        ends == [
            "pass,ok,ok",
            "reject,ok,no_face",
            ",ok,missing",
            ",bad_picture,ok",
            ",unreadable,ok",
            "reject,no_face,no_face"
        ],
        "{ends:?}"
    );
    ensure!(
        scored
            .iter()
            .skip(2)
            .all(|row| row[3].is_empty() && row[4].is_empty()),
        "{scored:?}"
    );
    let report = support::report::report(&out)?;
    for (at, expected) in [
        ("/comparisons/genuine", 1.0),
        ("/comparisons/impostor", 0.0),
        ("/comparisons/genuine_without_score", 3.0),
        ("/comparisons/impostor_without_score", 2.0),
        ("/acquisition/pictures", 6.0),
        // The flag and the text, of those and the two portraits.
        ("/acquisition/failures_to_acquire", 2.0),
        ("/acquisition/failure_to_acquire_rate", 0.5),
        ("/acquisition/by_status/missing", 1.0),
    ] {
        let found = number(&report, at)?;
        ensure!(found == expected, "{at} is {found}");
    }
    ensure!(
        printed.contains(
            "\n2 images (50.00 %); without a score, and in no error rate: 3 genuine and 2 impostor comparisons\n"
        ),
        "{printed}"
    );
    for row in [
        "no_face      1",
        "bad_picture  1",
        "missing      1",
        "unreadable   1",
    ] {
        ensure!(printed.lines().any(|line| line == row), "{row:?} in {printed}");
    }
    Ok(())
}

fn match_faces(shared: &Path) -> Outcome {
    // One person large on the left, another small in the middle.
    let faces = shared.join("data/faces");
    let folder = tempfile::tempdir()?;
    let mut both = image::RgbImage::from_pixel(1200, 600, image::Rgb([127; 3]));
    let large = image::open(faces.join("img2.jpg"))?.crop_imm(450, 50, 650, 800);
    let small = image::open(faces.join("img20.jpg"))?;
    let filter = image::imageops::FilterType::Triangle;
    image::imageops::replace(&mut both, &large.resize_exact(480, 590, filter).to_rgb8(), 0, 5);
    image::imageops::replace(&mut both, &small.resize(220, 220, filter).to_rgb8(), 500, 190);
    both.save(folder.path().join("both.png"))?;
    std::fs::copy(faces.join("img11.jpg"), folder.path().join("large.jpg"))?;
    std::fs::copy(faces.join("img21.jpg"), folder.path().join("small.jpg"))?;
    let list = folder.path().join("pairs.csv");
    std::fs::write(
        &list,
        "left,right,label\nboth.png,large.jpg,1\nboth.png,small.jpg,0\n",
    )?;
    for (face, expected) in [("largest", ["pass", "reject"]), ("centre", ["reject", "pass"])] {
        // Paths begin at the list's own folder where no root is named.
        evaluated([
            OsStr::new("match"),
            OsStr::new("--pairs"),
            list.as_os_str(),
            OsStr::new("--face"),
            OsStr::new(face),
            OsStr::new("--out"),
            folder.path().as_os_str(),
        ])?;
        let scored = rows(&folder.path().join("scores.csv"))?;
        let found: Vec<&str> = scored.iter().skip(1).map(|row| row[5].as_str()).collect();
        ensure!(found == expected, "{face}: {scored:?}");
    }
    Ok(())
}

fn match_accuracy(shared: &Path) -> Outcome {
    let list = shared.join("data/faces/pairs.csv");
    let folder = tempfile::tempdir()?;
    let base = [OsStr::new("match"), OsStr::new("--pairs"), list.as_os_str()];
    let out = [OsStr::new("--out"), folder.path().as_os_str()];
    // Every genuine pair is above every impostor pair, but the lowest one is below the threshold of the other folds.
    let folds = [OsStr::new("--folds"), OsStr::new("10")];
    let printed = evaluated(base.iter().chain(&folds).chain(&out))?;
    ensure!(
        printed.contains("accuracy over 10 folds: 0.9964 ± 0.0036"),
        "{printed}"
    );
    let report = support::report::report(folder.path())?;
    let thresholds = report["accuracy"]["thresholds"].as_array().map_or(0, Vec::len);
    ensure!(thresholds == 10, "{report}");

    let train = [OsStr::new("--train"), list.as_os_str()];
    let printed = evaluated(base.iter().chain(&train))?;
    ensure!(
        printed.contains("best threshold of the training pairs, 0.1") && printed.contains(": 1.0000\n"),
        "{printed}"
    );

    let folds = [OsStr::new("--folds"), OsStr::new("277")];
    let ended = eval(base.iter().chain(&folds))?;
    ensure!(
        ended.code == Some(1)
            && ended
                .stderr
                .contains("276 comparisons cannot be divided into 277 folds"),
        "{ended:?}"
    );
    Ok(())
}

fn match_people(shared: &Path) -> Outcome {
    let faces = shared.join("data/faces");
    let folder = tempfile::tempdir()?;
    let people = folder.path().join("people");
    for (person, pictures) in [
        ("a", &["img4.jpg", "img2.jpg", "img11.jpg"][..]),
        ("b", &["img16.jpg", "img17.jpg"]),
        ("c", &["img20.jpg", "img21.jpg"]),
    ] {
        std::fs::create_dir_all(people.join(person))?;
        for picture in pictures {
            std::fs::copy(faces.join(picture), people.join(person).join(picture))?;
        }
    }
    std::fs::write(people.join("c/empty.jpg"), b"")?;
    let out = folder.path().join("out");
    let base = [
        OsStr::new("match"),
        OsStr::new("--people"),
        people.as_os_str(),
        OsStr::new("--out"),
        out.as_os_str(),
    ];
    evaluated(base)?;
    ensure!(!out.join("scores.csv").exists(), "pairs were written unasked");
    let first = support::report::report(&out)?;
    evaluated(base.iter().chain(&[OsStr::new("--write-pairs")]))?;
    let report = support::report::report(&out)?;
    ensure!(report == first, "{report}\ninstead of\n{first}");
    for (at, expected) in [
        ("/people", 3.0),
        ("/acquisition/pictures", 8.0),
        ("/acquisition/failures_to_acquire", 1.0),
        ("/comparisons/genuine", 5.0),
        ("/comparisons/impostor", 16.0),
        ("/comparisons/genuine_without_score", 2.0),
        ("/comparisons/impostor_without_score", 5.0),
        ("/equal_error_rate/rate/value", 0.0),
    ] {
        let found = number(&report, at)?;
        ensure!(found == expected, "{at} is {found}");
    }
    // The same similarities as pair by pair, which are summed in double precision.
    let scored = rows(&out.join("scores.csv"))?;
    ensure!(scored.len() == 22, "{} rows", scored.len());
    let list = folder.path().join("pairs.csv");
    let lines: String = scored
        .iter()
        .map(|row| format!("{}\n", row[..3].join(",")))
        .collect();
    std::fs::write(&list, lines)?;
    let again = folder.path().join("again");
    evaluated([
        OsStr::new("match"),
        OsStr::new("--pairs"),
        list.as_os_str(),
        OsStr::new("--root"),
        people.as_os_str(),
        OsStr::new("--out"),
        again.as_os_str(),
    ])?;
    for (row, pair) in scored.iter().zip(&rows(&again.join("scores.csv"))?).skip(1) {
        let (a, b): (f64, f64) = (row[3].parse()?, pair[3].parse()?);
        ensure!((a - b).abs() < 1e-6 && row[5] == pair[5], "{row:?} and {pair:?}");
    }
    Ok(())
}

/// The figures of a kind of error in a report: each group's trials and rate.
fn by_group(rates: &Value) -> Result<Vec<(String, f64, Option<f64>)>, Failed> {
    let groups = rates["groups"].as_array().ok_or("no groups")?;
    let one = |group: &Value| {
        let name = group["group"].as_str().unwrap_or_default().to_owned();
        let rate = group.pointer("/rate/value").and_then(Value::as_f64);
        Ok((name, number(group, "/trials")?, rate))
    };
    groups.iter().map(one).collect()
}

/// Returns the number of those that hold and of all.
fn share(of: impl Iterator<Item = bool>) -> (f64, f64) {
    of.fold((0.0, 0.0), |(those, all), holds| {
        (those + f64::from(u8::from(holds)), all + 1.0)
    })
}

fn match_groups(shared: &Path) -> Outcome {
    let data = shared.join("data/people-groups");
    let folder = tempfile::tempdir()?;
    // Twelve images of each of two groups, 66 comparisons within each, two of a third, and one that shows no face. There are
    // no people: each image counts as one.
    let listed = rows(&data.join("groups.csv"))?;
    let mut lines = String::from("file,group\n");
    for (group, count) in [("asian-female", 12), ("white-male", 12), ("black-male", 2)] {
        let of_group = listed.iter().filter(|row| row[1] == group).take(count);
        lines.extend(of_group.map(|row| format!("{},{group}\n", row[0])));
    }
    lines.push_str("../../awkward/Flag_of_the_Netherlands-16bit.png,black-male\n");
    let list = folder.path().join("list.csv");
    std::fs::write(&list, &lines)?;
    let (root, out) = (data.join("test"), folder.path().join("out"));
    let base = [
        OsStr::new("match"),
        OsStr::new("--list"),
        list.as_os_str(),
        OsStr::new("--root"),
        root.as_os_str(),
        OsStr::new("--face"),
        OsStr::new("centre"),
        OsStr::new("--write-pairs"),
        OsStr::new("--out"),
    ];
    let printed = evaluated(base.iter().copied().chain([out.as_os_str()]))?;
    let report = support::report::report(&out)?;
    ensure!(report["people_known_from"] == "images", "{report}");
    for (at, expected) in [
        ("/people", 27.0),
        ("/comparisons/genuine", 0.0),
        ("/comparisons/impostor", 325.0),
        ("/groups/groups/0/comparisons/impostor", 66.0),
        ("/groups/groups/2/pictures", 3.0),
        ("/groups/groups/2/comparisons/impostor", 1.0),
        ("/groups/groups/2/comparisons/impostor_without_score", 2.0),
        ("/groups/impostor_comparisons_across", 192.0),
    ] {
        let found = number(&report, at)?;
        ensure!(found == expected, "{at} is {found}");
    }
    let scored = rows(&out.join("scores.csv"))?;
    let group = |file: &str| file.split('/').next().unwrap_or_default().to_owned();
    let scored: Vec<(String, String, f64)> = scored
        .iter()
        .skip(1)
        .map(|row| Ok((group(&row[0]), group(&row[1]), row[3].parse()?)))
        .collect::<Result<_, Failed>>()?;
    let thresholds = report["groups"]["at_thresholds"]
        .as_array()
        .ok_or("no thresholds")?;
    ensure!(!thresholds.is_empty(), "{report}");
    for at in thresholds {
        let similarity = number(at, "/similarity")?;
        for (group, trials, rate) in by_group(&at["false_match_rate"])? {
            let within = scored.iter().filter(|(a, b, _)| *a == group && *b == group);
            let (reached, all) = share(within.map(|(.., score)| *score >= similarity));
            ensure!(trials == all, "{group}: {trials} instead of {all}");
            let expected = (all >= 30.0).then(|| reached / all);
            ensure!(rate == expected, "{group}: {rate:?} instead of {expected:?}");
        }
        let across = scored.iter().filter(|(a, b, _)| a != b);
        let (reached, all) = share(across.map(|(.., score)| *score >= similarity));
        let found = number(at, "/false_match_rate_across/value")?;
        ensure!((found - reached / all).abs() < 1e-12, "across: {found}");
        ensure!(at["false_non_match_rate"]["mean"].is_null(), "{at}");
    }
    for part in [
        "each image counts as one",
        "impostor comparisons across groups: 192",
        "insufficient data: 1 of 30",
    ] {
        ensure!(printed.contains(part), "no {part:?} in {printed}");
    }
    let page = std::fs::read_to_string(out.join("report.html"))?;
    ensure!(
        page.contains("false match rate by group at confidence 0.56"),
        "{page}"
    );

    // The same groups from a file of their own, which may name more images.
    let without: String = lines
        .lines()
        .map(|line| line.split(',').take(1).collect::<String>() + "\n")
        .collect();
    std::fs::write(&list, without)?;
    let groups = folder.path().join("groups.csv");
    std::fs::write(&groups, lines + "another.jpg,another\n")?;
    let again = folder.path().join("again");
    let more = [again.as_os_str(), OsStr::new("--groups"), groups.as_os_str()];
    evaluated(base.iter().copied().chain(more))?;
    let found = support::report::report(&again)?;
    ensure!(found == report, "{found}\ninstead of\n{report}");

    // An image without a group is an error before any is read.
    std::fs::write(&groups, "file,group\nasian-female/0000.jpg,a\n")?;
    let ended = eval(base.iter().copied().chain(more))?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("26 of the 27 images have no group"),
        "{ended:?}"
    );
    Ok(())
}

fn liveness_groups(shared: &Path) -> Outcome {
    let data = shared.join("data/liveness");
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("labels.csv");
    // The subjects of NUAA in two groups by their number; every second presentation.
    let mut lines = String::from("file,species,person,group\n");
    for row in rows(&data.join("labels.csv"))?.iter().skip(1).step_by(2) {
        let name = row[0].rsplit('/').next().unwrap_or_default();
        let group = match name[..4].parse::<u32>() {
            Ok(subject) if subject % 2 == 0 => "even",
            _ => "odd",
        };
        lines.push_str(&format!("{},{},{},{group}\n", row[0], row[1], &name[..4]));
    }
    std::fs::write(&list, lines)?;
    let out = folder.path().join("out");
    let printed = evaluated([
        OsStr::new("liveness"),
        OsStr::new("--labels"),
        list.as_os_str(),
        OsStr::new("--root"),
        data.as_os_str(),
        OsStr::new("--out"),
        out.as_os_str(),
    ])?;
    let (listed, scored) = (rows(&list)?, rows(&out.join("scores.csv"))?);
    let report = support::report::report(&out)?;
    let mut scores = Vec::new();
    for (label, row) in listed
        .iter()
        .zip(&scored)
        .skip(1)
        .filter(|(_, row)| row[3] == "ok")
    {
        scores.push((label[3].as_str(), row[1].as_str(), row[2].parse::<f64>()?));
    }
    let thresholds = report["groups"]["at_thresholds"]
        .as_array()
        .ok_or("no thresholds")?;
    ensure!(thresholds.len() == 5, "{report}");
    for at in thresholds {
        let threshold = number(at, "/threshold")?;
        let print = at["apcer_by_species"].as_array().ok_or("no species")?.iter();
        let print = print
            .clone()
            .find(|one| one["species"] == "print")
            .ok_or("no prints")?;
        for (species, rates) in [("live", &at["bpcer"]), ("print", &print["apcer"])] {
            for (group, trials, rate) in by_group(rates)? {
                let of = scores.iter().filter(|one| one.0 == group && one.1 == species);
                let (wrong, all) = share(of.map(|one| (one.2 >= threshold) == (species != "live")));
                ensure!(trials == all, "{group}: {trials} instead of {all}");
                let expected = (all >= 30.0).then(|| wrong / all);
                ensure!(rate == expected, "{group}: {rate:?} instead of {expected:?}");
            }
        }
    }
    ensure!(
        printed.contains("APCER print") && printed.contains("worst over best"),
        "{printed}"
    );
    Ok(())
}

fn liveness(shared: &Path) -> Outcome {
    let data = shared.join("data/liveness");
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("labels.csv");
    // Every sixth presentation of the development list; for once with whom it shows, and with what cannot be scored.
    let mut lines = String::from("file,species,person\n");
    for row in rows(&data.join("labels.csv"))?.iter().skip(1).step_by(6) {
        let name = row[0].rsplit('/').next().unwrap_or_default();
        lines.push_str(&format!("{},{},{}\n", row[0], row[1], &name[..4]));
    }
    lines.push_str("../awkward/Flag_of_the_Netherlands-16bit.png,print,flag\nabsent.jpg,live,nobody\n");
    std::fs::write(&list, &lines)?;
    let out = folder.path().join("out");
    let printed = evaluated([
        OsStr::new("liveness"),
        OsStr::new("--labels"),
        list.as_os_str(),
        OsStr::new("--root"),
        data.as_os_str(),
        OsStr::new("--out"),
        out.as_os_str(),
    ])?;
    let (listed, scored) = (rows(&list)?, rows(&out.join("scores.csv"))?);
    ensure!(
        scored[0].join(",") == "file,species,liveness,status",
        "{:?}",
        scored[0]
    );
    ensure!(listed.len() == scored.len(), "{} rows", scored.len());
    for (label, row) in listed.iter().zip(&scored).skip(1) {
        ensure!(label[..2] == row[..2], "{row:?} for {label:?}");
    }
    let ends: Vec<&str> = scored.iter().rev().take(2).map(|row| row[3].as_str()).collect();
    ensure!(ends == ["missing", "no_face"], "{ends:?}");

    let report = support::report::report(&out)?;
    let of = |species: &str| -> Result<Vec<f64>, Failed> {
        let found = scored.iter().filter(|row| row[1] == species && row[3] == "ok");
        Ok(found.map(|row| row[2].parse()).collect::<Result<_, _>>()?)
    };
    let (live, print) = (of("live")?, of("print")?);
    ensure!(
        live.len() >= 20 && print.len() >= 20,
        "{} and {}",
        live.len(),
        print.len()
    );
    for (index, threshold) in [0.3, 0.4, 0.5, 0.6, 0.8].into_iter().enumerate() {
        let at = format!("/at_thresholds/{index}");
        ensure!(number(&report, &format!("{at}/threshold"))? == threshold, "{at}");
        let below = live.iter().filter(|&&score| score < threshold).count() as f64;
        let bpcer = number(&report, &format!("{at}/bpcer/value"))?;
        ensure!((bpcer - below / live.len() as f64).abs() < 1e-12, "{at}: {bpcer}");
        let passed = print.iter().filter(|&&score| score >= threshold).count() as f64;
        let apcer = number(&report, &format!("{at}/apcer"))?;
        ensure!(apcer >= passed / print.len() as f64, "{at}: {apcer}");
    }
    let rows = report["what_if"].as_array().ok_or("no what-if table")?;
    ensure!(rows.len() == 19, "{} rows", rows.len());
    for row in rows {
        let threshold = number(row, "/threshold")?;
        let below = live.iter().filter(|&&score| score < threshold).count() as f64;
        let bpcer = number(row, "/bpcer/value")?;
        ensure!((bpcer - below / live.len() as f64).abs() < 1e-12, "{row}");
        let prints = row["apcer_by_species"].as_array().map_or(&[][..], Vec::as_slice);
        let prints = prints
            .iter()
            .find(|apcer| apcer["species"] == "print")
            .ok_or("no prints")?;
        let passed = print.iter().filter(|&&score| score >= threshold).count() as f64;
        let apcer = number(prints, "/apcer/value")?;
        ensure!((apcer - passed / print.len() as f64).abs() < 1e-12, "{row}");
    }
    // The flag is a presentation without a response, the absent file is none at all.
    for (at, expected) in [
        ("/bona_fide_non_response/count", 0.0),
        ("/bona_fide_non_response/presentations", live.len() as f64),
        ("/acquisition/by_status/missing", 1.0),
    ] {
        let found = number(&report, at)?;
        ensure!(found == expected, "{at} is {found}");
    }
    let species = report["species"].as_array().ok_or("no species")?;
    let prints = species
        .iter()
        .find(|species| species["species"] == "print")
        .ok_or("no prints")?;
    ensure!(
        number(prints, "/non_response/count")? == 1.0 && prints["bpcer_at"][2]["sufficient_data"] == false,
        "{prints}"
    );
    ensure!(
        printed.contains("  insufficient data: 100 attack presentations needed  "),
        "{printed}"
    );
    ensure!(printed.contains("bootstrap over people"), "{printed}");
    Ok(())
}

/// Starts an evaluation with `--resume` and kills it as soon as its journal has grown to `bytes`.
fn killed(arguments: &[&OsStr], journal: &Path, bytes: u64) -> Result<Vec<u8>, Failed> {
    let mut process = Process::start(likeness().arg("eval").args(arguments).arg("--resume"))?;
    let deadline = Instant::now() + TIMEOUT;
    while std::fs::metadata(journal).map_or(0, |metadata| metadata.len()) < bytes {
        let said = process.stdout.text() + &process.stderr.text();
        ensure!(said.is_empty(), "it ended before it was killed:\n{said}");
        ensure!(Instant::now() < deadline, "the journal does not grow");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill();
    Ok(std::fs::read(journal)?)
}

/// Kills an evaluation twice, cuts off the journal's last line, resumes, and expects the files of an uninterrupted run.
fn resumes(arguments: &[&OsStr], journal: &str, files: &[&str], line: u64) -> Outcome {
    let folder = tempfile::tempdir()?;
    let (plain, resumed) = (folder.path().join("plain"), folder.path().join("resumed"));
    let with = |out: &'_ Path| -> Vec<std::ffi::OsString> {
        let mut all: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        all.extend(["--out".into(), out.into()]);
        all
    };
    let expected = evaluated(with(&plain))?;
    ensure!(!plain.join(journal).exists(), "{journal} was kept unasked");

    let journal = resumed.join(journal);
    let arguments = with(&resumed);
    let arguments: Vec<&OsStr> = arguments.iter().map(std::ffi::OsString::as_os_str).collect();
    // The header has a few hundred bytes.
    let first = killed(&arguments, &journal, 600 + 4 * line)?;
    ensure!(
        !resumed.join("report.json").exists(),
        "it was not killed in mid-run"
    );
    // In the middle of the last line.
    std::fs::write(&journal, &first[..first.len() - 5])?;
    let second = killed(&arguments, &journal, first.len() as u64 + 2 * line)?;
    ensure!(
        !resumed.join("report.json").exists(),
        "it was not killed in mid-run"
    );
    let whole = first[..first.len() - 5].iter().rposition(|byte| *byte == b'\n');
    let kept = whole.ok_or("no line")? + 1;
    ensure!(second[..kept] == first[..kept], "the intact lines were not kept");

    let printed = evaluated(arguments.iter().chain(&[OsStr::new("--resume")]))?;
    ensure!(printed == expected, "{printed}\ninstead of\n{expected}");
    for file in files {
        let same = std::fs::read(plain.join(file))? == std::fs::read(resumed.join(file))?;
        ensure!(same, "{file} differs");
    }
    let mut there: Vec<_> = std::fs::read_dir(&resumed)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    there.sort();
    let mut files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
    files.sort();
    ensure!(there == files, "{there:?} after success");
    Ok(())
}

/// The bytes of a journal's line for so many numbers, in hexadecimal with key, status and checksum.
const fn line(numbers: u64) -> u64 {
    96 + 8 * numbers
}

const EMBEDDING_LINE: u64 = line(256);
const SCORE_LINE: u64 = line(1);

/// The first pairs of LFW's training list: enough images for no run to end before it is killed.
fn lfw_pairs(shared: &Path, folder: &Path) -> Result<(PathBuf, PathBuf), Failed> {
    let lfw = shared.join("data/lfw-dev");
    let list = folder.join("lfw.csv");
    let lines: Vec<String> = rows(&lfw.join("pairs-train.csv"))?
        .iter()
        .take(81)
        .map(|row| row.join(",") + "\n")
        .collect();
    std::fs::write(&list, lines.concat())?;
    Ok((list, lfw.join("images")))
}

fn match_resumes(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let (list, root) = lfw_pairs(shared, folder.path())?;
    let faces = shared.join("data/faces/pairs.csv");
    let base = [
        OsStr::new("match"),
        OsStr::new("--pairs"),
        list.as_os_str(),
        OsStr::new("--root"),
        root.as_os_str(),
    ];
    // Two lists share one journal; images that are missing at this root are looked for again.
    let training = [OsStr::new("--train"), faces.as_os_str()];
    let all = [
        "--all-pairs",
        "--write-pairs",
        "--face",
        "centre",
        "--workers",
        "3",
    ]
    .map(OsStr::new);
    let files = ["scores.csv", "report.json", "report.html"];
    for_each([("training", &training[..]), ("all pairs", &all[..])], |more| {
        let arguments: Vec<&OsStr> = base.iter().chain(more).copied().collect();
        resumes(&arguments, "embeddings.partial", &files, EMBEDDING_LINE)
    })
}

fn liveness_resumes(shared: &Path) -> Outcome {
    let data = shared.join("data/liveness");
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("labels.csv");
    let lines: Vec<String> = rows(&data.join("labels.csv"))?
        .iter()
        .enumerate()
        .filter(|(index, _)| *index == 0 || index % 3 == 1)
        .map(|(_, row)| row.join(",") + "\n")
        .collect();
    std::fs::write(&list, lines.concat() + "absent.jpg,live\n")?;
    let arguments = [
        OsStr::new("liveness"),
        OsStr::new("--labels"),
        list.as_os_str(),
        OsStr::new("--root"),
        data.as_os_str(),
    ];
    let files = ["scores.csv", "report.json", "report.html"];
    resumes(&arguments, "scores.partial", &files, SCORE_LINE)
}

fn wrong_journals(shared: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let (list, root) = lfw_pairs(shared, folder.path())?;
    let out = folder.path().join("out");
    let journal = out.join("embeddings.partial");
    let base = [
        OsStr::new("match"),
        OsStr::new("--pairs"),
        list.as_os_str(),
        OsStr::new("--root"),
        root.as_os_str(),
        OsStr::new("--out"),
        out.as_os_str(),
    ];
    let bytes = killed(&base, &journal, 600 + EMBEDDING_LINE)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&journal)?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{mode:o}");
    }
    // Another face counts: the journal is refused, and not overwritten.
    let other = [OsStr::new("--resume"), OsStr::new("--face"), OsStr::new("centre")];
    let ended = eval(base.iter().chain(&other))?;
    ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{ended:?}");
    for part in [
        "embeddings.partial: started with another setup",
        "face was \"largest\", is now \"centre\"",
        "delete the file to start over",
    ] {
        ensure!(ended.stderr.contains(part), "{ended:?}");
    }
    ensure!(std::fs::read(&journal)? == bytes, "the journal was changed");

    // A run without --resume warns of it and does not touch it.
    let ended = eval(base)?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure!(
        ended.stderr.contains(
            "embeddings.partial of an interrupted run: resume it with --resume, or delete the file"
        ),
        "{ended:?}"
    );
    ensure!(std::fs::read(&journal)? == bytes, "the journal was changed");
    let report = std::fs::read(out.join("report.json"))?;

    // Corrupt lines are measured again.
    let mut damaged = bytes.clone();
    if let Some(byte) = damaged.iter_mut().rev().nth(100) {
        *byte ^= 1;
    }
    std::fs::write(&journal, damaged)?;
    evaluated(base.iter().chain(&[OsStr::new("--resume")]))?;
    ensure!(
        std::fs::read(out.join("report.json"))? == report,
        "another report"
    );
    ensure!(!journal.exists(), "the journal is left");
    Ok(())
}
