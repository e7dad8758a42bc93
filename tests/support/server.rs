//! Real servers on the loopback interface that end with the test.
#![allow(dead_code)] // each test uses some of them

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A port that nobody has at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A server in the foreground; it is asked to end, with its workers, when the value goes.
pub struct Server(Child);

impl Server {
    /// Starts `command` and waits for a line on its standard error that contains `ready`; gives that line too.
    pub fn start(command: &mut Command, ready: &str) -> (Server, String) {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?} cannot be run: {e}"));
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let server = Server(child);
        let mut seen = String::new();
        loop {
            let before = seen.len();
            log.read_line(&mut seen).expect("its messages");
            assert!(seen.len() > before, "{command:?} ended: {seen}");
            if seen[before..].contains(ready) {
                // Somebody must read on, or the server stops at a full pipe.
                std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                return (server, seen[before..].to_owned());
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// An nginx over a folder. It has its socket when the command returns, so that nobody waits.
pub struct Nginx {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    conf: PathBuf,
}

impl Nginx {
    /// Serves `www`; its own files are in `scratch`.
    pub fn start(www: &Path, scratch: &Path) -> Nginx {
        std::fs::create_dir_all(scratch).expect("mkdir");
        let (port, conf, at) = (free_port(), scratch.join("nginx.conf"), scratch.display());
        let temp: String =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|t| format!("{t}_temp_path {at}/{t};\n")).concat();
        let text = format!(
            "pid {at}/pid; error_log {at}/error.log; daemon on; master_process off; events {{}}\n\
             http {{ access_log {at}/access.log; default_type application/octet-stream;\n\
             types {{ text/html html; application/json json; }}\n{temp}\
             server {{ listen 127.0.0.1:{port}; root {}; }} }}\n",
            www.display()
        );
        std::fs::write(&conf, text).expect("write");
        let nginx = Nginx { url: format!("http://127.0.0.1:{port}"), conf };
        let out = nginx.command().output().expect("nginx is needed");
        assert!(out.status.success(), "nginx: {}", String::from_utf8_lossy(&out.stderr));
        nginx
    }

    /// What was asked for so far.
    pub fn log(&self) -> PathBuf {
        self.conf.with_file_name("access.log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("nginx");
        command.arg("-e").arg(self.conf.with_file_name("error.log")).arg("-c").arg(&self.conf);
        command
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.command().args(["-s", "stop"]).output();
    }
}
