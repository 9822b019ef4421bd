//! moto: another emulator of AWS, with more services but without MQTT. `tests/contract/gaps.rs` lists its differences from AWS;
//! no test may rely on them.

use serde_json::Value;
use tempfile::TempDir;

use super::foreign;
use super::http::fetch;
use super::ministack::wait_until_ready;
use super::process::{Process, command, free_port};

pub struct Moto {
    process: Process,
    pub url: String,
    home: TempDir,
}

impl Moto {
    pub async fn start() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut command = command(foreign::program("moto", "moto_server"), home.path());
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home.path())
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut process = Process::start(command);
        let url = format!("http://127.0.0.1:{port}");
        wait_until_ready(&mut process, &format!("{url}/moto-api/data.json")).await;
        Self { process, url, home }
    }

    /// The raw messages that moto accepted as SES, in the order of arrival.
    pub async fn mails(&self) -> Vec<Value> {
        let (_, body) = fetch(&format!("{}/moto-api/data.json", self.url)).await.expect("moto's data");
        let data: Value = serde_json::from_slice(&body).expect("JSON from moto");
        data["ses"]["RawMessage"].as_array().cloned().unwrap_or_default()
    }

    /// Opens a message with a foreign parser and unpacks its bundle.
    pub async fn open_mail(&self, message: &str) -> (Value, std::path::PathBuf) {
        let file = self.home.path().join("mail.eml");
        std::fs::write(&file, message).expect("a file in the temporary folder");
        let folder = self.home.path().join("bundle");
        std::fs::create_dir_all(&folder).expect("a folder in the temporary folder");
        let given = serde_json::json!([{"message": file, "into": folder}]);
        let read = foreign::run("read_mail.py", &given).await;
        (read[0].clone(), folder)
    }

    pub fn output(&self) -> String {
        self.process.output()
    }
}
