//! Domains of throw-away mailboxes, which anybody can read.

use std::{collections::HashSet, path::Path, sync::LazyLock};

/// One domain a line, lower case; `#` begins a comment.
static BUILT_IN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| domains(include_str!("disposable.txt")).collect());

fn domains(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty())
}

/// The compiled-in list and what a deployment adds to it.
#[derive(Debug, Clone, Default)]
pub struct Disposable {
    added: HashSet<String>,
}

/// A file of further domains cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadDomains(String);

impl Disposable {
    /// Reads further domains from a file, a line each; `#` begins a comment.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no domain name.
    pub fn with_file(path: &Path) -> Result<Self, BadDomains> {
        let text = std::fs::read_to_string(path).map_err(|e| BadDomains(format!("{}: {e}", path.display())))?;
        let mut added = HashSet::new();
        for line in domains(&text) {
            let domain = idna::domain_to_ascii_strict(line).ok().filter(|domain| domain.contains('.'));
            added.insert(domain.ok_or_else(|| BadDomains(format!("{}: {line} is no domain", path.display())))?);
        }
        Ok(Self { added })
    }

    /// Whether the domain, in its ASCII form, or one that it lies under is on the lists.
    #[must_use]
    pub fn contains(&self, domain: &str) -> bool {
        let parents = std::iter::successors(Some(domain), |rest| rest.split_once('.').map(|(_, parent)| parent));
        parents.into_iter().any(|name| BUILT_IN.contains(name) || self.added.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_domain_and_all_under_it_are_disposable() {
        let list = Disposable::default();
        for listed in ["mailinator.com", "x.mailinator.com", "a.b.guerrillamail.com"] {
            assert!(list.contains(listed), "{listed}");
        }
        for other in ["gmail.com", "example.com", "anothermailinator.com", "com", ""] {
            assert!(!list.contains(other), "{other}");
        }
        assert!(BUILT_IN.len() > 10_000);
    }

    #[test]
    fn a_file_adds_to_the_list_and_its_faults_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("domains.txt");
        std::fs::write(&path, "# ours\nthrowaway.example # of 2026\n\nBÜCHER.example\n").unwrap();
        let list = Disposable::with_file(&path).unwrap();
        assert!(list.contains("throwaway.example") && list.contains("mailinator.com"));
        assert!(list.contains("xn--bcher-kva.example"));
        std::fs::write(&path, "not a domain\n").unwrap();
        assert!(Disposable::with_file(&path).unwrap_err().to_string().contains("not a domain"));
        assert!(Disposable::with_file(&folder.path().join("none")).is_err());
    }
}
