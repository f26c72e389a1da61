//! A site for tests: the mappings that ship, a configuration of their own, and events.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of several tests; each uses a part of them"
)]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use waybill::config::load;
use waybill::plan::Plan;

/// A vehicle with a valid check digit.
pub const VIN: &str = "WBL1A2B37T4000017";
/// Another one.
pub const OTHER_VIN: &str = "WBL7K9C12T5001003";

/// A folder with a configuration.
pub struct Site {
    pub folder: TempDir,
}

impl Site {
    /// A site with one AMQP source and one file target. `extra` goes into the source.
    pub fn new(queue: &str, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        let mappings = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let mappings = mappings.display();
        let text = format!(
            r#"version: 1
agent: {{ name: test, instance: "007", data_dir: data, drain: 5s }}
journal: {{ url: "sqlite:journal.db", min_free: 1MiB }}
sources:
  vms: {{ type: amqp, url: {{ file: broker-url }}, queue: {queue}, event: {{ key: data.vin }}{extra} }}
targets:
  sap-file: {{ type: file, path: out, name: "{{message_type}}_{{docnum}}.idoc" }}
partners: [ {mappings}/partners/*.yaml ]
lifecycles: [ {mappings}/lifecycles/vehicle.yaml ]
mappings: [ {mappings}/vehicle-registration/mapping.yaml ]
routes:
  - {{ on: vehicle.status.changed, when: 'data.plant != "9999"', mapping: vehicle-registration, partner: sap-importer, to: [sap-file] }}
"#
        );
        fs::write(folder.path().join("waybill.yaml"), text).unwrap();
        Self { folder }
    }

    /// A site whose configuration is `text`, in which `MAPPINGS` is the folder that ships.
    pub fn written(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        let mappings = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let text = text.replace("MAPPINGS", &mappings.display().to_string());
        fs::write(folder.path().join("waybill.yaml"), text).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("waybill.yaml")
    }

    /// The files in the output folder, by name.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("out")).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    pub fn plan(&self) -> (load::Written, Plan) {
        let (written, mistakes) = load::load(&self.config());
        assert!(mistakes.is_empty(), "{mistakes:#?}");
        let written = written.unwrap();
        let texts = |path: &Path| load::file(path).map_err(|mistake| mistake.message.clone());
        let plan = Plan::compile(&written, &texts, 1);
        (written, plan.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")))
    }
}

/// A CloudEvent that says that a vehicle has a status.
pub fn event(id: &str, vin: &str, status: &str) -> Vec<u8> {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/vms/test","type":"vehicle.status.changed","time":"2026-03-01T10:20:30Z","data":{{"vin":"{vin}","status":"{status}","plant":"0815","model":"KORA-2.0-D"}}}}"#
    )
    .into_bytes()
}
