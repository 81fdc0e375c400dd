//! How a simulated program is executed: as far as it goes, with each call made once, in the order of the code.

use stepwell_engine::CallId;
use stepwell_engine::instance::BeginKind;

use super::code::Code;
use super::program::Node;

/// How far a node has come.
#[derive(Debug, Default)]
pub enum Task {
    #[default]
    Idle,
    Call(CallId),
    Timer(i64),
    Parts(Vec<Task>),
}

/// Executes a node as far as it goes; `true` where it is done.
pub fn advance(node: &Node, task: &mut Task, parent: Option<CallId>, code: &mut Code) -> bool {
    if code.poison.is_some() {
        return false;
    }
    match node {
        Node::Seq(parts) => {
            let tasks = parts_of(task);
            for (index, part) in parts.iter().enumerate() {
                if tasks.len() == index {
                    tasks.push(Task::Idle);
                }
                if !advance(part, &mut tasks[index], parent, code) {
                    return false;
                }
            }
            true
        }
        Node::All(parts) => advance_each(parts, task, parent, code) == parts.len(),
        Node::Race(parts) => advance_each(parts, task, parent, code) > 0,
        Node::Timer { ms } => {
            if let Task::Idle = task {
                let at = code.now + ms;
                code.timers.insert(at);
                *task = Task::Timer(at);
            }
            matches!(task, Task::Timer(at) if *at <= code.now)
        }
        _ => advance_call(node, task, parent, code),
    }
}

fn advance_call(node: &Node, task: &mut Task, parent: Option<CallId>, code: &mut Code) -> bool {
    if let Task::Call(call) = task {
        return code.resolved.contains(call);
    }
    let created_at = code.created_at;
    let call = match node {
        Node::Do(step) => code.make("do", &step.name, parent, BeginKind::Do(step.config.clone()), Some(step)),
        Node::Sleep { name, ms } => code.make("sleep", name, parent, BeginKind::Sleep { ms: *ms }, None),
        Node::SleepUntil { name, after_ms } => {
            code.make("sleep_until", name, parent, BeginKind::SleepUntil { at: created_at + after_ms }, None)
        }
        Node::Wait { name, event_type, timeout_ms } => {
            let kind = BeginKind::Wait { event_type: (*event_type).to_owned(), timeout_ms: *timeout_ms };
            code.make("wait", name, parent, kind, None)
        }
        _ => unreachable!("a leaf"),
    };
    *task = Task::Call(call);
    false
}

fn parts_of(task: &mut Task) -> &mut Vec<Task> {
    if let Task::Idle = task {
        *task = Task::Parts(Vec::new());
    }
    match task {
        Task::Parts(parts) => parts,
        _ => unreachable!("a branch"),
    }
}

fn advance_each(parts: &[Node], task: &mut Task, parent: Option<CallId>, code: &mut Code) -> usize {
    let tasks = parts_of(task);
    tasks.resize_with(parts.len(), Task::default);
    parts.iter().zip(tasks).filter_map(|(part, task)| advance(part, task, parent, code).then_some(())).count()
}
