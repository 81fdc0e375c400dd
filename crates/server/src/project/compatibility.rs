//! The compatibility date and flags, and what follows from them for bundling.

use stepwell_runtime::WORKERD_DATE;

use super::diagnostics::Diagnostics;
use super::environment::Environment;

/// From here on workerd has `nodejs_compat` by default.
const NODEJS_COMPAT_DEFAULT_FROM: &str = "2026-08-04";
/// From here on `nodejs_compat` means its second version.
const NODEJS_COMPAT_V2_FROM: &str = "2024-09-23";
/// From here on there is a global `navigator`.
const NAVIGATOR_FROM: &str = "2022-03-21";

pub(super) struct Compatibility {
    pub date: String,
    pub flags: Vec<String>,
}

pub(super) fn read(environment: &Environment<'_>, today: &str, diagnostics: &mut Diagnostics) -> Compatibility {
    let flags_in = environment.section_with("compatibility_flags");
    let flags = flags_in.texts("compatibility_flags", diagnostics).unwrap_or_default();
    Compatibility { date: date(environment, today, diagnostics), flags }
}

fn date(environment: &Environment<'_>, today: &str, diagnostics: &mut Diagnostics) -> String {
    let section = environment.section_with("compatibility_date");
    let newest = today.min(WORKERD_DATE);
    if section.table.get("compatibility_date").is_none() {
        let message = format!(
            "not set; using {newest}. Add compatibility_date = \"{newest}\" so that it does not change by itself"
        );
        diagnostics.warn(None, "compatibility_date", message);
        return newest.to_owned();
    }
    let Some(date) = section.text("compatibility_date", diagnostics) else { return newest.to_owned() };
    if !is_date(&date) {
        let message = format!("\"{date}\" is not a date; write it as \"2024-09-23\", with plain hyphens");
        diagnostics.error(section.line_of("compatibility_date"), section.key("compatibility_date"), message);
    } else if date.as_str() > today {
        let message = format!("{date} is in the future; use {newest} or earlier");
        diagnostics.error(section.line_of("compatibility_date"), section.key("compatibility_date"), message);
    } else if date.as_str() > WORKERD_DATE {
        let message = format!("{date} is later than the pinned workerd knows; using {WORKERD_DATE}");
        diagnostics.warn(section.line_of("compatibility_date"), section.key("compatibility_date"), message);
        return WORKERD_DATE.to_owned();
    }
    date
}

fn is_date(text: &str) -> bool {
    text.len() == "2024-09-23".len() && text.parse::<jiff::civil::Date>().is_ok()
}

/// How Node's modules are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeModules {
    Off,
    /// `node:async_hooks`, for `nodejs_als`.
    Als,
    /// `node:fs`.
    Prefixed,
    /// `node:fs` and `fs`.
    Bare,
}

impl NodeModules {
    pub fn are_on(self) -> bool {
        !matches!(self, Self::Off | Self::Als)
    }

    pub fn of(date: &str, flags: &[String]) -> Self {
        let has = |flag: &str| flags.iter().any(|other| other == flag);
        let default = date >= NODEJS_COMPAT_DEFAULT_FROM && !has("no_nodejs_compat");
        if has("nodejs_compat_v2") {
            return Self::Bare;
        }
        match default || has("nodejs_compat") {
            true if date >= NODEJS_COMPAT_V2_FROM && !has("no_nodejs_compat_v2") => Self::Bare,
            true => Self::Prefixed,
            false if has("nodejs_als") => Self::Als,
            false => Self::Off,
        }
    }
}

pub(super) fn has_navigator(date: &str, flags: &[String]) -> bool {
    let has = |flag: &str| flags.iter().any(|other| other == flag);
    has("global_navigator") || (date >= NAVIGATOR_FROM && !has("no_global_navigator"))
}
