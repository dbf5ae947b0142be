//! The subset of Markdown that the documentation uses: links, headings, and commands in fenced code.

use std::collections::{HashMap, HashSet};

/// A link as it is written.
pub struct Link {
    /// The visible text.
    pub text: String,
    /// The target.
    pub target: String,
}

/// The page without fenced code, lines kept apart.
fn prose(page: &str) -> String {
    let mut is_code = false;
    let outside = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    page.lines().filter(outside).collect::<Vec<_>>().join("\n")
}

/// The links of a page, in order.
pub fn links(page: &str) -> Vec<Link> {
    prose(page).split("\n\n").flat_map(links_of_paragraph).collect()
}

fn links_of_paragraph(paragraph: &str) -> Vec<Link> {
    let link = |(middle, _): (usize, &str)| {
        let (before, after) = (&paragraph[..middle], &paragraph[middle + 2..]);
        // Within a code span it is no link.
        if before.matches('`').count() % 2 == 1 {
            return None;
        }
        let mut open = 1;
        let start = before.rfind(|letter| {
            open += match letter {
                ']' => 1,
                '[' => -1,
                _ => 0,
            };
            open == 0
        })?;
        let (target, _) = after.split_once(')')?;
        let text = before[start + 1..].split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Link { text, target: target.into() })
    };
    paragraph.match_indices("](").filter_map(link).collect()
}

/// The anchors of a page's headings, by the rules of GitHub, which mdBook shares.
pub fn anchors(page: &str) -> HashSet<String> {
    let mut seen = HashMap::new();
    let heading = |line: &str| Some(line.trim_start_matches('#').strip_prefix(' ')?.trim().to_owned());
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#')).filter_map(heading);
    let numbered = headings.map(|heading| {
        let anchor = anchor(&heading);
        let before = seen.entry(anchor.clone()).or_insert(0);
        *before += 1;
        if *before == 1 { anchor } else { format!("{anchor}-{}", *before - 1) }
    });
    numbered.collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

/// The lines of a page's shell code.
pub fn commands(page: &str) -> Vec<&str> {
    let mut language = None;
    let mut commands = Vec::new();
    for line in page.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(name), None) => language = Some(name),
            (Some(_), Some(_)) => language = None,
            (None, Some("sh")) => commands.push(line),
            (None, _) => {}
        }
    }
    commands
}

#[test]
fn pages_are_read_as_they_are_written() {
    let page = "# A `b::c` [d]\nsee [`x`\n  y](z.md#e) and `[no](link)`\n```sh\nrun # it\n[no](link)\n```\n## A\n## A";
    let found: Vec<_> = links(page).into_iter().map(|link| (link.text, link.target)).collect();
    assert_eq!(found, [("`x` y".into(), "z.md#e".into())]);
    assert_eq!(anchors(page), HashSet::from(["a-bc-d", "a", "a-1"].map(String::from)));
    assert_eq!(commands(page), ["run # it", "[no](link)"]);
}
