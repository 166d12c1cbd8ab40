//! A flow that does nothing: its `advance` returns the address of an answer that stands in its memory already. What a step
//! of it costs is what any step costs at least: a fresh instance, the context in, an answer out.
//!
//! The canonical ABI is laid out here by hand.

use anyhow::Context as _;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// Where the data begins.
const DATA: usize = 1024;
/// Where the allocator begins, for what the host passes in.
const HEAP: usize = 64 << 10;

/// The component.
pub(crate) fn component() -> anyhow::Result<Vec<u8>> {
    let mut data = Data(Vec::new());
    let description = data.description();
    let answer = data.done();
    let bytes: String = data.0.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let module = format!(
        r#"(module
          (memory (export "memory") 4)
          (data (i32.const {DATA}) "{bytes}")
          (global $next (mut i32) (i32.const {HEAP}))
          (func (export "cabi_realloc") (param $old i32) (param $from i32) (param $align i32) (param $size i32) (result i32)
            (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get $size))))
          (func (export "tokenhost:flow/flow@0.1.0#describe") (result i32) (i32.const {description}))
          (func (export "tokenhost:flow/flow@0.1.0#advance") (param $arguments i32) (result i32) (i32.const {answer})))"#
    );
    let mut module = wat::parse_str(module)?;
    let mut resolve = Resolve::default();
    let package = resolve.push_str("flow.wit", include_str!("../../../../wit/flow.wit"))?;
    let world = resolve.select_world(&[package], Some("flow-plugin")).context("the contract has no such world")?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

/// Linear memory from [`DATA`] on.
struct Data(Vec<u8>);

impl Data {
    /// Puts words down, aligned, and says where.
    fn put(&mut self, words: &[usize]) -> usize {
        let bytes: Vec<u8> = words.iter().flat_map(|word| (*word as u32).to_le_bytes()).collect();
        self.put_bytes(&bytes)
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> usize {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let address = DATA + self.0.len();
        self.0.extend_from_slice(bytes);
        address
    }

    /// A string: pointer and length.
    fn text(&mut self, text: &str) -> [usize; 2] {
        [self.put_bytes(text.as_bytes()), text.len()]
    }

    /// A `description` with no fields.
    fn description(&mut self) -> usize {
        let mut record = Vec::new();
        for text in ["empty", "1.0.0", "A flow that does nothing", "For measuring."] {
            record.extend(self.text(text));
        }
        let (kind, detail) = (self.text("oauth2"), self.text("clientCredentials"));
        let handled = self.put(&[kind[0], kind[1], 1, detail[0], detail[1]]);
        record.extend([handled, 1, 1, 0, 0]); // one scheme, unattended, no fields
        self.put(&record)
    }

    /// `ok(done(token))`, whose token has an access token and nothing else.
    fn done(&mut self) -> usize {
        let access_token = self.text("abc");
        let mut words = vec![0, 0, 3, 0, 1, access_token[0], access_token[1]];
        words.resize(words.len() + 35, 0);
        self.put(&words)
    }
}
