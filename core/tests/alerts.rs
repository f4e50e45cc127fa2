//! ops/alerts.yml speaks of metrics that there are, each rule leads to a section of the runbook, and promtool's tests
//! fire each of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use otp_core::metrics::{ALL, Kind, Metric};

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(checkout(path)).unwrap()
}

/// What stands behind a key, line by line.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| Some(line.trim().trim_start_matches("- ").strip_prefix(key)?.trim()))
}

fn metric(name: &str) -> Option<&'static Metric> {
    let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let of_histogram = |base: &str| ALL.iter().find(|metric| metric.name == base && metric.kind == Kind::Histogram);
    ALL.iter().find(|metric| metric.name == name).or_else(|| of_histogram(histogram?))
}

#[test]
fn every_metric_and_label_of_an_alert_is_one_that_is_measured() {
    let alerts = read("ops/alerts.yml");
    let mut seen = 0;
    for expr in values(&alerts, "expr:") {
        for (at, _) in expr.match_indices("otp_") {
            let rest = &expr[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let found = metric(&rest[..end]);
            assert!(found.is_some(), "{} is measured nowhere: {expr}", &rest[..end]);
            let labels = rest[end..].strip_prefix('{').map_or("", |inside| inside.split('}').next().unwrap());
            for label in labels.split(',').filter_map(|pair| pair.split(['=', '!']).next()).filter(|l| !l.is_empty()) {
                let known =
                    found.unwrap().labels.contains(&label.trim()) || rest[..end].ends_with("_bucket") && label == "le";
                assert!(known, "{} has no label {label}", &rest[..end]);
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "the rules were not found");
}

#[test]
fn every_alert_leads_to_a_section_of_the_runbook_and_has_a_test() {
    let (alerts, tests) = (read("ops/alerts.yml"), read("ops/alerts.test.yml"));
    let anchor = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_ascii_alphanumeric() || [' ', '-'].contains(c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let runbook = read("docs/RUNBOOK.md");
    let sections: BTreeSet<String> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    let names: Vec<&str> = values(&alerts, "alert:").collect();
    let links: Vec<&str> = values(&alerts, "runbook:").collect();
    assert_eq!(names.len(), links.len(), "an alert without a runbook");
    for link in links {
        let section = link.strip_prefix("docs/RUNBOOK.md#").unwrap();
        assert!(sections.contains(section), "the runbook has no section {section}: {sections:?}");
    }
    for name in names {
        assert!(tests.contains(name), "{name} has no test in ops/alerts.test.yml");
    }
}

#[test]
fn promtool_finds_the_rules_good_and_their_tests_pass() {
    for arguments in [["check", "rules", "ops/alerts.yml"], ["test", "rules", "ops/alerts.test.yml"]] {
        let run = Command::new("promtool").args(arguments).current_dir(checkout("")).output();
        let run = run.map_err(|e| format!("promtool, which `make setup-test` installs, does not start: {e}")).unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    }
}
