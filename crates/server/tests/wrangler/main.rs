//! The real releases of wrangler, unmodified, drive the real server: each test is a story told to a terminal, and what the
//! terminal shows, with the requests that wrangler made, is the snapshot.
//!
//! A story runs with every release that knows its commands. A request that the server does not know, or fails at by its own
//! fault, fails the test. The releases come from npm, as `/tests/wrangler/package-lock.json` pins them.

mod access;
mod d1;
mod deploy;
mod instances;
mod proxy;
mod redaction;
mod release;
mod secrets;
#[expect(dead_code, unused_imports, reason = "the end-to-end tests use all of it")]
#[path = "../e2e/support/mod.rs"]
mod support;
mod tail;
mod terminal;
mod versions;
mod workflows;

/// A test of each story with each release.
macro_rules! on_every_release {
    ($($story:ident),+ $(,)?) => {
        $(mod $story {
            use crate::release::Release;

            #[tokio::test]
            async fn with_3_114() {
                Box::pin(super::tell::$story(Release::V3)).await;
            }

            #[tokio::test]
            async fn with_4_86() {
                Box::pin(super::tell::$story(Release::V4)).await;
            }

            #[tokio::test]
            async fn with_the_newest() {
                Box::pin(super::tell::$story(Release::Newest)).await;
            }
        })+
    };
}
pub(crate) use on_every_release;
