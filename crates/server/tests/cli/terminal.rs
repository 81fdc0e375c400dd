//! What a person at a terminal sees: colour, lines that fit, questions, values that are not shown, and lists that change in place.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};

use crate::fake::Fake;
use crate::instances::LONG_STEPS;

const PATIENCE: Duration = Duration::from_secs(20);
const CTRL_C: &str = "\u{3}";

/// A command that was started at a terminal of its own.
struct Terminal {
    keyboard: File,
    shown: Arc<Mutex<Vec<u8>>>,
    child: Child,
    fake: Fake,
}

impl Terminal {
    async fn of(columns: u16, variables: &[(&str, &str)], args: &[&str]) -> Self {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&main).and_then(|()| unlockpt(&main)).expect("a terminal of ours");
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&main, size).expect("its size");
        let name = ptsname(&main, Vec::new()).expect("its name");
        let line: OwnedFd =
            File::options().read(true).write(true).open(name.to_str().expect("text")).expect("its other end").into();
        let end = || Stdio::from(line.try_clone().expect("a descriptor"));
        let fake = Fake::start().await;
        // Values that are not shown are asked for at the terminal that controls the process.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_stepwell")]).args(args);
        command.env_clear().env("TERM", "xterm");
        let places = ["PATH", "HOME", "XDG_CACHE_HOME", "STEPWELL_TOOLS"];
        command.envs(places.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("XDG_CONFIG_HOME", "/nonexistent").env("STEPWELL_API", &fake.url).envs(variables.iter().copied());
        let child = command.stdin(end()).stdout(end()).stderr(end()).kill_on_drop(true).spawn().expect("it runs");
        drop(command);
        drop(line);
        let keyboard = File::from(main);
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        gather(keyboard.try_clone().expect("a descriptor"), Arc::clone(&shown));
        Self { keyboard, shown, child, fake }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    /// Waits until this is shown so often.
    async fn shows(&self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.shown().matches(text).count() < times {
            assert!(begun.elapsed() < PATIENCE, "{text:?} in {:?}", self.shown());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until it does not show what is typed.
    async fn hides(&self) {
        let begun = Instant::now();
        while tcgetattr(&self.keyboard).expect("a terminal").local_modes.contains(LocalModes::ECHO) {
            assert!(begun.elapsed() < PATIENCE, "what is typed is shown after {:?}", self.shown());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("a keyboard");
    }

    /// How it ended, and all that was shown.
    async fn ends(mut self) -> (Option<i32>, String) {
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a child of ours");
        (status.code(), self.shown())
    }
}

/// The terminal is gone when nobody holds its other end any more.
fn gather(mut main: File, shown: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = main.read(&mut bytes) {
            shown.lock().expect("no panic").extend_from_slice(&bytes[..count]);
        }
    });
}

/// How wide a line is without its colours.
fn width(line: &str) -> usize {
    line.split('\u{1b}').enumerate().fold(0, |width, (place, piece)| {
        let text = if place == 0 { piece } else { piece.split_once('m').map_or("", |(_, text)| text) };
        width + text.trim_end_matches('\r').chars().count()
    })
}

#[tokio::test]
async fn a_terminal_gets_colour_and_lines_that_fit_unless_it_wants_none() {
    let args = ["workflows", "list", "--now", "2026-11-21T12:00:00Z"];
    for (variables, has_colour) in [(&[][..], true), (&[("NO_COLOR", "1")], false), (&[("TERM", "dumb")], false)] {
        let terminal = Terminal::of(80, variables, &args).await;
        terminal.shows("idle", 2).await;
        let (code, shown) = terminal.ends().await;
        assert_eq!((code, shown.contains("\u{1b}[")), (Some(0), has_colour), "{variables:?}: {shown:?}");
        assert!(shown.lines().all(|line| width(line) <= 80), "{shown}");
    }
    let terminal = Terminal::of(80, &[], &["workflows", "list", "--json"]).await;
    terminal.shows("\n", 1).await;
    let (_, shown) = terminal.ends().await;
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[tokio::test]
async fn a_watched_list_changes_in_place_until_ctrl_c() {
    let mut terminal = Terminal::of(80, &[], &["workflows", "instances", "list", "orders", "--watch"]).await;
    // Up over the table and the line below it.
    terminal.shows("\u{1b}[5A\r", 2).await;
    terminal.types(CTRL_C);
    let (code, shown) = terminal.ends().await;
    assert_eq!(code, Some(130), "{shown:?}");
    let (off, on) = ("\u{1b}[?7l", "\u{1b}[?7h");
    assert_eq!(shown.matches(off).count(), shown.matches(on).count(), "line breaks are back: {shown:?}");
}

/// The lines of steps that a terminal shows of a long instance, and all that it shows.
async fn long_on_a_terminal(flags: &[&str]) -> (usize, String) {
    let args = [&["workflows", "instances", "describe", "orders", "long", "--no-step-output"], flags].concat();
    let terminal = Terminal::of(80, &[("NO_COLOR", "1")], &args).await;
    terminal.shows("the end", 1).await;
    let (code, shown) = terminal.ends().await;
    assert_eq!(code, Some(0), "{shown}");
    (shown.matches("✓ part-").count(), shown)
}

#[tokio::test]
async fn a_long_timeline_shows_a_terminal_its_ends_and_what_went_wrong() {
    let (lines, shown) = long_on_a_terminal(&[]).await;
    assert_eq!(lines, 81, "{shown}");
    for told in [
        "Steps (10000)",
        "part-20 ",
        "… 4979 more steps, all done; --all-steps shows all",
        "part-5000 ",
        "Error: busy",
        "… 4940 more steps",
        "part-9941 ",
        "part-10000",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert_eq!(long_on_a_terminal(&["--all-steps"]).await.0, LONG_STEPS);
    assert_eq!(long_on_a_terminal(&["--watch"]).await.0, 81);
}

#[tokio::test]
async fn a_person_is_asked_before_something_is_deleted() {
    for (answer, code, deletions) in [("n\n", 1, 0), ("\n", 1, 0), ("y\n", 0, 1)] {
        let mut terminal = Terminal::of(80, &[], &["workflows", "delete", "orders"]).await;
        terminal.shows("Delete workflow orders and all its instances? [y/N] ", 1).await;
        terminal.types(answer);
        let status = tokio::time::timeout(PATIENCE, terminal.child.wait()).await.expect("it ends").expect("a child");
        assert_eq!(status.code(), Some(code), "{answer:?}: {}", terminal.shown());
        assert_eq!(terminal.fake.lines().len(), deletions, "{answer:?}");
    }
}

#[tokio::test]
async fn a_person_is_asked_before_a_workflow_is_taken_from_another_worker() {
    let project = tempfile::tempdir().expect("a directory");
    crate::write_project(project.path());
    let deploy = ["deploy", project.path().to_str().expect("text"), "--name", "store"];
    for (answer, code, requests) in [("n\n", 1, 1), ("y\n", 0, 3)] {
        let mut terminal = Terminal::of(120, &[], &deploy).await;
        terminal.shows("Workflow orders belongs to Worker shop. Let Worker store take it over? [y/N] ", 1).await;
        terminal.types(answer);
        let status = tokio::time::timeout(PATIENCE, terminal.child.wait()).await.expect("it ends").expect("a child");
        assert_eq!(status.code(), Some(code), "{answer:?}: {}", terminal.shown());
        assert_eq!(terminal.fake.lines().len(), requests, "{answer:?}");
    }
}

#[tokio::test]
async fn a_secret_is_not_shown_while_it_is_typed() {
    let mut terminal = Terminal::of(80, &[], &["secret", "put", "KEY", "--name", "shop"]).await;
    terminal.shows("Value of KEY: ", 1).await;
    terminal.hides().await;
    terminal.types("s3cret\n");
    terminal.shows("Secret KEY of shop has been set.", 1).await;
    assert_eq!(terminal.fake.asked()[0].body, r#"{"name":"KEY","text":"s3cret","type":"secret_text"}"#);
    let (code, shown) = terminal.ends().await;
    assert_eq!((code, shown.contains("s3cret")), (Some(0), false), "{shown:?}");
}
