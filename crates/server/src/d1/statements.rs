//! The statements of an SQL script, one by one and without holding the script: a dump may be larger than memory.
//!
//! Where a statement ends is SQLite's own rule (`sqlite3_complete`): at a semicolon outside of quotes and comments, and
//! for `CREATE TRIGGER` at the one behind its `END`. Whether a statement makes sense is SQLite's to say.

use std::io::BufRead;

use super::error::D1Error;

/// A statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStatement {
    /// Which one, from 1.
    pub number: u64,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its text, without what is blank before it.
    pub sql: String,
}

/// Reads a script.
pub struct Statements<R> {
    source: R,
    statement_bytes_max: usize,
    number: u64,
    line: u64,
    /// What is left of a byte order mark that may stand first.
    mark: &'static [u8],
}

/// What was read of the statement at hand.
#[derive(Default)]
struct Draft {
    text: Vec<u8>,
    line: u64,
    lexer: Lexer,
    grammar: Grammar,
}

/// Where in the text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Lexer {
    #[default]
    Between,
    /// The first letters of a word, in upper case, and how many it has.
    Word([u8; WORD_BYTES], usize),
    /// Up to this byte; one that is doubled begins the next part, which does not matter here.
    Quoted(u8),
    Dash,
    Slash,
    LineComment,
    BlockComment,
    /// In a block comment, behind a `*`.
    BlockCommentStar,
}

/// As long as the longest word that matters.
const WORD_BYTES: usize = 9;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a piece of text is to the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Semicolon,
    Explain,
    Create,
    Temp,
    Trigger,
    End,
    Other,
}

/// How far the statement has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// Nothing but blanks and comments.
    #[default]
    Blank,
    /// Any statement that the next semicolon ends.
    Plain,
    /// `EXPLAIN`, behind which a trigger may be created.
    Explain,
    /// `CREATE` or `CREATE TEMP`.
    Create,
    /// In a trigger.
    Trigger,
    /// In a trigger, behind a semicolon.
    TriggerSemicolon,
    /// In a trigger, behind a semicolon and `END`.
    TriggerEnd,
    /// The statement is whole.
    Ended,
}

impl<R: BufRead> Statements<R> {
    /// Of a script whose statements may be so long.
    pub fn new(source: R, statement_bytes_max: usize) -> Self {
        Self { source, statement_bytes_max, number: 0, line: 1, mark: BYTE_ORDER_MARK }
    }

    /// The next statement; none at the end of the script.
    ///
    /// # Errors
    /// The script cannot be read, a statement is too long, or it is not UTF-8.
    pub fn read_next(&mut self) -> Result<Option<ScriptStatement>, D1Error> {
        let mut draft = Draft { line: self.line, ..Draft::default() };
        loop {
            let chunk = self.source.fill_buf().map_err(|error| D1Error::Script(error.to_string()))?;
            if chunk.is_empty() {
                draft.flush();
                return self.finish(draft);
            }
            let mut used = 0;
            for byte in chunk {
                used += 1;
                if let Some(rest) = self.mark.strip_prefix(&[*byte]) {
                    self.mark = rest;
                    continue;
                }
                self.mark = &[];
                self.line += u64::from(*byte == b'\n');
                draft.push(*byte, self.line);
                if draft.grammar == Grammar::Ended || draft.text.len() > self.statement_bytes_max {
                    break;
                }
            }
            self.source.consume(used);
            if draft.grammar == Grammar::Ended || draft.text.len() > self.statement_bytes_max {
                return self.finish(draft);
            }
        }
    }

    fn finish(&mut self, draft: Draft) -> Result<Option<ScriptStatement>, D1Error> {
        if draft.grammar == Grammar::Blank {
            return Ok(None);
        }
        self.number += 1;
        let (number, line) = (self.number, draft.line);
        if draft.text.len() > self.statement_bytes_max {
            return Err(D1Error::StatementTooLong { bytes_max: self.statement_bytes_max }.at(number, line));
        }
        match String::from_utf8(draft.text) {
            Ok(sql) => Ok(Some(ScriptStatement { number, line, sql })),
            Err(_) => Err(D1Error::Script("it is not UTF-8 text".to_owned()).at(number, line)),
        }
    }
}

impl Draft {
    fn push(&mut self, byte: u8, line: u64) {
        self.text.push(byte);
        self.lexer = match (self.lexer, byte) {
            (Lexer::Quoted(end), _) if byte == end => Lexer::Between,
            (Lexer::LineComment, b'\n') => Lexer::Between,
            (Lexer::BlockCommentStar, b'/') => Lexer::Between,
            (Lexer::BlockCommentStar | Lexer::BlockComment, b'*') => Lexer::BlockCommentStar,
            (Lexer::BlockCommentStar, _) => Lexer::BlockComment,
            (inside @ (Lexer::Quoted(_) | Lexer::LineComment | Lexer::BlockComment), _) => inside,
            (Lexer::Dash, b'-') => Lexer::LineComment,
            (Lexer::Slash, b'*') => Lexer::BlockComment,
            (Lexer::Word(word, length), _) if is_word(byte) => lengthened(word, length, byte),
            _ => {
                self.flush();
                self.begin(byte)
            }
        };
        if self.grammar == Grammar::Blank && self.lexer.is_blank() {
            self.text.clear();
            self.line = line;
        }
    }

    /// What begins with this byte between two tokens.
    fn begin(&mut self, byte: u8) -> Lexer {
        match byte {
            b';' => self.take(Token::Semicolon),
            b'-' => return Lexer::Dash,
            b'/' => return Lexer::Slash,
            b'\'' | b'"' | b'`' => {
                self.take(Token::Other);
                return Lexer::Quoted(byte);
            }
            b'[' => {
                self.take(Token::Other);
                return Lexer::Quoted(b']');
            }
            _ if is_word(byte) => return lengthened([0; WORD_BYTES], 0, byte),
            _ if byte.is_ascii_whitespace() || byte == 0x0b => {}
            _ => self.take(Token::Other),
        }
        Lexer::Between
    }

    /// Takes what was still open as a token.
    fn flush(&mut self) {
        match self.lexer {
            Lexer::Word(word, length) => self.take(token(&word[..length.min(WORD_BYTES)], length)),
            Lexer::Dash | Lexer::Slash => self.take(Token::Other),
            _ => {}
        }
    }

    fn take(&mut self, token: Token) {
        self.grammar = match (self.grammar, token) {
            (Grammar::Trigger | Grammar::TriggerSemicolon, Token::Semicolon) => Grammar::TriggerSemicolon,
            (Grammar::TriggerSemicolon, Token::End) => Grammar::TriggerEnd,
            (Grammar::Blank, Token::Semicolon) => Grammar::Blank,
            (_, Token::Semicolon) => Grammar::Ended,
            (Grammar::Trigger | Grammar::TriggerSemicolon | Grammar::TriggerEnd, _) => Grammar::Trigger,
            (Grammar::Blank, Token::Explain) | (Grammar::Explain, Token::Other) => Grammar::Explain,
            (Grammar::Blank | Grammar::Explain, Token::Create) | (Grammar::Create, Token::Temp) => Grammar::Create,
            (Grammar::Create, Token::Trigger) => Grammar::Trigger,
            _ => Grammar::Plain,
        };
    }
}

impl Lexer {
    fn is_blank(self) -> bool {
        matches!(self, Self::Between | Self::LineComment | Self::BlockComment | Self::BlockCommentStar)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

fn lengthened(mut word: [u8; WORD_BYTES], length: usize, byte: u8) -> Lexer {
    if let Some(place) = word.get_mut(length) {
        *place = byte.to_ascii_uppercase();
    }
    Lexer::Word(word, length + 1)
}

fn token(word: &[u8], length: usize) -> Token {
    match word {
        _ if length > WORD_BYTES => Token::Other,
        b"EXPLAIN" => Token::Explain,
        b"CREATE" => Token::Create,
        b"TEMP" | b"TEMPORARY" => Token::Temp,
        b"TRIGGER" => Token::Trigger,
        b"END" => Token::End,
        _ => Token::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(script: &str, buffer_bytes: usize) -> Result<Vec<ScriptStatement>, D1Error> {
        let mut statements = Statements::new(BufReader::with_capacity(buffer_bytes, script.as_bytes()), 1_000);
        std::iter::from_fn(|| statements.read_next().transpose()).collect()
    }

    /// `expected` is a line for each statement: its own line and its text.
    fn check(script: &str, expected: &[(u64, &str)]) {
        for buffer_bytes in [1, 3, 8_192] {
            let read = read(script, buffer_bytes).expect("statements");
            let seen: Vec<_> = read.iter().map(|statement| (statement.line, statement.sql.as_str())).collect();
            assert_eq!(seen, expected, "{script:?} in pieces of {buffer_bytes}");
            assert!(read.iter().map(|statement| statement.number).eq(1..=read.len() as u64));
        }
    }

    #[test]
    fn statements_end_at_semicolons() {
        check("SELECT 1;SELECT 2 ;\nSELECT 3", &[(1, "SELECT 1;"), (1, "SELECT 2 ;"), (2, "SELECT 3")]);
    }

    #[test]
    fn blanks_comments_and_empty_statements_are_passed_over() {
        check("", &[]);
        check(" ;;\n-- nothing; here\n/* or; * here */ ;", &[]);
        check("-- a\n\n/* b\n */ SELECT 1; -- c", &[(4, "SELECT 1;")]);
        check("\u{feff}CREATE TABLE t (a);", &[(1, "CREATE TABLE t (a);")]);
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        for sql in [
            "SELECT 'a;''b;';",
            "SELECT \"a;\";",
            "SELECT `a;`;",
            "SELECT [a;];",
            "SELECT 1 /* ; */ + 2;",
            "SELECT 1 -- ;\n;",
            "SELECT 4 / 2 - 1;",
        ] {
            check(sql, &[(1, sql)]);
        }
    }

    #[test]
    fn a_trigger_ends_behind_its_end() {
        let trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n UPDATE a SET b = CASE WHEN 1 THEN 2 END; DELETE FROM c;\nEND;";
        check(&format!("{trigger} SELECT 1;"), &[(1, trigger), (3, "SELECT 1;")]);
        let explained = "EXPLAIN QUERY PLAN CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;";
        check(explained, &[(1, explained)]);
        check("CREATE TABLE trigger_end (a); END;", &[(1, "CREATE TABLE trigger_end (a);"), (1, "END;")]);
    }

    #[test]
    fn what_is_not_closed_is_left_to_sqlite() {
        check("SELECT 'a; SELECT 2;", &[(1, "SELECT 'a; SELECT 2;")]);
        check("SELECT 1; /* SELECT 2;", &[(1, "SELECT 1;")]);
    }

    #[test]
    fn a_statement_that_is_too_long_is_named_and_a_long_comment_is_none() {
        let script = format!("/*{}*/ SELECT 1;\nSELECT '{}';", "x".repeat(2_000), "y".repeat(2_000));
        let error = read(&script, 64).expect_err("too long");
        assert!(error.to_string().starts_with("statement 2 (line 2): "), "{error}");
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused_with_its_place() {
        let mut statements = Statements::new(&b"SELECT 1;\nSELECT '\xff';"[..], 1_000);
        assert!(statements.read_next().is_ok());
        let error = statements.read_next().expect_err("not UTF-8");
        assert!(error.to_string().starts_with("statement 2 (line 2): "), "{error}");
    }
}
