//! What Cloudflare has and this server has not: whoever asks for it is told so, and what to do.

use axum::http::Method;

use crate::api_error::ApiError;

/// Our code of something that is not there yet.
const ABSENT: u32 = 20_404;

/// A part of Cloudflare's API: how its paths begin below the account, what it is, and what to remove.
struct Product {
    prefix: &'static str,
    name: &'static str,
    configured_as: &'static str,
}

const PRODUCTS: [Product; 10] = [
    Product { prefix: "/ai", name: "Workers AI", configured_as: "the `ai` binding" },
    Product { prefix: "/hyperdrive", name: "Hyperdrive", configured_as: "`hyperdrive`" },
    Product { prefix: "/pages", name: "Pages", configured_as: "the Pages project; deploy a Worker instead" },
    Product { prefix: "/pipelines", name: "Pipelines", configured_as: "`pipelines`" },
    Product { prefix: "/queues", name: "Queues", configured_as: "`queues`" },
    Product { prefix: "/r2", name: "R2", configured_as: "`r2_buckets`" },
    Product { prefix: "/storage/kv", name: "KV", configured_as: "`kv_namespaces`" },
    Product { prefix: "/triggers", name: "event triggers", configured_as: "`triggers.events`" },
    Product { prefix: "/vectorize", name: "Vectorize", configured_as: "`vectorize`" },
    Product { prefix: "/workers/dispatch", name: "dispatch namespaces", configured_as: "`dispatch_namespaces`" },
];

/// Parts of a script's paths that stand for what it cannot have here.
const OF_SCRIPTS: [Product; 3] = [
    Product { prefix: "assets-upload-session", name: "static assets", configured_as: "`assets`" },
    Product { prefix: "domains", name: "custom domains", configured_as: "`routes`" },
    Product { prefix: "routes", name: "routes", configured_as: "`routes`" },
];

/// The refusal of a path that leads to nothing; it names what the path would be on Cloudflare, where that is known.
pub fn refusal(method: &Method, path: &str) -> ApiError {
    match product(path) {
        Some(Product { name, configured_as, .. }) => {
            let message =
                format!("This server has no {name} yet: remove {configured_as} from the wrangler configuration");
            ApiError::new(404, ABSENT, message)
        }
        None => ApiError::new(404, 7_003, format!("No route for that URI: {method} {path}")),
    }
}

/// What is asked for below an account.
fn product(path: &str) -> Option<&'static Product> {
    let (_, below) = path.split_once("/accounts/")?.1.split_once('/')?;
    if let Some(of_script) = below.strip_prefix("workers/scripts/") {
        let (_, part) = of_script.split_once('/')?;
        return OF_SCRIPTS.iter().find(|product| part.split('/').next() == Some(product.prefix));
    }
    let is_asked = |product: &&Product| {
        let rest = below.strip_prefix(product.prefix.trim_start_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    PRODUCTS.iter().find(is_asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_here_is_named_and_other_paths_are_repeated() {
        for (path, code, named) in [
            ("/client/v4/accounts/a/r2/buckets/b", ABSENT, "no R2"),
            ("/client/v4/accounts/a/queues", ABSENT, "`queues`"),
            ("/client/v4/accounts/a/workers/scripts/s/assets-upload-session", ABSENT, "static assets"),
            ("/client/v4/accounts/a/workers/scripts/s/routes", ABSENT, "`routes`"),
            ("/client/v4/accounts/a/r2d2", 7_003, "/r2d2"),
            ("/client/v4/accounts/a", 7_003, "GET"),
            ("/r2/buckets", 7_003, "/r2/buckets"),
        ] {
            let error = refusal(&Method::GET, path);
            assert!(error.code == code && error.message.contains(named), "{path}: {error:?}");
        }
    }
}
