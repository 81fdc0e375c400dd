//! `docs/CLI.md`: every command with its flags, written from the tree that parses them, so that neither can be without the
//! other. A hidden command prints it.

use std::fmt::Write as _;

use clap::{Arg, Args, Command};
use serde_json::{Value, json};

use super::address::HEADING;
use super::exit;
use super::screen::Screen;
use super::{CliError, ExitCode, command};

/// What stands above the commands.
const BEGINNING: &str = include_str!("reference.md");

/// Print this reference, as it stands in docs/CLI.md
#[derive(Debug, Args)]
pub struct ReferenceArgs {}

impl ReferenceArgs {
    pub fn run(&self, screen: &Screen) -> Result<ExitCode, CliError> {
        let mut root = command();
        root.build();
        let leaves = leaves(&root);
        let names: Vec<Value> =
            leaves.iter().map(|(path, leaf)| json!({ "command": path, "flags": flags(leaf) })).collect();
        screen.show(&names, || markdown(&root, &leaves))?;
        Ok(ExitCode::Ok)
    }
}

/// Commands that do something, each with its words, in the order of the help.
fn leaves(root: &Command) -> Vec<(String, &Command)> {
    let mut found = Vec::new();
    gather(root, root.get_name(), &mut found);
    found
}

fn gather<'a>(command: &'a Command, path: &str, found: &mut Vec<(String, &'a Command)>) {
    let shown = |one: &&Command| !one.is_hide_set() && one.get_name() != "help";
    let mut children = command.get_subcommands().filter(shown).peekable();
    if children.peek().is_none() {
        found.push((path.to_owned(), command));
    }
    for child in children {
        gather(child, &format!("{path} {}", child.get_name()), found);
    }
}

fn flags(leaf: &Command) -> Vec<String> {
    shown_args(leaf).filter_map(|arg| arg.get_long().map(|long| format!("--{long}"))).collect()
}

fn shown_args(leaf: &Command) -> impl Iterator<Item = &Arg> {
    leaf.get_arguments().filter(|arg| !arg.is_hide_set())
}

fn markdown(root: &Command, leaves: &[(String, &Command)]) -> String {
    let mut text = BEGINNING.replace("{exit codes}\n", &exit_codes());
    text += "\n## Which server\n\nCommands marked with † speak to a server and take these flags.\n";
    let asking = leaves.iter().find(|(_, leaf)| speaks_to_server(leaf)).map(|(_, leaf)| *leaf);
    let server = asking.into_iter().flat_map(shown_args).filter(|arg| is_of_server(arg));
    text += &rows(server, true);
    text += "\n## Commands\n";
    for (path, leaf) in leaves {
        let mark = if speaks_to_server(leaf) { " †" } else { "" };
        let about = leaf.get_long_about().or(leaf.get_about()).map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n### {path}{mark}\n\n{about}\n\n```sh\n{}\n```\n", usage(path, leaf));
        let own = |arg: &&Arg| !is_of_server(arg) && !is_everywhere(root, arg);
        text += &rows(shown_args(leaf).filter(own), false);
    }
    text
}

fn exit_codes() -> String {
    let lines = exit::AFTER_HELP.lines().skip(1).filter_map(|line| line.trim_start().split_once("  "));
    lines.map(|(code, told)| format!("| {code} | {told} |\n")).collect()
}

fn is_of_server(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(HEADING)
}

fn speaks_to_server(leaf: &Command) -> bool {
    leaf.get_arguments().any(is_of_server)
}

/// What every command has is told once.
fn is_everywhere(root: &Command, arg: &Arg) -> bool {
    use clap::ArgAction::{Help, HelpLong, HelpShort, Version};
    let is_of_clap = matches!(arg.get_action(), Help | HelpLong | HelpShort | Version);
    is_of_clap || root.get_arguments().any(|other| arg.get_long().is_some() && other.get_long() == arg.get_long())
}

fn usage(path: &str, leaf: &Command) -> String {
    let positionals = leaf.get_positionals().filter(|arg| !arg.is_hide_set()).map(|arg| {
        let name = value_names(arg).unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
        let more = if arg.get_num_args().is_some_and(|range| range.max_values() > 1) { "..." } else { "" };
        if arg.is_required_set() { format!(" <{name}>{more}") } else { format!(" [{name}]{more}") }
    });
    let required = shown_args(leaf).filter(|arg| arg.get_long().is_some() && arg.is_required_set());
    let required = required.map(|arg| format!(" {}", long(arg)));
    format!("{path}{}{} [OPTIONS]", positionals.collect::<String>(), required.collect::<String>())
}

fn value_names(arg: &Arg) -> Option<String> {
    arg.get_value_names().map(|names| names.join(" "))
}

fn long(arg: &Arg) -> String {
    let value = value_names(arg).filter(|_| arg.get_action().takes_values());
    let long = arg.get_long().unwrap_or_default();
    value.map_or_else(|| format!("--{long}"), |value| format!("--{long} {value}"))
}

/// A table of arguments; nothing where there are none.
fn rows<'a>(args: impl Iterator<Item = &'a Arg>, is_of_all: bool) -> String {
    let mut args = args.peekable();
    if args.peek().is_none() {
        return String::new();
    }
    let heading = if is_of_all { "flag" } else { "argument" };
    let mut text = format!("\n| {heading} | means |\n|---|---|\n");
    for arg in args {
        let name = match (arg.get_long(), arg.get_short()) {
            (Some(_), Some(short)) => format!("-{short}, {}", long(arg)),
            (Some(_), None) => long(arg),
            (None, _) => value_names(arg).unwrap_or_else(|| arg.get_id().as_str().to_uppercase()),
        };
        let _ = writeln!(text, "| `{name}` | {} |", meaning(arg).replace('|', "\\|"));
    }
    text
}

fn meaning(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    let possible: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if !possible.is_empty() && !arg.is_hide_possible_values_set() && arg.get_action().takes_values() {
        let _ = write!(text, ": {}", possible.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let _ = write!(text, " (default: `{}`)", defaults.join(" "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(text, " (or {})", variable.to_string_lossy());
    }
    text
}
