//! A real Chromium, driven over its DevTools protocol: as a person would, by mouse and keys.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::process::{Process, root, sweep};
use super::{SOON, eventually_true};

/// One browser with a profile folder of its own.
pub struct Browser {
    address: String,
    folder: TempDir,
    process: Option<Process>,
}

impl Browser {
    /// Starts Chromium without a window.
    pub fn start() -> Browser {
        Self::start_with(&[])
    }

    /// Starts Chromium without a window, with further arguments.
    pub fn start_with(arguments: &[&str]) -> Browser {
        let folder = TempDir::new().expect("a folder");
        let names = [
            "/usr/bin/chromium",
            "/usr/bin/google-chrome",
            "/usr/bin/chromium-browser",
        ];
        let program = names
            .into_iter()
            .find(|name| PathBuf::from(name).exists())
            .expect("a Chromium");
        let mut command = Command::new(program);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args([
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .args(arguments)
            .arg("about:blank");
        let mark = folder.path().display().to_string();
        let mut process = Process::spawn(command, &mark, &folder.path().join("log"));
        let line = process.line_with("DevTools listening on ws://", 0, SOON);
        let address = line
            .split("ws://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        Browser {
            address: address.expect("an address").to_owned(),
            folder,
            process: Some(process),
        }
    }

    /// A new tab of the given size in CSS pixels.
    pub fn page(&self, width: u32, height: u32) -> Page {
        let http = super::Http::new(&format!("http://{}", self.address));
        let target = http
            .send("PUT", "/json/new?about:blank", &[], &[])
            .expect(200)
            .json();
        let url = target["webSocketDebuggerUrl"].as_str().expect("a tab");
        let stream = TcpStream::connect(&self.address).expect("the browser");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        // Many small messages, each waiting for its answer: Nagle's algorithm would cost 40 ms a key.
        stream.set_nodelay(true).expect("a TCP option");
        let (socket, _) = tungstenite::client(url, stream).expect("a web socket");
        let mut page = Page {
            socket,
            next: 0,
            faults: Vec::new(),
        };
        for domain in ["Page", "Runtime", "DOM", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        page.resize(width, height);
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process = None;
        sweep(&self.folder.path().display().to_string());
    }
}

/// One tab.
pub struct Page {
    socket: WebSocket<TcpStream>,
    next: u64,
    faults: Vec<String>,
}

impl Page {
    /// Opens an address and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        self.eval("window.sluiceOld = true");
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.settle();
    }

    /// Reloads the page.
    pub fn reload(&mut self) {
        self.eval("window.sluiceOld = true");
        self.call("Page.reload", json!({}));
        self.settle();
    }

    /// Another window size; narrow ones count as phones.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Where it is.
    pub fn url(&mut self) -> String {
        self.eval("location.href")
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// What a person reads on it.
    pub fn text(&mut self) -> String {
        self.eval("document.body ? document.body.innerText : ''")
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// How many elements there are of that kind.
    pub fn count(&mut self, selector: &str) -> u64 {
        let script = format!("document.querySelectorAll({}).length", json!(selector));
        self.eval(&script).as_u64().unwrap_or_default()
    }

    /// Waits for an element.
    pub fn wait_for(&mut self, selector: &str) {
        self.wait_until(selector, |page| page.count(selector) > 0);
    }

    /// Waits for words on the page.
    pub fn wait_for_text(&mut self, words: &str) {
        self.wait_until(words, |page| page.text().contains(words));
    }

    /// Waits for a condition; a failure shows the page's text.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&mut Page) -> bool) {
        let started = Instant::now();
        while !condition(self) {
            if started.elapsed() > 2 * SOON {
                let (url, text) = (self.url(), self.text());
                panic!(
                    "waited in vain for \"{what}\" at {url}, which reads:\n{text}\n{:?}",
                    self.faults
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Types into a field, over what is there.
    pub fn fill(&mut self, selector: &str, text: &str) {
        self.wait_for(selector);
        let element = json!(selector);
        let kind = self.eval(&format!(
            "(e => {{ e.scrollIntoView({{block: 'center'}}); e.focus(); e.select && e.select(); return e.tagName }})\
             (document.querySelector({element}))"
        ));
        if kind == "SELECT" {
            let script = format!(
                "(e => {{ e.value = {}; e.dispatchEvent(new Event('change', {{bubbles: true}})); return e.value }})\
                 (document.querySelector({element}))",
                json!(text)
            );
            assert_eq!(self.eval(&script), text, "an option {text} of {selector}");
        } else {
            self.call("Input.insertText", json!({"text": text}));
        }
    }

    /// Chooses a file in a file field.
    pub fn choose_file(&mut self, selector: &str, file: &std::path::Path) {
        self.wait_for(selector);
        let document = self.call("DOM.getDocument", json!({}));
        let query = json!({"nodeId": document["root"]["nodeId"], "selector": selector});
        let node = self.call("DOM.querySelector", query)["nodeId"].clone();
        self.call(
            "DOM.setFileInputFiles",
            json!({"nodeId": node, "files": [file]}),
        );
    }

    /// Clicks in the middle of an element; what covers it gets the click, as for a person.
    pub fn click(&mut self, selector: &str) {
        self.wait_for(selector);
        let script = format!(
            "(e => {{ e.scrollIntoView({{block: 'center', behavior: 'instant'}}); const r = e.getBoundingClientRect(); \
             return [r.x + r.width / 2, r.y + r.height / 2, r.width * r.height] }})(document.querySelector({}))",
            json!(selector)
        );
        let at = self.eval(&script);
        assert!(
            at[2].as_f64().unwrap_or_default() > 0.0,
            "{selector} cannot be seen at {}",
            self.url()
        );
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Clicks, and waits until the page that this leads to is loaded.
    pub fn follow(&mut self, selector: &str) {
        self.eval("window.sluiceOld = true");
        self.click(selector);
        self.settle();
    }

    /// Whether a person must scroll sideways.
    pub fn is_too_wide(&mut self) -> bool {
        self.eval("document.documentElement.scrollWidth > window.innerWidth + 1") == true
    }

    /// Saves what the page looks like, whole, as `target/screenshots/NAME.png`.
    pub fn screenshot(&mut self, name: &str) {
        let folder = root().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let options = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.call("Page.captureScreenshot", options);
        let bytes = STANDARD
            .decode(shot["data"].as_str().expect("a picture"))
            .expect("base64");
        std::fs::write(folder.join(format!("{name}.png")), bytes).expect("a file");
    }

    /// Script errors, failed loads and policy violations since the tab was opened.
    pub fn faults(&mut self) -> &[String] {
        self.eval("0");
        &self.faults
    }

    /// The faults but for refusals and what is not there: where those are looked for, they are errors by their status.
    pub fn unexpected_faults(&mut self) -> Vec<String> {
        let faults = self.faults().iter();
        faults
            .filter(|f| !f.contains("status of 40") && !f.contains("status of 42"))
            .cloned()
            .collect()
    }

    /// The value of a script; waits for a promise.
    pub fn eval(&mut self, script: &str) -> Value {
        let options = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.try_call("Runtime.evaluate", &options);
        // A page that is just being replaced has no place to run it in.
        for _ in 0..50 {
            if answer.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            answer = self.try_call("Runtime.evaluate", &options);
        }
        let mut answer = answer.unwrap_or_else(|e| panic!("{script}: {e}"));
        assert!(
            answer["exceptionDetails"].is_null(),
            "{script}: {}",
            answer["exceptionDetails"]
        );
        answer["result"]["value"].take()
    }

    /// Waits until the page marked as old is gone and the new one is loaded.
    fn settle(&mut self) {
        let script = "window.sluiceOld !== true && document.readyState === 'complete'";
        eventually_true("a loaded page", 2 * SOON, || self.eval(script) == true);
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, &parameters)
            .unwrap_or_else(|e| panic!("{method} {parameters}: {e}"))
    }

    fn try_call(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.next += 1;
        let call = json!({"id": self.next, "method": method, "params": parameters});
        self.socket
            .send(Message::text(call.to_string()))
            .expect("the browser");
        // Without a pause: a page that loads sends dozens of events before the answer, and reading waits by itself.
        let end = Instant::now() + SOON;
        loop {
            assert!(Instant::now() < end, "no answer of the browser to {method}");
            let Message::Text(text) = self.socket.read().expect("the browser") else {
                continue;
            };
            let mut message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == self.next {
                return match message["error"].take() {
                    Value::Null => Ok(message["result"].take()),
                    error => Err(error.to_string()),
                };
            }
            self.note(&message);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.faults.push(parameters["exceptionDetails"].to_string())
            }
            Some("Log.entryAdded") if parameters["entry"]["level"] == "error" => {
                self.faults.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }
}
