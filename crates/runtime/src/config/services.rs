//! The services, sockets and bindings of a worker process, written into workerd's own format.
//!
//! User code is one service among several. It reaches the server only through services that name their target
//! themselves: each sets its own target header and removes the others, so user code cannot forge one.

use std::collections::BTreeSet;
use std::path::Path;

use capnp::message::{Builder, HeapAllocator};
use capnp::serialize;

use crate::config::wrapper::wrapper;
use crate::config::{
    HOST_BINDING, INGRESS, Identity, PREFIX, SESSION, TRACE_HEADER, TRACED, USER_SERVICE, WORKERD_DATE, WRAPPER,
};
use crate::shim::SHIM_MODULES;
use crate::spec::{Binding, ModuleBody, Outbound, WorkerSpec};
use crate::workerd_capnp::{
    config, disk_directory, external_server, http_options, network, service, service_designator, worker,
    workflows_engine,
};

/// Header by which the server knows the script a request is for.
const SERVICE_HEADER: &str = "x-stepwell-service";
/// Header by which the server knows the database a request is for.
const D1_HEADER: &str = "x-stepwell-d1";
/// Header by which the server knows that a request is the shim's own.
const SHIM_HEADER: &str = "x-stepwell-shim";
/// Service for the adapter's own requests: no target header at all.
const HOST: &str = "host";
const INTERNET: &str = "internet";
const SHIM: &str = "shim";
const WORKFLOWS: &str = "workflows";
const ROUTER: &str = "outbound";
/// Where workerd wants to keep the objects of an engine.
const NO_STORAGE: &str = "no-storage";
/// Class of the adapter that stands for an engine.
const ENGINE_CLASS: &str = "NoEngine";

/// From this date on, an error crosses from Worker to Worker with its name.
const NAMED_ERRORS_SINCE: &str = "2026-04-21";

const ADAPTER: (&str, &str) = ("workflows-adapter.js", include_str!("../../js/workflows-adapter.js"));
const OUTBOUND_ROUTER: (&str, &str) = ("outbound-router.js", include_str!("../../js/outbound-router.js"));

/// A service of the process; the order of the variants is the order in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Service<'a> {
    User,
    Internet,
    Host,
    Shim,
    Workflows,
    NoStorage,
    Router,
    D1(&'a str),
    Script(&'a str),
}

impl Service<'_> {
    fn name(&self) -> String {
        match self {
            Self::User => USER_SERVICE.to_owned(),
            Self::Internet => INTERNET.to_owned(),
            Self::Host => HOST.to_owned(),
            Self::Shim => SHIM.to_owned(),
            Self::Workflows => WORKFLOWS.to_owned(),
            Self::NoStorage => NO_STORAGE.to_owned(),
            Self::Router => ROUTER.to_owned(),
            Self::D1(database) => format!("d1:{database}"),
            Self::Script(script) => format!("service:{script}"),
        }
    }
}

/// The configuration of a process as bytes for `workerd serve -b -`. The spec has passed [`crate::config::check`].
pub fn encode(spec: &WorkerSpec, identity: &Identity) -> Vec<u8> {
    let mut message: Builder<HeapAllocator> = Builder::new_default();
    let mut root = message.init_root::<config::Builder>();
    write_services(&mut root, spec, identity);
    write_sockets(&mut root, identity);
    serialize::write_message_to_words(&message)
}

fn write_sockets(root: &mut config::Builder, identity: &Identity) {
    let entrypoints = [(INGRESS, None), (SESSION, Some(&identity.session)), (TRACED, Some(&identity.traced))];
    let mut sockets = root.reborrow().init_sockets(entrypoints.len() as u32);
    for (at, (name, entrypoint)) in entrypoints.into_iter().enumerate() {
        let mut socket = sockets.reborrow().get(at as u32);
        socket.set_name(name);
        let mut http = socket.reborrow().init_http();
        if name == TRACED {
            http.set_cf_blob_header(TRACE_HEADER);
        }
        let mut target = socket.init_service();
        target.set_name(USER_SERVICE);
        if let Some(entrypoint) = entrypoint {
            target.set_entrypoint(entrypoint);
        }
    }
}

fn write_services(root: &mut config::Builder, spec: &WorkerSpec, identity: &Identity) {
    let services = needed(spec);
    let mut list = root.reborrow().init_services(services.len() as u32);
    for (at, service) in services.iter().enumerate() {
        let mut slot = list.reborrow().get(at as u32);
        slot.set_name(service.name());
        write_service(slot, service, spec, identity);
    }
}

fn needed(spec: &WorkerSpec) -> BTreeSet<Service<'_>> {
    let mut services = BTreeSet::from([Service::User, Service::Internet, Service::Shim]);
    for binding in &spec.bindings {
        match binding {
            Binding::Workflow { .. } => services.extend([Service::Workflows, Service::Host]),
            Binding::D1 { database_id, .. } => services.extend([Service::D1(database_id)]),
            Binding::Service { script, .. } => services.extend([Service::Script(script)]),
            Binding::Text { .. } | Binding::Json { .. } | Binding::Secret { .. } => {}
        }
    }
    if !spec.exports.is_empty() {
        services.extend([Service::Workflows, Service::Host, Service::NoStorage]);
    }
    for (_, script) in &spec.dev_outbound {
        services.extend([Service::Router, Service::Script(script)]);
    }
    services
}

fn write_service(slot: service::Builder, service: &Service, spec: &WorkerSpec, identity: &Identity) {
    match service {
        Service::User => write_user(slot.init_worker(), spec, identity),
        Service::Internet => write_network(slot.init_network(), &spec.outbound),
        Service::Host => write_external(slot.init_external(), spec, [None, None, None]),
        Service::Shim => write_external(slot.init_external(), spec, [None, None, Some(&spec.script)]),
        Service::D1(database) => write_external(slot.init_external(), spec, [None, Some(database), None]),
        Service::Script(script) => write_external(slot.init_external(), spec, [Some(script), None, None]),
        Service::Workflows => write_adapter(slot.init_worker(), spec),
        Service::NoStorage => write_no_storage(slot.init_disk(), spec),
        Service::Router => write_router(slot.init_worker(), spec),
    }
}

fn write_user(mut worker: worker::Builder, spec: &WorkerSpec, identity: &Identity) {
    let generated = wrapper(spec, identity);
    let mut modules = worker.reborrow().init_modules((1 + SHIM_MODULES.len() + spec.modules.len()) as u32);
    let mut slots = 0..;
    let mut add = |name: &str, body: &ModuleBody| {
        let mut module = modules.reborrow().get(slots.next().unwrap_or_default());
        module.set_name(name);
        write_body(module, body);
    };
    add(WRAPPER, &ModuleBody::EsModule(generated));
    for (name, source) in SHIM_MODULES {
        add(&format!("{PREFIX}{name}"), &ModuleBody::EsModule((*source).to_owned()));
    }
    for module in &spec.modules {
        add(&module.name, &module.body);
    }
    worker.set_compatibility_date(&*spec.compatibility_date);
    write_strings(&flags(spec), |count| worker.reborrow().init_compatibility_flags(count));
    write_bindings(&mut worker, spec);
    if !spec.exports.is_empty() {
        write_exports(worker.reborrow().init_workflows_engine(), spec);
    }
    let outbound = if spec.dev_outbound.is_empty() { INTERNET } else { ROUTER };
    worker.init_global_outbound().set_name(outbound);
}

fn write_body(mut module: worker::module::Builder, body: &ModuleBody) {
    match body {
        ModuleBody::EsModule(source) => module.set_es_module(&**source),
        ModuleBody::CommonJs(source) => module.set_common_js_module(&**source),
        ModuleBody::Text(text) => module.set_text(&**text),
        ModuleBody::Data(bytes) => module.set_data(bytes),
        ModuleBody::Wasm(bytes) => module.set_wasm(bytes),
        ModuleBody::Json(text) => module.set_json(&**text),
    }
}

/// The user's flags with `AsyncLocalStorage` made sure, which the shim needs. It may stand beside `nodejs_compat`, but not
/// twice, and not beside its own negation.
fn flags(spec: &WorkerSpec) -> Vec<&str> {
    let mut flags: Vec<&str> =
        spec.compatibility_flags.iter().map(String::as_str).filter(|flag| *flag != "no_nodejs_als").collect();
    if !flags.iter().any(|flag| matches!(*flag, "nodejs_als" | "nodejs_compat" | "nodejs_compat_v2")) {
        flags.push("nodejs_als");
    }
    flags
}

fn write_bindings(worker: &mut worker::Builder, spec: &WorkerSpec) {
    let mut list = worker.reborrow().init_bindings(spec.bindings.len() as u32 + 1);
    for (at, binding) in spec.bindings.iter().enumerate() {
        let mut slot = list.reborrow().get(at as u32);
        slot.set_name(binding.name());
        write_binding(slot, binding, spec);
    }
    let mut slot = list.get(spec.bindings.len() as u32);
    slot.set_name(HOST_BINDING);
    slot.init_service().set_name(SHIM);
}

fn write_binding(mut slot: worker::binding::Builder, binding: &Binding, spec: &WorkerSpec) {
    match binding {
        Binding::Text { text, .. } => slot.set_text(&**text),
        Binding::Secret { text, .. } => slot.set_text(&*text.0),
        Binding::Json { json, .. } => slot.set_json(&**json),
        Binding::Service { script, .. } => slot.init_service().set_name(Service::Script(script).name()),
        Binding::D1 { database_id, .. } => {
            let mut fetcher = write_wrapped(slot, "cloudflare-internal:d1-api").init_service();
            fetcher.set_name(Service::D1(database_id).name());
        }
        Binding::Workflow { workflow, .. } => {
            let fetcher = write_wrapped(slot, "cloudflare-internal:workflows-api").init_service();
            write_workflow(fetcher, workflow, spec);
        }
    }
}

/// workerd makes bindings of declared workflows itself. It wants an engine's class for that, which nobody makes an object of:
/// the engine is the server.
fn write_exports(mut engine: workflows_engine::Builder, spec: &WorkerSpec) {
    let mut class = engine.reborrow().init_actor_class();
    class.set_name(WORKFLOWS);
    class.set_entrypoint(ENGINE_CLASS);
    let mut list = engine.init_workflows(spec.exports.len() as u32);
    for (at, export) in spec.exports.iter().enumerate() {
        let mut slot = list.reborrow().get(at as u32);
        slot.set_class_name(&*export.class);
        slot.set_name(&*export.workflow);
        write_workflow(slot.init_binding_service(), &export.workflow, spec);
    }
}

/// The service behind a binding of a workflow.
fn write_workflow(mut service: service_designator::Builder, workflow: &str, spec: &WorkerSpec) {
    service.set_name(WORKFLOWS);
    let props = serde_json::json!({ "workflow": workflow, "namedErrors": has_named_errors(spec) });
    service.init_props().set_json(props.to_string());
}

/// A binding made by one of workerd's own modules around an inner `fetcher`, which is returned.
fn write_wrapped<'a>(slot: worker::binding::Builder<'a>, module: &str) -> worker::binding::Builder<'a> {
    let mut wrapped = slot.init_wrapped();
    wrapped.set_module_name(module);
    let mut fetcher = wrapped.init_inner_bindings(1).get(0);
    fetcher.set_name("fetcher");
    fetcher
}

fn has_named_errors(spec: &WorkerSpec) -> bool {
    let has = |flag: &str| spec.compatibility_flags.iter().any(|given| given == flag);
    let by_date = spec.compatibility_date.as_str() >= NAMED_ERRORS_SINCE && !has("legacy_error_serialization");
    by_date || has("enhanced_error_serialization")
}

/// The directory of the host's socket: nothing is kept there, as nobody makes an object of the engine's class.
fn write_no_storage(mut disk: disk_directory::Builder, spec: &WorkerSpec) {
    let directory = spec.host_socket.parent().unwrap_or(Path::new("/"));
    disk.set_path(directory.display().to_string());
    disk.set_writable(true);
}

fn write_adapter(mut worker: worker::Builder, spec: &WorkerSpec) {
    // The adapter speaks of values with the shim's own encoder, and so has the shim's modules beside it.
    write_own_modules(&mut worker, &[&[ADAPTER], SHIM_MODULES].concat());
    if !spec.exports.is_empty() {
        worker.reborrow().init_durable_object_storage().set_local_disk(NO_STORAGE);
    }
    let mut host = worker.init_bindings(1).get(0);
    host.set_name("HOST");
    host.init_service().set_name(HOST);
}

fn write_router(mut worker: worker::Builder, spec: &WorkerSpec) {
    write_own_modules(&mut worker, &[OUTBOUND_ROUTER]);
    let scripts: BTreeSet<&str> = spec.dev_outbound.iter().map(|(_, script)| script.as_str()).collect();
    let routes: serde_json::Map<_, _> =
        spec.dev_outbound.iter().map(|(host, script)| (host.clone(), route(script).into())).collect();
    let mut bindings = worker.init_bindings(scripts.len() as u32 + 2);
    let mut table = bindings.reborrow().get(0);
    table.set_name("ROUTES");
    table.set_json(serde_json::Value::Object(routes).to_string());
    let mut internet = bindings.reborrow().get(1);
    internet.set_name("INTERNET");
    internet.init_service().set_name(INTERNET);
    for (at, script) in scripts.into_iter().enumerate() {
        let mut binding = bindings.reborrow().get(at as u32 + 2);
        binding.set_name(route(script));
        binding.init_service().set_name(Service::Script(script).name());
    }
}

fn route(script: &str) -> String {
    format!("SCRIPT:{script}")
}

fn write_own_modules(worker: &mut worker::Builder, sources: &[(&str, &str)]) {
    let mut modules = worker.reborrow().init_modules(sources.len() as u32);
    for (at, (name, source)) in sources.iter().enumerate() {
        let mut module = modules.reborrow().get(at as u32);
        module.set_name(*name);
        module.set_es_module(*source);
    }
    worker.set_compatibility_date(WORKERD_DATE);
    worker.reborrow().init_global_outbound().set_name(INTERNET);
}

fn write_network(mut network: network::Builder, outbound: &Outbound) {
    let mut allow = vec!["public"];
    match outbound {
        Outbound::Any => allow.push("private"),
        Outbound::PublicOnly { allow: ranges } => allow.extend(ranges.iter().map(String::as_str)),
    }
    write_strings(&allow, |count| network.reborrow().init_allow(count));
    write_strings(&["unix", "unix-abstract"], |count| network.reborrow().init_deny(count));
    network.init_tls_options().set_trust_browser_cas(true);
}

/// A way to the server: the headers in the order (script, database, shim), `None` meaning that user code's own is removed.
fn write_external(mut external: external_server::Builder, spec: &WorkerSpec, targets: [Option<&str>; 3]) {
    external.set_address(format!("unix:{}", spec.host_socket.display()));
    write_headers(external.init_http(), targets);
}

fn write_headers(options: http_options::Builder, targets: [Option<&str>; 3]) {
    let mut headers = options.init_inject_request_headers(3);
    for (at, (name, value)) in [SERVICE_HEADER, D1_HEADER, SHIM_HEADER].into_iter().zip(targets).enumerate() {
        let mut header = headers.reborrow().get(at as u32);
        header.set_name(name);
        if let Some(value) = value {
            header.set_value(value);
        }
    }
}

fn write_strings<'a>(strings: &[&str], init: impl FnOnce(u32) -> capnp::text_list::Builder<'a>) {
    let mut list = init(strings.len() as u32);
    for (at, string) in strings.iter().enumerate() {
        list.set(at as u32, *string);
    }
}
