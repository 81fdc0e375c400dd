//! The description of the API, in OpenAPI, made of the routes themselves: what is routed is described, and nothing else is.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use schemars::generate::SchemaSettings;
use schemars::transform::ReplaceBoolSchemas;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::envelope::{ErrorItem, ResultInfo};
use super::route::{Answer, Content, Route, SchemaOf};
use crate::auth::{Needs, Scope};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SCHEMAS: &str = "/components/schemas";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", Needs::Nothing, show)
            .says("The description of this API")
            .gives_answer(Answer::Plain(JSON)),
    ]
}

/// The routes are the same as long as the program is.
static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| describe(&super::routes()));

async fn show() -> Response {
    axum::Json(&*DESCRIPTION).into_response()
}

/// The description of these routes.
#[must_use]
pub fn describe(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|it| it.definitions_path = SCHEMAS.into());
    let mut objects = ReplaceBoolSchemas::default();
    objects.skip_additional_properties = true;
    let mut generator = settings.with_transform(objects).into_generator();
    let mut paths = Map::new();
    // A path with a slash at its end is another spelling of the one without.
    for route in routes.iter().filter(|route| !route.path.ends_with('/')) {
        let methods = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut generator);
    }
    let failure = envelope(&mut generator, &json!({ "const": false }), json!({ "type": "null" }), false);
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stepwell",
            "version": VERSION,
            "summary": "Durable workflows: Cloudflare's API on a server of your own",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                "Failure": { "description": "What went wrong, and what to do", "content": { JSON: { "schema": failure } } },
            },
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": scopes() },
                "key": { "type": "apiKey", "in": "header", "name": "X-Auth-Key", "description": "The same token" },
            },
        },
    })
}

fn scopes() -> String {
    let words = Scope::ALL.map(Scope::word).join(", ");
    format!("An API token. What an operation wants of it is said in `x-scope`, one of {words}.")
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.doc.summary,
        "tags": [tag(&route.path)],
        "parameters": parameters(route, generator),
        "responses": {
            "200": success(route.doc.answer, generator),
            "default": { "$ref": "#/components/responses/Failure" },
        },
    });
    match route.needs {
        Needs::Nothing => operation["security"] = json!([]),
        Needs::Token => operation["security"] = any_token(),
        Needs::Scope(scope) => {
            operation["security"] = any_token();
            operation["x-scope"] = scope.word().into();
        }
    }
    if let Some(content) = route.doc.body {
        operation["requestBody"] = json!({ "content": content_of(content, generator) });
    }
    operation
}

fn any_token() -> Value {
    json!([{ "token": [] }, { "key": [] }])
}

/// The method and the words of the path.
fn operation_id(route: &Route) -> String {
    let words = own_path(&route.path).split('/').filter(|word| !word.is_empty());
    let words = words.map(|word| word.trim_matches(['{', '}']).replace(['-', '.'], "_"));
    std::iter::once(route.method.as_str().to_ascii_lowercase()).chain(words).collect::<Vec<_>>().join("_")
}

fn tag(path: &str) -> &str {
    own_path(path).split('/').find(|word| !word.is_empty()).unwrap_or_default()
}

/// What of a path is not the same everywhere.
fn own_path(path: &str) -> &str {
    let path = path.strip_prefix("/client/v4").unwrap_or(path);
    path.strip_prefix("/accounts/{account}/").unwrap_or(path)
}

fn parameters(route: &Route, generator: &mut SchemaGenerator) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = names.map(
        |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }),
    );
    in_path.chain(route.doc.query.into_iter().flat_map(|query| in_query(query, generator))).collect()
}

/// The members of an object, each a parameter.
fn in_query(query: SchemaOf, generator: &mut SchemaGenerator) -> Vec<Value> {
    let reference = query(generator);
    let name = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let object = name.and_then(|name| generator.definitions_mut().remove(name)).unwrap_or_else(|| reference.into());
    let required = object["required"].as_array().cloned().unwrap_or_default();
    let members = object["properties"].as_object().cloned().unwrap_or_default();
    let member = |(name, mut schema): (String, Value)| {
        let is_required = required.iter().any(|other| *other == *name);
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": name, "in": "query", "required": is_required, "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    };
    members.into_iter().map(member).collect()
}

fn content_of(content: Content, generator: &mut SchemaGenerator) -> Value {
    match content {
        Content::Json(schema) => json!({ JSON: { "schema": object(schema(generator)) } }),
        Content::Bytes => json!({ BYTES: {} }),
        Content::Multipart(part) => {
            let schema = json!({
                "type": "object", "required": [part],
                "properties": { part: { "type": "string", "contentMediaType": JSON } },
                "additionalProperties": { "type": "string" },
            });
            json!({ "multipart/form-data": { "schema": schema } })
        }
    }
}

fn success(answer: Option<Answer>, generator: &mut SchemaGenerator) -> Value {
    let succeeded = json!({ "const": true });
    let content = match answer {
        None => json!({ JSON: { "schema": envelope(generator, &succeeded, json!({}), false) } }),
        Some(Answer::Result(schema)) => {
            let result = object(schema(generator));
            json!({ JSON: { "schema": envelope(generator, &succeeded, result, false) } })
        }
        Some(Answer::Page(schema)) => {
            let result = object(schema(generator));
            json!({ JSON: { "schema": envelope(generator, &succeeded, result, true) } })
        }
        Some(Answer::ResultOrBytes(schema)) => {
            let result = object(schema(generator));
            json!({ JSON: { "schema": envelope(generator, &succeeded, result, false) }, BYTES: {} })
        }
        Some(Answer::Plain(media_type)) => json!({ media_type: {} }),
    };
    json!({ "description": "Done", "content": content })
}

/// The envelope around a result.
fn envelope(generator: &mut SchemaGenerator, success: &Value, result: Value, is_page: bool) -> Value {
    let mut schema = json!({
        "type": "object",
        "required": ["success", "errors", "messages", "result"],
        "properties": {
            "success": success,
            "errors": { "type": "array", "items": of::<ErrorItem<'static>>(generator) },
            "messages": { "type": "array" },
            "result": result,
        },
    });
    if is_page {
        schema["required"] = json!(["success", "errors", "messages", "result", "result_info"]);
        schema["properties"]["result_info"] = of::<ResultInfo>(generator);
    }
    schema
}

/// A schema that allows everything is written `{}` rather than `true`, which not every reader knows.
fn object(mut schema: Schema) -> Value {
    schema.ensure_object();
    schema.into()
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().into()
}
