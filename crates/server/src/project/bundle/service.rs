//! One run of esbuild as a service: we send the build, and answer its questions about imports while it works.
//!
//! This is how esbuild's plugins work below their JavaScript. What is answered is `hooks`' business.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::hooks::Hooks;
use super::packet::{Packet, Value};
use crate::tools::ESBUILD_VERSION;

/// Far beyond any bundle; a length above it is no length.
const PACKET_BYTES_MAX: u32 = 1 << 30;
/// The number of the only build of a service.
const BUILD_KEY: u32 = 0;
/// Marks a question that came from our own `resolve`, so that it is not answered by asking again.
const OWN_RESOLVE: u32 = 1;

pub(super) struct Service {
    child: Child,
    /// None once everything has been asked.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: File,
    next_id: u32,
    /// Answers that came while another one was waited for.
    answers: HashMap<u32, Value>,
}

/// What a build left.
pub(super) struct Built {
    /// Path and content; none where the build failed.
    pub files: Vec<(String, Vec<u8>)>,
    pub metafile: Vec<u8>,
    pub failed: bool,
    /// Errors and warnings as esbuild prints them.
    pub printed: String,
}

/// How an import resolves without our own rules.
pub(super) struct Resolved {
    pub path: String,
}

impl Service {
    pub fn start(program: &Path, cwd: &Path) -> io::Result<Self> {
        let stderr = tempfile::tempfile()?;
        let mut child = Command::new(program)
            .arg(format!("--service={ESBUILD_VERSION}"))
            .current_dir(cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone()?)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let stdout = BufReader::new(stdout);
        let mut service = Self { child, stdin, stdout, stderr, next_id: 0, answers: HashMap::new() };
        let greeting = service.read_packet()?;
        if greeting != ESBUILD_VERSION.as_bytes() {
            let found = String::from_utf8_lossy(&greeting).into_owned();
            return Err(io::Error::other(format!("it is esbuild {found}, not {ESBUILD_VERSION}")));
        }
        Ok(service)
    }

    /// Builds `entry` in `cwd` with command-line `flags`, and ends the service.
    pub fn build(mut self, entry: &str, cwd: &str, flags: Vec<String>, hooks: &mut Hooks<'_>) -> io::Result<Built> {
        let request = Value::map([
            ("command", "build".into()),
            ("key", Value::Number(BUILD_KEY)),
            ("entries", Value::List(vec![Value::texts(["", entry])])),
            ("flags", Value::texts(flags)),
            ("write", Value::Bool(false)),
            ("stdinContents", Value::Null),
            ("stdinResolveDir", Value::Null),
            ("absWorkingDir", cwd.into()),
            ("nodePaths", Value::List(Vec::new())),
            ("context", Value::Bool(false)),
            ("plugins", Value::List(vec![hooks.registration()])),
        ]);
        let answer = match self.ask(request, hooks) {
            Ok(answer) => answer,
            Err(error) => return Err(self.explained(&error)),
        };
        let mut printed = self.end()?;
        // An answer that is only an error comes from options that esbuild does not take.
        printed.push_str(answer.text("error"));
        let file = |file: &Value| {
            let Value::Bytes(bytes) = file.get("contents") else { return None };
            Some((file.text("path").to_owned(), bytes.clone()))
        };
        Ok(Built {
            files: answer.list("outputFiles").iter().filter_map(file).collect(),
            metafile: if let Value::Bytes(bytes) = answer.get("metafile") { bytes.clone() } else { Vec::new() },
            failed: !answer.list("errors").is_empty() || !answer.text("error").is_empty(),
            printed: printed.trim().to_owned(),
        })
    }

    /// How esbuild itself resolves the import that `question` is about, under the name `path`.
    pub fn resolve(&mut self, question: &Value, path: &str, hooks: &mut Hooks<'_>) -> io::Result<Option<Resolved>> {
        let request = Value::map([
            ("command", "resolve".into()),
            ("path", path.into()),
            ("key", Value::Number(BUILD_KEY)),
            ("pluginName", Hooks::NAME.into()),
            ("importer", question.get("importer").clone()),
            ("namespace", question.get("namespace").clone()),
            ("resolveDir", question.get("resolveDir").clone()),
            ("kind", question.get("kind").clone()),
            ("pluginData", Value::Number(OWN_RESOLVE)),
        ]);
        let answer = self.ask(request, hooks)?;
        let path = answer.text("path");
        Ok((!path.is_empty() && answer.list("errors").is_empty()).then(|| Resolved { path: path.to_owned() }))
    }

    /// Sends a request and serves esbuild's own until the answer comes.
    fn ask(&mut self, request: Value, hooks: &mut Hooks<'_>) -> io::Result<Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&Packet { id, is_request: true, value: request })?;
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return Ok(answer);
            }
            let bytes = self.read_packet()?;
            let packet = Packet::decode(&bytes).ok_or_else(|| io::Error::other("it sent what is no packet"))?;
            if packet.is_request {
                let value = self.serve(&packet.value, hooks)?;
                self.send(&Packet { id: packet.id, is_request: false, value })?;
            } else {
                self.answers.insert(packet.id, packet.value);
            }
        }
    }

    fn serve(&mut self, question: &Value, hooks: &mut Hooks<'_>) -> io::Result<Value> {
        let is_own = matches!(question.get("pluginData"), Value::Number(OWN_RESOLVE));
        match question.text("command") {
            "on-resolve" if is_own => Ok(Value::map([])),
            "on-resolve" => hooks.on_resolve(question, self),
            "on-load" => Ok(hooks.on_load(question)),
            // The build's start, which is told whether one asks or not.
            _ => Ok(Value::map([("errors", Value::List(Vec::new())), ("warnings", Value::List(Vec::new()))])),
        }
    }

    fn send(&mut self, packet: &Packet) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(&packet.encode())?;
        stdin.flush()
    }

    fn read_packet(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stdout.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > PACKET_BYTES_MAX {
            return Err(io::Error::other(format!("it announced a packet of {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        self.stdout.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// A conversation that broke off, with the last words of the program.
    fn explained(&mut self, error: &io::Error) -> io::Error {
        let said = self.end().unwrap_or_default();
        let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        io::Error::new(error.kind(), format!("{error}; {first}"))
    }

    /// Ends the service; returns what it printed.
    fn end(&mut self) -> io::Result<String> {
        self.stdin = None;
        self.child.wait()?;
        self.stderr.rewind()?;
        let mut printed = String::new();
        self.stderr.read_to_string(&mut printed)?;
        Ok(printed)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.stdin.is_some() {
            // Only after an error; one that has ended already is as wanted.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
