//! Numbered pages of a list that is whole at hand.

use schemars::JsonSchema;
use serde::Deserialize;

use super::envelope::ResultInfo;
use super::limits::PER_PAGE_MAX;
use crate::api_error::ApiError;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct PageQuery {
    /// From 1.
    page: Option<usize>,
    /// Rows of a page.
    per_page: Option<usize>,
}

/// Which page of a list of what has names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct NamedPageQuery {
    /// From 1.
    page: Option<usize>,
    /// Rows of a page.
    per_page: Option<usize>,
    /// Only the row of this name.
    #[serde(alias = "account.name")]
    name: Option<String>,
    /// Only rows whose name has this in it.
    search: Option<String>,
}

impl NamedPageQuery {
    /// The page of those rows that are asked for.
    ///
    /// # Errors
    /// As [`PageQuery::slice`].
    pub fn slice<T>(
        self,
        mut rows: Vec<T>,
        name_of: impl Fn(&T) -> &str,
        per_page_default: usize,
    ) -> Result<(Vec<T>, ResultInfo), ApiError> {
        let Self { page, per_page, name, search } = self;
        rows.retain(|row| {
            let own = name_of(row);
            name.as_ref().is_none_or(|name| own == name) && search.as_ref().is_none_or(|part| own.contains(part))
        });
        PageQuery { page, per_page }.slice(rows, per_page_default)
    }
}

impl PageQuery {
    /// The page of these rows, which are all on the first one unless asked otherwise.
    ///
    /// # Errors
    /// Where a page cannot have so many rows.
    pub fn slice_or_all<T>(&self, rows: Vec<T>) -> Result<(Vec<T>, ResultInfo), ApiError> {
        let count = rows.len().max(1);
        self.slice(rows, count)
    }

    /// The page of these rows.
    ///
    /// # Errors
    /// Where a page cannot have so many rows.
    pub fn slice<T>(&self, rows: Vec<T>, per_page_default: usize) -> Result<(Vec<T>, ResultInfo), ApiError> {
        let number = self.page.unwrap_or(1).max(1);
        let per_page = checked_per_page(self.per_page, per_page_default)?;
        let total = rows.len();
        let rows: Vec<T> = rows.into_iter().skip((number - 1).saturating_mul(per_page)).take(per_page).collect();
        let info =
            ResultInfo { page: number, per_page, count: rows.len(), total_count: Some(total as u64), cursor: None };
        Ok((rows, info))
    }
}

/// Rows of a page as asked for.
///
/// # Errors
/// Where a page cannot have so many.
pub fn checked_per_page(asked: Option<usize>, default: usize) -> Result<usize, ApiError> {
    match asked {
        None => Ok(default),
        Some(count) if (1..=PER_PAGE_MAX).contains(&count) => Ok(count),
        Some(count) => Err(ApiError::bad_request(format!("per_page: {count} is not within 1 and {PER_PAGE_MAX}"))),
    }
}
