//! Text for a terminal: cut to a width, broken into lines, and without what would command the terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Text of users for the terminal: control characters other than line breaks are shown, not obeyed.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => c,
        '\t' => ' ',
        c if c.is_ascii_control() => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        c if c.is_control() || is_bidi_control(c) => '\u{fffd}',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of users on one line.
pub fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}

/// `1 instance`, `2 instances`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Columns taken on a terminal.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// At most `width` columns of `text`, the last one telling that there is more.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let kept = fitting(text.chars(), width.saturating_sub(1));
    text.chars().take(kept).chain(['…']).collect()
}

/// How many of the first characters fit in so many columns.
fn fitting(chars: impl Iterator<Item = char>, width: usize) -> usize {
    let taken = |taken: &mut usize, c: char| {
        *taken += c.width().unwrap_or(0);
        Some(*taken)
    };
    chars.scan(0, taken).take_while(|taken| *taken <= width).count()
}

/// `text` filled up with spaces.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Lines of at most `width` columns, broken at spaces where possible. Line breaks stay, and so does what begins a line.
pub fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return text.lines().map(str::to_owned).collect() };
    text.lines().flat_map(|line| wrap_line(line, width.max(1))).collect()
}

fn wrap_line(line: &str, width: usize) -> Vec<String> {
    let mut rest: Vec<char> = line.chars().collect();
    let mut lines = Vec::new();
    loop {
        let fits = fitting(rest.iter().copied(), width).max(1);
        if fits >= rest.len() {
            break;
        }
        let space = rest[..=fits].iter().rposition(|c| *c == ' ').filter(|at| *at > 0);
        let (end, next) = space.map_or((fits, fits), |at| (at, at + 1));
        lines.push(rest[..end].iter().collect());
        rest.drain(..next);
    }
    lines.push(rest.into_iter().collect());
    lines
}

/// JSON text with a line for each member, two spaces in for each level. Numbers, order and strings stay as they are.
/// What is no JSON comes out as it goes in, or nearly.
pub fn expand_json(text: &str) -> String {
    let mut expanded = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    let mut chars = text.chars().filter(|c| *c != '\n').peekable();
    while let Some(c) = chars.next() {
        expanded.push(c);
        let ends_string = in_string && !is_escaped && c == '"';
        if in_string {
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            if in_string {
                continue;
            }
        }
        match c {
            '"' => in_string = !ends_string,
            '{' | '[' if matches!(chars.peek(), Some('}' | ']')) => expanded.extend(chars.next()),
            '{' | '[' => {
                depth += 1;
                break_line(&mut expanded, depth);
            }
            ',' => break_line(&mut expanded, depth),
            ':' => expanded.push(' '),
            _ => {}
        }
        if !matches!(c, ',' | ':') && matches!(chars.peek(), Some('}' | ']')) && !in_string && depth > 0 {
            depth -= 1;
            break_line(&mut expanded, depth);
        }
    }
    expanded
}

fn break_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_users_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\r\nc\td\u{9b}"), "a\u{241b}[31mb\nc d\u{fffd}");
        assert_eq!(printable("\u{202e}exe"), "\u{fffd}exe");
        assert_eq!(one_line("a\nb"), "a b");
    }

    #[test]
    fn text_is_cut_with_a_sign_that_there_is_more() {
        assert_eq!(cut("grüße", 5), "grüße");
        assert_eq!(cut("grüße!", 5), "grüß…");
        assert_eq!((columns("日本"), cut("日本語", 5).as_str(), cut("日本語", 4).as_str()), (4, "日本…", "日…"));
    }

    #[test]
    fn lines_break_at_spaces_and_else_where_they_must() {
        assert_eq!(wrap("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", Some(3)), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\nb", Some(3)), ["a", "", "b"]);
        assert_eq!(wrap("one two", None), ["one two"]);
        assert_eq!(wrap("日本語", Some(4)), ["日本", "語"]);
        assert_eq!(wrap("日本", Some(1)), ["日", "本"]);
    }

    #[test]
    fn json_is_expanded_without_changing_a_value() {
        let text = r#"{"b":[1,{"c":"x,\"}{"}],"a":{},"n":12345678901234567890,"e":[],"s":"z"}"#;
        let expanded = expand_json(text);
        let expected = "{\n  \"b\": [\n    1,\n    {\n      \"c\": \"x,\\\"}{\"\n    }\n  ],\n  \"a\": {},\n  \
                        \"n\": 12345678901234567890,\n  \"e\": [],\n  \"s\": \"z\"\n}";
        assert_eq!(expanded, expected);
    }

    #[test]
    fn a_plain_value_is_not_expanded() {
        for text in ["1", "\"a,b:{}\"", "null"] {
            assert_eq!(expand_json(text), text);
        }
    }
}
