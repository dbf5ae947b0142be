//! Helpers for the wording of messages.

/// `count` and `noun` in the right number: with `"rank"`, "1 rank" or "2 ranks".
pub fn plural(count: usize, noun: &str) -> String {
    format!("{count} {}", noun_for(count, noun))
}

/// `noun` in the form that follows `count`, for a number that is formatted separately, as in "1,234 samples".
pub fn noun_for(count: usize, noun: &str) -> String {
    let ending = match noun.chars().last() {
        _ if count == 1 => "",
        Some('s' | 'h' | 'x') => "es",
        _ => "s",
    };
    format!("{noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        assert_eq!(plural(1, "rank"), "1 rank");
        assert_eq!(
            [0, 2, 11].map(|n| plural(n, "compute thread")).join(", "),
            "0 compute threads, 2 compute threads, 11 compute threads"
        );
        assert_eq!([1, 2].map(|n| plural(n, "process")).join(", "), "1 process, 2 processes");
        assert_eq!(noun_for(1, "sample") + &noun_for(0, "batch"), "samplebatches");
    }
}
