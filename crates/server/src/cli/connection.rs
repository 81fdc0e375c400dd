//! Which server is meant, and as whom it is asked. Pure: what a person typed, what the environment says and what profiles
//! hold go in, the decision comes out. Nothing is read here.
//!
//! Flags come before the environment, the environment before a profile, a profile before the server on this machine. A token
//! never goes to a server that it was not given for: a profile's goes to the profile's, Cloudflare's variables count
//! together, and the operator's token of a data directory is for a server that no profile names.

use std::path::PathBuf;

use super::CliError;
use super::profiles::Profile;
use crate::accounts::ACCOUNT_ID;

/// Where `dev` and `serve` listen unless told.
pub const DEFAULT_API: &str = "http://127.0.0.1:8788";
/// The profile that everybody has: the server on this machine, without a token.
pub const LOCAL: &str = "local";

/// A server, and who asks.
pub struct Connection {
    pub url: String,
    pub token: Option<String>,
    pub account: String,
    pub origin: Origin,
}

/// A connection whose token is yet to be read.
pub struct Decision {
    pub url: String,
    pub token: TokenSource,
    pub account: String,
    pub origin: Origin,
}

/// Where the token is.
pub enum TokenSource {
    None,
    Given(String),
    /// The operator's, in this data directory.
    DataDirectory(PathBuf),
}

/// What named the server, for those who wonder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Flag,
    /// The variable.
    Environment(&'static str),
    /// Its name.
    Profile(String),
    Default,
}

/// What one layer of settings says.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Layer {
    pub api: Option<String>,
    pub token: Option<String>,
    pub data: Option<PathBuf>,
    pub profile: Option<String>,
    pub account: Option<String>,
}

/// Variables of the environment: ours, and those that wrangler reads as well.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `STEPWELL_*`.
    pub own: Layer,
    /// `CLOUDFLARE_*`, of which the address must be there for the others to count.
    pub cloudflare: Layer,
}

/// The profiles, as far as a decision needs them.
pub trait ProfileSource {
    /// The profile of that name.
    ///
    /// # Errors
    /// Where there is none, or profiles cannot be read.
    fn named(&self, name: &str) -> Result<Profile, CliError>;
    /// The one in use, with its name.
    ///
    /// # Errors
    /// As [`ProfileSource::named`].
    fn current(&self) -> Result<Option<(String, Profile)>, CliError>;
}

/// Decides.
///
/// # Errors
/// What reading a profile brings.
pub fn decide(flags: Layer, environment: Environment, profiles: &impl ProfileSource) -> Result<Decision, CliError> {
    let Environment { own, cloudflare } = environment;
    let chosen = match &flags.profile {
        Some(name) => Some((name.clone(), profiles.named(name)?)),
        None => None,
    };
    let is_chosen = chosen.is_some();
    let has_data = flags.data.is_some() || own.data.is_some();
    let is_elsewhere = has_data || flags.api.is_some() || own.api.is_some();
    let profile = match (chosen, own.profile.as_deref()) {
        (Some(chosen), _) => Some(chosen),
        (None, _) if is_elsewhere => None,
        (None, Some(name)) => Some((name.to_owned(), profiles.named(name)?)),
        (None, None) if cloudflare.api.is_some() => None,
        (None, None) => profiles.current()?,
    };
    let from_profile = |(name, profile): &(String, Profile)| (profile.url.clone(), Origin::Profile(name.clone()));
    let variable = |url: &Option<String>, name| url.clone().map(|url| (url, Origin::Environment(name)));
    let (url, origin) = flags
        .api
        .clone()
        .map(|url| (url, Origin::Flag))
        .or_else(|| profile.as_ref().filter(|_| is_chosen).map(from_profile))
        .or_else(|| variable(&own.api, "STEPWELL_API"))
        .or_else(|| profile.as_ref().map(from_profile))
        .or_else(|| variable(&cloudflare.api, "CLOUDFLARE_API_BASE_URL").filter(|_| !has_data))
        .unwrap_or_else(|| (DEFAULT_API.to_owned(), Origin::Default));
    let profile = profile.map(|(_, profile)| profile);
    let cloudflare = match origin {
        Origin::Environment("CLOUDFLARE_API_BASE_URL") => cloudflare,
        _ => Layer::default(),
    };
    let token = token(&flags, profile.as_ref().filter(|_| is_chosen), &own, &cloudflare, profile.as_ref());
    let chosen_account = profile.as_ref().filter(|_| is_chosen).map(Profile::account);
    let account = flags.account.or(chosen_account).or(own.account).or(cloudflare.account);
    let account = account.or_else(|| profile.as_ref().map(Profile::account)).unwrap_or_else(|| ACCOUNT_ID.to_owned());
    Ok(Decision { url, token, account, origin })
}

/// The first layer that has one. A profile that was chosen by a flag has the last word of its layer, also where it has none.
fn token(
    flags: &Layer,
    chosen: Option<&Profile>,
    own: &Layer,
    cloudflare: &Layer,
    profile: Option<&Profile>,
) -> TokenSource {
    let of_profile = |profile: &Profile| profile.token.clone().map_or(TokenSource::None, TokenSource::Given);
    of_layer(flags)
        .or_else(|| chosen.map(of_profile))
        .or_else(|| of_layer(own))
        .or_else(|| of_layer(cloudflare))
        .or_else(|| profile.map(of_profile))
        .unwrap_or(TokenSource::None)
}

fn of_layer(layer: &Layer) -> Option<TokenSource> {
    let given = layer.token.clone().map(TokenSource::Given);
    given.or_else(|| layer.data.clone().map(TokenSource::DataDirectory))
}

impl Origin {
    /// For whoever wonders.
    pub fn told(&self) -> String {
        match self {
            Self::Flag => "named by --api".to_owned(),
            Self::Environment(variable) => format!("named by {variable}"),
            Self::Profile(name) => format!("profile {name}"),
            Self::Default => "the default".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `prod` is in use; `bare` has no token.
    struct Known;

    impl ProfileSource for Known {
        fn named(&self, name: &str) -> Result<Profile, CliError> {
            let token = (name == "prod").then(|| "of-prod".to_owned());
            Ok(Profile::new(format!("http://{name}"), token, Some(format!("a-{name}"))))
        }

        fn current(&self) -> Result<Option<(String, Profile)>, CliError> {
            Ok(Some(("prod".to_owned(), self.named("prod")?)))
        }
    }

    fn layer(pairs: &str) -> Layer {
        let mut layer = Layer::default();
        for (name, value) in pairs.split_whitespace().map(|pair| pair.split_once('=').expect("a pair")) {
            let value = value.to_owned();
            match name {
                "api" => layer.api = Some(value),
                "token" => layer.token = Some(value),
                "data" => layer.data = Some(value.into()),
                "profile" => layer.profile = Some(value),
                _ => layer.account = Some(value),
            }
        }
        layer
    }

    /// `[flags, STEPWELL_*, CLOUDFLARE_*]` to `url token account`.
    fn check([flags, own, cloudflare]: [&str; 3], expected: &str) {
        let environment = Environment { own: layer(own), cloudflare: layer(cloudflare) };
        let decided = decide(layer(flags), environment, &Known).unwrap_or_else(|error| panic!("{error}"));
        let token = match decided.token {
            TokenSource::None => "-".to_owned(),
            TokenSource::Given(token) => token,
            TokenSource::DataDirectory(directory) => format!("in:{}", directory.display()),
        };
        let account = if decided.account == ACCOUNT_ID { "-" } else { &decided.account };
        assert_eq!(format!("{} {token} {account}", decided.url), expected, "{flags:?} {own:?} {cloudflare:?}");
    }

    #[test]
    fn flags_come_before_the_environment_and_the_environment_before_a_profile() {
        check(["", "", ""], "http://prod of-prod a-prod");
        check(["", "api=http://e token=t", ""], "http://e t -");
        check(["api=http://f token=f", "api=http://e token=t account=x", ""], "http://f f x");
        check(["account=y", "account=x", ""], "http://prod of-prod y");
        check(["", "token=t", ""], "http://prod t a-prod");
        check(["", "profile=bare", ""], "http://bare - a-bare");
        check(["data=d", "token=t", ""], &format!("{DEFAULT_API} in:d -"));
        check(["", "data=d", ""], &format!("{DEFAULT_API} in:d -"));
        check(["", "data=d", "api=http://c token=c"], &format!("{DEFAULT_API} in:d -"));
        check(["data=d", "api=http://e", ""], "http://e in:d -");
        check(["data=d", "", "api=http://c token=c"], &format!("{DEFAULT_API} in:d -"));
    }

    #[test]
    fn a_profile_that_is_named_by_a_flag_is_taken_whole() {
        check(["profile=prod", "api=http://e token=t account=x", "api=http://c token=c"], "http://prod of-prod a-prod");
        check(["profile=bare", "token=t", ""], "http://bare - a-bare");
        check(["profile=prod api=http://tunnel", "", ""], "http://tunnel of-prod a-prod");
        check(["profile=prod token=f", "", ""], "http://prod f a-prod");
    }

    #[test]
    fn a_token_goes_to_no_server_that_it_was_not_given_for() {
        check(["api=http://f", "", ""], "http://f - -");
        check(["api=http://f", "", "api=http://c token=c account=z"], "http://f - -");
        check(["", "api=http://e", "token=c account=z"], "http://e - -");
        check(["", "", "token=c account=z"], "http://prod of-prod a-prod");
        check(["", "", "api=http://c token=c account=z"], "http://c c z");
        check(["", "profile=bare", "api=http://c token=c"], "http://bare - a-bare");
    }
}
