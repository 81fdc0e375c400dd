//! The API and the ingress as tests use them. A workflow is named by its name, an instance by its id.

use hyper::Method;
use serde_json::{Value as Json, json};

use super::{Answer, Server, eventually};

/// Longest wait that one request may ask for.
const WAIT_MS: u64 = 60_000;
/// Such waits for an end: thousands of steps take a debug build long on a busy machine.
const WAITS: u32 = 3;

impl Server {
    /// A request to the API, below the account.
    pub async fn api(&self, method: Method, path: &str, body: impl Into<hyper::body::Bytes>) -> Answer {
        self.api_with(method, path, &[("content-type", "application/json")], body).await
    }

    /// As [`Server::api`], with other headers.
    pub async fn api_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<hyper::body::Bytes>,
    ) -> Answer {
        let url = format!("http://{}/client/v4/accounts/{}/{path}", self.api, stepwell::accounts::ACCOUNT_ID);
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = headers.to_vec();
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        self.http.send(method, &url, &headers, body).await
    }

    /// A request to a script's `fetch` handler.
    pub async fn fetch(&self, script: &str, method: Method, path: &str, body: &str) -> Answer {
        let host = format!("{script}.localhost");
        let url = format!("http://{}{path}", self.ingress);
        self.http.send(method, &url, &[("host", &host)], body.to_owned()).await
    }

    /// `GET` of a script's `fetch` handler, which answers JSON.
    pub async fn get(&self, script: &str, path: &str) -> Json {
        self.fetch(script, Method::GET, path, "").await.ok()
    }

    /// Creates an instance and gives its id.
    pub async fn create(&self, workflow: &str, params: Json) -> String {
        let created = self.try_create(workflow, json!({ "params": params })).await.ok();
        created["result"]["id"].as_str().expect("an id").to_owned()
    }

    /// Creates an instance of an id of ours.
    pub async fn create_as(&self, workflow: &str, id: &str, params: Json) -> String {
        let created = self.try_create(workflow, json!({ "instance_id": id, "params": params })).await.ok();
        assert_eq!(created["result"]["id"], id);
        id.to_owned()
    }

    pub async fn try_create(&self, workflow: &str, body: Json) -> Answer {
        self.api(Method::POST, &format!("workflows/{workflow}/instances"), body.to_string()).await
    }

    /// The detail of an instance.
    pub async fn instance(&self, workflow: &str, id: &str) -> Json {
        let answer = self.api(Method::GET, &format!("workflows/{workflow}/instances/{id}"), "").await;
        answer.ok()["result"].take()
    }

    /// The status of an instance in Cloudflare's word.
    pub async fn status(&self, workflow: &str, id: &str) -> String {
        self.instance(workflow, id).await["status"].as_str().expect("a status").to_owned()
    }

    /// The detail of an instance that has ended.
    pub async fn ended(&self, workflow: &str, id: &str) -> Json {
        let path = format!("workflows/{workflow}/instances/{id}?wait_ms={WAIT_MS}");
        let mut detail = Json::Null;
        for _ in 0..WAITS {
            detail = self.api(Method::GET, &path, "").await.ok()["result"].take();
            if ["complete", "errored", "terminated"].iter().any(|word| detail["status"] == *word) {
                return detail;
            }
        }
        panic!("not ended after {WAITS} times {WAIT_MS} ms: {detail:#}");
    }

    /// The output of an instance that completes.
    pub async fn output(&self, workflow: &str, id: &str) -> Json {
        let detail = self.ended(workflow, id).await;
        assert_eq!(detail["status"], "complete", "{detail:#}");
        detail["output"].as_str().map_or(Json::Null, |text| serde_json::from_str(text).expect("JSON"))
    }

    /// The output of a new instance.
    pub async fn run(&self, workflow: &str, params: Json) -> Json {
        let id = self.create(workflow, params).await;
        self.output(workflow, &id).await
    }

    /// The error of an instance that ends with one: `Name: message`.
    pub async fn error(&self, workflow: &str, id: &str) -> String {
        let detail = self.ended(workflow, id).await;
        assert_eq!(detail["status"], "errored", "{detail:#}");
        error_text(&detail["error"])
    }

    /// Waits until an instance is as wanted.
    pub async fn until(&self, workflow: &str, id: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let last = std::cell::RefCell::new(Json::Null);
        let told = || format!("{workflow} {id}: {:#}", last.borrow());
        eventually(told, || async {
            let detail = self.instance(workflow, id).await;
            *last.borrow_mut() = detail.clone();
            wanted(&detail).then_some(detail)
        })
        .await
    }

    /// Waits until an instance has a status.
    pub async fn until_status(&self, workflow: &str, id: &str, status: &str) -> Json {
        self.until(workflow, id, |detail| detail["status"] == status).await
    }

    /// `pause`, `resume`, `restart` or `terminate`: the answer.
    pub async fn change(&self, workflow: &str, id: &str, word: &str) -> Answer {
        let path = format!("workflows/{workflow}/instances/{id}/status");
        self.api(Method::PATCH, &path, json!({ "status": word }).to_string()).await
    }

    /// As [`Server::change`], of which the status is given that it answers.
    pub async fn changed(&self, workflow: &str, id: &str, word: &str) -> String {
        let answer = self.change(workflow, id, word).await.ok();
        answer["result"]["status"].as_str().expect("a status").to_owned()
    }

    pub async fn send_event(&self, workflow: &str, id: &str, event_type: &str, payload: Json) -> Answer {
        let path = format!("workflows/{workflow}/instances/{id}/events/{event_type}");
        self.api(Method::POST, &path, payload.to_string()).await
    }

    /// Pauses an instance and resumes it: what goes on is a new run, which replays.
    pub async fn replay(&self, workflow: &str, id: &str) {
        self.changed(workflow, id, "pause").await;
        self.until_status(workflow, id, "paused").await;
        self.changed(workflow, id, "resume").await;
    }

    /// Deploys a Worker of one module. Each class is a workflow of its name.
    pub async fn deploy(&self, script: &str, classes: &[&str], source: &str) -> Answer {
        let bindings: Vec<Json> = classes
            .iter()
            .map(|class| json!({ "type": "workflow", "name": class, "workflow_name": class, "class_name": class }))
            .collect();
        self.upload(script, bindings.into(), source).await
    }

    /// Deploys a Worker of one module with these bindings.
    pub async fn upload(&self, script: &str, bindings: Json, source: &str) -> Answer {
        let metadata = json!({ "main_module": "index.js", "compatibility_date": "2025-06-01", "bindings": bindings });
        let body = format!(
            "--cut\r\ncontent-disposition: form-data; name=\"metadata\"\r\ncontent-type: application/json\r\n\r\n{metadata}\r\n\
             --cut\r\ncontent-disposition: form-data; name=\"index.js\"; filename=\"index.js\"\r\n\
             content-type: application/javascript+module\r\n\r\n{source}\r\n--cut--\r\n"
        );
        let headers = [("content-type", "multipart/form-data; boundary=cut")];
        self.api_with(Method::PUT, &format!("workers/scripts/{script}"), &headers, body).await
    }
}

/// `Name: message`.
pub fn error_text(error: &Json) -> String {
    format!("{}: {}", error["name"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default())
}

/// The names of a detail's steps, in order.
pub fn names_of(detail: &Json) -> Vec<String> {
    let steps = detail["steps"].as_array().expect("steps");
    steps.iter().filter_map(|step| step["name"].as_str().map(str::to_owned)).collect()
}
