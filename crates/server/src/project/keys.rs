//! Every key that wrangler knows at the top of its configuration, whether a named environment inherits it, and what Stepwell
//! does with it. A key that is not here is a mistake of the user's, or newer than this table.

use Handling::{NoEffect, Read, Refused, Warned};
use Scope::{Inherited, PerEnvironment, TopLevel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A named environment has the top level's value unless it sets its own.
    Inherited,
    /// A named environment must say it again; wrangler warns where it does not.
    PerEnvironment,
    /// Not allowed in a named environment.
    TopLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handling {
    Read,
    /// Means something on Cloudflare's network only.
    NoEffect,
    /// Would do something that Stepwell does not do yet; said in a warning, the Worker runs without it.
    Warned(&'static str),
    /// The Worker cannot work without it; the text completes "Stepwell does not have … yet".
    Refused(&'static str),
}

pub(super) struct Key {
    pub name: &'static str,
    pub scope: Scope,
    pub handling: Handling,
}

const fn key(name: &'static str, scope: Scope, handling: Handling) -> Key {
    Key { name, scope, handling }
}

pub(super) const KEYS: &[Key] = &[
    key("$schema", TopLevel, NoEffect),
    key("env", TopLevel, Read),
    key("alias", TopLevel, Read),
    key("dev", TopLevel, NoEffect),
    key("keep_vars", TopLevel, NoEffect),
    key("legacy_env", TopLevel, NoEffect),
    key("send_metrics", TopLevel, NoEffect),
    key("pages_build_output_dir", TopLevel, Refused("Pages projects")),
    key("site", TopLevel, Refused("Workers Sites")),
    key("wasm_modules", TopLevel, Refused("modules of service workers (import the file instead)")),
    key("text_blobs", TopLevel, Refused("modules of service workers (import the file instead)")),
    key("data_blobs", TopLevel, Refused("modules of service workers (import the file instead)")),
    key("name", Inherited, Read),
    key("main", Inherited, Read),
    key("compatibility_date", Inherited, Read),
    key("compatibility_flags", Inherited, Read),
    key("build", Inherited, Read),
    key("jsx_factory", Inherited, Read),
    key("jsx_fragment", Inherited, Read),
    key("keep_names", Inherited, Read),
    key("limits", Inherited, Read),
    key("minify", Inherited, Read),
    key("rules", Inherited, Read),
    key("tsconfig", Inherited, Read),
    key("account_id", Inherited, NoEffect),
    key("base_dir", Inherited, Read),
    key("cache", Inherited, NoEffect),
    key("compliance_region", Inherited, NoEffect),
    key("first_party_worker", Inherited, NoEffect),
    key("logpush", Inherited, NoEffect),
    key("migrations", Inherited, NoEffect),
    key("observability", Inherited, NoEffect),
    key("placement", Inherited, NoEffect),
    key("preserve_file_names", Inherited, Read),
    key("preview_urls", Inherited, NoEffect),
    key("previews", Inherited, NoEffect),
    key("python_modules", Inherited, NoEffect),
    key("route", Inherited, NoEffect),
    key("routes", Inherited, NoEffect),
    key("upload_source_maps", Inherited, NoEffect),
    key("workers_dev", Inherited, NoEffect),
    key("triggers", Inherited, Warned("cron triggers of Workers are not run")),
    key("assets", Inherited, Refused("static assets")),
    key("find_additional_modules", Inherited, Read),
    key("logfwdr", Inherited, Refused("logfwdr bindings")),
    key("no_bundle", Inherited, Read),
    key("vars", PerEnvironment, Read),
    key("secrets", PerEnvironment, Read),
    key("define", PerEnvironment, Read),
    key("workflows", PerEnvironment, Read),
    key("d1_databases", PerEnvironment, Read),
    key("services", PerEnvironment, Read),
    key("tail_consumers", PerEnvironment, Warned("tail Workers are not called")),
    key("streaming_tail_consumers", PerEnvironment, Warned("tail Workers are not called")),
    key("ai", PerEnvironment, Refused("Workers AI bindings")),
    key("ai_search", PerEnvironment, Refused("AI Search bindings")),
    key("ai_search_namespaces", PerEnvironment, Refused("AI Search bindings")),
    key("analytics_engine_datasets", PerEnvironment, Refused("Analytics Engine bindings")),
    key("artifacts", PerEnvironment, Refused("Artifacts bindings")),
    key("browser", PerEnvironment, Refused("browser bindings")),
    key("cloudchamber", PerEnvironment, Refused("containers")),
    key("containers", PerEnvironment, Refused("containers")),
    key("dispatch_namespaces", PerEnvironment, Refused("dispatch namespaces")),
    key("durable_objects", PerEnvironment, Refused("Durable Objects")),
    key("exports", Inherited, Read),
    key("flagship", PerEnvironment, Refused("Flagship bindings")),
    key("hyperdrive", PerEnvironment, Refused("Hyperdrive bindings")),
    key("images", PerEnvironment, Refused("Images bindings")),
    key("kv_namespaces", PerEnvironment, Refused("KV namespaces")),
    key("media", PerEnvironment, Refused("Media bindings")),
    key("mtls_certificates", PerEnvironment, Refused("mTLS certificates")),
    key("pipelines", PerEnvironment, Refused("Pipelines bindings")),
    key("queues", PerEnvironment, Refused("Queues")),
    key("r2_buckets", PerEnvironment, Refused("R2 buckets")),
    key("ratelimits", PerEnvironment, Refused("rate limit bindings")),
    key("secrets_store_secrets", PerEnvironment, Refused("Secrets Store bindings (use a secret of the Worker)")),
    key("send_email", PerEnvironment, Refused("email bindings")),
    key("stream", PerEnvironment, Refused("Stream bindings")),
    key("unsafe", PerEnvironment, Refused("unsafe bindings")),
    key("unsafe_hello_world", PerEnvironment, Refused("unsafe bindings")),
    key("vectorize", PerEnvironment, Refused("Vectorize bindings")),
    key("version_metadata", PerEnvironment, Refused("version metadata bindings")),
    key("vpc_networks", PerEnvironment, Refused("VPC bindings")),
    key("vpc_services", PerEnvironment, Refused("VPC bindings")),
    key("worker_loaders", PerEnvironment, Refused("Worker loaders")),
];

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

pub(super) fn environment_names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(|key| key.scope != TopLevel).map(|key| key.name)
}
