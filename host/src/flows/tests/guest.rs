//! Plugins as WebAssembly text: for the bad ones no compiler makes, and the good ones that need no toolchain.
//!
//! The canonical ABI is laid out here by hand, once: a description and an answer in linear memory.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// Where the data begins.
const DATA: u32 = 4096;

/// Where the allocator begins; data ends before it.
const HEAP: u32 = 2 << 20;

/// Where the answer `ok(done(token))` stands, whose token has the access token `abc` and nothing else.
pub(crate) const DONE: u32 = 1024;

/// Where that answer's token stands.
pub(crate) const TOKEN: u32 = DONE + 16;

/// Where the token's `access-token` has its pointer; the length follows.
pub(crate) const ACCESS_TOKEN: u32 = TOKEN + 4;

/// Where the token's `expires-in`, `expires-at` and `refresh-expires-in` stand: a flag, and 8 bytes later the number.
pub(crate) const EXPIRES_IN: u32 = TOKEN + 40;
pub(crate) const EXPIRES_AT: u32 = TOKEN + 56;
pub(crate) const REFRESH_EXPIRES_IN: u32 = TOKEN + 72;

/// Where the answer `err(failure)` stands.
pub(crate) const FAILED: u32 = 2048;

/// A plugin's source.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The contract's version that it is built for.
    pub(crate) contract: &'static str,
    /// The scheme that it handles, by kind and detail; none: client credentials.
    pub(crate) handles: Option<(String, Option<String>)>,
    /// The fields' names; each is a text that may stay unset, or a URL where its name says so.
    pub(crate) fields: Vec<String>,
    /// The body of `describe`: leaves the address of a description on the stack.
    pub(crate) describe: String,
    /// The body of `advance`: leaves the address of an answer on the stack.
    pub(crate) advance: String,
    /// Further functions, and a start function.
    pub(crate) functions: String,
    /// Core imports.
    pub(crate) imports: String,
    /// What the world imports, as WIT.
    pub(crate) world: String,
    /// The packages that the world needs, as WIT.
    pub(crate) packages: String,
    /// The memory's first size, in pages of 64 KiB.
    pub(crate) pages: u32,
    /// Bytes that make the component bigger.
    pub(crate) ballast: usize,
}

impl Guest {
    /// A plugin that is good but for its steps, which answer what this body says.
    pub(crate) fn answering(name: &str, advance: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            contract: "0.1.0",
            handles: None,
            fields: vec!["client_id".to_owned()],
            describe: String::new(),
            advance: advance.to_owned(),
            functions: String::new(),
            imports: String::new(),
            world: String::new(),
            packages: String::new(),
            pages: 48,
            ballast: 0,
        }
    }

    /// A plugin whose every step ends with the token `abc`.
    pub(crate) fn good(name: &str) -> Self {
        Self::answering(name, &format!("(i32.const {DONE})"))
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        ComponentEncoder::default().validate(true).module(&self.core()).unwrap().encode().unwrap()
    }

    /// The core module, which tells its contract in a custom section.
    pub(crate) fn core(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).unwrap_or_else(|error| panic!("{error}"));
        let mut resolve = Resolve::default();
        let contract = match self.contract {
            "0.1.0" => include_str!("../../../../wit/frozen/0.1.0/flow.wit"),
            _ => include_str!("next/flow.wit"),
        };
        resolve.push_str("flow.wit", contract).unwrap();
        let world = format!(
            "package tokenhost:tests;\n world plugin {{ include tokenhost:flow/flow-plugin@{};\n {} }}\n {}",
            self.contract, self.world, self.packages
        );
        let package = resolve.push_str("tests.wit", &world).unwrap_or_else(|error| panic!("{error:?}"));
        let world = resolve.select_world(&[package], Some("plugin")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        module
    }

    fn module(&self) -> String {
        let mut data = Data::default();
        let description = data.description(self);
        data.bytes.resize(data.bytes.len() + self.ballast, b'x');
        assert!(DATA + u32::try_from(data.bytes.len()).unwrap() < HEAP);
        let describe =
            if self.describe.is_empty() { format!("(i32.const {description})") } else { self.describe.clone() };
        let Self { advance, functions, imports, pages, contract, .. } = self;
        let (done, failed) = (escaped(&data.done()), escaped(&data.failed()));
        let data = escaped(&data.bytes);
        format!(
            r#"(module
              {imports}
              (memory (export "memory") {pages})
              (data (i32.const {DONE}) "{done}")
              (data (i32.const {FAILED}) "{failed}")
              (data (i32.const {DATA}) "{data}")
              (global $next (mut i32) (i32.const {HEAP}))
              (func (export "cabi_realloc") (param $old i32) (param $from i32) (param $align i32) (param $size i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get $size))))
              {functions}
              (func (export "tokenhost:flow/flow@{contract}#describe") (result i32) {describe})
              (func $advance (export "tokenhost:flow/flow@{contract}#advance") (param $arguments i32) (result i32) {advance}))"#
        )
    }
}

/// Linear memory from [`DATA`] on.
#[derive(Default)]
struct Data {
    bytes: Vec<u8>,
}

impl Data {
    /// Puts bytes down, aligned, and says where.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let address = DATA + u32::try_from(self.bytes.len()).unwrap();
        self.bytes.extend_from_slice(bytes);
        address
    }

    /// A string or list of bytes: pointer and length.
    fn text(&mut self, text: &str) -> [u32; 2] {
        [self.put(text.as_bytes()), u32::try_from(text.len()).unwrap()]
    }

    /// A list of records: pointer and length.
    fn list(&mut self, records: &[Vec<u32>]) -> [u32; 2] {
        [self.put(&words(&records.concat())), u32::try_from(records.len()).unwrap()]
    }

    fn description(&mut self, guest: &Guest) -> u32 {
        let mut record = Vec::new();
        for text in [&guest.name, &guest.version, "A plugin for tests", "Never use it."] {
            record.extend(self.text(text));
        }
        let (kind, detail) =
            guest.handles.clone().unwrap_or_else(|| ("oauth2".to_owned(), Some("clientCredentials".to_owned())));
        let (kind, some) = (self.text(&kind), u32::from(detail.is_some()));
        let handled = [&kind[..], &[some], &self.text(&detail.unwrap_or_default())].concat();
        record.extend(self.list(&[handled]));
        record.push(1);
        let mut fields = Vec::new();
        for name in &guest.fields {
            let texts = [self.text(name), self.text("A field"), self.text("Anything.")].concat();
            // Kind `text` or `url` and its unused list; requirement `never` and its unused condition; no default, no source.
            let kind = if name.ends_with("_url") { 2 } else { 0 };
            fields.push([&texts[..], &[kind, 0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0], &[0, 0, 0]].concat());
        }
        record.extend(self.list(&fields));
        self.put(&words(&record))
    }

    /// `ok(done(token))`
    fn done(&mut self) -> Vec<u8> {
        let access_token = self.text("abc");
        words(&[&[0, 0, 3, 0, 1], &access_token[..], &[0; 35]].concat())
    }

    /// `err(failure)`, to be done something about by a person.
    fn failed(&mut self) -> Vec<u8> {
        let (code, message) = (self.text("invalid_client"), self.text("No such client."));
        words(&[&[1, 0], &code[..], &message, &[2, 0, 0]].concat())
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Bytes as a WAT string.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}
