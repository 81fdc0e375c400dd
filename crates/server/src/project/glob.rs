//! Globs of module rules as regular expressions, as wrangler reads them (`glob-to-regexp`): only `*` means something.

/// For the text of an import: any star is anything, slashes too.
pub(super) fn import_pattern(glob: &str) -> String {
    pattern(glob, |_, _, _| (".*", false))
}

/// For a path below a directory: `**` between slashes is any directories, other stars stay within a name.
pub(super) fn path_pattern(glob: &str) -> String {
    pattern(glob, |stars, before, after| {
        let is_globstar = stars > 1 && before.is_none_or(|c| c == '/') && after.is_none_or(|c| c == '/');
        if is_globstar { ("(?:(?:[^/]*(?:/|$))*)", true) } else { ("[^/]*", false) }
    })
}

/// `star` gets how many stars and what is around them; says what they become, and whether the next character is in it.
fn pattern(glob: &str, star: impl Fn(usize, Option<char>, Option<char>) -> (&'static str, bool)) -> String {
    let chars: Vec<char> = glob.chars().collect();
    let mut text = String::from("^");
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c == '*' {
            let stars = chars[at..].iter().take_while(|c| **c == '*').count();
            let before = at.checked_sub(1).map(|index| chars[index]);
            at += stars;
            let (becomes, takes_next) = star(stars, before, chars.get(at).copied());
            text.push_str(becomes);
            at += usize::from(takes_next);
        } else {
            if !c.is_alphanumeric() && c.is_ascii() {
                text.push('\\');
            }
            text.push(c);
            at += 1;
        }
    }
    text.push('$');
    text
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn imports_match_from_end_to_end() {
        for (glob, text, expected) in [
            ("**/*.txt", "./a.txt", true),
            ("**/*.txt", "a.txt", false),
            ("**/*.wasm?module", "./a.wasm?module", true),
            ("*.md", "../docs/a.md", true),
            ("./a[1].bin", "./a[1].bin", true),
            ("**/*.txt", "./a.txt?raw", false),
        ] {
            assert_eq!(Regex::new(&import_pattern(glob)).unwrap().is_match(text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn in_paths_one_star_stays_within_a_name() {
        for (glob, path, expected) in [
            ("**/*.mjs", "a.mjs", true),
            ("**/*.mjs", "lib/deep/a.mjs", true),
            ("lib/*.mjs", "lib/a.mjs", true),
            ("lib/*.mjs", "lib/deep/a.mjs", false),
            ("lib/**", "lib/deep/a.mjs", true),
            ("*.mjs", "lib/a.mjs", false),
        ] {
            assert_eq!(Regex::new(&path_pattern(glob)).unwrap().is_match(path), expected, "{glob} {path}");
        }
    }
}
